"""The look at a volume: what the page holds, and how Chromium shows it; nibabel's windows; which of both it is."""

import base64
import gzip
import json
import re

import matplotlib
import numpy as np
import pytest
from helpers import Links

from data.drawing import viewer
from data.drawing.images import class_colour, displayed
from data.drawing.slices import slice_view
from data.drawing.viewer import Look, has_display, open_windows, write_page
from data.errors import UserError
from data.labels.label_maps import combine

SIZE, SPACING = (14, 11, 8), (1.0, 1.5, 3.0)
AFFINE = np.diag([*SPACING, 1.0])


def volume(**changes):
    """A look at random values, with two classes in truth and prediction."""
    generator = np.random.default_rng(0)
    image = generator.normal(100, 30, (*SIZE, 1)).astype(np.float32)
    truth = np.zeros(SIZE, np.uint8)
    truth[3:7, 2:9, 2:6], truth[7:11, 4:9, 2:6] = 1, 2
    labels = {"prediction": np.roll(truth, 1, axis=1), "truth": truth}
    settings = {"spacing": SPACING, "affine": AFFINE, "class_names": ("left", "right & <b>"), **changes}
    return Look("case </script>", image, **{"labels": labels, **settings})


def read(path):
    """The facts of a page and its arrays, as a browser would unpack them."""
    text = path.read_text()
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', text).group(1))
    arrays = {}
    for what in ("image", *facts["labels"]):
        pieces = re.findall(f'<script type="text/plain" data-of="{what}">(.*?)</script>', text)
        whole = b"".join(gzip.decompress(base64.b64decode(piece)) for piece in pieces)
        size = facts["labels"].get(what, {"bytes": 1})["bytes"]
        arrays[what] = np.frombuffer(whole, "<u4" if size == 4 else np.uint8).reshape(facts["size"])
    return facts, arrays, text


def test_the_page_holds_the_volume_and_loads_nothing(tmp_path):
    look = volume()
    write_page(look, tmp_path / "page.html")
    facts, arrays, text = read(tmp_path / "page.html")
    low, high = facts["limits"]
    np.testing.assert_array_equal(arrays["image"], np.round(255 * displayed(look.image, (low, high))[..., 0]))
    assert np.abs(low + arrays["image"] / 255 * (high - low) - look.grey)[1:-1].max() < 60  # outliers are cut
    for what, label in look.labels.items():
        classes = facts["labels"][what]["classes"]
        np.testing.assert_array_equal(
            np.vectorize(lambda place, of=classes: sum(of[place]))(arrays[what]), label
        )
    assert facts["spacing"] == list(SPACING) and facts["whole"] == list(SIZE) and facts["unit"] == "mm"
    assert facts["classes"] == [
        {"number": 1, "name": "left", "colour": class_colour(1)},
        {"number": 2, "name": "right & <b>", "colour": class_colour(2)},
    ]
    assert "<title>case &lt;/script&gt;</title>" in text and text.count("case </script>") == 0
    links = Links(text)
    assert links.led == [] and all(link.startswith("data:") for link in links.loaded)
    assert not re.search(r"@import|url\(|https?://|fetch\(|XMLHttp", text)


def test_the_views_are_those_of_other_figures(tmp_path):
    write_page(volume(), tmp_path / "page.html")
    facts, _arrays, _text = read(tmp_path / "page.html")
    assert [view["name"] for view in facts["views"]] == ["axial", "coronal", "sagittal"]
    assert [view["sides"] for view in facts["views"]] == ["RLAP", "RLSI", "APSI"]
    write_page(volume(affine=None), tmp_path / "page.html")
    facts, _arrays, _text = read(tmp_path / "page.html")
    assert [view["name"] for view in facts["views"]] == ["axis 0", "axis 1", "axis 2"]
    assert {view["sides"] for view in facts["views"]} == {""} and facts["unit"] == "voxels"


def test_sets_of_classes_and_large_numbers(tmp_path):
    masks = np.random.default_rng(1).random((*SIZE, 12)) < 0.5
    write_page(volume(labels={"truth": combine(masks)}, overlapping=True), tmp_path / "page.html")
    facts, arrays, _text = read(tmp_path / "page.html")
    told = facts["labels"]["truth"]
    assert told["bytes"] == 4 and len(facts["classes"]) == 12
    for place in ((0, 0, 0), (5, 3, 2)):
        assert told["classes"][arrays["truth"][place]] == (np.flatnonzero(masks[place]) + 1).tolist()


def test_large_volumes_lose_voxels_where_these_are_nearest(tmp_path, monkeypatch):
    monkeypatch.setattr(viewer, "MAX_VOXELS", 500)
    look = volume()
    write_page(look, tmp_path / "page.html")
    facts, arrays, _text = read(tmp_path / "page.html")
    assert (facts["step"], facts["size"], facts["spacing"]) == ([2, 2, 1], [7, 6, 8], [2.0, 3.0, 3.0])
    np.testing.assert_array_equal(arrays["truth"] > 0, look.labels["truth"][::2, ::2] > 0)
    assert facts["middle"][2] == 3


