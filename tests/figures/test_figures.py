"""Figures by their files, tables by their text."""

import json

import numpy as np
import pytest
from matplotlib.image import imread

from unet_common.evaluation.tables import (
    csv_table,
    fold_rows,
    fold_summary,
    fold_table,
    markdown_table,
    summary,
    worst_case,
    write_tables,
)
from unet_common.figures.history import comparison_figure, history_figure, smooth
from unet_common.figures.overlays import ShownImage, overlay_figure
from unet_common.metrics.cases import decisions
from unet_common.prediction.settings import PredictionSettings


def square(first, last, size=12):
    labels = np.zeros((size, size), np.uint8)
    labels[first:last, first:last] = 1
    return labels


# --- figures ----------------------------------------------------------------------------------


def history(steps=30, validated=True, factor=1.0):
    return [
        {
            "step": step,
            "epoch": 0,
            "loss": factor / step,
            "learning_rate": 1e-3,
            **({"validation_loss": 1 / step, "validation_dice": 0.5} if validated else {}),
        }
        for step in range(1, steps + 1)
    ]


HISTORIES = [
    pytest.param(history(), id="usual"),
    pytest.param(history(validated=False), id="without validation"),
    pytest.param(history(steps=1), id="one step"),
    pytest.param([], id="empty"),
    pytest.param([*history(), {**history()[-1], "loss": float("nan"), "validation_dice": None}], id="nan"),
]


def assert_is_picture(path):
    picture = imread(path)
    assert picture.shape[0] > 200 and np.ptp(picture[..., :3]) == 1
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing temporary left


@pytest.mark.parametrize("rows", HISTORIES)
def test_history_figure(rows, tmp_path):
    history_figure(rows, tmp_path / "figures" / "history.png", "run")
    assert_is_picture(tmp_path / "figures" / "history.png")


@pytest.mark.parametrize("factor", [1, 1.001])
@pytest.mark.parametrize("steps", [20, 300])
def test_comparison_figure(factor, steps, tmp_path):
    rows = {
        "lowlevel": history(steps),
        "highlevel": history(steps),
        "keras": history(steps - 5, factor=factor),
    }
    comparison_figure(rows, tmp_path / "comparison.png", "one seed")
    assert_is_picture(tmp_path / "comparison.png")


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("truth", [square(2, 8, 400), None], ids=["truth", "no truth"])
def test_overlay_figure(classes, truth, tmp_path):
    probability = np.full((400, 400, classes), 1 / classes)
    case = ShownImage("a", np.eye(400)[..., None], square(3, 9, 400), probability, truth)
    other = ShownImage("b", np.eye(60, 90)[..., None], np.zeros((60, 90), int), probability[:60, :90])
    overlay_figure([case, other], tmp_path / "overlay.png", "run")
    assert_is_picture(tmp_path / "overlay.png")


def test_running_mean_by_hand():
    np.testing.assert_allclose(smooth(np.array([3.0, 6, 9, 0]), 3), [4.5, 6, 5, 4.5])
    np.testing.assert_allclose(smooth(np.array([])), [])
    np.testing.assert_allclose(smooth(np.full(500, 2.0)), 2)


# --- tables -----------------------------------------------------------------------------------

ROWS = [
    {"case": "cell 1", "dice": 0.8125, "v_rand": 0.95},
    {"case": "cell 10", "dice": 0.5, "v_rand": float("nan")},
    {"case": "cell 2", "dice": 0.9, "loss": 0.25},
]


def test_markdown_table():
    assert markdown_table(ROWS, digits=2) == (
        "| case       | dice | v_rand | loss |\n"
        "| ---------- | ---: | -----: | ---: |\n"
        "| cell 1     | 0.81 |   0.95 |    – |\n"
        "| cell 10    | 0.50 |      – |    – |\n"
        "| cell 2     | 0.90 |      – | 0.25 |\n"
        "| **mean**   | 0.74 |   0.95 | 0.25 |\n"
        "| **median** | 0.81 |   0.95 | 0.25 |\n"
        "\n"
        "Worst dice: cell 10 (0.50).\n"
    )


