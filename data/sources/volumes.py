"""Volumes in two folders, images and labels, as pairs of files with equal names."""

from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from data.errors import UserError, bullet_list
from data.files import paths_in
from data.formats.volumes import is_volume, series_below, volume_files, volume_name
from data.labels.label_maps import first_few
from data.source import Case
from data.sources.pairs import Pair, VolumePairs


class Volumes(VolumePairs):
    """Images and labels in two folders; an image and its label have the same name up to the suffix.

    NIfTI files (.nii, .nii.gz), TIFF stacks, and for images also a folder of DICOM slices each. Labels hold
    class indices 0 .. N - 1, or the values listed in `label_values`. Images without a label are predicted only.
    """

    name: Literal["volumes"] = "volumes"
    images: str = Field("images", description="subfolder of the images")
    labels: str = Field("labels", description="subfolder of the labels")
    image_channels: PositiveInt = Field(
        1, description="length of the fourth axis of the images; 1 for plain volumes"
    )

    @property
    def channels(self) -> int:
        return self.image_channels

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        images, labels = self._files(self.images), self._files(self.labels)
        if not images.keys() & labels.keys():
            found = [
                f"{self._folder(part)} holds {', '.join(list(files)[:5]) or 'no volumes'}"
                for part, files in ((self.images, images), (self.labels, labels))
            ]
            found += self._too_deep()
            raise UserError(
                "No volume has a label. The two must have the same name up to the suffix, but\n"
                f"{bullet_list(found)}"
            )
        return {
            name: (files[0], labels[name][0] if name in labels else None) for name, files in images.items()
        }

    def unpaired(self) -> list[str]:
        images, labels = self._files(self.images), self._files(self.labels)
        problems = [
            f"{paths[0].parent}: several files with one name: {', '.join(path.name for path in paths)}"
            for files in (images, labels)
            for paths in files.values()
            if len(paths) > 1
        ]
        return [*problems, *self._too_deep()] + [
            f"{labels[name][0]}: there is no image of this name" for name in labels.keys() - images
        ]

    def _too_deep(self) -> list[str]:
        """Folders of images that hold their DICOM series further down, one line each."""
        folders = paths_in(self._folder(self.images), lambda path: path.is_dir() and not is_volume(path))
        return [
            f"{folder}: holds no DICOM files itself, but {first_few(map(str, series))} does. Move the series up, or "
            f"link it as {folder}"
            for folder in folders
            if (series := series_below(folder))
        ]

    def _read(self, name: str) -> tuple[Case, np.ndarray | None]:
        case, values = super()._read(name)
        if case.image.shape[-1] != self.image_channels:
            raise UserError(
                f"{case.path}: has a fourth axis of length {case.image.shape[-1]}; expected "
                f"{self.image_channels}. If these are channels, set data.image_channels={case.image.shape[-1]}; "
                "if they are points in time, extract one volume."
            )
        return case, values

    def _folder(self, subfolder: str) -> Path:
        if self.directory is None:
            raise UserError(
                f"volumes needs --data-dir, a folder with the subfolders '{self.images}' and '{self.labels}'."
            )
        return self.directory / subfolder

    def _files(self, subfolder: str) -> dict[str, list[Path]]:
        """The volumes of a subfolder by their name."""
        folder = self._folder(subfolder)
        if not folder.is_dir():
            raise UserError(
                f"The folder {folder} does not exist. --data-dir must hold images in '{self.images}' and "
                f"labels in '{self.labels}' (settings data.images, data.labels)."
            )
        files: dict[str, list[Path]] = {}
        for path in volume_files(folder):
            files.setdefault(volume_name(path), []).append(path)
        return files
