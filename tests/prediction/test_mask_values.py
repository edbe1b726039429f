"""Masks hold the numbers of the data set's own labels, and a table says which stands for what."""

import csv
import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import tifffile
from helpers import command
from PIL import Image

import predict
import train
from data.__main__ import main as data_main
from data.errors import UserError
from data.formats.geometry import Geometry
from data.source import Case
from data.sources.folder import Folder
from unet_common.experiment import experiment_from
from unet_common.prediction.outputs import predicted_outputs
from unet_common.prediction.predictor import Prediction
from unet_common.prediction.writing import save_classes, save_prediction
from unet_common.training.run import Run

SMALL = {"sampling": {"crop": [16, 16]}, "network": {"depth": 2, "filters": 2}}
SMALL_3D = {"sampling": {"crop": [8, 8, 8]}, "network": {"depth": 2, "filters": 2}}


def mosaic(values, size=(24, 24)):
    """A label map with all of the values."""
    return np.resize(np.repeat(values, 5), size).astype(np.int32)


def save_image(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def images_and_masks(folder, values, masks="masks"):
    generator = np.random.default_rng(0)
    for name in "abc":
        save_image(folder / f"images/{name}.png", generator.integers(0, 255, (24, 24)))
        save_image(folder / f"{masks}/{name}.png", mosaic(values))


def volumes(folder, values, ending=".nii.gz"):
    generator = np.random.default_rng(0)
    for name in "abc":
        for part, voxels in (
            ("images", generator.integers(0, 255, (12, 12, 12)).astype(np.int16)),
            ("labels", mosaic(values, (12, 12, 12)).astype(np.int16)),
        ):
            (folder / part).mkdir(parents=True, exist_ok=True)
            if ending == ".tif":
                tifffile.imwrite(
                    folder / part / f"{name}.tif", voxels.astype(np.uint16), photometric="minisblack"
                )
            else:
                nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / part / f"{name}{ending}")


def written(run, label, out, values="data", case=None):
    """The masks that a run writes for a predicted label map, by their path in `masks/`, and the table beside them."""
    outputs = predicted_outputs(run, values)
    case = case or Case("x", np.zeros((*label.shape, 1), np.float32), overlapping=outputs.overlapping)
    probability = np.zeros((*label.shape, outputs.predicted), np.float32)
    save_prediction(Prediction(case, label, probability, outputs), out, False)
    save_classes(outputs, out)
    with open(out / "classes.csv", newline="") as file:
        table = [(int(row["value"]), int(row["class"]), row["name"]) for row in csv.DictReader(file)]
    masks = {}
    for path in sorted((out / "masks").rglob("*.*")):
        masks[str(path.relative_to(out / "masks"))] = (
            np.asarray(nib.load(path).dataobj)
            if ".nii" in path.name
            else tifffile.imread(path)
            if path.suffix == ".tif"
            else np.asarray(Image.open(path))
        )
    return masks, table


def run_on(tmp_path, settings, small=SMALL):
    return Run.create(tmp_path / "run", experiment_from({**small, "data": settings}))


@pytest.mark.parametrize(
    "found, settings, expected",
    [
        ((0, 255), {}, (0, 255)),
        ((0, 1), {}, (0, 1)),
        ((0, 1, 2), {}, (0, 1, 2)),
        ((0, 2, 4), {"label_values": [0, 2, 4]}, (0, 2, 4)),
        ((0, 1, 3), {"label_values": [0, 3, 1]}, (0, 3, 1)),
        ((0, 128), {"label_values": [128, 0]}, (128, 0)),
        ((0, 1, 2, 255), {"ignore": [255]}, (0, 1, 2)),
        ((0, 1, 7), {"foreground": "any"}, (0, 255)),
    ],
)
def test_masks_of_images_have_the_values_of_the_data_set(tmp_path, found, settings, expected):
    images_and_masks(tmp_path / "data", found)
    run = run_on(tmp_path, {"name": "folder", "directory": str(tmp_path / "data"), **settings})
    label = mosaic(range(len(expected)))
    masks, table = written(run, label, tmp_path / "out")
    np.testing.assert_array_equal(masks["x.png"], np.array(expected)[label])
    assert [(value, number) for value, number, _name in table] == [(v, n) for n, v in enumerate(expected)]
    masks, table = written(run, label, tmp_path / "numbers", "classes")
    np.testing.assert_array_equal(masks["x.png"], label)
    assert [row[0] for row in table] == list(range(len(expected)))


