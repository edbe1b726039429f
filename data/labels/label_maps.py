"""The way from the values of label files to label maps, and from these to the mask of a class.

A label map holds one number a pixel. Where classes exclude each other it is the class, 0 the background. Where they
may overlap it is a set of classes: bit 0 stands for class 1, bit 1 for class 2, and so on, so that 0 is the
background again. A set is as easily cropped, resampled (nearest) and stored as a class.
"""

from collections.abc import Iterable, Sequence

import numpy as np

MAX_CLASSES = 64
"""More values than this in the labels are taken for a mistake (a photograph, numbered objects)."""


def to_classes(values: np.ndarray, label_values: tuple[int, ...], ignore: tuple[int, ...] = ()) -> np.ndarray:
    """Class indices [*size] of label values [*size]: the place of each value in `label_values`.

    uint8, int32 above 255 classes. Values that are in `ignore` become the number that `is_ignored` knows, and those
    that are not listed 0: look for them before.
    """
    label = np.zeros(values.shape, np.uint8 if len(label_values) <= 255 else np.int32)
    for index, value in enumerate(label_values):
        label[values == value] = index
    if ignore:
        label[np.isin(values, ignore)] = np.iinfo(label.dtype).max
    return label


def is_ignored(label: np.ndarray) -> np.ndarray:
    """The pixels of a label map of classes that exclude each other which neither loss nor scores count, bool [*size].

    Their number is the largest of the label map's type: so cropping, resampling, augmentation and packing treat it
    like that of any class. For label maps of data that has such pixels.
    """
    return label == np.iinfo(label.dtype).max


def known(label: np.ndarray) -> np.ndarray:
    """The label map with background in place of what is ignored: to be looked at, not to be judged by."""
    return np.where(is_ignored(label), label.dtype.type(0), label)


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
    """The largest class in a label map, 0 if it is all background. What is ignored is no class."""
    if overlapping:
        return int(np.bitwise_or.reduce(label, axis=None)).bit_length()
    largest = label.max(initial=0)
    if label.dtype.kind in "iu" and largest == np.iinfo(label.dtype).max:
        largest = known(label).max()
    return int(largest)


def class_name(number: int, names: Sequence[str] | None) -> str:
    """The name of the class 1, 2, ... for people: one of `names` if they are known, 'class 1' otherwise."""
    return names[number - 1] if names and number <= len(names) else f"class {number}"


def first_few(values: Iterable, most: int = 8) -> str:
    """The first few of many values, for a message."""
    ordered = sorted(values)
    return ", ".join(map(str, ordered[:most])) + (", ..." if len(ordered) > most else "")
