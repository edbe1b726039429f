"""The classes of a data set, from what its label files hold; or what these look like instead, and the remedy."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.labels.label_maps import MAX_CLASSES, first_few

MANY_OBJECTS = 6
"""Numbers from which on a file may be one of numbered objects; in fewer, each class may well be one object."""


@dataclass(frozen=True)
class Contents:
    """The contents of a label file.

    values: the numbers in it.
    objects: each number but 0 is one connected object (but for one in ten, which may lie behind another); None if
        there are fewer than `MANY_OBJECTS`.
    palette: colours of the numbers, if they are indices of a palette with colours; uint8 [entries, 3] as bytes.
    thresholded: black and white of a JPEG, told apart at the middle.
    """

    values: frozenset[int]
    objects: bool | None = None
    palette: bytes | None = None
    thresholded: bool = False

    @classmethod
    def of(cls, label: np.ndarray, palette: bytes | None = None, thresholded: bool = False) -> "Contents":
        """The contents of a label file with the values [*size]."""
        values = frozenset(np.unique(label).tolist())
        many = len(values - {0}) >= MANY_OBJECTS
        return cls(values, _objects(label) if many else None, palette, thresholded)


@dataclass(frozen=True)
class Reading:
    """Rules by which the values of label files become classes; settings of the sources that read such files.

    label_values: in the order of the classes, the background's first; found in the files if None.
    ignore: values of pixels that neither loss nor scores count.
    any_foreground: every value but 0 is the one foreground class.
    """

    label_values: tuple[int, ...] | None = None
    ignore: tuple[int, ...] = ()
    any_foreground: bool = False

    def classes(self, contents: Mapping[Path, Contents]) -> tuple[tuple[int, ...], str | None]:
        """The values in the order of the classes, and what is unclear about them or makes them useless.

        Returns ((), message) if they are unclear; ((), None) without files.
        """
        if not contents:
            return (), None
        found = set().union(*(each.values for each in contents.values())) - set(self.ignore)
        if len(found) < 2:
            everywhere = (
                f"are {found.pop()} everywhere" if found else "hold nothing but values that are ignored"
            )
            return (), f"all labels {everywhere}: there is nothing to learn"
        if self.any_foreground:
            if 0 not in found:
                return (), "no label is 0 anywhere, so that all is foreground: there is nothing to learn"
            return (0, 1), None
        if self.label_values:
            return self.label_values, None
        return self._guess(contents, found)

    def unexpected(self, found: frozenset[int], values: tuple[int, ...]) -> str | None:
        """The fault of a file that holds other values than those of the classes; None if it holds no others."""
        others = found - set(values) - set(self.ignore)
        if self.any_foreground or not values or not others:
            return None
        told = f"unexpected values {first_few(others)}; expected are {first_few(values)}"
        if self.label_values:
            return told
        told += ", which is a guess from all files (--set 'data.label_values=[...]' names others)"
        if set(values) != {0, 255}:
            return told
        return f"{told}. If it was resized, resize it with nearest neighbours, or threshold it"

    def _guess(
        self, contents: Mapping[Path, Contents], found: set[int]
    ) -> tuple[tuple[int, ...], str | None]:
        some = f"the labels hold the values {first_few(found)}"
        named = "name the values in the order of the classes, as in --set '{}={}'"
        hint = named.format("data.label_values", "[0, 1, 3]")
        sets = [each.values - set(self.ignore) for each in contents.values()]
        others = found - {255}
        if others == {0}:
            return (0, 255), None
        if _numbered_objects(list(contents.values()), sets):
            return (), (
                f"the labels hold {len(found)} different values ({first_few(found)}) and look like numbered objects: "
                "each is one connected object, and numbers start anew in each file, or go on from file to file. A "
                "number is no class then. To learn where any object is: --set data.foreground=any. "
                f"If they are classes, {hint}"
            )
        if 255 in found:
            # If most files agree on black and white, the others are the mistake, and are listed by `unexpected`.
            shapes = [values for values in sets if values - {0}]
            if sum(values <= {0, 255} for values in shapes) > len(shapes) / 2:
                return (0, 255), None
            if others == set(range(len(others))) and any(
                255 in values and values & others - {0} for values in sets
            ):
                return (), (
                    f"{some}, of which 255 looks like a void label, pixels that nobody decided on. So that neither "
                    f"loss nor scores count them: --set 'data.ignore=[255]'. If it is a class, "
                    f"{named.format('data.label_values', [*sorted(others), 255])}"
                )
            if len(others) > 8:
                return (), (
                    f"{some}, as masks of 0 and 255 do that were resized with interpolation: resize with nearest "
                    f"neighbours, or threshold them. Otherwise {hint}"
                )
        if len(found) > MAX_CLASSES:
            return (), (
                f"the labels hold {len(found)} different values ({first_few(found)}): labels hold class "
                "numbers, not grey values or numbered objects. To learn where any number but 0 is: "
                f"--set data.foreground=any. Otherwise {hint}"
            )
        if found != set(range(len(found))):
            return (), f"{some}, not 0 .. N - 1: {hint}"
        return tuple(range(len(found))), None


def different_palettes(contents: Mapping[Path, Contents]) -> list[str]:
    """The faults of masks whose numbers are indices of palettes: these must mean the same in all files."""
    palettes = {path: each.palette for path, each in contents.items() if each.palette is not None}
    if not palettes:
        return []
    first = next(iter(palettes))
    used = sorted(set().union(*(contents[path].values for path in palettes)))
    colours = _colours(palettes[first], used)
    save = "Save the numbers of the classes as grey values"
    for path, each in contents.items():
        if each.palette is None:
            return [
                f"{first}: is a palette image, whose indices are the classes, and {path} is not. {save}, in all masks."
            ]
        others = _colours(each.palette, used)
        different = [index for index in used if index in colours.keys() & others.keys()]
        different = [index for index in different if colours[index] != others[index]]
        if different:
            index = different[0]
            return [
                f"{path}: its palette is not that of {first}: index {index} is the colour {others[index]}, there "
                f"{colours[index]}, so that classes would be mixed up. {save}, in all masks."
            ]
    shades = [colours[index] for index in used if index in colours]
    grey = all(len(set(shade)) == 1 for shade in shades)
    if grey and shades != sorted(shades):
        return [
            f"{first}: is a palette image that shows nothing but shades of grey, and its indices order them in another "
            f"way than their brightness does. {save}."
        ]
    return []


def _colours(palette: bytes, used: list[int]) -> dict[int, tuple[int, ...]]:
    return {index: tuple(palette[3 * index : 3 * index + 3]) for index in used if 3 * index < len(palette)}


def _numbered_objects(contents: list[Contents], sets: list[frozenset[int]]) -> bool:
    """True if files number their objects: from 1 on in each file, or further from file to file."""
    many = [
        (each, values - {0}) for each, values in zip(contents, sets, strict=True) if each.objects is not None
    ]
    if not many or sum(bool(each.objects) for each, _ in many) < 0.9 * len(many):
        return False
    numbers = [values - {0} for values in sets if values - {0}]
    if len(numbers) == 1:
        return len(numbers[0]) > 2 * MANY_OBJECTS and _dense(numbers[0])
    if all(_dense(values) for values in numbers):  # each starts anew; classes would be the same in most files
        return len({max(values) for values in numbers}) > 1 and len({len(values) for values in numbers}) > 1
    return sum(map(len, numbers)) == len(set().union(*numbers))


def _dense(values: frozenset[int]) -> bool:
    """True if the numbers are 1, 2, ..., of which a few may be missing."""
    return len(values) >= 0.8 * max(values)


def _objects(label: np.ndarray) -> bool:
    """True if most values but 0 are one connected object each."""
    import scipy

    if label.max() > 2**20:
        label = np.unique(label, return_inverse=True)[1].reshape(label.shape)  # 0 need not be among them
    touching = np.ones((3,) * label.ndim)
    single = [
        scipy.ndimage.label(label[box] == number, touching)[1] == 1
        for number, box in enumerate(scipy.ndimage.find_objects(label.astype(np.int32)), 1)
        if box is not None
    ]
    return float(np.mean(single)) >= 0.9
