"""dataset.json as the Decathlon, nnU-Net and people write it: every case is right or named."""

import json
import os

import nibabel as nib
import numpy as np
import pytest
import tifffile

from data.errors import UserError
from data.sources.decathlon import Decathlon
from data.sources.detect import source_at
from data.sources.nnunet import NnUNet

SIZE = (6, 7, 8)


def save(path, values, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


def case(folder, image, label, seed=0, classes=3):
    """An image and its label at paths below a folder; the image's mean tells which it is."""
    save(folder / image, np.full(SIZE, seed, np.float32))
    save(folder / label, np.random.default_rng(seed).integers(0, classes, SIZE).astype(np.uint8))
    return {"image": image, "label": label}


def write(folder, training, encoding="utf-8", **more):
    folder.mkdir(parents=True, exist_ok=True)
    labels = {"0": "background", "1": "front", "2": "back"}
    content = {"modality": {"0": "MRI"}, "labels": labels, "training": training, **more}
    (folder / "dataset.json").write_text(json.dumps(content), encoding=encoding)
    return Decathlon(directory=folder)


@pytest.fixture
def pair(tmp_path):
    """A data set of one case."""
    return case(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")


# --- labels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        {"0": "background", "1": "front", "2": "back"},
        {"background": 0, "front": 1, "back": 2},
        {"background": "0", "back": "2", "front": "1"},
        {"2": "back", "1": "front", "0": "background"},
    ],
)
def test_names_to_numbers_and_numbers_to_names(tmp_path, pair, labels):
    source = write(tmp_path, [pair], labels=labels)
    source.check()
    assert source.class_values == (0, 1, 2) and source.class_names == ("front", "back")


@pytest.mark.parametrize(
    "labels, message",
    [
        ({"background": 0, "whole": [1, 2], "core": 2}, "the label 'whole' is a region"),
        ({"background": 0, "front": 1, "back": 1}, "the number 1 more than once"),
        ({"0": "background", "1": "a", "2": "a"}, "the name a more than once"),
        ({"front": 1, "back": 2}, "lacks 0, the background"),
        ({"background": 0, "front": -1}, "'front': -1 is not a name and its number"),
        ({"background": 0, "front": 1.5}, "'front': 1.5 is not a name and its number"),
        ({"background": 0, "front": True}, "'front': True is not a name and its number"),
        ({"background": 0, "front": None}, "'front': None is not a name and its number"),
        ({"0": "background", "1": 2}, "'1': 2 is not a name and its number"),
        ({"background": {"id": 0}}, "'background': {'id': 0} is not a name"),
        (["background", "front"], "lacks labels, which names the numbers"),
        ({}, "lacks labels"),
        (3, "lacks labels"),
    ],
)
def test_labels_of_other_forms_are_refused_in_one_line(tmp_path, pair, labels, message):
    source = write(tmp_path, [pair], labels=labels)
    with pytest.raises(UserError, match=r"dataset\.json") as error:
        source.check()
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_label_to_ignore_is_no_class(tmp_path, pair):
    save(tmp_path / pair["label"], np.random.default_rng(0).integers(0, 4, SIZE).astype(np.uint8))
    labels = {"background": 0, "front": 1, "back": 2, "ignore": 3}
    source = write(tmp_path, [pair], labels=labels)
    source.check()
    assert source.ignoring and source.classes == 3 and source.class_names == ("front", "back")
    stored = np.asarray(nib.load(tmp_path / pair["label"]).dataobj)
    np.testing.assert_array_equal(source.read("a").label == 255, stored == 3)


# --- entries -------------------------------------------------------------------------------------------


