"""Images enlarged without weights: plain TensorFlow operations for graphs and eager mode, any rank and precision.

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
    """`[batch, *old size, channels]` -> `[batch, *size, channels]`, one axis after the other."""
    for axis in range(1, x.shape.rank - 1):
        x = _resize_axis(x, axis, size[axis - 1], grid)
    return x


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
