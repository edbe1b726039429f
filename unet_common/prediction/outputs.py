"""The outputs of a run as its predictions have them: which classes, and which numbers in masks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from data.about import About
from data.errors import UserError
from data.labels.label_maps import class_name, is_class
from data.labels.outputs import Outputs
from unet_common.training.run import Run


def predicted_outputs(run: Run, values: Literal["data", "classes"] = "data") -> Outputs:
    """The outputs of a run's predictions: label maps of classes with a sigmoid each are sets, and all have names.

    Data whose classes may overlap has names already, those of folders; other classes are called by their numbers.

    values: the numbers that masks get are those of the data set's own masks, or those of the classes.
    """
    outputs, about = run.outputs, run.about
    if not outputs.multilabel:
        return replace(outputs, values=_values(outputs, about) if values == "data" else None)
    names = outputs.names if outputs.overlapping and outputs.names else ()
    numbers = (str(number) for number in range(len(names) + 1, outputs.classes + 1))
    # Masks of single classes are another layout than one of all, with values of its own.
    own = outputs.values if outputs.overlapping and outputs.values else (0,)
    further = (about.foreground_value,) * (outputs.classes + 1 - len(own))
    numbered = (0, *[1] * outputs.classes)
    return replace(
        outputs,
        overlapping=True,
        names=(*names, *numbers),
        values=(*own, *further) if values == "data" else numbered,
    )


def _values(outputs: Outputs, about: About) -> tuple[int, ...]:
    """The number of each class that excludes the others, also where the network has more or fewer than the data."""
    values = about.mask_values
    if outputs.classes == 1 < len(values) - 1:
        return 0, about.foreground_value  # any foreground
    return (*values, *range(max(values) + 1, max(values) + 1 + outputs.classes + 1 - len(values)))


@dataclass(frozen=True)
class Contrast:
    """A class against another one: of label maps with the classes 0, the background, to the last.

    first: None for all but the background. second: None for all that is not of the first.
    names: of both, for people.
    """

    first: int | None
    second: int | None
    names: tuple[str, str]

    @classmethod
    def of(cls, classes: Sequence[str], outputs: Outputs) -> "Contrast":
        """One or two classes, told by their names or numbers; the foreground against the background if there are none.

        Raises:
            UserError: there is no such class, or both are the same.
        """
        numbers = [_class_number(name, outputs) for name in classes]
        names = [class_name(number, outputs.names) if number else "background" for number in numbers]
        if not numbers:
            return cls(None, None, ("foreground", "background"))
        if len(numbers) == 1:
            return cls(numbers[0], None, (names[0], "anything else"))
        if len(numbers) > 2 or numbers[0] == numbers[1]:
            raise UserError(
                f"--contrast is of one class, or of two different ones; got {', '.join(classes)}."
            )
        return cls(numbers[0], numbers[1], (names[0], names[1]))

    def masks(self, label: np.ndarray, overlapping: bool) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of each in a label map [*size], bool [*size]; those of both classes count for neither."""
        first = label > 0 if self.first is None else is_class(label, self.first, overlapping)
        second = ~first if self.second is None else is_class(label, self.second, overlapping)
        return first & ~second, second & ~first


def _class_number(name: str, outputs: Outputs) -> int:
    """The class that has a name or number."""
    names = ("background", *(class_name(number, outputs.names) for number in range(1, outputs.classes + 1)))
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    listed = ", ".join(f"{number} {known}" for number, known in enumerate(names))
    raise UserError(f"--contrast: there is no class '{name}'; there are {listed}.")