def test_pieces_are_put_together(tmp_path, monkeypatch):
    monkeypatch.setattr(viewer, "PIECE", 100)
    write_page(volume(), tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().count('data-of="truth"') == -(-np.prod(SIZE) // 100)
    read(tmp_path / "page.html")


# --- in the browser ---------------------------------------------------------------------------

SLICE = """
Object.assign(state, {cross: false, prediction: false, truth: false});
const view = views[arguments[0]];
view.sides = "";
[view.canvas.width, view.canvas.height] = [size[view.columns], size[view.rows]];
draw(view);
return [...view.canvas.getContext("2d").getImageData(0, 0, view.canvas.width, view.canvas.height).data];
"""


def opened(browser, path):
    browser.get(path.as_uri())
    for _attempt in range(200):
        told = browser.find_element("id", "told").text
        if not told.startswith("Unpacking"):
            break
        browser.implicitly_wait(0.05)
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    return told


@pytest.mark.parametrize("affine", [AFFINE, None])
def test_the_slices_of_the_page_are_those_of_figures(tmp_path, browser, affine):
    look = volume(affine=affine)
    write_page(look, tmp_path / "page.html")
    opened(browser, tmp_path / "page.html")
    facts, _arrays, _text = read(tmp_path / "page.html")
    for number, view in enumerate(facts["views"]):
        axis = view["axis"]
        expected = slice_view(
            look.image,
            None,
            None,
            axis,
            facts["middle"][axis],
            SPACING,
            affine is not None,
            tuple(facts["limits"]),
        )
        pixels = np.array(browser.execute_script(SLICE, number)).reshape(*expected.picture.shape[:2], 4)
        np.testing.assert_array_equal(pixels[..., :1], expected.picture)
    width, height = (
        browser.execute_script(f"return views[0].canvas.getBoundingClientRect().{side}")
        for side in ("width", "height")
    )
    if affine is not None:
        assert width / height == pytest.approx(SIZE[0] * SPACING[0] / (SIZE[1] * SPACING[1]), rel=0.02)


def test_keys_sliders_and_clicks_turn_the_slices(tmp_path, browser):
    from selenium.webdriver.common.keys import Keys

    write_page(volume(), tmp_path / "page.html")
    told = opened(browser, tmp_path / "page.html")
    assert re.fullmatch(r"voxel 7, 6, 4 · value about [\d.]+ · prediction: left · truth: left", told), told

    def place():
        return browser.execute_script("return place")

    body = browser.find_element("tag name", "body")
    body.send_keys("1", Keys.ARROW_UP)
    assert place() == [6, 5, 4]
    body.send_keys("3", Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert place() == [4, 5, 4]
    body.send_keys("2", Keys.PAGE_UP)
    assert place() == [4, 10, 4]
    body.send_keys("p", "t", "]")
    assert browser.execute_script("return [state.prediction, state.truth, state.tint]") == [False, False, 0.5]
    canvases = browser.find_elements("tag name", "canvas")
    canvases[0].click()  # the middle of the axial view
    assert place()[0] in (6, 7) and place()[1] == 5 and place()[2] == 4
    slider = browser.find_elements("css selector", "figure input")[0]
    slider.send_keys(Keys.HOME)
    assert place()[2] == 0
    assert browser.find_elements("css selector", "figcaption span")[0].text == "slice 1 of 8"


# --- windows ----------------------------------------------------------------------------------


def test_windows_of_nibabel_move_together(monkeypatch):
    from nibabel.viewers import OrthoSlicer3D

    shown = []
    monkeypatch.setattr(
        OrthoSlicer3D, "show", lambda self: shown.extend([self, *(link() for link in self._links)])
    )
    open_windows(volume())
    assert sorted(one._title for one in shown) == [
        f"case </script>: {what}" for what in ("image", "prediction", "truth")
    ]
    for one in shown:
        one.close()


@pytest.mark.parametrize("backend, there", [("agg", False), ("svg", False), ("tkagg", True), ("qtagg", True)])
def test_a_display_is_what_matplotlib_finds(monkeypatch, backend, there):
    monkeypatch.setattr(matplotlib, "get_backend", lambda: backend)
    assert has_display() is there


@pytest.mark.parametrize(
    "wanted, display, way",
    [
        (None, True, None),
        ("auto", True, open_windows),
        ("auto", False, write_page),
        ("window", True, open_windows),
        ("page", True, write_page),
        ("page", False, write_page),
    ],
)
def test_there_is_a_window_where_there_is_a_display(monkeypatch, wanted, display, way):
    monkeypatch.setattr(viewer, "has_display", lambda: display)
    assert viewer.viewer(wanted) is way


def test_a_window_without_a_display_is_refused(monkeypatch):
    monkeypatch.setattr(viewer, "has_display", lambda: False)
    with pytest.raises(UserError, match="--look window needs a display, and there is none here: --look page"):
        viewer.viewer("window")
