"""The overview of a data set, for `check` and the beginning of a training: gathered from cases as they are read."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from data.labels.label_maps import class_name, is_class, is_ignored
from data.source import Case, Source


class Overview:
    """A description of the cases that were added. Only numbers are kept, no images.

    without_foreground: the files, or names, of the cases that hold nothing but background.
    """

    def __init__(self, source: Source):
        self.without_foreground: list[Path | str] = []
        self._source = source
        self._sizes: list[tuple[int, ...]] = []
        self._spacings: list[tuple[float, ...]] = []
        self._grey: list[tuple[float, float]] = []
        self._shares: list[list[float]] = []
        self._ignored: list[float] = []

    def add(self, case: Case) -> Case:
        """Take note of a labelled case as its file has it; returns it."""
        source = self._source
        assert case.label is not None
        shares = [
            float(is_class(case.label, number, case.overlapping).mean()) for number in range(self._classes)
        ]
        self._shares.append(shares)
        self._sizes.append(case.image.shape[:-1])
        if case.geometry is not None:
            self._spacings.append(case.spacing)
        self._grey.append((float(case.image.min()), float(case.image.max())))
        if source.ignoring:
            self._ignored.append(float(is_ignored(case.label).mean()))
        if not any(shares[1:]):
            self.without_foreground.append(case.path or case.name)
        return case

    @cached_property
    def _classes(self) -> int:
        return self._source.classes  # which may look through all files

    @property
    def lacking(self) -> list[str]:
        """The names of the classes that no case has a pixel of."""
        found = np.any(self._shares, axis=0) if self._shares else []
        return [_name(self._source, number) for number, there in enumerate(found) if not there]

    def lines(self) -> list[str]:
        """The overview in lines; none if there is no case."""
        source = self._source
        if not self._sizes:
            return []
        low, high = min(low for low, _ in self._grey), max(high for _, high in self._grey)
        overlapping = ", which may overlap" if source.overlapping else ""
        lines = [
            f"size: {_range(self._sizes, '{:.0f}')}",
            *([_spacing(self._spacings, len(self._sizes))] if source.rank == 3 else []),
            f"channels: {source.channels}   grey values: {low:g} to {high:g}",
            f"classes: {self._classes}, background included{overlapping}",
            f"shares of all pixels: {self._all_shares()}",
        ]
        if source.ignoring:
            lines.append(f"share of ignored pixels: {np.mean(self._ignored):.2%}")
        return lines

    def _all_shares(self) -> str:
        """The name of each class, its number in label files if there are any, and its share of the pixels."""
        values = self._source.class_values
        numbers = [f" ({value})" for value in values] if values else [""] * self._classes
        shares = np.mean(self._shares, axis=0)
        return ", ".join(
            f"{_name(self._source, number)}{numbers[number]} {share:.2%}"
            for number, share in enumerate(shares)
        )


def _name(source: Source, number: int) -> str:
    return class_name(number, source.class_names) if number else "background"


def _spacing(known: Sequence[tuple[float, ...]], volumes: int) -> str:
    """The spacing of the volumes that tell one, and how many do not."""
    told = f"spacing in mm: {_range(known, '{:.3g}')}" if known else "spacing: none"
    if len(known) == volumes:
        return told
    of = f" of {volumes - len(known)} of {volumes} volumes" if known else ""
    return (
        f"{told}{';' if known else ','} lengths{of} are in voxels: of TIFF and generated stacks no spacing is read "
        "(for mm, convert to NIfTI)"
    )


def _range(rows: Sequence[tuple[float, ...]], form: str) -> str:
    """The smallest, median and largest value of each axis."""
    parts = [statistic(rows, axis=0) for statistic in (np.min, np.median, np.max)]
    texts = [" x ".join(form.format(number) for number in part) for part in parts]
    return texts[0] if texts[0] == texts[2] else f"{texts[0]} to {texts[2]}, median {texts[1]}"
