"""From an image of any size to class probabilities: padding, overlapping tiles, mirrored copies.

Everything here works on a plain function `predict(images) -> logits`, so that the three
implementations share it, and on images and volumes alike.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product
from typing import Literal, Protocol

import numpy as np
from scipy.special import expit, softmax

from data.errors import UserError

# images [batch, *size, channels] float32 -> logits [batch, *output_size, classes]
Predict = Callable[[np.ndarray], np.ndarray]


class Network(Protocol):
    """What prediction asks of a network; those of the catalogue know all of it."""

    rank: int  # spatial axes
    classes: int  # values per pixel of the output
    stride: tuple[int, ...]  # along each axis: a shift of the input by this shifts the output by as much
    context: tuple[int, ...]  # along each axis: an output pixel depends on input pixels up to this far away

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]: ...
    def padding_for(self, size: tuple[int, ...]) -> list[tuple[int, int]]: ...
    def crop_after(self, size: tuple[int, ...]) -> tuple[slice, ...]: ...


def probabilities(logits: np.ndarray) -> np.ndarray:
    """[..., classes] logits to probabilities: sigmoid for one class, softmax for more."""
    return expit(logits) if logits.shape[-1] == 1 else softmax(logits, axis=-1)


def label_map(probability: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Class index of each pixel.

    Args:
        probability: [*size, classes].
        threshold: for one class: a pixel is 1 from this probability on. Not used for more classes.

    Returns:
        [*size] uint8 (int32 above 256 classes): 0 or 1 for one class, else the likeliest class.
    """
    classes = probability.shape[-1]
    if classes == 1:
        return (probability[..., 0] >= threshold).astype(np.uint8)
    return np.argmax(probability, axis=-1).astype(np.uint8 if classes <= 256 else np.int32)


