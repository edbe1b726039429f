"""The outputs of a run as its predictions have them: which classes, and which numbers in masks."""

from dataclasses import replace
from typing import Literal

from data.about import About
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
