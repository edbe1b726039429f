"""A whole page of compare.py, from its own trainings, opened in Chromium as a reader would.

The browser is Debian's (`apt-get install chromium chromium-driver`) or any Chromium or Chrome with its driver on the
PATH; nothing is downloaded, and without one the tests that need it are skipped. With COMPARE_SCREENSHOTS=DIR they leave
pictures of the page there.
"""

import os
import re
from pathlib import Path

import pytest
from helpers import assert_self_contained, command
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

import compare
from comparison.source import lines_of_program
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.training.run import Run

PARTS = ("concepts", "agreement", "cost", "pictures", "defaults", "files")
WIDTHS = (375, 1024, 1920)

SMALL = (
    "--set=network.depth=2", "--set=network.filters=3", "--set=network.convolutions=1", "--set=data.images=4",
    "--set=data.size=[64, 64]", "--set=sampling.crop=[32, 32]", "--batch-size=2", "--steps=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a page, made once for all tests here."""
    folder = tmp_path_factory.mktemp("compare") / "out"
    command(compare, *SMALL, "--no-open", "--output", folder)
    return folder


def test_the_page_is_one_file_and_the_runs_lie_beside_it(folder):
    assert_self_contained(folder / "compare.html")
    for name in IMPLEMENTATIONS:
        run = Run.open(folder / "runs" / name)
        assert (run.state.name, run.steps, run.experiment.implementation) == ("finished", 4, name)
        exact = Run.open(folder / "float64" / name)
        assert exact.experiment.precision == "float64" and exact.experiment.optimizer.momentum == 0.875


def test_the_page_says_that_the_three_are_the_same(folder):
    text = (folder / "compare.html").read_text()
    assert "<b>The same.</b>" in text and "Every difference has a known reason." in text
    assert "unexplained.</b>" not in text
    assert "initial weights are equal to the last bit" in text


def test_lines_of_code_are_those_that_readme_has(folder):
    (row,) = re.findall(r"<b>the whole program</b></th>(.*)</tr>", (folder / "compare.html").read_text())
    counted = [lines_of_program(name, "unet") for name in IMPLEMENTATIONS]
    assert [int(number) for number in re.findall(r"<b>(\d+)</b>", row)] == counted


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        ("--data=blobs3d", "--set=data.images=3", "--set=data.size=[16, 16, 16]", "--set=sampling.crop=[16, 16, 16]",
         "--set=network.depth=2", "--set=network.filters=3"),
        ("--network=vnet", "--set=network.depth=2", "--set=network.filters=2", "--set=network.kernel_size=3",
         "--set=data.images=4", "--set=data.size=[64, 64]", "--set=sampling.crop=[32, 32]"),
    ],
    ids=["unet in 3D", "vnet"],
)  # fmt: skip
def test_other_networks_have_pages_too(tmp_path, browser, flags):
    command(compare, *flags, "--batch-size=2", "--steps=3", "--no-open", "--output", tmp_path / "out")
    page = tmp_path / "out" / "compare.html"
    assert_self_contained(page)
    text = page.read_text()
    assert all(f'<section id="{part}"' in text for part in PARTS)
    assert "<b>The same.</b>" in text and "unexplained.</b>" not in text
    if "blobs3d" in flags[0]:
        assert text.count('class="viewer"') == 3 and "across axis 2" in text
    for width in WIDTHS:
        assert_readable(open_page(browser, tmp_path / "out", width))


# --- in the browser ---------------------------------------------------------------------------


def open_page(browser, folder, width=1920, dark=False):
    """The page at a width in pixels, dark or light."""
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get((folder / "compare.html").as_uri())
    browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
    return browser


@pytest.fixture
def opened(browser, folder):
    """Opens the page that was made for all tests here."""
    return lambda *look, **more: open_page(browser, folder, *look, **more)


