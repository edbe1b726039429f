"""Images enlarged, cropped and padded without weights: plain TensorFlow for graphs and eager mode, of any rank.

TensorFlow's own `resize_bilinear` knows images only, gives float32 whatever it gets, and in its first form has a
third grid that nothing else has; volumes it does not know.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

Grid = Literal["nearest", "linear", "corners"]
"""Where the pixels of the new image lie in the old one.

nearest, linear: pixels are areas, and the borders of both images coincide (half-pixel centres).
corners: pixels are points, and the first and last of both images coincide (`align_corners` in PyTorch).
"""


def resize(x: tf.Tensor, size: Sequence[int | None] | tf.Tensor, grid: Grid) -> tf.Tensor:
    """Resize `[batch, *old size, channels]` to `[batch, *size, channels]`, one axis after the other."""
    for axis in range(1, x.shape.rank - 1):
        x = _resize_axis(x, axis, size[axis - 1], grid)
    return x


def upsample(x: tf.Tensor, factor: Sequence[int], grid: Grid) -> tf.Tensor:
    """Enlarge each axis by its `factor`, without weights."""
    sides = [None if side is None else side * step for side, step in zip(x.shape[1:-1], factor, strict=True)]
    resized = resize(x, tf.shape(x)[1:-1] * factor, grid)
    return tf.ensure_shape(resized, [x.shape[0], *sides, x.shape[-1]])


def upsample_like(x: tf.Tensor, like: tf.Tensor, grid: Grid) -> tf.Tensor:
    """Enlarge to the spatial size of `like`, without weights."""
    resized = resize(x, tf.shape(like)[1:-1], grid)
    return tf.ensure_shape(resized, [*like.shape[:-1], x.shape[-1]])


def average_blocks(x: tf.Tensor, side: int) -> tf.Tensor:
    """Mean of blocks of `side` voxels along each axis. TensorFlow's pooling of volumes has no float64 kernel."""
    sides = [None if length is None else length // side for length in x.shape[1:-1]]
    means = x
    for axis in range(1, x.shape.rank - 1):  # one by one: TensorFlow has no gradient for eight axes at once
        size = tf.shape(means)
        blocks = tf.concat([size[:axis], [size[axis] // side, side], size[axis + 1 :]], 0)
        means = tf.reduce_mean(tf.reshape(means, blocks), axis + 1)
    return tf.ensure_shape(means, [x.shape[0], *sides, x.shape[-1]])


def linear_kernel(shape: Sequence[int]) -> np.ndarray:
    """The kernel `[*sides, channels, channels]` of a transposed convolution that is the grid `linear`.

    It enlarges by half of its (even) sides. At the image's borders the two differ: beyond them the convolution
    sees zeros, where `resize` repeats the last pixel.
    """
    *sides, filters, channels = shape
    weights = np.ones(())
    for side in sides:
        factor = (side + 1) // 2
        middle = factor - 1 if side % 2 else factor - 0.5
        weights = np.multiply.outer(weights, 1 - np.abs(np.arange(side) - middle) / factor)
    return np.multiply.outer(weights, np.eye(filters, channels))  # each channel from itself


def bilinear(
    shape: Sequence[int], dtype: tf.DType | str | None = None, partition_info: None = None
) -> tf.Tensor:
    """Initialiser of a transposed convolution that interpolates linearly, until it is trained to do better."""
    return tf.constant(linear_kernel(shape), dtype)


def crop(skip: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """The middle of `skip`, as large as `x`: valid convolutions have cost `x` its borders."""
    size = tf.shape(x)[1:-1]
    start = (tf.shape(skip)[1:-1] - size) // 2
    cropped = tf.slice(skip, tf.concat([[0], start, [0]], 0), tf.concat([[-1], size, [-1]], 0))
    return tf.ensure_shape(cropped, [*x.shape[:-1], skip.shape[-1]])


def crop_end(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """The part of `x` as large as `like`, from the start of each axis: what lies beyond the image's end is cut off."""
    size = tf.shape(like)[1:-1]
    cropped = tf.slice(x, [0] * x.shape.rank, tf.concat([[-1], size, [-1]], 0))
    return tf.ensure_shape(cropped, [*like.shape[:-1], x.shape[-1]])


def pad(x: tf.Tensor, before: int, after: int) -> tf.Tensor:
    """Add zeros around each image: so many pixels at the start and at the end of every axis."""
    return tf.pad(x, [[0, 0], *[[before, after]] * (x.shape.rank - 2), [0, 0]])


def pad_channels(x: tf.Tensor, channels: int) -> tf.Tensor:
    """Add zeros as further channels, up to `channels` in all."""
    return tf.pad(x, [*[[0, 0]] * (x.shape.rank - 1), [0, channels - x.shape[-1]]])


def _resize_axis(x: tf.Tensor, axis: int, length: int | tf.Tensor, grid: Grid) -> tf.Tensor:
    old = tf.shape(x)[axis]
    last = tf.cast(old - 1, tf.float64)
    steps, new = tf.range(tf.cast(length, tf.float64), dtype=tf.float64), tf.cast(length, tf.float64)
    if grid == "corners":
        position = steps * last / tf.maximum(new - 1, 1)
    else:
        position = (steps + 0.5) * tf.cast(old, tf.float64) / new - 0.5
    if grid == "nearest":
        return tf.gather(x, tf.cast(tf.math.floor(position + 0.5), tf.int32), axis=axis)
    position = tf.clip_by_value(position, 0, last)
    lower = tf.math.floor(position)
    weight = tf.reshape(tf.cast(position - lower, x.dtype), [-1] + [1] * (x.shape.rank - 1 - axis))
    below = tf.gather(x, tf.cast(lower, tf.int32), axis=axis)
    above = tf.gather(x, tf.cast(tf.minimum(lower + 1, last), tf.int32), axis=axis)
    return below + weight * (above - below)
