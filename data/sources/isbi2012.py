"""ISBI 2012: membranes in serial-section electron micrographs of the Drosophila larva.

Cardona et al. 2010 (PLoS Biology 8:e1000502), Arganda-Carreras et al. 2015 (Frontiers in
Neuroanatomy 9:142). Slices of 512 x 512 pixels of 4 nm, 8 bit. In the files white (255) is cell
and black (0) is membrane.
"""

from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, PrivateAttr

from data.errors import UserError, grouped
from data.files import natural_key
from data.formats.images import image_files, read_image, read_mask
from data.formats.unread import Unread, unread, unread_beside
from data.labels.label_maps import first_few
from data.source import Case, Source


class Slice(NamedTuple):
    """The place of a slice. `page` is its place in a TIFF volume, None if it has its own file."""

    image: Path
    label: Path | None
    page: int | None


class Isbi2012(Source):
    """The ISBI 2012 stack, slice by slice, in either of the two forms it is passed around in.

    The challenge's volumes: train-volume.tif, train-labels.tif and, if there is one,
    test-volume.tif. Numbered files: train/image/N.png, train/label/N.png and, if there are any,
    test/image/N.png or test/N.png. The names are '0', '1', ... and 'test-0', 'test-1', ...
    """

    name: Literal["isbi2012"] = "isbi2012"
    foreground: Literal["membrane", "cell"] = Field("membrane", description="what the label 1 stands for")
    _volumes: dict[Path, np.ndarray] = PrivateAttr(default_factory=dict)

    @property
    def rank(self) -> int:
        return 2

    @property
    def channels(self) -> int:
        return 1

    @property
    def classes(self) -> int:
        return 2

    @property
    def class_values(self) -> tuple[int, int]:
        return (255, 0) if self.foreground == "membrane" else (0, 255)

    @property
    def foreground_is_membrane(self) -> bool:
        return self.foreground == "membrane"

    def names(self) -> list[str]:
        return [name for name, place in self._slices.items() if place.label is not None]

    def test_names(self) -> list[str]:
        return [name for name, place in self._slices.items() if place.label is None]

    def read(self, name: str) -> Case:
        if name not in self._slices:
            raise UserError(f"{self.directory} has no slice '{name}' of ISBI 2012.")
        place = self._slices[name]
        image = self._pixels(place.image, place.page)
        if image.ndim != 3 or image.shape[-1] != 1:
            raise UserError(f"{place.image}: a slice must be a grey image.")
        if place.label is None:
            return Case(name, image, None, place.image)

        where = place.label if place.page is None else f"{place.label}, page {place.page}"
        values = self._mask(place.label, place.page)
        if values.shape != image.shape[:-1]:
            raise UserError(f"{where}: the label has the size {values.shape}, its image {image.shape[:-1]}.")
        unexpected = sorted(set(np.unique(values).tolist()) - {0, 255})
        if unexpected:
            raise UserError(
                f"{where}: a label holds 0 (membrane) and 255 (cell), but here are also {first_few(unexpected)}."
            )
        foreground = 0 if self.foreground == "membrane" else 255
        return Case(name, image, (values == foreground).astype(np.uint8), place.image)

    def unread(self) -> list[str]:
        read = {path for place in self._slices.values() for path in (place.image, place.label) if path}
        assert self.directory is not None  # or there would be no slices
        findings: Unread = []
        for folder in sorted({parent for path in read for parent in path.parents}):
            if not folder.is_relative_to(self.directory):
                continue
            holds_only_slices = folder.name in ("image", "label") and any(
                path.parent == folder for path in read
            )
            findings += (unread if holds_only_slices else unread_beside)(folder, read)
        return grouped(findings)

    @cached_property
    def _slices(self) -> dict[str, Slice]:
        """Every slice by its name, in natural order, those without a label last."""
        if self.directory is None:
            raise UserError(f"isbi2012 needs --data-dir, the folder of the stack. {LAYOUTS}")
        given = self.directory
        for folder in (given, given / "isbi2012", given / "train", given / "isbi2012" / "train"):
            if (folder / "train-volume.tif").exists():
                return self._from_volumes(folder)
            if (folder / "image").is_dir() and (folder / "label").is_dir():
                return _from_files(folder)
        state = "holds no ISBI 2012 stack" if given.is_dir() else "does not exist"
        raise UserError(f"The folder {given} (--data-dir) {state}. {LAYOUTS}")

    def _from_volumes(self, folder: Path) -> dict[str, Slice]:
        image, label = folder / "train-volume.tif", folder / "train-labels.tif"
        test = folder / "test-volume.tif"
        pages, labelled = len(self._volume(image)), len(self._volume(label))
        if pages != labelled:
            raise UserError(f"{image} has {pages} slices, but {label} has {labelled}.")
        slices = {str(page): Slice(image, label, page) for page in range(pages)}
        if test.exists():
            for page in range(len(self._volume(test))):
                slices[f"test-{page}"] = Slice(test, None, page)
        return slices

    def _volume(self, path: Path) -> np.ndarray:
        """A TIFF volume, float32 [pages, height, width, 1]; kept, as it is read page by page."""
        if path not in self._volumes:
            volume = read_image(path)
            if volume.ndim == 3:
                volume = volume[np.newaxis]  # a file of one page
            self._volumes[path] = volume
        return self._volumes[path]

    def _pixels(self, path: Path, page: int | None) -> np.ndarray:
        return read_image(path) if page is None else self._volume(path)[page]

    def _mask(self, path: Path, page: int | None) -> np.ndarray:
        return read_mask(path) if page is None else self._volume(path)[page, ..., 0].astype(np.int32)


LAYOUTS = (
    "Understood are the volumes train-volume.tif and train-labels.tif (test-volume.tif), or "
    "numbered files train/image/N.png and train/label/N.png (test/image/N.png). Give the folder "
    "that holds them with --data-dir."
)


def _from_files(train: Path) -> dict[str, Slice]:
    images = {path.stem: path for path in image_files(train / "image")}
    labels = {path.stem: path for path in image_files(train / "label")}
    if not images:
        raise UserError(f"The folder {train / 'image'} holds no images.")
    slices = {}
    # A slice that has only one of the two gets the other's expected path, which `read` reports.
    for stem in sorted(images.keys() | labels.keys(), key=natural_key):
        image = images.get(stem, train / "image" / f"{stem}.png")
        slices[stem] = Slice(image, labels.get(stem, train / "label" / f"{stem}.png"), None)
    for test in (train.parent / "test" / "image", train.parent / "test"):
        if test.is_dir():
            for path in image_files(test):
                slices[f"test-{path.stem}"] = Slice(path, None, None)
            break
    return slices