def find(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_readable_at_every_width(opened, width, dark):
    browser = opened(width, dark)
    assert_readable(browser)
    assert_contrast(browser)
    if directory := os.environ.get("COMPARE_SCREENSHOTS"):
        for part in PARTS:
            browser.execute_script("document.getElementById(arguments[0]).scrollIntoView()", part)
            browser.save_screenshot(
                str(Path(directory) / f"{part}_{width}_{'dark' if dark else 'light'}.png")
            )


def assert_readable(browser):
    """No errors, every part there, and nothing wider than the window."""
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    for part in PARTS:
        (section,) = find(browser, f"#{part}")
        assert section.is_displayed() and section.size["height"] > 200
        assert find(browser, f"#{part} > h2")[0].text
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(overflow) <= 0


# The contrast of text with what is behind it, of everything that is shown and has text of its own (WCAG 2.2, 1.4.3).
CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
const rgba = (colour) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const cache = new Map();
const read = (colour) => { if (!cache.has(colour)) cache.set(colour, rgba(colour)); return cache.get(colour); };
const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const colour = read(getComputedStyle(node).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255, 255];
};
const bad = new Map();
for (const node of document.querySelectorAll('body *')) {
  if (!node.checkVisibility() || ![...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim())) continue;
  if (node.closest('svg, script, style')) continue;
  const [a, b] = [light(read(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
  const contrast = (a + .05) / (b + .05);
  if (contrast < 4.5) bad.set(`${node.tagName}.${node.className}`, contrast.toFixed(2));
}
return Object.fromEntries(bad);
"""


def assert_contrast(browser):
    assert browser.execute_script(CONTRAST) == {}


@pytest.mark.parametrize("width, columns", [(1920, 3), (1024, 2), (375, 1)])
def test_functions_that_play_the_same_part_stand_at_the_same_height(opened, width, columns):
    browser = opened(width)
    rows = browser.execute_script(
        "return [...document.querySelectorAll('.columns')].map((row) => [...row.children]"
        ".filter((cell) => !cell.hidden).map((cell) => cell.getBoundingClientRect()).map((box) => [box.top, box.left]))"
    )
    assert len(rows) > 30
    for row in rows:
        assert len(row) == columns
        assert len({round(top) for top, _left in row}) == 1
        assert len({round(left) for _top, left in row}) == columns
    pieces = browser.execute_script(  # the source itself, below its caption
        "return [...document.querySelector('#normalisation .row').querySelectorAll('.cell:not([hidden]) pre')]"
        ".map((source) => source.getBoundingClientRect().top)"
    )
    assert len(pieces) == columns and max(pieces) - min(pieces) <= 1


def test_columns_are_chosen_with_buttons(opened):
    browser = opened(1920)
    buttons = {button.get_attribute("data-column"): button for button in find(browser, "[data-column]")}

    def shown():
        return {
            name
            for name in IMPLEMENTATIONS
            if find(browser, f"#convolution [data-api={name}]")[0].is_displayed()
        }

    assert shown() == set(IMPLEMENTATIONS)
    width = find(browser, "#convolution .cell")[0].size["width"]
    buttons["highlevel"].send_keys(Keys.ENTER)
    assert shown() == {"lowlevel", "keras"}
    assert buttons["highlevel"].get_attribute("aria-pressed") == "false"
    assert find(browser, "#convolution .cell")[0].size["width"] > 1.3 * width
    buttons["lowlevel"].click()
    buttons["keras"].click()  # the last one stays
    assert shown() == {"keras"} and buttons["keras"].get_attribute("aria-pressed") == "true"


def test_dark_and_light(opened):
    browser = opened(1024)

    def background():
        return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    (button,) = find(browser, "#theme")
    light = background()
    button.click()
    dark = background()
    assert light != dark and button.get_attribute("aria-pressed") == "true"
    button.click()
    assert background() == light
    opened(1024, dark=True)
    assert background() == dark


def test_a_cell_of_the_heat_map_tells_why(opened):
    browser = opened(1024)
    cells = find(browser, "[data-heat]")
    assert len(cells) > 60
    details = find(browser, "#heat-details")[0]
    assert not details.is_displayed()
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cells[0])
    cells[0].click()
    assert "encoder1/conv1/kernel" in details.text and "Equal to the last bit." in details.text
    differing = [cell for cell in cells if not cell.get_attribute("aria-label").endswith(": 0")]
    browser.execute_script("arguments[0].click()", differing[-1])  # of the trained weights
    assert "Equal to the last bit." not in details.text
    assert any(f"{reason}: " in details.text for reason in ("Rounding", "Accumulated rounding", "Noise"))
    assert differing[-1].get_attribute("aria-pressed") == "true"
    assert cells[0].get_attribute("aria-pressed") == "false"
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not details.is_displayed()
    assert browser.switch_to.active_element == differing[-1]


def test_a_link_to_a_line_opens_its_file(opened):
    browser = opened(1024)
    (link,) = find(browser, "#normalisation [data-api=keras] figcaption a")[:1]
    file, line = link.get_attribute("href").split("#")[1].rsplit("-", 1)
    assert (file, link.text) == ("unet_keras/layers.py",) * 2
    shown = browser.find_element(By.ID, f"{file}-{line}")
    assert not shown.is_displayed()
    link.send_keys(Keys.ENTER)
    assert shown.is_displayed() and shown.text.startswith("@registered")  # and then the class
    place = browser.execute_script("return arguments[0].getBoundingClientRect().top / innerHeight", shown)
    assert 0.2 < place < 0.8
    assert_contrast(browser)
    browser.back()


def test_sliders_move_and_change_the_picture(opened):
    browser = opened(1024)
    viewers = find(browser, ".viewer")
    assert viewers
    viewer = viewers[0]
    stage, slider = (viewer.find_element(By.CSS_SELECTOR, what) for what in (".stage", "input[type=range]"))
    left, right = map(Select, viewer.find_elements(By.CSS_SELECTOR, "select"))
    browser.execute_script("arguments[0].scrollIntoView()", viewer)
    pictures = [stage.screenshot_as_png]
    for _ in range(20):
        slider.send_keys(Keys.ARROW_RIGHT)
    assert slider.get_attribute("value") == "70"
    assert slider.get_attribute("aria-valuetext") == "70 % from the left"
    told = viewer.find_element(By.TAG_NAME, "output")
    assert told.text.startswith("Left: the true classes. Right: the probability of foreground that lowlevel")
    pictures.append(stage.screenshot_as_png)
    right.select_by_visible_text("keras: contours")
    pictures.append(stage.screenshot_as_png)
    left.select_by_value("image")
    pictures.append(stage.screenshot_as_png)
    assert len(set(pictures)) == 4
    visible = [image for image in viewer.find_elements(By.CSS_SELECTOR, "img") if image.is_displayed()]
    assert {image.get_attribute("data-layer") for image in visible} == {"image", "keras-contours"}
    options = [option.text for option in right.options]
    assert {"image", "truth", *(f"{name}: probability" for name in IMPLEMENTATIONS)} <= set(options)
    assert sum(option.startswith("difference") for option in options) == 3
    loaded = browser.execute_script("return [...document.images].every((image) => image.naturalWidth > 0)")
    assert loaded


def test_everything_has_a_name(opened):
    """What a screen reader says: of controls, pictures, regions and tables."""
    browser = opened(1024)
    controls = find(browser, "button, a[href], select, input, [role=img], img, nav, section, [role=region]")
    assert len(controls) > 100
    kinds = browser.execute_script(
        "return arguments[0].map((node) => [node.tagName, node.getAttribute('aria-label') || node.alt"
        " || node.textContent.trim() || [...(node.labels || [])].map((label) => label.textContent).join()])",
        controls,
    )
    assert all(text for _tag, text in kinds), [tag for tag, text in kinds if not text]
    # The browser's own tree of accessible names, for what people operate.
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "link", "slider", "combobox", "region", "image", "navigation"}
    operated = [node for node in tree if node.get("role", {}).get("value") in roles]
    assert len(operated) > 100
    assert all(node.get("name", {}).get("value", "").strip() for node in operated)
    assert len(find(browser, "main")) == len(find(browser, "h1")) == 1
    assert browser.execute_script("return document.documentElement.lang") == "en"
    for table in find(browser, "table"):
        assert table.find_elements(By.CSS_SELECTOR, "thead th[scope=col]")
        assert table.find_elements(By.CSS_SELECTOR, "tbody th[scope=row]")
    pressed = find(browser, "[data-column], #theme")
    assert len(pressed) == 4 and all(button.get_attribute("aria-pressed") for button in pressed)


def test_the_keyboard_reaches_the_parts(opened):
    browser = opened(1024)
    seen = []
    for _ in range(13):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = browser.switch_to.active_element
        seen.append(focused.text)
        outline = browser.execute_script("return getComputedStyle(arguments[0]).outlineStyle", focused)
        assert outline != "none"
    assert seen[0] == "Skip to the content"
    assert {"Concepts", "Agreement", "Cost", "Pictures", "Defaults", "Files", "lowlevel", "dark"} <= set(seen)
