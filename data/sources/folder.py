"""A data set of one's own: a folder of images and a folder of masks with equal names."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from data.about import About
from data.errors import UserError, grouped
from data.files import natural_key, paths_in
from data.formats.images import examine_mask, image_files, read_image, read_mask
from data.formats.pixels import NotAColourError, in_colour
from data.formats.volumes import volume_name
from data.labels.label_files import Contents, different_palettes
from data.labels.label_maps import MAX_OVERLAPPING, combine, first_few
from data.source import Case
from data.sources.label_files import LabelFiles, notes_of
from data.sources.pairing import Part, divided, left_out, no_pairs, several, unpaired

T = TypeVar("T")


class Pair(NamedTuple):
    """The files of one case: an image, and its mask or a mask for each class."""

    image: Path
    masks: tuple[Path, ...]


class Survey(NamedTuple):
    """The findings of reading all files.

    problems: what is wrong, one line each. kind: (spatial axes, channels) of the images.
    label_values: the values of the masks in the order of the classes, or, where each class has masks of its own, 0 and
        the other value of each of these; () if that is not one.
    notes: what is worth knowing, and not wrong.
    """

    problems: list[str]
    kind: tuple[int, int]
    label_values: tuple[int, ...]
    notes: list[str]


class Folder(LabelFiles):
    """Images and masks in two folders, or in one; an image and its mask have the same name up to the ending.

    PNG, JPEG, TIFF and BMP, 8 and 16 bit, grey or colour, of any sizes. Masks hold 0 and 255, or
    class indices 0 .. N - 1, or the values listed in `label_values`, which may be grey values or the indices of a
    palette with colours.

    Classes that may overlap have masks of their own: the masks lie in a subfolder for each class, which is called
    like it, and are 0 where the class is not.
    """

    name: Literal["folder"] = "folder"
    images: str = Field("images", description="subfolder of the images")
    masks: str = Field("masks", description="subfolder of the masks")
    image_suffix: str = Field(
        "", description="part of the images' names before the ending, such as _img, which masks do not have"
    )
    mask_suffix: str = Field(
        "", description="part of the masks' names before the ending, such as _mask, which images do not have"
    )
    colour: Literal["grey", "rgb"] | None = Field(
        None, description="make all images grey, or all RGB, where a data set has both"
    )

    @property
    def rank(self) -> int:
        return self._sound.kind[0]

    @property
    def channels(self) -> int:
        return self._sound.kind[1]

    @property
    def classes(self) -> int:
        names = self.class_names
        return len(self._sound.label_values) if names is None else len(names) + 1

    @property
    def overlapping(self) -> bool:
        return self.class_names is not None

    @property
    def class_values(self) -> tuple[int, ...] | None:
        return None if self.foreground == "any" else self._sound.label_values or None

    @cached_property
    def class_names(self) -> tuple[str, ...] | None:
        """The subfolders of the masks in natural order, if there are no masks beside them."""
        folder = self._folder(self.masks)
        if not folder.is_dir() or image_files(folder):
            return None
        return tuple(path.name for path in paths_in(folder, Path.is_dir)) or None

    def names(self) -> list[str]:
        if not self._pairs:
            raise no_pairs("image", *self._parts)
        return list(self._pairs)

    def read(self, name: str) -> Case:
        if name not in self._pairs:
            raise UserError(f"{self._folder(self.images)} has no image '{name}' with a mask.")
        image, masks = self._pairs[name]
        label_values = self._sound.label_values
        if self.overlapping:
            label = combine(np.stack([read_mask(path) != 0 for path in masks], axis=-1))
        else:
            label = self.label_map(read_mask(masks[0]), label_values)
        return Case(name, self._image(image), label, image, overlapping=self.overlapping)

    def problems(self) -> list[str]:
        return self._survey.problems

    def notes(self) -> list[str]:
        return self._survey.notes

    def about(self) -> About:
        return super().about().model_copy(update={"colour": self.colour})

    def unread(self) -> list[str]:
        images, masks = self._parts
        assert self.directory is not None  # or there would be no parts
        return grouped(left_out(self.directory, [images, *masks], [self._folder(self.masks)]))

    @property
    def _sound(self) -> Survey:
        """The survey, once it is known that nothing is wrong."""
        self.check()
        return self._survey

    def _folder(self, name: str) -> Path:
        if self.directory is None:
            raise UserError(
                f"folder needs --data-dir, a folder with the subfolders '{self.images}' and '{self.masks}'."
            )
        return self.directory / name

    def _image(self, path: Path) -> np.ndarray:
        """An image as `read_image` gives it, in the colour that is wanted."""
        try:
            return in_colour(read_image(path), self.colour)
        except NotAColourError as error:
            raise UserError(f"{path}: {error}") from None

    @cached_property
    def _parts(self) -> tuple[Part, list[Part]]:
        """The images, and the masks in each of their folders."""
        images = self._part("image", self.images, self.image_suffix)
        masks = [self._part("mask", folder, self.mask_suffix) for folder in self._mask_folders]
        if len(masks) > 1:
            return images, masks
        images, of_all = divided(images, masks[0])
        return images, [of_all]

    def _part(self, what: str, subfolder: str, suffix: str) -> Part:
        folder = self._folder(subfolder)
        if not folder.is_dir():
            raise UserError(
                f"The folder {folder} does not exist. --data-dir must hold images in "
                f"'{self.images}' and masks in '{self.masks}' (settings data.images, data.masks)."
            )
        return Part(what, folder, tuple(image_files(folder)), suffix)

    @cached_property
    def _pairs(self) -> dict[str, Pair]:
        """The cases that have one image and one mask, in natural order, by the name of the image."""
        images, masks = self._parts
        pairs = {
            volume_name(paths[0]): Pair(paths[0], tuple(of_class.files[name][0] for of_class in masks))
            for name, paths in images.files.items()
            if all(name in of_class.files for of_class in masks)
        }
        return {name: pairs[name] for name in sorted(pairs, key=natural_key)}

    @property
    def _mask_folders(self) -> list[str]:
        """The folders of masks: one for all classes, or one for each."""
        return [f"{self.masks}/{name}" for name in self.class_names or ()] or [self.masks]

    @cached_property
    def _survey(self) -> Survey:
        """Read every file once."""
        findings: list[tuple[Path, str]] = []
        kinds: dict[Path, tuple[int, int]] = {}
        largest: dict[Path, float] = {}
        contents: dict[Path, Contents] = {}
        for name in self.names():
            pair = self._pairs[name]
            image = _attempt(self._image, pair.image, findings)
            if image is not None:
                kinds[pair.image] = (image.ndim - 1, image.shape[-1])
                largest[pair.image] = float(image.max())
            for path in pair.masks:
                mask = _attempt(examine_mask, path, findings)
                if mask is not None:
                    contents[path] = Contents.of(mask.values, mask.palette, mask.thresholded)
                if image is not None and mask is not None and image.shape[:-1] != mask.values.shape:
                    size = f"the mask has the size {mask.values.shape}, its image {image.shape[:-1]}"
                    findings.append((path, size))
        kind = Counter(kinds.values()).most_common(1)[0][0] if kinds else (2, 1)
        findings += [
            (path, f"{_describe(other)}, but most of the images are {_describe(kind)}{_remedy(other, kind)}")
            for path, other in kinds.items()
            if other != kind
        ]
        problems, notes = self._unpaired(), [*notes_of(contents), *_mixed_depths(largest)]
        if self.overlapping:
            problems += grouped(findings) + self._unclear_masks(contents)
            return Survey(problems, kind, self._values_of_classes(contents), notes)
        label_values, unclear = self.reading.classes(contents)
        problems += [unclear] if unclear else []
        for path, each in contents.items():
            unexpected = self.reading.unexpected(each.values, label_values)
            findings += [(path, unexpected)] if unexpected else []
        return Survey(problems + grouped(findings) + different_palettes(contents), kind, label_values, notes)

    def _values_of_classes(self, contents: dict[Path, Contents]) -> tuple[int, ...]:
        """0 and the value of each class's own masks; () if they have several."""
        values = [0]
        for folder in self._mask_folders:
            of_class = (each.values for path, each in contents.items() if path.parent == self._folder(folder))
            others = set().union(*of_class) - {0}
            if len(others) != 1:
                return ()
            values.append(others.pop())
        return tuple(values)

    def _unclear_masks(self, contents: dict[Path, Contents]) -> list[str]:
        """The faults of masks of single classes."""
        names = self.class_names or ()
        problems = [
            f"data.{name} is for masks that hold all classes, not for one folder a class"
            for name in ("label_values", "ignore", "foreground")
            if getattr(self, name)
        ]
        if len(names) > MAX_OVERLAPPING:
            problems.append(
                f"{self._folder(self.masks)}: holds {len(names)} folders, one for each class; at most "
                f"{MAX_OVERLAPPING} are allowed"
            )
        for name in names:
            folder = self._folder(f"{self.masks}/{name}")
            of_class = {path: each for path, each in contents.items() if path.parent == folder}
            problems += different_palettes(of_class)
            everywhere = set().union(*(each.values for each in of_class.values()))
            if len(everywhere) == 1:
                problems.append(
                    f"{folder}: all masks are {everywhere.pop()} everywhere: there is nothing to learn"
                )
        return problems + grouped(
            (path, f"holds the values {first_few(each.values)}; a mask of one class holds 0 and one other")
            for path, each in contents.items()
            if len(each.values - {0}) > 1
        )

    def _unpaired(self) -> list[str]:
        images, masks = self._parts
        findings = several(images)
        for of_class in masks:
            where = f" in {self.masks}/{of_class.folder.name}" if self.overlapping else ""
            findings += [*several(of_class), *unpaired(of_class, images), *unpaired(images, of_class, where)]
        return grouped(dict.fromkeys(findings))