def predict_probabilities(
    predict: Predict,
    image: np.ndarray,
    network: Network,
    tile: int | Sequence[int] | None = None,
    overlap: float = 0.5,
    symmetries: Literal["none", "flips", "all"] = "none",
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Class probabilities of one image or volume of any size.

    The image is padded by its own reflection to a size that the network accepts. Without `tile` it
    goes through the network in one piece. With `tile`, overlapping pieces of the padded image do,
    and their probabilities are blended with weights that fall to zero towards a tile's inner
    borders.

    Tiles give what the whole image gives, up to rounding, where
    - the network uses valid convolutions (it looks at nothing outside of a tile), or
    - tiles overlap by at least twice `network.context`: each discards the pixels that would have
      needed to look beyond its border.
    With less overlap they differ near seams, little if the network's effective field of view is
    narrower than its theoretical one, as it usually is.

    Args:
        predict: logits of a batch, float32 [batch, *size, channels] -> [batch, *output, classes].
        image: [*size, channels], normalised as in training.
        network: its sizes, `stride` and `context`.
        tile: side of a tile's output in pixels, one for all axes or one each; rounded up to what
            the network accepts. None: one piece. Memory grows with the tile, not with the image,
            save for the image and its probabilities.
        overlap: of neighbouring tiles, as part of their side, at least 0 and below 1; it becomes
            larger where the stride of the network asks for it.
        symmetries: also predict mirrored copies, mirror back and average. "flips": along every set
            of axes (4 in 2D, 8 in 3D); "all": with exchanged axes too, which adds the rotations by
            90 degrees (8 in 2D, 48 in 3D; only where pixels are as long along every axis).
        batch_size: tiles that go through the network together.
        progress: called as progress(done, total) after every batch of tiles.

    Returns:
        [*size, classes] float32.

    Raises:
        ValueError: the image's rank is not the network's.
        UserError: an impossible `tile`, `overlap` or `batch_size`; the result is not finite.
    """
    size = image.shape[:-1]
    if len(size) != network.rank:
        raise ValueError(f"image has shape {image.shape}, the network has rank {network.rank}")
    tile = _tile_sides(tile, network.rank)
    if not 0 <= overlap < 1:
        raise UserError(f"overlap is {overlap}: give a part of the tile, at least 0 and below 1.")
    if batch_size < 1:
        raise UserError(f"batch size is {batch_size}: give at least 1.")

    views = list(_symmetries(symmetries, network.rank))
    total = np.zeros((*size, network.classes), np.float32)
    for number, (axes, mirrored) in enumerate(views):
        view = np.flip(image.transpose(*axes, network.rank), mirrored)
        view_tile = tile and tuple(tile[axis] for axis in axes)
        report = _shifted(progress, number, len(views))
        result = _predict_view(predict, view, network, view_tile, overlap, batch_size, report)
        total += np.flip(result, mirrored).transpose(*np.argsort(axes), network.rank)
    total /= len(views)

    if not np.isfinite(total).all():
        raise UserError(
            "The prediction has values that are not finite numbers. Look for NaN in the image, or "
            "in the weights: a training whose loss became NaN leaves such weights."
        )
    return total


def _predict_view(
    predict: Predict,
    image: np.ndarray,
    network: Network,
    tile: tuple[int, ...] | None,
    overlap: float,
    batch_size: int,
    progress: Callable[[int, int], None],
) -> np.ndarray:
    size = image.shape[:-1]
    padding = network.padding_for(size)
    padded = np.pad(image.astype(np.float32), [*padding, (0, 0)], mode="reflect")
    whole = padded.shape[:-1]
    output = network.output_size(whole)
    # Tiles of less than a stride would leave gaps between them.
    wanted = [max(pair) for pair in zip(tile or size, network.stride, strict=True)]
    accepted = [
        side + before + after
        for side, (before, after) in zip(wanted, network.padding_for(tuple(wanted)), strict=True)
    ]
    inputs = tuple(min(sides) for sides in zip(accepted, whole, strict=True))
    outputs = network.output_size(inputs)
    grid = [
        _tiles_along(*sides, overlap)
        for sides in zip(inputs, outputs, output, network.stride, network.context, strict=True)
    ]

    result = np.zeros((*output, network.classes), np.float32)
    tiles = list(product(*grid))
    for first in range(0, len(tiles), batch_size):
        batch = tiles[first : first + batch_size]
        images = np.stack([padded[tuple(along.source for along in places)] for places in batch])
        values = probabilities(np.asarray(predict(images), np.float32))
        for places, value in zip(batch, values, strict=True):
            for axis, along in enumerate(places):
                value = value * along.weight.reshape(-1, *[1] * (network.rank - axis))
            result[tuple(along.target for along in places)] += value
        progress(min(first + batch_size, len(tiles)), len(tiles))
    return result[network.crop_after(size)]


class _Along:
    """A tile along one axis: where its pixels come from, where they go, how much they count."""

    def __init__(self, start: int, input_side: int, weight: np.ndarray):
        self.source = slice(start, start + input_side)
        self.target = slice(start, start + len(weight))
        self.weight = weight


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
    # apart. All sizes it accepts are whole strides apart too, so the last tile fits as well.
    strides = int(side * (1 - overlap)) // stride
    step = max(strides, 1) * stride
    last = output_side - side
    starts = [*range(0, last, step), last]

    # Pixels closer to an inner border than this see the tile's zero padding, not the image.
    blind = max(context - (input_side - side) // 2, 0)
    shared = side - step
    discard = blind if 2 * blind <= shared else shared // 4
    weights = np.zeros((len(starts), output_side))
    for weight, start in zip(weights, starts, strict=True):
        weight[start : start + side] = _window(side, shared, discard, rises=start > 0, falls=start < last)
    weights /= weights.sum(axis=0)
    return [
        _Along(start, input_side, weight[start : start + side].astype(np.float32))
        for weight, start in zip(weights, starts, strict=True)
    ]


def _window(side: int, shared: int, discard: int, rises: bool, falls: bool) -> np.ndarray:
    """[side] weights: 0 for `discard` pixels, a raised cosine over the shared ones, then 1."""
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


def _tile_sides(tile: int | Sequence[int] | None, rank: int) -> tuple[int, ...] | None:
    if tile is None:
        return None
    sides = (tile,) * rank if isinstance(tile, int) else tuple(tile)
    if len(sides) != rank or min(sides) < 1:
        raise UserError(f"tile is {tile}: give one side in pixels, or {rank} sides, each at least 1.")
    return sides


def _symmetries(kind: str, rank: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(order of the axes, axes to mirror after that) of every view to predict."""
    orders = permutations(range(rank)) if kind == "all" else [tuple(range(rank))]
    for axes in orders:
        for mirror in product([False, True], repeat=rank) if kind != "none" else [(False,) * rank]:
            yield axes, tuple(axis for axis in range(rank) if mirror[axis])


def _shifted(
    progress: Callable[[int, int], None] | None, number: int, views: int
) -> Callable[[int, int], None]:
    """Progress over all views, from the progress of one of them."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(number * total + done, views * total)

    return report