@pytest.mark.parametrize("ending", [".nii.gz", ".tif"])
@pytest.mark.parametrize(
    "found, settings, expected",
    [
        ((0, 1), {}, (0, 1)),
        ((0, 255), {}, (0, 255)),
        ((0, 1, 3), {"label_values": [0, 3, 1]}, (0, 3, 1)),
        ((0, 205, 500), {"label_values": [0, 500, 205]}, (0, 500, 205)),
    ],
)
def test_masks_of_volumes_have_the_values_of_the_data_set(tmp_path, found, settings, expected, ending):
    volumes(tmp_path / "data", found, ending)
    run = run_on(tmp_path, {"name": "volumes", "directory": str(tmp_path / "data"), **settings}, SMALL_3D)
    label = mosaic(range(len(expected)), (5, 6, 7))
    geometry = Geometry(np.eye(4), label.shape) if ending != ".tif" else None
    path = None if geometry else tmp_path / "x.tif"
    case = Case("x", np.zeros((*label.shape, 1), np.float32), path=path, geometry=geometry)
    masks, _table = written(run, label, tmp_path / "out", case=case)
    np.testing.assert_array_equal(masks[f"x{ending}"], np.array(expected)[label])


def test_the_table_has_the_names_of_the_classes(tmp_path):
    for part, folder in (("images", "imagesTr"), ("labels", "labelsTr")):
        volumes(tmp_path / "made", (0, 2, 4))
        shutil.copytree(tmp_path / "made" / part, tmp_path / "data" / folder)
    pairs = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in "abc"]
    described = {"modality": {"0": "MRI"}, "labels": {"0": "background", "4": "core", "2": "rim"}}
    (tmp_path / "data/dataset.json").write_text(json.dumps({**described, "training": pairs}))
    run = run_on(tmp_path, {"name": "decathlon", "directory": str(tmp_path / "data")}, SMALL_3D)
    _masks, table = written(run, mosaic(range(3)), tmp_path / "out")
    assert table == [(0, 0, "background"), (2, 1, "rim"), (4, 2, "core")]


def test_classes_that_may_overlap_have_their_own_values_each(tmp_path):
    for name, values in (("disc", (0, 255)), ("line", (0, 1))):
        images_and_masks(tmp_path / "data", values, f"masks/{name}")
    run = run_on(tmp_path, {"name": "folder", "directory": str(tmp_path / "data")})
    label = mosaic(range(4))  # sets: none, disc, line, both
    masks, table = written(run, label, tmp_path / "out")
    np.testing.assert_array_equal(masks["disc/x.png"], (label & 1) * 255)
    np.testing.assert_array_equal(masks["line/x.png"], label >> 1)
    assert table == [(0, 0, "background"), (255, 1, "disc"), (1, 2, "line")]


@pytest.mark.parametrize("foreground, expected", [("membrane", (255, 0)), ("cell", (0, 255))])
def test_membranes_of_isbi_stay_black(tmp_path, foreground, expected):
    stack = mosaic((0, 255), (4, 24, 24)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "train-volume.tif", stack, photometric="minisblack")
    tifffile.imwrite(tmp_path / "train-labels.tif", stack, photometric="minisblack")
    data = {"name": "isbi2012", "directory": str(tmp_path), "foreground": foreground}
    label = mosaic((0, 1))
    masks, _table = written(run_on(tmp_path, data), label, tmp_path / "out")
    np.testing.assert_array_equal(masks["x.png"], np.array(expected)[label])


@pytest.mark.parametrize("form", ["hdf5", "tfrecord"])
def test_packed_data_keeps_the_values(tmp_path, form, monkeypatch):
    images_and_masks(tmp_path / "data", (0, 1, 3))
    command = ["data", "pack", str(tmp_path / "data"), "--to", form, str(tmp_path / "packed")]
    monkeypatch.setattr("sys.argv", [*command, "--set", "data.label_values=[0,3,1]"])
    assert data_main() == 0
    run = run_on(tmp_path, {"name": "packed", "directory": str(tmp_path / "packed")})
    label = mosaic(range(3))
    masks, _table = written(run, label, tmp_path / "out")
    np.testing.assert_array_equal(masks["x.png"], np.array((0, 3, 1))[label])


