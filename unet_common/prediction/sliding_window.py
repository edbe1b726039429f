"""Class probabilities of an image of any size: padding, overlapping tiles, mirrored copies.

Everything here works on a plain function `predict(images) -> logits`, so that the three
implementations share it, and on images and volumes alike.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
import scipy

from data.errors import UserError
from data.preprocessing.borders import reflected
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.symmetries import check_symmetries, views_of

# images [batch, *size, channels] float32 -> logits [batch, *output_size, classes]
Predict = Callable[[np.ndarray], np.ndarray]

# One piece, one view.
WHOLE = PredictionSettings()


class SlidingNetwork(Protocol):
    """The properties of a network that a sliding window needs; those of the catalogue have all of them."""

    @property
    def rank(self) -> int:
        """Spatial axes."""

    @property
    def classes(self) -> int:
        """Values per pixel of the output."""

    @property
    def multilabel(self) -> bool:
        """True if each of them has a sigmoid of its own."""

    @property
    def stride(self) -> tuple[int, ...]:
        """Pixels along each axis: a shift of the input by this shifts the output by as much."""

    @property
    def context(self) -> tuple[int, ...]:
        """Pixels along each axis: an output pixel depends on input pixels up to this far away."""

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Spatial size of the output for an input of spatial `size`."""

    def padding_for(self, size: tuple[int, ...]) -> list[tuple[int, int]]:
        """Pixels to add (before, after) on each axis so that the output covers an image of `size`."""

    def crop_after(self, size: tuple[int, ...]) -> tuple[slice, ...]:
        """The place of an image of `size`, padded by `padding_for(size)`, in the network's output."""


def probabilities(logits: np.ndarray, multilabel: bool = False) -> np.ndarray:
    """The probabilities of logits [..., classes]: sigmoid for one class or for each, softmax for more."""
    if multilabel or logits.shape[-1] == 1:
        return scipy.special.expit(logits)
    return scipy.special.softmax(logits, axis=-1)


