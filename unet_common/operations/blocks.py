"""Blocks of two pre-activated convolutions: plain, residual, and reversible, whose inputs need not be kept.

The functions compute; the variables are made by the three packages, each in its own way.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf


class Unit(NamedTuple):
    """The weights of a normalisation and the convolution behind it."""

    gamma: tf.Tensor
    beta: tf.Tensor
    kernel: tf.Tensor


Block = tuple[Unit, Unit]
Computation = Callable[[tf.Tensor, Unit], tf.Tensor]


def pre_activated_convolution(x: tf.Tensor, unit: Unit, groups: int, dilation: int) -> tf.Tensor:
    """Group normalisation (Wu & He 2018, arXiv:1803.08494), leaky ReLU, convolution without a bias.

    `[batch, *size, channels]` keeps its shape.
    """
    size = tf.shape(x)
    grouped = tf.reshape(x, tf.concat([size[:-1], [groups, x.shape[-1] // groups]], 0))
    mean, variance = tf.nn.moments(grouped, [1, 2, 3, 5], keepdims=True)
    standard = tf.reshape((grouped - mean) * tf.math.rsqrt(variance + 1e-5), size)
    active = tf.nn.leaky_relu(standard * unit.gamma + unit.beta, alpha=0.01)
    convolved = tf.nn.convolution(
        active, unit.kernel, padding="SAME", dilations=[dilation] * 3, data_format="NDHWC"
    )
    return tf.ensure_shape(convolved, x.shape)


def block_sequence(
    x: tf.Tensor, blocks: Sequence[Block], kind: str, compute: Computation, recompute: bool
) -> tf.Tensor:
    """Apply `blocks` of a `kind` (plain, residual, reversible) one after the other: the shape is kept.

    Args:
        compute: what the two units of a block do.
        recompute: of reversible blocks only the sequence's output is kept for the gradient.
    """
    if kind == "reversible":
        return reversible_sequence(x, blocks, compute, recompute)
    for first, second in blocks:
        change = compute(compute(x, first), second)
        x = x + change if kind == "residual" else change
    return x


def reversible_sequence(
    x: tf.Tensor, blocks: Sequence[Block], compute: Computation, recompute: bool
) -> tf.Tensor:
    """Apply blocks of two coupled halves of the channels (Gomez et al. 2017, arXiv:1707.04585).

    y1 = x1 + F(x2) and y2 = x2 + G(y1), so x2 = y2 - G(y1) and x1 = y1 - F(x2): the gradient takes the blocks from the
    last to the first and finds the inputs of each from its outputs. All it needs between the passes is the output of
    the sequence, however long that is.
    """
    if not recompute:
        return _coupled(x, blocks, compute)

    @tf.custom_gradient
    def sequence(
        x: tf.Tensor, *flat: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
        units = [Unit(*flat[i : i + 3]) for i in range(0, len(flat), 3)]
        y = _coupled(x, list(zip(units[::2], units[1::2], strict=True)), compute)

        def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, ...]:
            y1, y2 = tf.split(_after(dy, y), 2, -1)
            dy1, dy2 = tf.split(dy, 2, -1)
            of_units: list[tf.Tensor] = []
            for f, g in reversed(list(zip(units[::2], units[1::2], strict=True))):
                value, dy1_more, of_g = _value_and_gradients(compute, y1, g, dy2)
                x2, dx1 = y2 - value, dy1 + dy1_more
                value, dx2_more, of_f = _value_and_gradients(compute, x2, f, dx1)
                y1, y2, dy1, dy2 = y1 - value, x2, dx1, dy2 + dx2_more
                of_units = [*of_f, *of_g, *of_units]
            return tf.concat([dy1, dy2], -1), *of_units

        return y, gradient

    return sequence(x, *[tf.convert_to_tensor(weight) for f, g in blocks for weight in (*f, *g)])


def _coupled(x: tf.Tensor, blocks: Sequence[Block], compute: Computation) -> tf.Tensor:
    x1, x2 = tf.split(x, 2, -1)
    for f, g in blocks:
        x1 = x1 + compute(x2, f)
        x2 = x2 + compute(x1, g)
    return tf.concat([x1, x2], -1)


def _value_and_gradients(
    compute: Computation, x: tf.Tensor, unit: Unit, dy: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Value of a unit, and the gradients of its input and weights.

    In a graph nothing says when to compute what has no dependence on the gradient: without a wait for `dy` all would
    be recomputed at once, or merged with the same expression of the forward pass, and be kept after all. And the next
    unit waits for all the gradients of this one, which hold its activations.
    """
    x = _after(dy, x)
    with tf.GradientTape() as tape:
        tape.watch([x, *unit])
        value = compute(x, unit)
    dx, *of_unit = tape.gradient(value, [x, *unit], output_gradients=dy)
    with tf.control_dependencies([dx, *of_unit]):
        return tf.identity(value), tf.identity(dx), of_unit


def _after(event: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([event]):
        return tf.identity(x)
