"""The base of the sources that read label files: how the values in them become classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, NonNegativeInt, model_validator

from data.labels.label_files import Contents, Reading
from data.labels.label_maps import to_classes
from data.source import Source


class LabelFiles(Source):
    """Base of the sources whose labels are files that hold a number for each pixel."""

    label_values: tuple[int, ...] | None = Field(
        None,
        min_length=2,
        description="values of the labels in the order of the classes, background first; "
        "without them they are found in the files",
    )
    ignore: tuple[NonNegativeInt, ...] = Field(
        (), description="values of pixels that neither loss nor scores count, such as [255] for void"
    )
    foreground: Literal["any"] | None = Field(
        None, description="any: every value but 0 is the foreground, as where labels number objects"
    )

    @model_validator(mode="after")
    def _fit_together(self) -> "LabelFiles":
        if self.foreground and self.label_values:
            raise ValueError("foreground and label_values exclude each other")
        both = set(self.ignore) & set(self.label_values or ())
        if both:
            raise ValueError(f"ignore: {min(both)} is among label_values: it cannot be both")
        if self.foreground and 0 in self.ignore:
            raise ValueError("ignore: 0 is the background where foreground is any")
        return self

    @property
    def ignoring(self) -> bool:
        return bool(self.reading.ignore)

    @property
    def reading(self) -> Reading:
        """The settings that say how values become classes."""
        return Reading(self.label_values, self.ignore, self.foreground == "any")

    def label_map(self, values: np.ndarray, label_values: tuple[int, ...]) -> np.ndarray:
        """Class indices [*size] of the values in a file, where `label_values` are those of the classes."""
        ignore = self.reading.ignore
        if self.foreground == "any":
            ignored = np.isin(values, ignore)
            # An ignored 1 would be foreground: ignored ones get a number of their own.
            return to_classes(np.where(ignored, 2, values != 0), label_values, (2,) if ignore else ())
        return to_classes(values, label_values, ignore)


def notes_of(contents: Mapping[Path, Contents]) -> list[str]:
    """Facts worth knowing of label files that are no fault of theirs."""
    thresholded = [path.name for path, each in contents.items() if each.thresholded]
    if not thresholded:
        return []
    names = ", ".join(thresholded[:5]) + (", ..." if len(thresholded) > 5 else "")
    return [f"{len(thresholded)} mask(s) are black and white JPEG files, told apart at the middle: {names}"]
