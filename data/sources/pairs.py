"""The common base of sources of volumes: files of images and labels, one of each for a case."""

from abc import abstractmethod
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from data.errors import UserError, divided, grouped
from data.formats.images import examine_mask
from data.formats.nifti import is_nifti
from data.formats.volumes import check_pair, is_volume, read_label
from data.labels.label_files import Contents, different_palettes
from data.source import Case, unlabelled
from data.sources.label_files import LabelFiles, notes_of

Pair = tuple[Path, Path | None]
"""The files of an image and of its label; None where there is none."""


class VolumePairs(LabelFiles):
    """Base of the sources that read volumes: subclasses say which files belong together."""

    @cached_property
    @abstractmethod
    def pairs(self) -> dict[str, Pair]:
        """The files of every case by its name, in natural order."""

    @abstractmethod
    def unpaired(self) -> list[str]:
        """The faults of the lists of files, one line each."""

    @property
    def rank(self) -> int:
        return 3

    @property
    def classes(self) -> int:
        return len(self.values)

    @property
    def values(self) -> tuple[int, ...]:
        """The values of the labels in the order of the classes. Raises UserError if they are unclear."""
        reading = self.reading
        if reading.label_values or reading.any_foreground:
            return reading.label_values or (0, 1)  # no need to look
        values, unclear = reading.classes(self._contents)
        if unclear:
            raise UserError(f"{self.directory}: {unclear}")
        return values

    @property
    def class_values(self) -> tuple[int, ...] | None:
        return None if self.reading.any_foreground else self.values

    @property
    def located(self) -> bool:
        return is_volume(self.pairs[self.names()[0]][0])

    def names(self) -> list[str]:
        names = [name for name, (_, label) in self.pairs.items() if label is not None]
        if not names:
            raise UserError(f"{self.directory} holds no image with a label.")
        return names

    def test_names(self) -> list[str]:
        return [name for name, (_, label) in self.pairs.items() if label is None]

    def read(self, name: str) -> Case:
        case, values = self._read(name)
        if values is None:
            return case
        unexpected = self._unexpected(values)
        if unexpected:
            raise UserError(f"{self.pairs[name][1]}: {unexpected}")
        return replace(case, label=self.label_map(values, self.values))

    def notes(self) -> list[str]:
        return notes_of(self._contents)

    def problems(self) -> list[str]:
        problems = self.unpaired()
        _values, unclear = self.reading.classes(self._contents)
        problems += [f"{self.directory}: {unclear}"] if unclear else []
        findings: list[tuple[object, str]] = []
        channels: dict[Path, int] = {}
        placed: dict[Path, bool] = {}
        for name, (path, label) in self.pairs.items():
            try:
                case, values = self._read(name)
            except UserError as error:
                findings.append(divided(str(error)))
                continue
            channels[path], placed[path] = case.image.shape[-1], case.geometry is not None
            if (
                label is not None
                and values is not None
                and not unclear
                and (unexpected := self._unexpected(values))
            ):
                findings.append((label, unexpected))
        usual = Counter(channels.values()).most_common(1)
        findings += [
            (path, f"has {count} channel(s), but most of the images have {usual[0][0]}")
            for path, count in channels.items()
            if count != usual[0][0]
        ]
        findings += _placed_otherwise(placed)
        return problems + grouped(findings) + different_palettes(self._contents)

    def _unexpected(self, values: np.ndarray) -> str | None:
        """The fault of the values of a label, if they are not those of the data set."""
        found = frozenset(np.unique(values).tolist())
        return self.reading.unexpected(found, self.values)

    def _read(self, name: str) -> tuple[Case, np.ndarray | None]:
        """A case without its label, and the label's values [*size]."""
        if name not in self.pairs:
            raise UserError(f"{self.directory} has no volume '{name}'.")
        path, label = self.pairs[name]
        case = self._image(name)
        if case.image.ndim != 4:
            raise UserError(f"{path}: is an image, not a volume.")
        values = None if label is None else check_pair(path, case.image.shape[:3], case.geometry, label)
        return case, values

    def _image(self, name: str) -> Case:
        """A case without its label, of however many files its image is."""
        return unlabelled(name, self.pairs[name][0])

    @cached_property
    def _contents(self) -> dict[Path, Contents]:
        """The contents of all labels that can be read; `problems` tells of the others."""
        contents = {}
        for _image, label in self.pairs.values():
            try:
                if label is not None and is_nifti(label):
                    contents[label] = Contents.of(read_label(label)[0])
                elif label is not None:
                    mask = examine_mask(label)
                    contents[label] = Contents.of(mask.values, mask.palette, mask.thresholded)
            except UserError:
                pass
        return contents


def _placed_otherwise(placed: dict[Path, bool]) -> list[tuple[Path | str, str]]:
    """Images that tell where they lie among such that do not, or the reverse: their axes cannot mean the same."""
    fewer = sum(placed.values()) <= len(placed) / 2
    told = (
        "tells where it lies (NIfTI, DICOM), but others of the data set do not (TIFF)"
        if fewer
        else "does not tell where it lies (TIFF), but others of the data set do (NIfTI, DICOM)"
    )
    why = "of these, one kind is turned towards Right, Anterior and Superior, and the other is not"
    return [
        (path, f"{told}: {why}. Save all as NIfTI, or all as TIFF")
        for path, tells in placed.items()
        if tells == fewer
    ]