def _attempt(read: Callable[[Path], T], path: Path, findings: list[tuple[Path, str]]) -> T | None:
    """Read a file, or note why that failed."""
    try:
        return read(path)
    except UserError as error:
        findings.append((path, str(error).removeprefix(f"{path}: ")))
        return None


def _mixed_depths(largest: Mapping[Path, float]) -> list[str]:
    """A note if some images look like 8 bits a value and others like more, by their largest values."""
    shallow, deep = (
        {path: value for path, value in largest.items() if wanted(value)}
        for wanted in (lambda value: 1 < value <= 255, lambda value: value > 4 * 255)
    )
    if not shallow or not deep:
        return []
    few, many = sorted((shallow, deep), key=len)
    names = first_few(path.name for path in few)
    return [
        f"values of {len(few)} image(s) reach {max(few.values()):g}, those of the other {len(many)} "
        f"{max(many.values()):g}, as with another bit depth: {names}. The same brightness would be another number: "
        "save all with one depth, or --set preprocessing.normalisation=case"
    ]


def _remedy(kind: tuple[int, int], usual: tuple[int, int]) -> str:
    if kind[0] != usual[0] or {kind[1], usual[1]} != {1, 3}:
        return ""
    mode, colour, other = ("L", "grey", "rgb") if usual[1] == 1 else ("RGB", "rgb", "grey")
    return f" (convert them, PIL: image.convert('{mode}'), or all: --set data.colour={colour}, or {other})"


def _describe(kind: tuple[int, int]) -> str:
    axes, channels = kind
    colour = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    return f"{colour} {'images' if axes == 2 else 'volumes'}"
