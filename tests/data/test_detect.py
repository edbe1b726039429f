"""The layout of a data set, as `python -m data check` and `train.py --data-dir` find it out."""

import json

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from data.errors import UserError
from data.sources.detect import layout, source_at

MASK = np.random.default_rng(0).integers(0, 2, (6, 8), dtype=np.uint8) * 255


def write(path):
    """An image or a volume, as the ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        nib.save(nib.Nifti1Image(np.resize([0, 1], (4, 5, 6)).astype(np.uint8), np.eye(4)), path)
    elif path.suffix == ".tiff":
        tifffile.imwrite(path, np.stack([MASK] * 3), photometric="minisblack")
    else:
        Image.fromarray(MASK).save(path)


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        ("images/a.png masks/a.png", {"name": "folder"}),
        ("images/a.nii.gz labels/a.nii.gz", {"name": "volumes"}),
        ("images/a.png labels/a.png", {"name": "folder", "masks": "labels"}),
        ("images/a.nii.gz masks/a.nii.gz", {"name": "volumes", "labels": "masks"}),
        ("images/a.tiff labels/a.tiff", {"name": "volumes"}),
        ("images/a.tiff masks/a.tiff", {"name": "folder"}),
        ("images/a.tif labels/a.tif", {"name": "folder", "masks": "labels"}),
        ("img/a.png seg/a.png", {"name": "folder", "images": "img", "masks": "seg"}),
        ("Imgs/a.jpg GT/a.png", {"name": "folder", "images": "Imgs", "masks": "GT"}),
        ("Images/a.png Masks/a.png", {"name": "folder", "images": "Images", "masks": "Masks"}),
        ("image/a.png annotations/a.png", {"name": "folder", "images": "image", "masks": "annotations"}),
        ("image/a.png label/a.png", {"name": "folder", "images": "image", "masks": "label"}),
        ("image/0.png label/0.png", {"name": "isbi2012"}),
        ("train/image/0.png train/label/0.png", {"name": "isbi2012"}),
        (
            "train/images/a.png train/masks/a.png",
            {"name": "folder", "images": "train/images", "masks": "train/masks"},
        ),
        (
            "img/a.nii.gz Ground_Truth/a.nii.gz",
            {"name": "volumes", "images": "img", "labels": "Ground_Truth"},
        ),
        ("images/a.png masks/a.png masks/b/a.png", {"name": "folder"}),
        ("images/a.png masks/vessel/a.png masks/nerve/a.png", {"name": "folder"}),
        ("a.png a_masks.png", {"name": "folder", "images": ".", "masks": ".", "mask_suffix": "_masks"}),
        ("a.png a_mask.png", {"name": "folder", "images": ".", "masks": ".", "mask_suffix": "_mask"}),
        ("a.png a_seg.png", {"name": "folder", "images": ".", "masks": ".", "mask_suffix": "_seg"}),
        ("a.png a_label.png", {"name": "folder", "images": ".", "masks": ".", "mask_suffix": "_label"}),
        (
            "0_img.png 0_masks.png 1_img.png 1_masks.png",
            {"name": "folder", "images": ".", "masks": ".", "image_suffix": "_img", "mask_suffix": "_masks"},
        ),
        ("a.nii.gz a_seg.nii.gz", {"name": "volumes", "images": ".", "labels": ".", "label_suffix": "_seg"}),
    ],
)
def test_layouts(tmp_path, files, settings):
    for file in files.split():
        write(tmp_path / file)
    if "labels" in settings and settings["labels"] != ".":
        (tmp_path / "labels").mkdir(exist_ok=True)  # an empty one is no reason to look no further
    assert layout(tmp_path) == settings
    source = source_at(str(tmp_path))
    assert (
        source.name == settings["name"]
        and len(source.names()) == files.count(" ") // 2 + files.count(" ") % 2
    )


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1}, "numTraining": 1}, "nnunet"),
        ({"labels": {"background": 0, "a": 1}}, "nnunet"),
        ({"channel_names": {"0": "CT"}, "training": []}, "nnunet"),
        ({"modality": {"0": "CT"}, "labels": {"0": "background"}, "training": [{}]}, "decathlon"),
        ([], "decathlon"),
    ],
)
def test_descriptions(tmp_path, content, name):
    (tmp_path / "dataset.json").write_text(json.dumps(content), encoding="utf-8-sig")
    assert layout(tmp_path) == {"name": name}


def test_a_description_that_is_broken_is_left_to_its_reader(tmp_path):
    (tmp_path / "dataset.json").write_text("{")
    assert layout(tmp_path) == {"name": "decathlon"}


def test_what_is_not_understood_is_listed(tmp_path):
    for file in ("raw/a.png", "raw/b.png", "raw/c.tif", "other/d.gif"):
        write(tmp_path / file)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="has none of the layouts") as error:
        layout(tmp_path)
    for line in (f"in {tmp_path}: 1 .txt, 2 folders", "in other: 1 .gif", "in raw: 2 .png, 1 .tif"):
        assert line in str(error.value)
