"""The common base of sources of volumes: files of images and labels, one of each for a case."""

from abc import abstractmethod
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import Field

from data.errors import UserError
from data.formats.volumes import check_pair, read_label, read_volume
from data.labels.label_maps import first_few, guess_values, to_classes
from data.source import Case, Source

Pair = tuple[Path, Path | None]
"""The files of an image and of its label; None where there is none."""


class VolumePairs(Source):
    """Base of the sources that read volumes: subclasses say which files belong together."""

    label_values: tuple[int, ...] | None = Field(
        None,
        min_length=2,
        description="values of the labels in the order of the classes, background first; "
        "without them they are found in the data set",
    )

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
        if self.label_values:
            return self.label_values
        values, unclear = self._found_values
        if unclear:
            raise UserError(f"{self.directory}: {unclear}")
        return values

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
        unexpected = set(np.unique(values).tolist()) - set(self.values)
        if unexpected:
            raise UserError(
                f"{self.pairs[name][1]}: unexpected labels {first_few(unexpected)}; the data set has "
                f"{first_few(self.values)}"
            )
        return replace(case, label=to_classes(values, self.values))

    def problems(self) -> list[str]:
        problems = self.unpaired()
        channels: dict[Path, int] = {}
        for name, (path, _label) in self.pairs.items():
            try:
                case = self.read(name)
            except UserError as error:
                problems.append(str(error))
            else:
                channels[path] = case.image.shape[-1]
        usual = Counter(channels.values()).most_common(1)
        problems += [
            f"{path}: has {count} channel(s), but most of the images have {usual[0][0]}"
            for path, count in channels.items()
            if count != usual[0][0]
        ]
        return problems

    def _read(self, name: str) -> tuple[Case, np.ndarray | None]:
        """A case without its label, and the label's values [*size]."""
        if name not in self.pairs:
            raise UserError(f"{self.directory} has no volume '{name}'.")
        path, label = self.pairs[name]
        image, geometry = read_volume(path)
        if image.ndim != 4:
            raise UserError(f"{path}: is an image, not a volume.")
        values = None if label is None else check_pair(path, image.shape[:3], geometry, label)
        return Case(name, image, None, path, geometry, padding=geometry.padding if geometry else None), values

    @cached_property
    def _found_values(self) -> tuple[tuple[int, ...], str | None]:
        """The values in all labels that can be read; `problems` tells of the others."""
        contents = {}
        for _image, label in self.pairs.values():
            try:
                if label is not None:
                    contents[label] = set(np.unique(read_label(label)[0]).tolist())
            except UserError:
                pass
        return guess_values(contents, "data.label_values")