@pytest.mark.parametrize(
    "network, expected",
    [
        ({"classes": 2}, (0, 255)),  # a softmax where a sigmoid would do
        ({"classes": 4}, (0, 255, 256, 257)),  # more than the data has: numbers of their own
    ],
)
def test_outputs_that_are_not_those_of_the_data(tmp_path, network, expected):
    images_and_masks(tmp_path / "data", (0, 255))
    small = {**SMALL, "network": {**SMALL["network"], **network}}
    run = run_on(tmp_path, {"name": "folder", "directory": str(tmp_path / "data")}, small)
    label = mosaic(range(len(expected)))
    masks, _table = written(run, label, tmp_path / "out")
    np.testing.assert_array_equal(masks["x.png"], np.array(expected)[label])


def test_new_images_get_the_colour_that_the_data_set_was_given(tmp_path):
    images_and_masks(tmp_path / "data", (0, 255))
    colours = np.random.default_rng(1).integers(0, 255, (24, 24, 3))
    save_image(tmp_path / "data/images/c.png", colours)
    flags = ["--set", "network.depth=2", "--set", "network.filters=2", "--set", "sampling.crop=[16, 16]"]
    flags += ["--data", "folder", "--data-dir", tmp_path / "data", "--set", "data.colour=grey"]
    command(train, "--run", tmp_path / "run", "--steps", 2, "--batch-size", 2, *flags)
    out = tmp_path / "out"
    command(predict, "--run", tmp_path / "run", "--input", tmp_path / "data/images", "--output", out)
    assert {path.name for path in (out / "masks").iterdir()} == {"a.png", "b.png", "c.png"}


def test_a_large_value_becomes_a_tiff_of_32_bits(tmp_path):
    images_and_masks(tmp_path / "data", (0, 1))
    for name in "abc":
        (tmp_path / f"data/masks/{name}.png").unlink()
        tifffile.imwrite(tmp_path / f"data/masks/{name}.tif", mosaic((0, 70000)).astype(np.uint32))
    settings = {"name": "folder", "directory": str(tmp_path / "data"), "label_values": [0, 70000]}
    masks, _table = written(run_on(tmp_path, settings), mosaic((0, 1)), tmp_path / "out")
    np.testing.assert_array_equal(masks["x.tif"], mosaic((0, 70000)))


def test_from_a_training_to_masks_that_can_be_trained_on_again_without_the_data(tmp_path, capsys):
    """The run folder is enough to predict: the data set may be gone."""
    data = tmp_path / "data"
    images_and_masks(data, (0, 2, 4))
    flags = ["--set", "network.depth=2", "--set", "network.filters=2", "--set", "sampling.crop=[16, 16]"]
    flags += ["--data", "folder", "--data-dir", data, "--set", "data.label_values=[0, 4, 2]"]
    command(train, "--run", tmp_path / "run", "--steps", 2, "--batch-size", 2, *flags)
    images = shutil.move(data / "images", tmp_path / "images")
    shutil.rmtree(data)
    capsys.readouterr()
    command(predict, "--run", tmp_path / "run", "--input", images, "--output", tmp_path / "out")
    assert "Numbers in masks: 0 background, 4 class 1, 2 class 2" in capsys.readouterr().out
    for name in "abc":
        assert set(np.unique(np.asarray(Image.open(tmp_path / f"out/masks/{name}.png")))) <= {0, 2, 4}
    (tmp_path / "out/images").symlink_to(images)
    assert Folder(directory=tmp_path / "out", label_values=(0, 4, 2)).names() == list("abc")
    command(
        predict,
        "--run",
        tmp_path / "run",
        "--input",
        images,
        "--output",
        tmp_path / "n",
        "--values",
        "classes",
    )
    assert set(np.unique(np.asarray(Image.open(tmp_path / "n/masks/a.png")))) <= {0, 1, 2}
    with pytest.raises(UserError, match="does not exist"):  # the validation images are gone
        command(predict, "--run", tmp_path / "run")
