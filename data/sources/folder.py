"""A data set of one's own: a folder of images and a folder of masks with equal names."""

from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from data.errors import UserError, bullet_list
from data.files import natural_key
from data.formats.images import LOSSY, image_files, read_image, read_mask
from data.labels.label_maps import MAX_OVERLAPPING, combine, first_few, guess_values, to_classes
from data.source import Case, Source


class Pair(NamedTuple):
    """The files of one case: an image, and its mask or a mask for each class."""

    image: Path
    masks: tuple[Path, ...]


class Survey(NamedTuple):
    """The findings of reading all files.

    problems: what is wrong, one line each. kind: (spatial axes, channels) of the images.
    label_values: the values of the masks in the order of the classes; () where each class has masks of its own.
    """

    problems: list[str]
    kind: tuple[int, int]
    label_values: tuple[int, ...]


class Folder(Source):
    """Images and masks in two folders; an image and its mask have the same name up to the suffix.

    PNG, JPEG, TIFF and BMP, 8 and 16 bit, grey or colour, of any sizes. Masks hold 0 and 255, or
    class indices 0 .. N - 1, or the values listed in `label_values`, which may be grey values or those of a palette.

    Classes that may overlap have masks of their own: the masks lie in a subfolder for each class, which is called
    like it, and are 0 where the class is not.
    """

    name: Literal["folder"] = "folder"
    images: str = Field("images", description="subfolder of the images")
    masks: str = Field("masks", description="subfolder of the masks")
    label_values: tuple[int, ...] | None = Field(
        None,
        min_length=2,
        description="values of the masks in the order of the classes, background first; "
        "without them they are found in the masks",
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

    @cached_property
    def class_names(self) -> tuple[str, ...] | None:
        """The subfolders of the masks in natural order, if there are no masks beside them."""
        folder = self._folder(self.masks)
        if not folder.is_dir() or image_files(folder):
            return None
        found = [path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return tuple(sorted(found, key=natural_key)) or None

    def names(self) -> list[str]:
        if not self._pairs:
            found = [
                f"{self._folder(part)} holds {first_few(map(repr, self._files(part))) or 'no images'}"
                for part in (self.images, *self._mask_folders)
            ]
            raise UserError(
                f"No image has a mask. The two must have the same name up to the suffix, but\n{bullet_list(found)}"
            )
        return list(self._pairs)

    def read(self, name: str) -> Case:
        if name not in self._pairs:
            raise UserError(f"{self._folder(self.images)} has no image '{name}' with a mask.")
        image, masks = self._pairs[name]
        label_values = self._sound.label_values
        if self.overlapping:
            label = combine(np.stack([read_mask(path) != 0 for path in masks], axis=-1))
        else:
            label = to_classes(read_mask(masks[0]), label_values)
        return Case(name, read_image(image), label, image, overlapping=self.overlapping)

    def problems(self) -> list[str]:
        return self._survey.problems

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

    def _files(self, subfolder: str) -> dict[str, list[Path]]:
        """The image files of a subfolder by their stem."""
        folder = self._folder(subfolder)
        if not folder.is_dir():
            raise UserError(
                f"The folder {folder} does not exist. --data-dir must hold images in "
                f"'{self.images}' and masks in '{self.masks}' (settings data.images, data.masks)."
            )
        files: dict[str, list[Path]] = {}
        for path in image_files(folder):
            files.setdefault(path.stem, []).append(path)
        return files

    @cached_property
    def _pairs(self) -> dict[str, Pair]:
        """The cases that have one image and one mask, in natural order."""
        images, masks = self._files(self.images), [self._files(folder) for folder in self._mask_folders]
        complete = images.keys() & set.intersection(*(set(files) for files in masks))
        return {
            stem: Pair(images[stem][0], tuple(files[stem][0] for files in masks))
            for stem in sorted(complete, key=natural_key)
        }

    @property
    def _mask_folders(self) -> list[str]:
        """The folders of masks: one for all classes, or one for each."""
        return [f"{self.masks}/{name}" for name in self.class_names or ()] or [self.masks]

    @cached_property
    def _survey(self) -> Survey:
        """Read every file once."""
        problems = self._unpaired()
        kinds, contents = {}, {}
        for name in self.names():
            pair = self._pairs[name]
            image = _attempt(read_image, pair.image, problems)
            if image is not None:
                kinds[pair.image] = (image.ndim - 1, image.shape[-1])
            for path in pair.masks:
                mask = _attempt(read_mask, path, problems)
                if mask is not None:
                    contents[path] = set(np.unique(mask).tolist())
                if image is not None and mask is not None and image.shape[:-1] != mask.shape:
                    problems.append(
                        f"{path}: the mask has the size {mask.shape}, its image {image.shape[:-1]}"
                    )
        kind = Counter(kinds.values()).most_common(1)[0][0] if kinds else (2, 1)
        problems += [
            f"{path}: {_describe(other)}, but most of the images are {_describe(kind)}"
            for path, other in kinds.items()
            if other != kind
        ]
        if self.overlapping:
            problems += self._unclear_masks(contents)
            return Survey(problems, kind, ())
        label_values, unclear = guess_values(contents, "data.label_values")
        if self.label_values:
            label_values = self.label_values
        elif unclear:
            problems.append(unclear)
        problems += [
            f"{path}: unexpected values {first_few(values - set(label_values))}; expected are "
            f"{first_few(set(label_values))}{_lossy(path)}"
            for path, values in contents.items()
            if label_values and values - set(label_values)
        ]
        return Survey(problems, kind, label_values)

    def _unclear_masks(self, contents: dict[Path, set[int]]) -> list[str]:
        """The faults of masks of single classes."""
        problems, names = [], self.class_names or ()
        if self.label_values:
            problems.append(
                "data.label_values is for masks that hold all classes, not for one folder a class"
            )
        if len(names) > MAX_OVERLAPPING:
            problems.append(
                f"{self._folder(self.masks)}: holds {len(names)} folders, one for each class; at most "
                f"{MAX_OVERLAPPING} are allowed"
            )
        for name in names:
            folder = self._folder(f"{self.masks}/{name}")
            found = [values for path, values in contents.items() if path.parent == folder]
            if found and not any(values - {0} for values in found):
                problems.append(f"{folder}: all masks are 0 everywhere: there is nothing to learn")
        return problems + [
            f"{path}: holds the values {first_few(values)}; a mask of one class holds 0 and one other{_lossy(path)}"
            for path, values in contents.items()
            if len(values - {0}) > 1
        ]

    def _unpaired(self) -> list[str]:
        images, masks = self._files(self.images), [self._files(folder) for folder in self._mask_folders]
        problems = []
        compared = [(of_class, images, "image of this name") for of_class in masks]
        for folder, of_class in zip(self._mask_folders, masks, strict=True):
            where = f" in {folder}" if self.overlapping else ""
            compared.append((images, of_class, f"mask of this name{where}"))
        for files, others, what in compared:
            for stem, paths in files.items():
                if len(paths) > 1:
                    names = ", ".join(path.name for path in paths)
                    problems.append(f"{paths[0].parent}: several files with one name: {names}")
                if stem not in others:
                    problems.append(f"{paths[0]}: there is no {what}")
        return list(dict.fromkeys(problems))


def _attempt(read: Callable[[Path], np.ndarray], path: Path, problems: list[str]) -> np.ndarray | None:
    """Read a file, or note why that failed."""
    try:
        return read(path)
    except UserError as error:
        problems.append(str(error))
        return None


def _lossy(path: Path) -> str:
    if path.suffix.lower() not in LOSSY:
        return ""
    return " (JPEG compression changes values: save masks as PNG or TIFF)"


def _describe(kind: tuple[int, int]) -> str:
    axes, channels = kind
    colour = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    return f"{colour} {'images' if axes == 2 else 'volumes'}"
