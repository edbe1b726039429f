"""Pictures of the inside of a network on one slice: its attention maps, and the feature maps of any level."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.drawing.slices import View, middle, picture, slice_view
from data.errors import UserError
from data.labels.outputs import Outputs
from data.preprocessing.borders import mirror
from data.preprocessing.preprocessor import Prepared
from data.source import Case
from unet_common.model import Model
from unet_common.networks import UNet25D
from unet_common.prediction.outputs import Contrast
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.run import Run

# Pixels along each axis of the part of an image or volume that goes through the network in one piece.
MAX_SIDE = {2: 1024, 3: 160}

# Channels that are drawn of a level.
MAX_CHANNELS = 6

# Of the map of all channels, which is 1 at the mean of one class and -1 at that of the other.
FURTHEST = 2.0


@dataclass(frozen=True)
class HeatMap(View):
    """A view whose grey values 0 to 255 are values between two `limits`, in the colours of a map of matplotlib."""

    limits: tuple[float, float] = (0.0, 1.0)
    colours: str = "inferno"


@dataclass(frozen=True)
class Inside:
    """A slice and what a network makes of it.

    kind: `attention` or `features`, which is also the name of the folder for its picture. heading: what is seen.
    """

    kind: str
    heading: str
    image: View
    maps: tuple[HeatMap, ...]


def attention_maps(model: Model, run: Run, case: Case, label: np.ndarray) -> Inside:
    """The slice through the middle of what was predicted, and the map of each level there, the finest first.

    A voxel of a coarse map covers all that it stands for. Of a large volume it is the part around that middle.

    Args:
        model: a network with attention maps, and the weights that predicted.
        label: the prediction of the case.
    """
    prepared = run.prepare(replace(case, label=label))
    assert prepared.label is not None
    window = _Window(run, prepared, middle(prepared.label), case.geometry is not None)
    image = window.view(prepared.image, labels=(None, prepared.label))
    maps = [
        window.heat_map(
            values[0], window.covering(values.shape[1:-1]), (0.0, 1.0), f"attention, level {level}"
        )
        for level, values in enumerate(model.attention(window.input), 1)
    ]
    return Inside("attention", "attention", image, tuple(maps))


def feature_maps(
    model: Model, run: Run, case: Case, label: np.ndarray, settings: PredictionSettings, outputs: Outputs
) -> Inside:
    """The slice through the middle of a class, and a level's feature maps there: those that tell it from another best.

    How well a channel does so is the standardised difference of its means over the pixels of the two. The first map is
    of all channels, as `all_together`. The pixels are those of the truth where it is known, else of the prediction.

    Args:
        label: the prediction of the case.
        settings: with the level and the classes.
        outputs: of the prediction: the meaning of its classes.

    Raises:
        UserError: no pixel is of one of the classes, or the image does not go through the network in one piece.
    """
    level = settings.features
    assert level is not None
    contrast = Contrast.of(settings.contrast, outputs)
    # A truth that is ignored somewhere is not known there.
    truth = None if outputs.ignoring else case.label
    if truth is not None and outputs.predicted == 1 and not outputs.multilabel:
        truth = (truth > 0).astype(label.dtype)
    prepared, predicted = (
        run.prepare(replace(case, label=truth)),
        run.prepare(replace(case, label=label)).label,
    )
    known = predicted if prepared.label is None else prepared.label
    assert known is not None
    masks = contrast.masks(known, case.overlapping)
    if prepared.padding is not None:
        masks = tuple(mask & ~prepared.padding for mask in masks)
    for mask, name in zip(masks, contrast.names, strict=True):
        if not mask.any():
            raise UserError(f"there is no {name} in the {'prediction' if truth is None else 'truth'}")
    window = _Window(run, prepared, middle(masks[0]), case.geometry is not None)

    def features(images: np.ndarray) -> np.ndarray:
        return model.features(images, level)[0]

    values = features(window.input)
    covering = window.covering(values.shape[:-1], lambda images: features(images).shape[:-1])
    cells = np.ravel_multi_index(np.ix_(*covering), values.shape[:-1])
    flat = values.reshape(-1, values.shape[-1])
    counts = [np.bincount(cells[mask[window.part]], minlength=len(flat)) for mask in masks]
    if not counts[1].any():
        raise UserError(f"there is no {contrast.names[1]} around {contrast.names[0]}")
    differences, together = all_together(flat, *counts)
    image = window.view(prepared.image, labels=(None if truth is None else prepared.label, predicted))
    image = replace(image, overlapping=case.overlapping, class_names=outputs.names)
    discriminant = together.reshape(*values.shape[:-1], 1)
    first = window.heat_map(discriminant, covering, (-FURTHEST, FURTHEST), "all channels together")
    maps = [replace(first, colours="RdBu_r")]
    for channel in np.argsort(-np.abs(differences), kind="stable")[:MAX_CHANNELS]:
        title = f"channel {channel + 1}: {differences[channel]:+.2f} sd".replace("-", "\N{MINUS SIGN}")
        maps.append(window.heat_map(values[..., [channel]], covering, None, title))
    channels = f"{values.shape[-1]} channel{'s' if values.shape[-1] > 1 else ''}"
    heading = f"features of {level} ({channels}), {' against '.join(contrast.names)}"
    return Inside("features", heading, image, tuple(maps))


def all_together(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The difference of two classes in each channel, and one map of all channels.

    The difference of the means is measured in standard deviations, the root of the mean of both variances (Cohen 1988,
    Statistical Power Analysis, section 2.2). The map is the linear discriminant of channels that do not depend on each
    other (Dudoit et al. 2002, J. Am. Stat. Assoc. 97: diagonal linear discriminant analysis): every channel in those
    standard deviations from the middle between the means, times its difference. It is scaled so that it is 1 at the
    means of the first class and -1 at those of the second.

    Args:
        values: [cells, channels].
        first, second: pixels of each class that a cell covers, [cells].

    Returns:
        the differences, float64 [channels], 0 where a channel does not vary; and the map, float64 [cells].
    """
    shares = first / first.sum(), second / second.sum()
    differences, together = np.zeros(values.shape[-1]), np.zeros(len(values))
    for channel in range(values.shape[-1]):
        column = values[:, channel].astype(np.float64)
        means = [share @ column for share in shares]
        scale = np.sqrt(
            np.mean([share @ (column - mean) ** 2 for share, mean in zip(shares, means, strict=True)])
        )
        if scale > 1e-12 * max(np.abs(column).max(), 1e-30):
            differences[channel] = (means[0] - means[1]) / scale
            together += differences[channel] * (column - np.mean(means)) / scale
    square = differences @ differences
    return differences, together * 2 / square if square else together


