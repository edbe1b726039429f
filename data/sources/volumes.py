"""Volumes in two folders, images and labels, as pairs of files with equal names."""

from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from data.errors import UserError, grouped
from data.files import paths_in
from data.formats.volumes import is_volume, series_below, volume_files, volume_name
from data.source import Case
from data.sources.pairing import Findings, Part, divided, left_out, no_pairs, several, unpaired
from data.sources.pairs import Pair, VolumePairs


class Volumes(VolumePairs):
    """Images and labels in two folders, or in one; an image and its label have the same name up to the ending.

    NIfTI files (.nii, .nii.gz), TIFF stacks, and for images also a folder of DICOM slices each. Labels hold
    class indices 0 .. N - 1, or the values listed in `label_values`. Images without a label are predicted only.
    """

    name: Literal["volumes"] = "volumes"
    images: str = Field("images", description="subfolder of the images")
    labels: str = Field("labels", description="subfolder of the labels")
    image_suffix: str = Field(
        "", description="part of the images' names before the ending, such as _0000, which labels do not have"
    )
    label_suffix: str = Field(
        "", description="part of the labels' names before the ending, such as _seg, which images do not have"
    )
    image_channels: PositiveInt = Field(
        1, description="length of the fourth axis of the images; 1 for plain volumes"
    )

    @property
    def channels(self) -> int:
        return self.image_channels

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        images, labels = self._parts
        if not images.files.keys() & labels.files.keys():
            raise no_pairs("volume", images, [labels], grouped(self._too_deep))
        return {
            volume_name(paths[0]): (paths[0], labels.files[name][0] if name in labels.files else None)
            for name, paths in images.files.items()
        }

    def unpaired(self) -> list[str]:
        images, labels = self._parts
        return grouped([*several(images), *several(labels), *self._too_deep, *unpaired(labels, images)])

    def unread(self) -> list[str]:
        parts = self._parts
        assert self.directory is not None  # or there would be no parts
        told = {folder for folder, _ in self._nested}
        return grouped(finding for finding in left_out(self.directory, parts) if finding[0] not in told)

    @cached_property
    def _parts(self) -> tuple[Part, Part]:
        """The images and the labels."""
        return divided(
            self._part("image", self.images, self.image_suffix),
            self._part("label", self.labels, self.label_suffix),
        )

    @property
    def _nested(self) -> list[tuple[Path, list[Path]]]:
        """Folders of images that hold their DICOM series further down, and these."""
        folders = paths_in(self._folder(self.images), lambda path: path.is_dir() and not is_volume(path))
        return [(folder, series) for folder in folders if (series := series_below(folder))]

    @property
    def _too_deep(self) -> Findings:
        where = self._folder(self.images)
        return [
            (
                path,
                f"a DICOM series that lies too deep. Move it, or link it, into {where}, by the name of its label",
            )
            for _folder, series in self._nested
            for path in series
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

    def _part(self, what: str, subfolder: str, suffix: str) -> Part:
        folder = self._folder(subfolder)
        if not folder.is_dir():
            raise UserError(
                f"The folder {folder} does not exist. --data-dir must hold images in '{self.images}' and "
                f"labels in '{self.labels}' (settings data.images, data.labels)."
            )
        return Part(what, folder, tuple(volume_files(folder)), suffix)
