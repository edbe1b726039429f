"""The layout of the Medical Segmentation Decathlon (Antonelli et al. 2022, Nature Communications 13:4128)."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from data.errors import UserError
from data.files import natural_key
from data.formats.volumes import volume_files, volume_name
from data.source import Case
from data.sources.pairs import Pair, VolumePairs


class Decathlon(VolumePairs):
    """A folder with dataset.json, imagesTr, labelsTr and perhaps imagesTs.

    dataset.json names the channels ("modality"), the classes ("labels") and the pairs of files ("training").
    Volumes with several channels have four axes.
    """

    name: Literal["decathlon"] = "decathlon"

    @property
    def channels(self) -> int:
        return len(self._description["modality"])

    @property
    def values(self) -> tuple[int, ...]:
        return self.label_values or tuple(sorted(int(value) for value in self._description["labels"]))

    @property
    def class_names(self) -> tuple[str, ...]:
        named = {int(value): str(name) for value, name in self._description["labels"].items()}
        return tuple(named.get(value, f"label {value}") for value in self.values[1:])

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        listed: dict[str, Pair] = {}
        for entry in self._description["training"]:
            image, label = self._path(entry["image"]), self._path(entry["label"])
            listed[volume_name(image)] = (image, label)
        tests = self._folder / "imagesTs"
        if tests.is_dir():
            for path in volume_files(tests):
                listed.setdefault(volume_name(path), (path, None))
        return {name: listed[name] for name in sorted(listed, key=natural_key)}

    def unpaired(self) -> list[str]:
        """Labels and images in the folders that dataset.json does not list; `read` reports missing files."""
        listed = {path for pair in self.pairs.values() for path in pair if path is not None}
        return [
            f"{path}: is not listed in dataset.json"
            for folder in ("imagesTr", "labelsTr")
            if (self._folder / folder).is_dir()
            for path in volume_files(self._folder / folder)
            if path not in listed
        ]

    def _read(self, name: str) -> tuple[Case, np.ndarray | None]:
        case, values = super()._read(name)
        if case.image.shape[-1] != self.channels:
            raise UserError(
                f"{case.path}: has {case.image.shape[-1]} channel(s), but dataset.json lists {self.channels} "
                "under 'modality'."
            )
        return case, values

    @property
    def _folder(self) -> Path:
        if self.directory is None:
            raise UserError("decathlon needs --data-dir, the folder with dataset.json.")
        return self.directory

    def _path(self, entry: str) -> Path:
        return self._folder / Path(entry)  # the entries begin with './'

    @cached_property
    def _description(self) -> dict[str, Any]:
        path = self._folder / "dataset.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(
                f"{path} cannot be read ({error.strerror}): --data-dir must be a data set of the Decathlon."
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not JSON: {error}") from error
        missing = [key for key in ("modality", "labels", "training") if not content.get(key)]
        if missing:
            raise UserError(
                f"{path} lacks {', '.join(missing)}: it is no description of a Decathlon data set."
            )
        return content
