"""The way from a case as its file has it to what a network sees, and back."""

from dataclasses import dataclass, replace

import numpy as np

from data.errors import UserError
from data.preprocessing.positions import append_positions
from data.preprocessing.resampling import resample, resample_label
from data.preprocessing.statistics import Statistics
from data.settings import Preprocessing
from data.source import Case


@dataclass(frozen=True)
class Prepared:
    """A case as training sees it, and how to return from there.

    image: normalised float32 [*size, channels]. label: a label map [*size], None if unknown.
    padding: bool [*size]: pixels that hold no measurement; None if all do.
    spacing: of its pixels along each axis in mm (1 where nothing is known).
    original: size of the case in its file. box: the part of it that is left after cropping.
    """

    image: np.ndarray
    label: np.ndarray | None
    spacing: tuple[float, ...]
    original: tuple[int, ...]
    box: tuple[slice, ...]
    padding: np.ndarray | None = None

    @property
    def measured(self) -> np.ndarray:
        """The pixels that count in statistics: [pixels, channels]."""
        return (
            self.image.reshape(-1, self.image.shape[-1])
            if self.padding is None
            else self.image[~self.padding]
        )

    @property
    def resampled(self) -> bool:
        """True if the pixels are not those of the file."""
        return self.image.shape[:-1] != tuple(part.stop - part.start for part in self.box)

    def restore(self, probability: np.ndarray, multilabel: bool = False) -> np.ndarray:
        """Probabilities [*size, classes] in the size of the file; what was cropped off is background.

        multilabel: the background is no class of its own.
        """
        if self.resampled:
            box = tuple(part.stop - part.start for part in self.box)
            classes = [resample(channel, box) for channel in np.moveaxis(probability, -1, 0)]
            probability = np.stack(classes, axis=-1)
        if probability.shape[:-1] == self.original:
            return probability
        whole = np.zeros((*self.original, probability.shape[-1]), probability.dtype)
        if probability.shape[-1] > 1 and not multilabel:
            whole[..., 0] = 1
        whole[self.box] = probability
        return whole

    def restore_label(self, label: np.ndarray) -> np.ndarray:
        """A label map [*size] in the size of the file. Only for cases that were not resampled."""
        if label.shape == self.original:
            return label
        whole = np.zeros(self.original, label.dtype)
        whole[self.box] = label
        return whole


@dataclass(frozen=True)
class Preprocessor:
    """The steps that prepare every case, in training, validation and prediction alike."""

    settings: Preprocessing
    statistics: Statistics | None = None

    def __call__(self, case: Case) -> Prepared:
        """Crop, resample and normalise a case. Raises UserError where that is impossible.

        Without statistics, what they would do is left out: so they are found.
        """
        if case.prepared:
            prepared = _whole(case)
        else:
            prepared = crop_and_resample(case, self.settings)
            prepared = replace(prepared, image=normalise(prepared, self.settings))
        if self.settings.normalisation != "case" and self.statistics is not None:
            prepared = replace(prepared, image=self.statistics.normalise(prepared.image))
        return prepared

    def network_channels(self, channels: int, rank: int) -> int:
        """Channels that the network gets of an image with `channels` and `rank` spatial axes."""
        return channels + (rank if self.settings.positions else 0)

    def network_input(self, image: np.ndarray) -> np.ndarray:
        """A whole prepared image [*size, channels] with the further channels that the network gets."""
        return append_positions(image) if self.settings.positions else image


def crop_and_resample(case: Case, settings: Preprocessing) -> Prepared:
    """The geometric part, before anything is normalised. Raises UserError where it is impossible."""
    whole = _whole(case)
    box = _non_zero(case.image) if settings.crop else whole.box
    image = case.image[box]
    label, padding = (None if values is None else values[box] for values in (case.label, case.padding))
    spacing = whole.spacing
    if settings.spacing is not None:
        if case.geometry is None:
            raise UserError(
                f"{case.path or case.name}: preprocessing.spacing needs the size of the voxels, which this file "
                "does not tell. Convert it to NIfTI, or leave preprocessing.spacing out."
            )
        box_size = image.shape[:-1]
        size = tuple(
            max(1, round(side * have / want))
            for side, have, want in zip(box_size, spacing, settings.spacing, strict=True)
        )
        if size != image.shape[:-1]:
            image = np.stack([resample(channel, size) for channel in np.moveaxis(image, -1, 0)], axis=-1)
            label = None if label is None else resample_label(label, size, case.overlapping)
            padding = None if padding is None else resample_label(padding.astype(np.uint8), size).astype(bool)
        # What was asked for, but for the rounding to whole voxels.
        spacing = tuple(side * have / new for side, have, new in zip(box_size, spacing, size, strict=True))
    return Prepared(image, label, spacing, whole.original, box, padding)


def _whole(case: Case) -> Prepared:
    """A case that needs nothing."""
    size = case.image.shape[:-1]
    box = tuple(slice(0, side) for side in size)
    return Prepared(case.image, case.label, case.spacing, size, box, case.padding)


def normalise(case: Prepared, settings: Preprocessing) -> np.ndarray:
    """The part of the normalisation that looks at this image alone; float32 [*size, channels].

    Where borders of zeros are cropped off, zeros are outside of the body and do not count. Neither does padding.
    """
    image = case.image.astype(np.float32)
    if settings.clip is None and settings.normalisation != "case":
        return image
    channels = []
    for channel in np.moveaxis(image, -1, 0):
        body = channel if case.padding is None or case.padding.all() else channel[~case.padding]
        body = body[body != 0] if settings.crop and body.any() else body
        if settings.clip is not None:
            low, high = np.percentile(body, settings.clip)
            channel, body = np.clip(channel, low, high), np.clip(body, low, high)
        if settings.normalisation == "case":
            mean, deviation = body.mean(dtype=np.float64), body.std(dtype=np.float64)
            # A constant channel becomes 0.
            scale = deviation if deviation > 1e-6 * max(abs(mean), 1e-30) else 1.0
            channel = ((channel - mean) / scale).astype(np.float32)
        channels.append(channel)
    return np.stack(channels, axis=-1)


def _non_zero(image: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds every pixel with a value; the whole image if there is none."""
    body = np.asarray(image.any(axis=-1))
    box = []
    for axis in range(body.ndim):
        others = tuple(other for other in range(body.ndim) if other != axis)
        found = np.flatnonzero(body.any(axis=others))
        box.append(slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, body.shape[axis]))
    return tuple(box)
