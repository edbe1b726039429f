"""What is shown of predicted volumes, in which order, with which numbers."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from data.formats.geometry import Geometry
from data.source import Case
from unet_common.figures.volumes import ShownVolume, contact_sheet, orthogonal_figure

SIZE = (12, 16, 8)


def case(name="a", oriented=True):
    image = np.random.default_rng(0).random((*SIZE, 1), np.float32)
    label = np.zeros(SIZE, np.uint8)
    label[3:8, 4:12, 2:6], label[3:8, 8:12, 2:6] = 1, 2
    geometry = Geometry(np.diag([1.0, 1.0, 2.0, 1.0]), SIZE) if oriented else None
    return Case(name, image, label, None, geometry)


def shown(name="a", dice=None):
    volume = case(name)
    return ShownVolume.of(volume, np.roll(volume.label, 1, 0), {} if dice is None else {"dice": dice})


@pytest.fixture
def texts(monkeypatch):
    """The texts of every figure that is saved, from the top to the bottom."""
    found = []
    save = Figure.savefig

    def spy(self, *arguments, **settings):
        found.append([text.get_text() for text in self.texts])
        for axes in self.axes:
            found[-1] += [axes.get_title(loc="left"), *(text.get_text() for text in axes.texts)]
        save(self, *arguments, **settings)

    monkeypatch.setattr(Figure, "savefig", spy)
    return found


def assert_is_picture(path):
    picture = imread(path)
    assert 200 < picture.shape[0] < 3000 and 500 < picture.shape[1] < 1500
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing temporary left


def test_slices_are_cut_at_once():
    volume = ShownVolume.of(case(), None)
    assert [view.sides for view in volume.views] == ["RLAP", "RLSI", "APSI"]
    assert volume.views[1].pixel == (2, 1) and np.isnan(volume.dice)
    assert sum(view.picture.nbytes for view in volume.views) == 12 * 16 + 12 * 8 + 16 * 8
    volume = ShownVolume.of(case(oriented=False), None)
    assert [view.title.split(",")[0] for view in volume.views] == ["axis 0", "axis 1", "axis 2"]


def test_truth_and_prediction_must_be_as_large_as_the_image():
    with pytest.raises(
        ValueError, match=r"a: the prediction has the size \(2, 2, 2\), the image \(12, 16, 8\)"
    ):
        ShownVolume.of(case(), np.zeros((2, 2, 2), int))


def test_orthogonal_figure_has_a_line_of_scores_for_each_class(tmp_path, texts):
    scores = {"case": "a", "dice": 0.75, "hd95": None, "assd": float("nan"), "dice_1": 0.5, "dice_2": 1.0}
    path = tmp_path / "figures" / "a.png"
    orthogonal_figure(ShownVolume.of(case(), case().label, scores), path)
    assert_is_picture(path)
    (found,) = texts
    assert found[0] == "a"
    table = ["Dice", "ASSD [mm]", "class 1", "0.500", "–", "class 2", "1.000", "–", "mean", "0.750", "–"]
    assert found[-11:] == table
    orthogonal_figure(ShownVolume.of(case(oriented=False), case().label, scores), path)
    assert "ASSD [voxels]" in texts[1] and "ASSD [mm]" not in texts[1]  # nobody knows how long they are


def test_classes_have_their_names(tmp_path, texts):
    scores = {"case": "a", "dice": 0.75, "dice_1": 0.5, "dice_2": 1.0}
    names = ("Anterior", "the posterior part of it")
    volume = ShownVolume.of(case(), case().label, scores, names)
    orthogonal_figure(volume, tmp_path / "figures" / "a.png")
    assert texts[0][-6:] == ["Anterior", "0.500", "the post…rt of it", "1.000", "mean", "0.750"]
    assert [view.class_names for view in volume.views] == [names] * 3


@pytest.mark.parametrize("truth", [True, False])
def test_orthogonal_figure_without_scores(tmp_path, truth, texts):
    volume = case(oriented=False)
    if not truth:
        volume = Case("b", volume.image)
    orthogonal_figure(ShownVolume.of(volume, None), tmp_path / "b.png", "title")
    assert_is_picture(tmp_path / "b.png")
    assert texts[0][0] == "title" and "Dice" not in texts[0]


def tiles(texts):
    return [text for text in texts if text.startswith("case")]


def test_contact_sheet_begins_with_the_worst(tmp_path, texts):
    cases = [shown("case 1", 0.9), shown("case 2"), shown("case 3", 0.2), shown("case 4", 0.5)]
    contact_sheet(cases, tmp_path / "sheet.png", "run")
    assert_is_picture(tmp_path / "sheet.png")
    assert texts[0][0] == "run: worst Dice first"
    assert tiles(texts[0]) == ["case 3  0.200", "case 4  0.500", "case 1  0.900"]


def test_contact_sheet_of_many_shows_the_ends(tmp_path, texts):
    contact_sheet([shown(f"case {n}", n / 10) for n in (3, 1, 5, 2, 4)], tmp_path / "sheet.png", most=4)
    assert texts[0][0] == "the 2 with the worst Dice and the 2 with the best, of 5"
    assert tiles(texts[0]) == ["case 1  0.100", "case 2  0.200", "case 4  0.400", "case 5  0.500"]


def test_contact_sheet_without_scores_and_with_long_names(tmp_path, texts):
    name = "case " + "x" * 60 + "7"
    contact_sheet([shown(name), shown("case 2")], tmp_path / "sheet.png")
    first, second = tiles(texts[0])
    assert first.startswith("case x") and first.endswith("x7  –") and len(first) < 40
    assert second == "case 2  –"
