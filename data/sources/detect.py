"""The source that a path or a name stands for."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.errors import UserError, bullet_list
from data.files import at_home, paths_in
from data.formats.images import TIFF, image_files, read_image
from data.formats.nifti import is_nifti
from data.formats.records import INDEX, MARKER
from data.formats.unread import summary
from data.formats.volumes import series_below, volume_files
from data.source import Source
from data.sources import SOURCES
from data.sources.pairing import suffixes
from data.validation import validated

LAYOUTS = """  - nnunet: dataset.json with channel_names, imagesTr, labelsTr
  - decathlon: dataset.json, imagesTr, labelsTr
  - volumes: NIfTI files, TIFF stacks or DICOM folders in images/, labels in labels/
  - folder: images in images/, masks in masks/; or both in one folder, such as a.png and a_masks.png
  - isbi2012: train-volume.tif and train-labels.tif, or train/image and train/label
  - packed: what `python -m data pack` wrote"""

# The usual names of subfolders, in lower case and without what joins words; those that are called first here win.
IMAGES = ("images", "image", "imgs", "img", "scans")
LABELS = (
    *("labels", "masks", "label", "mask", "segs", "seg", "segmentations", "segmentation"),
    *("gt", "groundtruth", "truth", "annotations", "annotation"),
)


def source_at(place: str, settings: dict[str, Any] | None = None) -> Source:
    """The data set in a folder, or the generated one of a name such as 'membranes'.

    settings: of the source, such as `label_values`; `name` decides where the folder alone does not.
    Raises UserError if the folder has none of the known layouts.
    """
    settings = {key: value for key, value in (settings or {}).items() if value is not None}
    if place in SOURCES and not Path(place).is_dir():
        return validated(SOURCES[place], {**settings, "name": place})
    path = at_home(place)
    if not path.is_dir():
        raise UserError(f"There is no folder {place}, and no generated data set of this name.")
    if not settings.get("name"):
        settings = {**layout(path), **settings}
    name = settings.pop("name")
    if name not in SOURCES:
        raise UserError(f"data.name: must be one of {', '.join(SOURCES)}; got {name!r}")
    return validated(SOURCES[name], {**settings, "name": name, "directory": path})


def layout(path: Path) -> dict[str, Any]:
    """The settings that say how the data set in a folder lies there: `name`, and others where its names are unusual.

    Raises UserError if the folder has none of the known layouts.
    """
    if (path / INDEX).is_file() or (path / MARKER).is_file():
        return {"name": "packed"}
    if (path / "dataset.json").is_file():
        return {"name": _described(path / "dataset.json")}
    if not (path / "images").is_dir() and _isbi2012(path):
        return {"name": "isbi2012"}
    found = _two_folders(path) or _two_folders(path, "train/") or _one_folder(path)
    if found is None:
        raise UserError(
            f"{path} has none of the layouts that are understood:\n{LAYOUTS}\nName it with --data, and its "
            f"folders with --set data.images=... and the like. There is\n{bullet_list(_inventory(path))}"
        )
    return found


def _described(path: Path) -> str:
    """The layout of a data set that a dataset.json describes: nnU-Net's second version, or the Decathlon's."""
    try:
        content = json.loads(path.read_bytes())  # knows byte-order marks
    except (OSError, ValueError, RecursionError):
        return "decathlon"  # which tells what is wrong with it
    if not isinstance(content, dict) or (
        "channel_names" not in content and isinstance(content.get("training"), list)
    ):
        return "decathlon"
    return "nnunet"


def _isbi2012(path: Path) -> bool:
    """True for the stack of ISBI 2012, as volumes or as numbered files."""
    for folder in (path, path / "train", path / "isbi2012", path / "isbi2012" / "train"):
        if (folder / "train-volume.tif").is_file():
            return True
        if (folder / "image").is_dir() and (folder / "label").is_dir():
            images = image_files(folder / "image")
            return bool(images) and all(image.stem.isdigit() for image in images)
    return False


def _two_folders(path: Path, within: str = "") -> dict[str, Any] | None:
    """The layout of images in one subfolder and labels in another, each by one of its usual names."""
    images, labels = _called(path / within, IMAGES), _called(path / within, LABELS)
    if images is None or labels is None:
        return None
    name, what = ("volumes", "labels") if _are_volumes(images, labels) else ("folder", "masks")
    folders = {"images": within + images.name, what: within + labels.name}
    return {"name": name, **{key: folder for key, folder in folders.items() if folder != key}}


def _called(path: Path, names: Sequence[str]) -> Path | None:
    """The subfolder with the first of the names that is there and holds anything to read, else with the first."""
    folders = paths_in(path, Path.is_dir) if path.is_dir() else []
    found = [
        folder for name in names for folder in folders if re.sub("[-_ ]", "", folder.name.lower()) == name
    ]
    return next(filter(_holds_something, found), found[0] if found else None)


def _holds_something(folder: Path) -> bool:
    return any(
        image_files(place) or volume_files(place) for place in (folder, *paths_in(folder, Path.is_dir))
    )


def _are_volumes(images: Path, labels: Path) -> bool:
    """True if images are NIfTI files or DICOM series; or stacks in TIFF whose partners are called labels, not masks."""
    stacks = [path for path in image_files(images) if path.suffix.lower() in TIFF]
    volumes, flat = (set(files(images)) - set(stacks) for files in (volume_files, image_files))
    if volumes or flat:
        return len(volumes) >= len(flat)
    if series_below(images):
        return True
    try:
        are_stacks = not stacks or read_image(stacks[0]).ndim == 4
    except UserError:
        are_stacks = True
    return are_stacks and labels.name.lower().startswith("label")


def _one_folder(path: Path) -> dict[str, Any] | None:
    """The layout of images and labels in one folder, told apart by the ends of their names."""
    for name, label, files in (
        ("folder", "mask", image_files(path)),
        ("volumes", "label", paths_in(path, is_nifti)),
    ):
        if found := suffixes(files):
            given = {"image_suffix": found[0], f"{label}_suffix": found[1]}
            return {
                "name": name,
                "images": ".",
                f"{label}s": ".",
                **{key: value for key, value in given.items() if value},
            }
    return None


def _inventory(path: Path) -> list[str]:
    """The contents of a folder and its subfolders, one line each."""
    folders = paths_in(path, Path.is_dir)
    return [f"in {path}: {summary(path)}", *(f"in {folder.name}: {summary(folder)}" for folder in folders)]
