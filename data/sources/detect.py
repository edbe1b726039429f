"""The source that a path or a name stands for."""

from pathlib import Path
from typing import Any

from data.errors import UserError
from data.formats.records import INDEX, MARKER
from data.source import Source
from data.sources import SOURCES
from data.validation import validated

LAYOUTS = """  - decathlon: dataset.json, imagesTr, labelsTr
  - volumes: NIfTI files, TIFF stacks or DICOM folders in images/, labels in labels/
  - folder: images in images/, masks in masks/
  - isbi2012: train-volume.tif and train-labels.tif, or train/image and train/label
  - packed: what `python -m data pack` wrote"""


def source_at(place: str, settings: dict[str, Any] | None = None) -> Source:
    """The data set in a folder, or the generated one of a name such as 'membranes'.

    settings: of the source, such as `label_values`; `name` decides where the folder alone does not.
    Raises UserError if the folder has none of the known layouts.
    """
    settings = {key: value for key, value in (settings or {}).items() if value is not None}
    if place in SOURCES and not Path(place).is_dir():
        return validated(SOURCES[place], {**settings, "name": place})
    path = Path(place)
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
    return {"name": _name(path)}


def _name(path: Path) -> str:
    if (path / INDEX).is_file() or (path / MARKER).is_file():
        return "packed"
    if (path / "dataset.json").is_file():
        return "decathlon"
    if (path / "images").is_dir() and (path / "labels").is_dir():
        return "volumes"
    if (path / "images").is_dir() and (path / "masks").is_dir():
        return "folder"
    train = [path, path / "train", path / "isbi2012", path / "isbi2012" / "train"]
    if any((folder / "train-volume.tif").is_file() or (folder / "image").is_dir() for folder in train):
        return "isbi2012"
    raise UserError(f"{path} has none of the layouts that are understood:\n{LAYOUTS}\nName it with --data.")