def test_equal_names_in_different_folders_are_different_cases(tmp_path):
    pairs = [
        case(tmp_path, f"{place}/images/x.nii.gz", f"{place}/labels/x.nii.gz", seed)
        for seed, place in enumerate(["one/a", "one/b", "two/a", "two/b"])
    ]
    source = write(tmp_path, pairs)
    source.check()
    assert source.names() == ["one_a_images_x", "one_b_images_x", "two_a_images_x", "two_b_images_x"]
    means = [source.read(name).image.mean() for name in source.names()]
    assert means == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "spelling",
    [
        "imagesTr/a.nii.gz",
        "./imagesTr/a.nii.gz",
        ".//imagesTr/./a.nii.gz",
        "../data/imagesTr/a.nii.gz",
        "imagesTr/../imagesTr/a.nii.gz",
        ".\\imagesTr\\a.nii.gz",
        "{absolute}",
        "imagesTr/a.nii",
        "link/a.nii.gz",
    ],
)
def test_every_spelling_of_a_path_is_the_file(tmp_path, spelling):
    folder = tmp_path / "data"
    pair = case(folder, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", 7)
    (folder / "link").symlink_to("imagesTr")
    spelling = spelling.replace("{absolute}", str(folder / "imagesTr/a.nii.gz"))
    source = write(folder, [{**pair, "image": spelling}])
    source.check()
    assert source.names() == ["a"] and source.read("a").image.mean() == 7
    assert source.notes() == []
    assert not any("is not listed" in line for line in source.unread())


def test_files_outside_of_the_folder_are_read_and_told(tmp_path):
    case(tmp_path, "elsewhere/x.nii.gz", "elsewhere/y.nii.gz", 3)
    absolute = str(tmp_path / "elsewhere/y.nii.gz")
    source = write(tmp_path / "data", [{"image": "../elsewhere/x.nii.gz", "label": absolute}])
    source.check()
    assert source.read("x").image.mean() == 3
    (note,) = source.notes()
    assert note.startswith("2 files: is listed in dataset.json, and lies outside of") and "x.nii.gz" in note


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_mark_of_the_byte_order_is_read_over(tmp_path, pair, encoding):
    write(tmp_path, [pair], encoding=encoding).check()
    assert source_at(str(tmp_path)).name == "decathlon"


def test_what_is_wrong_with_entries_is_named_all_at_once(tmp_path, pair):
    for name in "bcd":
        case(tmp_path, f"imagesTr/{name}.nii.gz", f"labelsTr/{name}.nii.gz")
    save(tmp_path / "imagesTr/e.nii", np.zeros(SIZE, np.float32))
    save(tmp_path / "imagesTr/e.nii.gz", np.zeros(SIZE, np.float32))
    entries = [
        pair,
        {"image": "imagesTr/b.nii.gz"},
        "imagesTr/c.nii.gz",
        {"image": 3, "label": "x"},
        7,
        {"image": "imagesTr/d.nii.gz", "label": "labelsTr/d.nii.gz"},
        {"image": "imagesTr/d.nii.gz", "label": "labelsTr/c.nii.gz"},
        {"image": "imagesTr/nowhere.nii.gz", "label": "labelsTr/c.nii.gz"},
    ]
    problems = "\n".join(write(tmp_path, entries).problems())
    for part in (
        "2 files: has no label. Add it, or list the image under test\n      - entry 2 of training, imagesTr/b.nii.gz\n"
        "      - entry 3 of training, imagesTr/c.nii.gz",
        "2 files: is no pair",
        "imagesTr/d.nii.gz: is listed as the image of 2 cases",
        "labelsTr/c.nii.gz: is listed as the label of 2 cases",
        "imagesTr/nowhere.nii.gz: there is no such file",
    ):
        assert part in problems, part


@pytest.mark.parametrize("training", [{}, {"a": 1}, [], "x", None, 3])
def test_a_training_that_is_no_list_is_refused_in_one_line(tmp_path, training):
    with pytest.raises(UserError, match=r"^[^\n]*dataset\.json lacks training, a list of pairs"):
        write(tmp_path, training).names()


@pytest.mark.parametrize("content", ["[]", "3", '"x"', "null", "[" * 100_000])
def test_json_that_is_no_object_is_refused(tmp_path, content):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(UserError, match=r"dataset\.json"):
        Decathlon(directory=tmp_path).names()


def test_images_to_predict_are_listed_or_lie_in_their_folder(tmp_path, pair):
    for name in "tuv":
        save(tmp_path / f"imagesTs/{name}.nii.gz", np.zeros(SIZE, np.float32))
    save(tmp_path / "more/w.nii.gz", np.zeros(SIZE, np.float32))
    source = write(tmp_path, [pair], test=["./imagesTs/t.nii.gz", {"image": "more/w.nii.gz"}])
    assert source.test_names() == ["t", "u", "v", "w"]
    os.symlink("nowhere", tmp_path / "imagesTs/x.nii.gz")
    save(tmp_path / "imagesTr/extra.nii.gz", np.zeros(SIZE, np.float32))
    (tmp_path / "imagesTr/notes.txt").touch()
    told = "\n".join(source.unread())
    assert "extra.nii.gz: not read: it is not listed in dataset.json" in told
    assert "x.nii.gz: not read: a link to nowhere" in told and "notes.txt: not read" in told


# --- nnU-Net -------------------------------------------------------------------------------------------


def nnunet(folder, names=("a", "b"), channels=2, ending=".nii.gz", **more):
    labels = {"background": 0, "front": 1, "back": 2}
    content = {
        "channel_names": {str(index): f"T{index + 1}" for index in range(channels)},
        "labels": labels,
        "numTraining": len(names),
        "file_ending": ending,
        **more,
    }
    for seed, name in enumerate(names):
        for index in range(channels):
            file = folder / f"imagesTr/{name}_{index:04d}{ending}"
            if ending == ".tif":
                file.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(file, np.full(SIZE, 10 * seed + index, np.uint8), photometric="minisblack")
            else:
                save(file, np.full(SIZE, 10 * seed + index, np.float32))
        values = np.random.default_rng(seed).integers(0, 3, SIZE).astype(np.uint8)
        if ending == ".tif":
            (folder / "labelsTr").mkdir(exist_ok=True)
            tifffile.imwrite(folder / f"labelsTr/{name}.tif", values, photometric="minisblack")
        else:
            save(folder / f"labelsTr/{name}{ending}", values)
    (folder / "dataset.json").write_text(json.dumps(content))
    return NnUNet(directory=folder)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".tif"])