def test_summary_and_worst_case_leave_out_what_is_not_defined():
    assert summary(ROWS)["mean"]["dice"] == pytest.approx(2.2125 / 3)
    assert summary(ROWS)["median"]["v_rand"] == 0.95
    errors = [{"case": "a", "voi_split": 0.2}, {"case": "b", "voi_split": 0.7}]
    assert worst_case(errors, "voi_split")["case"] == "b"
    assert worst_case(ROWS, "v_rand")["case"] == "cell 1"
    assert worst_case([{"case": "a", "dice": None}], "dice") is None


def test_csv_keeps_all_digits_and_quotes():
    rows = [{"case": "a, b", "dice": 1 / 3}, {"case": "c", "dice": float("nan")}]
    assert csv_table(rows) == 'case,dice\n"a, b",0.3333333333333333\nc,\n'


def test_headings_name_the_classes_and_keys_do_not(tmp_path):
    rows = [{"case": "a", "dice": 0.5, "dice_1": 0.5, "surface_dice_2": 1.0, "dice_10": 0.25}]
    names = ("Anterior", "Posterior")
    heading = markdown_table(rows, class_names=names).splitlines()[0]
    parts = [part.strip() for part in heading.strip("|").split("|")]
    assert parts == ["case", "dice", "dice Anterior", "surface_dice Posterior", "dice_10"]
    paths = write_tables(rows, tmp_path / "metrics", names)
    assert heading in paths[0].read_text() and paths[1].read_text().startswith("case,dice,dice_1,")
    content = json.loads(paths[2].read_text())
    assert content["class_names"] == list(names) and content["mean"]["dice_1"] == 0.5
    assert json.loads(write_tables(rows, tmp_path / "metrics")[2].read_text())["class_names"] is None


def test_an_infinite_distance_is_not_one_that_is_not_defined(tmp_path):
    """A class that was missed in a volume is infinitely far away; one that is not there has no distance."""
    rows = [
        {"case": "a", "hd95": float("inf"), "dice": 0.0},
        {"case": "b", "hd95": 2.0, "dice": 1.0},
        {"case": "c", "hd95": float("nan"), "dice": float("nan")},
    ]
    markdown, table, content = (path.read_text() for path in write_tables(rows, tmp_path / "metrics"))
    assert "inf" in markdown and "a,inf,0.0" in table and "c,,\n" in table
    content = json.loads(content, parse_constant=pytest.fail)  # JSON itself has no number for either
    assert [case["hd95"] for case in content["cases"]] == ["Infinity", 2.0, None]
    assert content["mean"] == {"hd95": "Infinity", "dice": 0.5}
    assert float(content["mean"]["hd95"]) == float("inf")


def test_a_table_says_what_its_numbers_are(tmp_path):
    settings = PredictionSettings(tolerance=2.5)
    rows = [{"case": "a", "dice": 0.5, "hd95": 1.0, "hd95_border": 1.5, "surface_dice": 0.75}]
    text, _csv, content = (path.read_text() for path in write_tables(rows, tmp_path / "a", settings=settings))
    assert "neither there nor predicted has no score" in text and "area of surfaces" in text
    assert "as MedPy measures" in text and "up to 2.5 mm are no error" in text
    assert json.loads(content)["surface_dice_tolerance"] == 2.5
    rows = [{"case": "a", "dice": 0.5}]
    text, _csv, content = (path.read_text() for path in write_tables(rows, tmp_path / "b", settings=settings))
    assert "surface" not in text and "surface_dice_tolerance" not in json.loads(content)


