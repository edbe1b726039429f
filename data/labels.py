"""From the values of label files to class indices."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

MOST_CLASSES = 64
"""More values than this in the labels are taken for a mistake (a photograph, numbered objects)."""


def guess_values(contents: Mapping[Path, set[int]], setting: str) -> tuple[tuple[int, ...], str | None]:
    """The values of label files in the order of the classes, and what is unclear about them.

    contents: the values found in each file.
    setting: the setting that names them, for the message.
    Returns ((), message) if they are unclear; ((), None) without files.
    """
    found = set().union(*contents.values())
    hint = f"name the values in the order of the classes, as in --set '{setting}=[0, 1, 3]'"
    if not contents:
        return (), None
    if 255 in found:
        return (0, 255), None
    if found == {0}:
        return (), "all labels are 0 everywhere: there is nothing to learn"
    if len(found) > MOST_CLASSES:
        return (), (
            f"the labels hold {len(found)} different values ({some(found)}): labels hold class "
            f"numbers, not grey values or numbered objects; otherwise {hint}"
        )
    if found != set(range(len(found))):
        return (), f"the labels hold the values {some(found)}, not 0 .. N - 1: {hint}"
    return tuple(range(len(found))), None


def to_classes(values: np.ndarray, label_values: tuple[int, ...]) -> np.ndarray:
    """Class indices [*size] of label values [*size]: the place of each value in `label_values`.

    uint8, int32 above 256 classes. Values that are not listed become 0: look for them before.
    """
    label = np.zeros(values.shape, np.uint8 if len(label_values) <= 256 else np.int32)
    for index, value in enumerate(label_values):
        label[values == value] = index
    return label


def some(values: Iterable, most: int = 8) -> str:
    """The first few of many values, for a message."""
    ordered = sorted(values)
    return ", ".join(map(str, ordered[:most])) + (", ..." if len(ordered) > most else "")
