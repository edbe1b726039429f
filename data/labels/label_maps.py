"""The way from the values of label files to label maps, and from these to the mask of a class.

A label map holds one number a pixel. Where classes exclude each other it is the class, 0 the background. Where they
may overlap it is a set of classes: bit 0 stands for class 1, bit 1 for class 2, and so on, so that 0 is the
background again. A set is as easily cropped, resampled (nearest) and stored as a class.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

MAX_CLASSES = 64
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
    if len(found) > MAX_CLASSES:
        return (), (
            f"the labels hold {len(found)} different values ({first_few(found)}): labels hold class "
            f"numbers, not grey values or numbered objects; otherwise {hint}"
        )
    if found != set(range(len(found))):
        return (), f"the labels hold the values {first_few(found)}, not 0 .. N - 1: {hint}"
    return tuple(range(len(found))), None


def to_classes(values: np.ndarray, label_values: tuple[int, ...]) -> np.ndarray:
    """Class indices [*size] of label values [*size]: the place of each value in `label_values`.

    uint8, int32 above 256 classes. Values that are not listed become 0: look for them before.
    """
    label = np.zeros(values.shape, np.uint8 if len(label_values) <= 256 else np.int32)
    for index, value in enumerate(label_values):
        label[values == value] = index
    return label


MAX_OVERLAPPING = 32
"""Classes that a pixel's number has bits for."""


def is_class(label: np.ndarray, number: int, overlapping: bool) -> np.ndarray:
    """The pixels of a class in a label map [*size], bool [*size]; those of class 0 have no other."""
    if overlapping and number > 0:
        return (label >> label.dtype.type(number - 1)) & label.dtype.type(1) == 1
    return label == number


def class_masks(label: np.ndarray, classes: int, overlapping: bool) -> np.ndarray:
    """The pixels of each of the classes 1 .. `classes` in a label map [*size], bool [*size, classes]."""
    return np.stack([is_class(label, number, overlapping) for number in range(1, classes + 1)], axis=-1)


def combine(masks: np.ndarray) -> np.ndarray:
    """The label map [*size] of overlapping classes 1, 2, ... with masks [*size, classes]."""
    label = np.zeros(masks.shape[:-1], set_type(masks.shape[-1]))
    for index in range(masks.shape[-1]):
        label |= masks[..., index].astype(label.dtype) << label.dtype.type(index)
    return label


def set_type(classes: int) -> type[np.unsignedinteger]:
    """The smallest type that holds a set of so many classes."""
    return np.uint8 if classes <= 8 else np.uint16 if classes <= 16 else np.uint32


def largest_class(label: np.ndarray, overlapping: bool) -> int:
    """The largest class in a label map, 0 if it is all background."""
    values = np.bitwise_or.reduce(label, axis=None) if overlapping else label.max(initial=0)
    return int(values).bit_length() if overlapping else int(values)


def class_name(number: int, names: Sequence[str] | None) -> str:
    """The name of the class 1, 2, ... for people: one of `names` if they are known, 'class 1' otherwise."""
    return names[number - 1] if names and number <= len(names) else f"class {number}"


def first_few(values: Iterable, most: int = 8) -> str:
    """The first few of many values, for a message."""
    ordered = sorted(values)
    return ", ".join(map(str, ordered[:most])) + (", ..." if len(ordered) > most else "")
