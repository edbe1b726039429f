"use strict";
(() => {
  const root = document.documentElement;

  // Dark and light: what the system says, until somebody presses the button.
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const showTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; showTheme(); });
  system.addEventListener("change", showTheme);
  showTheme();

  // One, two or three columns; at least one stays.
  const columns = [...document.querySelectorAll("button[data-column]")];
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const showColumns = () => {
    for (const button of columns) {
      for (const cell of document.querySelectorAll(`[data-api="${button.dataset.column}"]`)) cell.hidden = !pressed(button);
    }
    root.style.setProperty("--columns", columns.filter(pressed).length);
  };
  for (const button of columns) {
    button.addEventListener("click", () => {
      if (pressed(button) && columns.filter(pressed).length === 1) return;
      button.setAttribute("aria-pressed", String(!pressed(button)));
      showColumns();
    });
  }
  // On a narrow screen the page begins with what fits beside each other.
  const fitting = innerWidth >= 1200 ? ["lowlevel", "highlevel", "keras"] : innerWidth > 700 ? ["lowlevel", "keras"] : ["lowlevel"];
  for (const button of columns) button.setAttribute("aria-pressed", String(fitting.includes(button.dataset.column)));
  showColumns();
})();

(() => {
  // A link to a line opens the file that the line is in.
  const reveal = () => {
    const line = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const file = line && line.closest("details");
    if (!file) return;
    file.open = true;
    line.scrollIntoView({ block: "center", behavior: "instant" });
  };
  addEventListener("hashchange", reveal);
  reveal();
})();

(() => {
  const source = document.getElementById("heat-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const details = document.getElementById("heat-details");
  const number = (value) => (value === 0 ? "0" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5 ? value.toExponential(3) : String(+value.toPrecision(6)));
  const element = (name, text, parent) => {
    const made = document.createElement(name);
    // Reasons have `code` in backticks, as all prose of this page.
    text.split("`").forEach((part, index) => {
      if (index % 2) made.appendChild(document.createElement("code")).textContent = part;
      else made.append(part);
    });
    return parent.appendChild(made);
  };
  let chosen = null;
  const show = (button) => {
    const [group, row, pair] = button.dataset.heat.split(",").map(Number);
    const [name, shape, ranges, differences] = data.groups[group][row];
    const [largest, relative, reason] = differences[pair];
    details.replaceChildren();
    element("h4", name, details);
    const list = element("dl", "", details);
    const entry = (term, text) => { element("dt", term, list); element("dd", text, list); };
    entry("shape", shape.length ? shape.join(" × ") : "a single number");
    for (const side of data.pairs[pair]) {
      const [low, high] = ranges[data.implementations.indexOf(side)];
      entry(side, `${number(low)} to ${number(high)}`);
    }
    entry("largest difference", `${number(largest)}, which is ${number(relative)} of the largest value`);
    element("p", data.reasons[reason], details);
    const close = element("button", "close", details);
    close.type = "button";
    close.addEventListener("click", hide);
    details.hidden = false;
  };
  const hide = () => {
    if (details.hidden) return;
    details.hidden = true;
    chosen.setAttribute("aria-pressed", "false");
    chosen.focus();
  };
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.getElementById("agreement").addEventListener("click", (event) => {
    const button = event.target.closest("[data-heat]");
    if (!button) return;
    if (chosen) chosen.setAttribute("aria-pressed", "false");
    chosen = button;
    button.setAttribute("aria-pressed", "true");
    show(button);
  });
})();

(() => {
  for (const viewer of document.querySelectorAll(".viewer")) {
    const [left, right] = viewer.querySelectorAll("select");
    const slider = viewer.querySelector("input[type=range]");
    const layers = [...viewer.querySelectorAll("img")];
    const told = viewer.querySelector("output");
    const show = () => {
      for (const layer of layers) {
        const isLeft = layer.dataset.layer === left.value, isRight = layer.dataset.layer === right.value;
        layer.hidden = !(isLeft || isRight);
        layer.classList.toggle("over", isRight && !isLeft);
      }
      viewer.style.setProperty("--wipe", `${slider.value}%`);
      const text = (select) => layers.find((layer) => layer.dataset.layer === select.value).dataset.text;
      told.textContent = `Left: ${text(left)}. Right: ${text(right)}.`;
      slider.setAttribute("aria-valuetext", `${slider.value} % from the left`);
    };
    for (const control of [left, right, slider]) for (const kind of ["input", "change"]) control.addEventListener(kind, show);
    show();
  }
})();
