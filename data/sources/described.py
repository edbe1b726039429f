"""The base of the data sets with a dataset.json, which names channels and classes.

Antonelli et al. 2022, Nature Communications 13:4128 (the Medical Segmentation Decathlon); Isensee et al. 2021, Nature
Methods 18:203 (nnU-Net).
"""

import codecs
import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import UserError, grouped
from data.files import natural_key
from data.formats.geometry import same_place
from data.formats.unread import unread, unread_beside
from data.formats.volumes import volume_files
from data.labels.label_files import Reading
from data.source import Case, unlabelled
from data.sources.pairs import Pair, VolumePairs

FOLDERS = ("imagesTr", "labelsTr", "imagesTs")
CHANNEL = re.compile(r"(.+)_(\d{4})")
"""The name of a file that holds one channel of a case."""


@dataclass
class Listing:
    """The cases that a data set lists.

    images: the files of each case's channels, or the one that holds them all. labels: None where there is none.
    findings: what is wrong with the list, for `data.errors.grouped`. told: files that these speak of, which are no
    cases. notes: what is worth knowing.
    """

    images: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    labels: dict[str, Path | None] = field(default_factory=dict)
    findings: list[tuple[Path | str, str]] = field(default_factory=list)
    told: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Described(VolumePairs):
    """Base of the sources with a dataset.json, which names the channels and the classes."""

    @cached_property
    def listing(self) -> Listing:
        """The cases, in any order."""
        raise NotImplementedError

    @property
    def channels(self) -> int:
        return len(self._channel_names)

    @property
    def ignored_values(self) -> tuple[int, ...]:
        return (*self.ignore, *self._labels[1])

    @property
    def reading(self) -> Reading:
        if self.label_values or self.foreground:
            return super().reading
        listed = (number for number in sorted(self._labels[0]) if number not in self.ignore)
        return replace(super().reading, label_values=tuple(listed))

    @property
    def class_names(self) -> tuple[str, ...]:
        if self.foreground:
            return ("foreground",)
        named = self._labels[0]
        return tuple(named.get(value, f"label {value}") for value in self.values[1:])

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        listing = self.listing
        names = sorted(listing.images, key=natural_key)
        return {name: (listing.images[name][0], listing.labels[name]) for name in names}

    def unpaired(self) -> list[str]:
        return grouped(self.listing.findings)

    def notes(self) -> list[str]:
        return [*super().notes(), *self.listing.notes]

    def unread(self) -> list[str]:
        listed = [path for files in self.listing.images.values() for path in files]
        listed += self.listing.told
        listed += [path for path in self.listing.labels.values() if path is not None]
        places = {path.resolve() for path in listed}
        findings: list[tuple[Path, str]] = []
        folders = [folder for name in FOLDERS if (folder := self._folder / name).is_dir()]
        for folder in folders:
            volumes = volume_files(folder)
            findings += [
                (path, "not read: it is not listed in dataset.json")
                for path in volumes
                if path.resolve() not in places
            ]
            findings += unread(folder, volumes)
        return grouped([*findings, *unread_beside(self._folder, [*folders, self._folder / "dataset.json"])])

    def _image(self, name: str, path: Path) -> Case:
        """The case of one file, or of a file for each channel, which must lie on the same voxels."""
        cases = [unlabelled(name, file) for file in self.listing.images[name]]
        first = cases[0]
        for case, file in zip(cases[1:], self.listing.images[name][1:], strict=True):
            if case.image.shape[:-1] != first.image.shape[:-1] or not _same_grid(case, first):
                raise UserError(
                    f"{file}: lies on other voxels than the first channel, {path.name}. Resample it to these."
                )
        image = np.concatenate([case.image for case in cases], axis=-1) if len(cases) > 1 else first.image
        if image.shape[-1] != self.channels:
            raise UserError(
                f"{path}: has {image.shape[-1]} channel(s), but dataset.json lists {self.channels} "
                f"({', '.join(self._channel_names)})."
            )
        return replace(first, image=image)

    @property
    def _folder(self) -> Path:
        if self.directory is None:
            raise UserError(f"{self.name} needs --data-dir, the folder with dataset.json.")
        return self.directory

    @property
    def _description_file(self) -> Path:
        return self._folder / "dataset.json"

    @cached_property
    def _description(self) -> dict[str, Any]:
        path = self._description_file
        try:
            content = path.read_bytes()
            utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            description = json.loads(content.decode("utf-16" if utf16 else "utf-8-sig"))
        except OSError as error:
            raise UserError(
                f"{path} cannot be read ({error.strerror}): --data-dir must be a data set of the Decathlon, or of "
                "nnU-Net."
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(f"{path} is not JSON: {error}") from error
        if not isinstance(description, dict):
            raise UserError(f"{path} must hold an object, {{...}}, with labels and the like.")
        return description

    @cached_property
    def _channel_names(self) -> tuple[str, ...]:
        found = self._description.get("modality") or self._description.get("channel_names")
        names = list(found.values()) if isinstance(found, dict) else found
        if not isinstance(names, list) or not names:
            raise UserError(
                f'{self._description_file} lacks modality, which names the channels, as in {{"0": "MRI"}}.'
            )
        return tuple(map(str, names))

    @cached_property
    def _labels(self) -> tuple[dict[int, str], tuple[int, ...]]:
        """The names of the numbers in label files, and the numbers that are to be ignored."""
        return read_labels(self._description_file, self._description.get("labels"))


def read_labels(path: Path, labels: Any) -> tuple[dict[int, str], tuple[int, ...]]:
    """The names of labels by their numbers, and those to be ignored, of either form of a dataset.json.

    The Decathlon writes numbers to names, nnU-Net names to numbers; its name "ignore" stands for pixels that nobody
    decided on. Raises UserError, in one line, for every other form.
    """
    example = 'as in {"background": 0, "front": 1} or {"0": "background", "1": "front"}'
    if not isinstance(labels, dict) or not labels:
        raise UserError(f"{path} lacks labels, which names the numbers in label files, {example}.")
    pairs: list[tuple[int, str]] = []
    for key, value in labels.items():
        if isinstance(value, list):
            raise UserError(
                f"{path}: the label {key!r} is a region, a set of other labels ({value}), and regions are not read. "
                "List each number that the label files hold with one name; for classes that overlap, save a folder of "
                "masks for each (--data folder)."
            )
        named, number = str(value), _whole(value)
        if _whole(key) is not None and (number is None or number == _whole(key)):
            pairs.append((int(key), named))
        elif number is not None and _whole(key) is None:
            pairs.append((number, key))
        else:
            raise UserError(f"{path}: the label {key!r}: {value!r} is not a name and its number, {example}.")
    numbers, names = Counter(number for number, _ in pairs), Counter(name for _, name in pairs)
    for count, what in ((numbers, "number"), (names, "name")):
        twice = [str(one) for one, times in count.items() if times > 1]
        if twice:
            raise UserError(f"{path}: labels has the {what} {twice[0]} more than once.")
    if 0 not in numbers:
        raise UserError(f"{path}: labels lacks 0, the background.")
    ignored = tuple(number for number, name in pairs if name.lower() == "ignore")
    return {number: name for number, name in pairs if number not in ignored}, ignored


def _whole(value: Any) -> int | None:
    """A whole number from 0 on, perhaps in quotes; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _same_grid(case: Case, other: Case) -> bool:
    if case.geometry is None or other.geometry is None:
        return case.geometry is other.geometry
    return same_place(case.geometry.affine, other.geometry.affine, case.image.shape[:-1])


def lexical(path: Path) -> Path:
    """The absolute path without `..`, links left as they are: what is linked into a folder lies in it."""
    return Path(os.path.abspath(path))