class _Window:
    """The part of a prepared case around a place that goes through a network in one piece, and its slice there."""

    def __init__(self, run: Run, prepared: Prepared, place: Sequence[int], oriented: bool):
        network = run.network
        size = prepared.image.shape[:-1]
        self._network, self._spacing, self._oriented = network, prepared.spacing, oriented
        self._sides = tuple(min(side, MAX_SIDE[network.rank]) for side in size)
        if not network.in_one_piece(self._sides):
            sides = " x ".join(map(str, self._sides))
            raise UserError(f"{network.name} does not take {sides} pixels in one piece")
        starts = [
            min(max(at - side // 2, 0), whole - side)
            for at, side, whole in zip(place, self._sides, size, strict=True)
        ]
        self.part = tuple(slice(start, start + side) for start, side in zip(starts, self._sides, strict=True))
        self._axis = network.slice_axis if isinstance(network, UNet25D) else 2 if oriented else 0
        self._index = place[self._axis] - starts[self._axis] if network.rank == 3 else None
        self._padding = network.padding_for(self._sides)
        image = run.prepare.network_input(prepared.image)[self.part]
        if network.region_of_interest:
            # The region is looked at in the whole image's place.
            image = np.concatenate([image, image], axis=-1)
        self.input = mirror(image, self._padding)[np.newaxis]

    def covering(
        self, level: Sequence[int], size_of: Callable[[np.ndarray], Sequence[int]] | None = None
    ) -> list[np.ndarray]:
        """The place in a level's features of the value that covers each pixel of the part, along each axis.

        Args:
            level: the size of the level for the `input`.
            size_of: what it is for other inputs, which valid convolutions make us ask.
        """
        network, padded = self._network, self.input.shape[1:-1]
        if network.output_size(padded) == padded:
            factors = [_factor(*sides) for sides in zip(padded, level, network.stride, strict=True)]
            starts = [0.0] * len(padded)
        else:
            # Borders are lost on the way, so sizes tell no factor: but by a stride more of the input it grows exactly.
            assert size_of is not None
            larger = np.add(padded, network.stride)
            grown = np.subtract(size_of(np.zeros((1, *larger, network.channels), self.input.dtype)), level)
            factors = (np.array(network.stride) / grown).tolist()
            starts = ((np.array(padded) - np.multiply(level, factors)) / 2).tolist()
        return [
            np.clip((np.arange(side) + before + 0.5 - start) // factor, 0, of_level - 1).astype(int)
            for side, (before, _), start, factor, of_level in zip(
                self._sides, self._padding, starts, factors, level, strict=True
            )
        ]

    def view(
        self,
        image: np.ndarray,
        labels: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    ) -> View:
        """The slice of a prepared image [*size, channels], with truth and prediction."""
        image, size = image[self.part], image.shape[:-1]
        truth, prediction = (None if label is None else label[self.part] for label in labels)
        if self._index is None:
            title = "image" if self._sides == size else f"part of {' x '.join(map(str, size))} pixels"
            return View(picture(image), truth, prediction, (self._spacing[0], self._spacing[1]), title)
        view = slice_view(image, truth, prediction, self._axis, self._index, self._spacing, self._oriented)
        name, _, _number = view.title.partition(",")
        number, count = self.part[self._axis].start + self._index + 1, size[self._axis]
        return replace(view, title=f"{name}, slice {number} of {count}")

    def heat_map(
        self,
        values: np.ndarray,
        covering: Sequence[np.ndarray],
        limits: tuple[float, float] | None,
        title: str,
    ) -> HeatMap:
        """The slice of a map [*size of a level, 1], enlarged; without limits from the least to the greatest value."""
        shown = list(covering)
        if self._index is not None:
            shown[self._axis] = shown[self._axis][[self._index]]
        enlarged = values[np.ix_(*shown)]
        low, high = limits or (float(enlarged.min()), float(enlarged.max()))
        if self._index is None:
            view = View(picture(enlarged, (low, high)), pixel=(self._spacing[0], self._spacing[1]))
        else:
            view = slice_view(enlarged, None, None, self._axis, 0, self._spacing, self._oriented, (low, high))
        return HeatMap(view.picture, pixel=view.pixel, title=title, limits=(low, high))


def _factor(padded: int, level: int, stride: int) -> float:
    """The number of pixels that a value of a level covers along an axis: a divisor of the stride where one fits."""
    fitting = (
        factor for factor in range(1, stride + 1) if stride % factor == 0 and -(-padded // factor) == level
    )
    return next(fitting, padded / level)
