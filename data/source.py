"""The form that a data set has for the rest of the project: named cases that can be read one by one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from data.about import About
from data.errors import UserError, bullet_list, divided, grouped
from data.files import at_home
from data.formats.geometry import Geometry
from data.formats.volumes import read_volume
from data.settings import Preprocessing, Settings


@dataclass(frozen=True)
class Case:
    """One image and what is known of it.

    name: unique in its source; also the stem of output files.
    image: float32 [*size, channels], in the file's own range of values.
    label: integer class index [*size], 0 = background; None where the truth is unknown.
    overlapping: the label holds a set of classes for each pixel (see `data.labels.label_maps`).
    path: where the image came from; None for generated images.
    geometry: where the voxels of a volume lie; None for what has none.
    padding: bool [*size]: pixels that hold no measurement, and do not count in statistics; None if all do.
    prepared: whether cropping, resampling and the normalisation of single images are done, as in records.
    """

    name: str
    image: np.ndarray
    label: np.ndarray | None = None
    path: Path | None = None
    geometry: Geometry | None = None
    prepared: bool = False
    overlapping: bool = False
    padding: np.ndarray | None = None

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring pixels along each axis in mm, or 1 where nothing is known of it."""
        return self.geometry.spacing if self.geometry else (1.0,) * (self.image.ndim - 1)


def unlabelled(name: str, path: Path) -> Case:
    """The image or volume in a file, or a folder of DICOM slices, as a case. Raises UserError as `read_volume`."""
    image, geometry = read_volume(path)
    return Case(name, image, None, path, geometry, padding=geometry.padding if geometry else None)


class Source(Settings, ABC):
    """Base of all sources. The validated settings of a source are the source itself."""

    name: str
    directory: Annotated[Path, AfterValidator(at_home)] | None = Field(
        None, description="where the files lie (--data-dir)"
    )

    @property
    @abstractmethod
    def rank(self) -> int:
        """Spatial axes of the images: 2, or 3 for volumes."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Number of values of a pixel."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of label values, the background included: labels are 0 .. classes - 1."""

    @property
    def overlapping(self) -> bool:
        """True if a pixel may be of several classes, so that labels hold sets of classes."""
        return False

    @property
    def ignoring(self) -> bool:
        """True if labels have pixels that neither loss nor scores count (`data.labels.label_maps.is_ignored`)."""
        return False

    @property
    def class_values(self) -> tuple[int, ...] | None:
        """The numbers in label files that stand for the classes, the background's first; None if there are no files.

        Of classes that may overlap, that of each class's own masks.
        """
        return None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes 1, 2, ...; None if they only have numbers."""
        return None

    @property
    def preprocessing(self) -> Preprocessing | None:
        """The preprocessing that the cases already had; None for those that are as their files have them."""
        return None

    @property
    def foreground_is_membrane(self) -> bool:
        """True if class 1 is the membrane between cells, so that the scores of ISBI 2012 apply."""
        return False

    @property
    def located(self) -> bool:
        """True if the cases tell where they lie in the patient: then their axes are those of `Geometry`."""
        return False

    @abstractmethod
    def names(self) -> list[str]:
        """The labelled cases in natural order. Raises UserError if there are none."""

    @abstractmethod
    def read(self, name: str) -> Case:
        """Read one case of `names` or `test_names`. Raises UserError that names the file."""

    def test_names(self) -> list[str]:
        """The cases without a label, in natural order."""
        return []

    def problems(self) -> list[str]:
        """Read everything; returns what is wrong, findings that say the same of several files as one."""
        findings: list[tuple[object, str]] = []
        labels: set[int] = set()
        for name in [*self.names(), *self.test_names()]:
            try:
                case = self.read(name)
            except UserError as error:
                findings.append(divided(str(error)))
            else:
                labels.update([] if case.label is None else np.unique(case.label).tolist())
        if len(labels) == 1 and not findings:
            findings.append(("", "all labels are the same everywhere: there is nothing to learn"))
        return grouped(findings)

    def unread(self) -> list[str]:
        """The files in the folders of the data set that are not read, and why; those of a kind together."""
        return []

    def about(self) -> About:
        """The properties that all cases share."""
        return About(
            source=self.name,
            rank=self.rank,
            channels=self.channels,
            classes=self.classes,
            class_values=self.class_values,
            class_names=self.class_names,
            overlapping=self.overlapping,
            ignoring=self.ignoring,
            foreground_is_membrane=self.foreground_is_membrane,
            located=self.located,
        )

    def notes(self) -> list[str]:
        """Facts worth knowing of the files that are no problem, one line each."""
        return []

    def check(self) -> None:
        """Raise one UserError that lists every problem, if there is any."""
        problems = self.problems()
        if problems:
            where = f" in {self.directory}" if self.directory else ""
            raise UserError(
                f"The data set '{self.name}'{where} has {len(problems)} problem(s):\n{bullet_list(problems)}"
            )
