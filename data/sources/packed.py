"""Data sets that `python -m data pack` wrote: prepared once, read by every training."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from data.errors import UserError, divided, grouped
from data.formats.geometry import RAS, Geometry
from data.formats.records import Entry, File, Index, check_file, read_index, read_record, remedy
from data.settings import Preprocessing
from data.source import Case, Source


@dataclass(frozen=True)
class PackedGeometry(Geometry):
    """The place of packed voxels: in the order in which they are packed, whatever their affine.

    packed_spacing: the spacing in mm as the preprocessing computed it, so that rotations are those of an unpacked
    training to the last bit.
    """

    packed_spacing: tuple[float, ...] = (1.0, 1.0, 1.0)

    @property
    def spacing(self) -> tuple[float, ...]:
        return self.packed_spacing

    @property
    def _turns(self) -> np.ndarray:
        return RAS


class Packed(Source):
    """A folder of prepared cases, HDF5 files or TFRecord shards, with index.json."""

    name: Literal["packed"] = "packed"

    @property
    def rank(self) -> int:
        return self._index.about.rank

    @property
    def channels(self) -> int:
        return self._index.about.channels

    @property
    def classes(self) -> int:
        return self._index.about.classes

    @property
    def overlapping(self) -> bool:
        return self._index.about.overlapping

    @property
    def ignoring(self) -> bool:
        return self._index.about.ignoring

    @property
    def class_values(self) -> tuple[int, ...] | None:
        return self._index.about.class_values

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self._index.about.class_names

    @property
    def located(self) -> bool:
        return self.read(next(iter(self._cases))).geometry is not None

    @property
    def preprocessing(self) -> Preprocessing:
        return self._index.about.preprocessing

    @property
    def foreground_is_membrane(self) -> bool:
        return self._index.about.foreground_is_membrane

    def names(self) -> list[str]:
        names = [name for name, (_file, entry) in self._cases.items() if entry.labelled]
        if not names:
            raise UserError(f"{self.directory} holds no image with a label.")
        return names

    def test_names(self) -> list[str]:
        return [name for name, (_file, entry) in self._cases.items() if not entry.labelled]

    def read(self, name: str) -> Case:
        if name not in self._cases:
            raise UserError(f"{self.directory} has no case '{name}'.")
        record = read_record(self._folder, self._index.form, *self._cases[name])
        geometry = None
        if record.affine is not None:
            geometry = PackedGeometry(record.affine, record.image.shape[:-1], packed_spacing=record.spacing)
        path = None if record.file is None else Path(record.file)
        return Case(
            name,
            record.image,
            record.label,
            path,
            geometry,
            prepared=True,
            overlapping=self.overlapping,
            padding=record.padding,
        )

    def problems(self) -> list[str]:
        try:
            files, about = self._index.files, self._index.about
        except UserError as error:
            return [str(error)]
        problems: list[str] = []
        findings: list[tuple[object, str]] = []
        if about.preprocessing.spacing is not None and about.resampled_labels == "nearest":
            problems.append(
                f"{self._folder}: was packed by a version that resampled labels to the nearest voxel, which shifted "
                f"them by up to half a voxel. {remedy(self._folder, self._index.form)}"
            )
        for file in files:
            try:
                check_file(self._folder, self._index.form, file)
            except UserError as error:
                findings.append(divided(str(error)))
        return problems + grouped(findings)

    @property
    def _folder(self) -> Path:
        if self.directory is None:
            raise UserError("packed needs --data-dir, a folder that `python -m data pack` wrote.")
        return self.directory

    @cached_property
    def _index(self) -> Index:
        return read_index(self._folder)

    @cached_property
    def _cases(self) -> dict[str, tuple[File, Entry]]:
        """Every case by its name, and the file it is in."""
        return {entry.name: (file, entry) for file in self._index.files for entry in file.cases}
