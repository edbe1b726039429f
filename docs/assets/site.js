// A choice of a tab holds for all groups of tabs of a page that have it, and for the pages after it.
document.addEventListener("DOMContentLoaded", () => {
  const labels = [...document.querySelectorAll(".tabbed-labels > label")];
  const choose = (text) =>
    labels.filter((label) => label.textContent === text).forEach((label) => {
      document.getElementById(label.htmlFor).checked = true;
    });
  labels.forEach((label) =>
    document.getElementById(label.htmlFor).addEventListener("change", () => {
      const before = label.getBoundingClientRect().top;
      choose(label.textContent);
      window.scrollBy(0, label.getBoundingClientRect().top - before);
      try { localStorage.setItem("tab", label.textContent); } catch { /* not allowed from a folder */ }
    })
  );
  try { choose(localStorage.getItem("tab")); } catch { /* likewise */ }
});

// The search asks a server for its index: from a folder there is none.
if (location.protocol === "file:") {
  document.addEventListener("DOMContentLoaded", () =>
    document.querySelector('[data-bs-target="#mkdocs_search_modal"]')?.closest("li").remove()
  );
}