def test_what_was_said_of_whole_cases(tmp_path):
    """By hand: five cases; class 1 is in three, found in two of these and in one more; class 2 is found in all."""
    truth = np.array([[9, 4], [20, 4], [3, 4], [0, 4], [0, 4]])
    predicted = np.array([[5, 1], [20, 1], [0, 1], [1, 1], [0, 1]])
    first, second = decisions(truth, predicted)
    assert (first["cases_with"], first["cases"]) == (3, 5)
    assert (first["recall"], first["precision"], first["specificity"]) == (2 / 3, 2 / 3, 1 / 2)
    assert (second["recall"], second["precision"]) == (1, 1) and np.isnan(second["specificity"])
    # Of at least ten pixels: one case has it, and was found.
    first, second = decisions(truth, predicted, least=10)
    assert (first["recall"], first["precision"], first["specificity"]) == (1, 1, 1)
    assert second["cases_with"] == 0 and np.isnan(second["recall"])

    rows = [{"class": number, **row} for number, row in enumerate(decisions(truth, predicted), 1)]
    text, _csv, content = (
        path.read_text() for path in write_tables([], tmp_path / "a", ("cell", "sky"), decisions=rows)
    )
    assert (
        "at least a pixel of the class" in text
        and "| cell (in 3 of 5) |  0.667 |     0.667 |       0.500 |" in text
    )
    assert "sky" not in text  # nothing had to be decided
    assert [row["recall"] for row in json.loads(content)["decisions"]] == [pytest.approx(2 / 3), 1]


FOLDS = {"a": 1, "b": 0, "c": 1, "d": 0, "e": 0}


def fold_cases(**changes):
    dice = {"a": 0.5, "b": 0.9, "c": 0.7, "d": 0.8, "e": 0.7, **changes}
    return [{"case": name, "dice": value, "dice_1": value / 2} for name, value in dice.items()]


def test_a_row_for_each_fold_and_their_mean_and_deviation():
    folds = fold_rows(fold_cases(), FOLDS)
    assert [row["fold"] for row in folds] == [0, 1]
    assert [row["dice"] for row in folds] == pytest.approx([0.8, 0.6])
    over = fold_summary(folds)
    assert over["mean"] == pytest.approx({"dice": 0.7, "dice_1": 0.35})  # that of the cases is 0.72
    assert over["std"]["dice"] == pytest.approx(0.02**0.5)  # n - 1
    assert fold_table(folds, digits=2, class_names=("front",)) == (
        "| fold     | dice | dice front |\n"
        "| -------- | ---: | ---------: |\n"
        "| 0        | 0.80 |       0.40 |\n"
        "| 1        | 0.60 |       0.30 |\n"
        "| **mean** | 0.70 |       0.35 |\n"
        "| **std**  | 0.14 |       0.07 |\n"
    )


def test_folds_without_a_deviation():
    inf, nan = float("inf"), float("nan")
    assert np.isnan(fold_summary(fold_rows(fold_cases(), dict.fromkeys(FOLDS, 3)))["std"]["dice"])
    over = fold_summary(fold_rows(fold_cases(a=inf), FOLDS))
    assert over["mean"]["dice"] == inf and np.isnan(over["std"]["dice"])
    over = fold_summary(fold_rows(fold_cases(a=nan, c=nan), FOLDS))  # one fold has nothing to tell
    assert over["mean"]["dice"] == pytest.approx(0.8) and np.isnan(over["std"]["dice"])


def test_tables_of_folds_are_written_beside_those_of_the_cases(tmp_path):
    rows = fold_cases()
    folds = fold_rows(rows, FOLDS)
    paths = write_tables(rows, tmp_path / "metrics", ("front",), folds)
    text = paths[0].read_text()
    assert text.index("**median**") < text.index(fold_table(folds, class_names=("front",)))
    content = json.loads(paths[2].read_text())["folds"]
    assert content == {"rows": folds, **fold_summary(folds)}


def test_tables_are_written_side_by_side(tmp_path):
    paths = write_tables(ROWS, tmp_path / "run.2" / "metrics.v1", thresholds={"v_rand": 0.3})
    assert [path.name for path in paths] == ["metrics.v1.md", "metrics.v1.csv", "metrics.v1.json"]
    assert len(list(paths[0].parent.iterdir())) == 3
    content = json.loads(paths[2].read_text())
    assert content["cases"][1] == {"case": "cell 10", "dice": 0.5, "v_rand": None}
    assert content["thresholds"] == {"v_rand": 0.3}
    assert content["mean"]["loss"] == 0.25
    assert write_tables([], tmp_path / "empty")[0].exists()