def predict_slabs(
    predict: Predict,
    image: np.ndarray,
    network: SlidingNetwork,
    settings: PredictionSettings = WHOLE,
    axes: Sequence[int] | None = None,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Class probabilities of one image or volume of any size, slab after slab along the first axis.

    The image is continued by its own reflection to a size that the network accepts. Without `tile` it
    goes through the network in one piece. With `settings.tile`, overlapping pieces of the continued image do,
    and their probabilities are blended with weights that fall towards a tile's inner borders. What is
    held in memory is the image and the slab that tiles still add to, not the probabilities of everything.

    Tiles give what the whole image gives, up to rounding, where
    - the network uses valid convolutions: what others of it, such as transposed ones, see outside of a tile is little
      beside the tile, and tiles overlap by that whatever the settings say; or
    - tiles overlap by at least twice `network.context`: each discards the pixels that would have
      needed to look beyond its border.
    They cannot where the context is everything, as with instance or group normalisation, or kernels that are made for
    the place of a tile. With less overlap they differ
    near seams, little if the network's effective field of view is narrower than its theoretical one, as it usually is;
    then a pixel counts by a Gaussian of its distance from the tile's middle.

    Args:
        predict: logits of a batch, float32 [batch, *size, channels] -> [batch, *output, classes].
        image: [*size, channels], normalised as in training.
        network: its sizes, `stride` and `context`.
        settings: `tile` is the side of a tile's output, rounded up to what the network accepts; `overlap` becomes
            larger where the stride of the network asks for it. `symmetries`: also predict mirrored copies of each
            tile, mirror back and average. "flips": along every set of axes (4 in 2D, 8 in 3D); "all": with
            exchanged axes too, which adds the rotations by 90 degrees (8 in 2D, 48 in 3D; only where pixels are as
            long along every axis).
        axes: the axes that may be mirrored; None: all.
        batch_size: tiles that go through the network together.
        progress: called as progress(done, total) after every batch of tiles.

    Yields:
        (rows of the image, probabilities float32 [rows, *rest of the size, classes]), in order and without gaps.

    Raises:
        ValueError: the image's rank is not the network's.
        UserError: a tile with another number of axes, or an impossible `batch_size`; the result is not finite.
    """
    size = image.shape[:-1]
    if len(size) != network.rank:
        raise ValueError(f"image has shape {image.shape}, the network has rank {network.rank}")
    tile, symmetries = tile_sides(settings.tile, network.rank), settings.symmetries
    check_symmetries(symmetries, network)
    if batch_size < 1:
        raise UserError(f"batch size is {batch_size}: give at least 1.")

    padding = network.padding_for(size)
    whole = tuple(before + side + after for side, (before, after) in zip(size, padding, strict=True))
    inputs = _tile_input(network, tile or size, whole)
    outputs = network.output_size(inputs)
    # What a tile loses at its borders, the whole would lose: but a network need not take the whole.
    output = tuple(side - (given - left) for side, given, left in zip(whole, inputs, outputs, strict=True))
    sides = zip(inputs, outputs, output, network.stride, network.context, strict=True)
    rows, *rest = (_tiles_along(*of_axis, settings.overlap) for of_axis in sides)

    views = list(views_of(symmetries, network.rank, axes))
    crop = network.crop_after(size)
    across = list(product(*rest))
    done, total = 0, len(rows) * len(across)
    slab = np.zeros((rows[0].side, *output[1:], network.classes), np.float32)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        for first in range(0, len(across), batch_size):
            batch = [(row, *places) for places in across[first : first + batch_size]]
            images = np.stack([_cut(image, places, padding) for places in batch])
            values = _average_over_views(predict, images, views, network.multilabel)
            for places, value in zip(batch, values, strict=True):
                for axis, along in enumerate(places):
                    value *= along.weight.reshape(-1, *[1] * (network.rank - axis))
                slab[(slice(None), *(along.target for along in places[1:]))] += value
            done += len(batch)
            if progress is not None:
                progress(done, total)
        # No later tile reaches the rows before the next ones begin.
        ready = following.start - row.start if following else row.side
        first, last = max(row.start, crop[0].start), min(row.start + ready, crop[0].stop)
        if first < last:
            finished = slab[(slice(first - row.start, last - row.start), *crop[1:])]
            _require_finite(finished)
            yield slice(first - crop[0].start, last - crop[0].start), finished
        remaining = slab[ready:]
        slab = np.zeros_like(slab)
        slab[: len(remaining)] = remaining


def predict_probabilities(
    predict: Predict,
    image: np.ndarray,
    network: SlidingNetwork,
    settings: PredictionSettings = WHOLE,
    axes: Sequence[int] | None = None,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Class probabilities of one image or volume of any size: `predict_slabs` put together.

    Returns:
        [*size, classes] float32.
    """
    result = np.empty((*image.shape[:-1], network.classes), np.float32)
    for rows, slab in predict_slabs(predict, image, network, settings, axes, batch_size, progress):
        result[rows] = slab
    return result


def _cut(image: np.ndarray, places: Sequence["_Along"], padding: Sequence[tuple[int, int]]) -> np.ndarray:
    """A tile of the image, which is continued beyond its borders by reflection; float32."""
    lines = [
        reflected(np.arange(along.start, along.start + along.input_side) - before, side)
        for along, (before, _after), side in zip(places, padding, image.shape, strict=False)
    ]
    return image[np.ix_(*lines)].astype(np.float32, copy=False)


def _average_over_views(
    predict: Predict,
    images: np.ndarray,
    views: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
    multilabel: bool,
) -> np.ndarray:
    """Probabilities [batch, *output, classes] of tiles, the mean over their turned and mirrored copies."""
    rank = images.ndim - 2
    total: np.ndarray | None = None
    for axes, mirrored in views:
        order = (0, *(axis + 1 for axis in axes), rank + 1)
        mirrored = tuple(axis + 1 for axis in mirrored)
        logits = predict(np.flip(images.transpose(order), mirrored))
        result = probabilities(np.asarray(logits, np.float32), multilabel)
        result = np.flip(result, mirrored).transpose(np.argsort(order))
        total = result.copy() if total is None else total + result
    assert total is not None
    return total / np.float32(len(views))


def _require_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise UserError(
            "The prediction has values that are not finite numbers. Look for NaN in the image, or "
            "in the weights: a training whose loss became NaN leaves such weights."
        )


def _tile_input(network: SlidingNetwork, tile: Sequence[int], whole: Sequence[int]) -> tuple[int, ...]:
    """Sides of the piece that goes through the network for an output of `tile`, at most the `whole` image."""
    # Tiles of less than a stride would leave gaps between them.
    wanted = tuple(max(pair) for pair in zip(tile, network.stride, strict=True))
    accepted = [
        side + before + after
        for side, (before, after) in zip(wanted, network.padding_for(wanted), strict=True)
    ]
    # The last tile ends where the image does, and must begin whole strides away from the first.
    sides = zip(accepted, whole, network.stride, strict=True)
    return tuple(min(side + (full - side) % stride, full) for side, full, stride in sides)


@dataclass(frozen=True)
class _Along:
    """A tile along one axis: where its output begins, how much goes in, how much each pixel counts."""

    start: int
    input_side: int
    weight: np.ndarray

    @property
    def side(self) -> int:
        return len(self.weight)

    @property
    def target(self) -> slice:
        return slice(self.start, self.start + self.side)


def _tiles_along(
    input_side: int, side: int, output_side: int, stride: int, context: int, overlap: float
) -> list[_Along]:
    """Tiles along one axis that cover the output; their weights add up to 1 at every pixel.

    Because the weights of each axis add up to 1, so do their products over the axes, and no map of
    weights has to be kept.

    Args:
        input_side: of a tile, in pixels that enter the network.
        side: of a tile, in pixels that leave it.
        output_side: of the whole image.
        stride, context: of the network along this axis.
    """
    # A network with pooling is the same function at every tile only if tiles lie whole strides
    # apart. So do the whole image and a tile (`_tile_input`), and the last tile fits as well.
    strides = int(side * (1 - overlap)) // stride
    # Pixels closer to an inner border than this see the tile's zero padding, not the image.
    blind = max(context - (input_side - side) // 2, 0)
    # Valid convolutions see no padding, but others of the network may: these pixels are discarded, if a tile has more.
    if input_side > side and 2 * blind + stride <= side:
        strides = min(strides, (side - 2 * blind) // stride)
    step = max(strides, 1) * stride
    last = output_side - side
    starts = [*range(0, last, step), last]

    shared = side - step
    weights = np.zeros((len(starts), output_side))
    for weight, start in zip(weights, starts, strict=True):
        part = weight[start : start + side]
        if 2 * blind <= shared:
            part[:] = _window(side, shared, blind, rises=start > 0, falls=start < last)
        else:
            part[:] = _gaussian(side)
    weights /= weights.sum(axis=0)
    return [
        _Along(start, input_side, weight[start : start + side].astype(np.float32))
        for weight, start in zip(weights, starts, strict=True)
    ]


def _gaussian(side: int) -> np.ndarray:
    """Weights [side] around the middle, with a deviation of an eighth of the side (Isensee et al. 2021)."""
    position = np.arange(side) - (side - 1) / 2
    return np.exp(-0.5 * (position / (side / 8)) ** 2)


def _window(side: int, shared: int, discard: int, rises: bool, falls: bool) -> np.ndarray:
    """Weights [side]: 0 for `discard` pixels, a raised cosine over the shared ones, then 1."""
    width = max(shared - 2 * discard, 1)
    position = np.arange(side) - discard
    ramp = np.clip((position + 0.5) / width, 0, 1)
    rise = np.where(position >= 0, np.sin(np.pi / 2 * ramp) ** 2, 0)
    window = np.ones(side)
    if rises:
        window *= rise
    if falls:
        window *= rise[::-1]
    return window


def tile_sides(tile: int | Sequence[int] | None, rank: int) -> tuple[int, ...] | None:
    """The sides of a tile, one number an axis. Raises UserError if there are fewer or more."""
    if tile is None:
        return None
    sides = (tile,) * rank if isinstance(tile, int) else tuple(tile)
    if len(sides) != rank:
        raise UserError(f"tile is {tile}: give one side in pixels, or {rank} sides.")
    return sides