def test_the_channels_of_nnunet_are_files(tmp_path, channels, ending):
    source = nnunet(tmp_path, channels=channels, ending=ending)
    source.check()
    assert type(source_at(str(tmp_path))) is NnUNet
    assert (source.names(), source.channels, source.classes) == (["a", "b"], channels, 3)
    assert source.class_names == ("front", "back") and source.notes() == [] and source.unread() == []
    case = source.read("b")
    assert case.image.shape == (*SIZE, channels)
    np.testing.assert_array_equal(case.image[0, 0, 0], np.arange(10, 10 + channels))


def test_what_is_wrong_with_files_of_nnunet_is_named(tmp_path):
    nnunet(tmp_path, "abcde", numTraining=9)
    (tmp_path / "imagesTr/a_0001.nii.gz").unlink()
    (tmp_path / "labelsTr/b.nii.gz").unlink()
    save(tmp_path / "imagesTr/c_0001.nii.gz", np.zeros(SIZE, np.float32), np.diag([1, 1, 2, 1]))
    save(tmp_path / "labelsTr/z.nii.gz", np.zeros(SIZE, np.uint8))
    save(tmp_path / "imagesTr/f.nii.gz", np.zeros(SIZE, np.float32))
    source = NnUNet(directory=tmp_path)
    problems = "\n".join(source.problems())
    for part in (
        "a: lacks the file of channel 0001, CASE_0001.nii.gz",
        "b: has no label: labelsTr/CASE.nii.gz is missing",
        "c_0001.nii.gz: lies on other voxels than the first channel, c_0000.nii.gz",
        "z.nii.gz: there is no image CASE_0000.nii.gz of this name in imagesTr",
    ):
        assert part in problems, part
    assert "dataset.json says numTraining 9, but there are 5 cases" in source.notes()
    assert "f.nii.gz: not read: it is not listed in dataset.json" in "\n".join(source.unread())


def test_cases_that_dataset_json_lists(tmp_path):
    nnunet(tmp_path, channels=2)
    listed = {
        "one": {"images": ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"], "label": "labelsTr/a.nii.gz"}
    }
    source = nnunet(tmp_path, channels=2, dataset=listed, numTraining=1)
    assert source.names() == ["one"] and source.read("one").image[0, 0, 0].tolist() == [0, 1]
    with pytest.raises(UserError, match="dataset must list cases"):
        nnunet(tmp_path, dataset={"one": 3}).names()


@pytest.mark.parametrize(
    "ending, told",
    [(".png", "--data folder"), (".nrrd", "Convert the files to NIfTI"), (None, "lacks file_ending")],
)
def test_other_endings_are_refused_with_a_remedy(tmp_path, ending, told):
    nnunet(tmp_path)
    source = nnunet(tmp_path, (), file_ending=ending)
    with pytest.raises(UserError, match=told):
        source.names()


@pytest.mark.parametrize("channels", [1, 2])
def test_the_first_version_lists_files_without_the_number_of_the_channel(tmp_path, channels):
    nnunet(tmp_path, channels=channels)
    pairs = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in "ab"]
    save(tmp_path / "imagesTs/t_0000.nii.gz", np.zeros(SIZE, np.float32))
    if channels == 2:
        save(tmp_path / "imagesTs/t_0001.nii.gz", np.ones(SIZE, np.float32))
    modality = {str(index): f"T{index + 1}" for index in range(channels)}
    source = write(tmp_path, pairs, modality=modality, test=["./imagesTs/t.nii.gz"])
    source.check()
    assert source.read("b").image[0, 0, 0].tolist() == [10, 11][:channels]
    assert len(source.test_names()) == 1
    assert source.read(source.test_names()[0]).image.shape[-1] == channels
