"""Anybody's images: a folder of images and a folder of masks with equal names."""

from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from data.errors import UserError, listed
from data.images import LOSSY, image_files, read_image, read_mask
from data.labels import guess_values, some, to_classes
from data.source import Case, Source, natural_key


class Pair(NamedTuple):
    """The files of one case."""

    image: Path
    mask: Path


class Survey(NamedTuple):
    """What reading all files showed.

    problems: what is wrong, one line each. kind: (spatial axes, channels) of the images.
    label_values: the values of the masks in the order of the classes.
    """

    problems: list[str]
    kind: tuple[int, int]
    label_values: tuple[int, ...]


class Folder(Source):
    """Images and masks in two folders; an image and its mask have the same name up to the suffix.

    PNG, JPEG, TIFF and BMP, 8 and 16 bit, grey or colour, of any sizes. Masks hold 0 and 255, or
    class indices 0 .. N - 1, or the values listed in `label_values`.
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
        return len(self._sound.label_values)

    def names(self) -> list[str]:
        if not self._pairs:
            found = [
                f"{self._folder(part)} holds {some(map(repr, self._files(part))) or 'no images'}"
                for part in (self.images, self.masks)
            ]
            raise UserError(
                f"No image has a mask. The two must have the same name up to the suffix, but\n{listed(found)}"
            )
        return list(self._pairs)

    def read(self, name: str) -> Case:
        if name not in self._pairs:
            raise UserError(f"{self._folder(self.images)} has no image '{name}' with a mask.")
        pair = self._pairs[name]
        label = to_classes(read_mask(pair.mask), self._sound.label_values)
        return Case(name, read_image(pair.image), label, pair.image)

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
        images, masks = self._files(self.images), self._files(self.masks)
        return {
            stem: Pair(images[stem][0], masks[stem][0])
            for stem in sorted(images.keys() & masks.keys(), key=natural_key)
        }

    @cached_property
    def _survey(self) -> Survey:
        """Reads every file once."""
        problems = self._unpaired()
        kinds, contents = {}, {}
        for name in self.names():
            pair = self._pairs[name]
            image, mask = (
                _attempt(read, path, problems)
                for read, path in ((read_image, pair.image), (read_mask, pair.mask))
            )
            if image is not None:
                kinds[pair.image] = (image.ndim - 1, image.shape[-1])
            if mask is not None:
                contents[pair.mask] = set(np.unique(mask).tolist())
            if image is not None and mask is not None and image.shape[:-1] != mask.shape:
                problems.append(
                    f"{pair.mask}: the mask has the size {mask.shape}, its image {image.shape[:-1]}"
                )
        kind = Counter(kinds.values()).most_common(1)[0][0] if kinds else (2, 1)
        problems += [
            f"{path}: {_describe(other)}, but most of the images are {_describe(kind)}"
            for path, other in kinds.items()
            if other != kind
        ]
        label_values, unclear = guess_values(contents, "data.label_values")
        if self.label_values:
            label_values = self.label_values
        elif unclear:
            problems.append(unclear)
        problems += [
            f"{path}: unexpected values {some(values - set(label_values))}; expected are "
            f"{some(set(label_values))}{_lossy(path)}"
            for path, values in contents.items()
            if label_values and values - set(label_values)
        ]
        return Survey(problems, kind, label_values)

    def _unpaired(self) -> list[str]:
        images, masks = self._files(self.images), self._files(self.masks)
        problems = []
        for files, others, what in ((images, masks, "mask"), (masks, images, "image")):
            for stem, paths in files.items():
                if len(paths) > 1:
                    names = ", ".join(path.name for path in paths)
                    problems.append(f"{paths[0].parent}: several files with one name: {names}")
                if stem not in others:
                    problems.append(f"{paths[0]}: there is no {what} of this name")
        return problems


def _attempt(read: Callable[[Path], np.ndarray], path: Path, problems: list[str]) -> np.ndarray | None:
    """Reads a file, or notes why that failed."""
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
