"""Blocks that decide where to look, written with operations."""

import math
from collections.abc import Sequence

import tensorflow as tf

from unet_common.resizing import upsample
from unet_lowlevel.ops import activate, convolution, max_pooling

v1 = tf.compat.v1


def attention_gate(x: tf.Tensor, gate: tf.Tensor, factor: Sequence[int], name: str) -> tf.Tensor:
    """Oktay et al. 2018, arXiv:1804.03999, figure 2: `x` times a mask in [0, 1] that depends on it and on `gate`.

    `gate` is a level deeper, smaller by `factor`. The mask is made there and interpolated, which keeps it in
    [0, 1]; a convolution after the sigmoid would not. Kernels are as large as the factor where x is brought to the
    gate's size, and half the channels are between, as in the authors' program; the mask starts at a half.
    """
    channels, one = max(x.shape[-1] // 2, 1), [1] * len(factor)
    with v1.variable_scope(name):
        of_x = convolution(x, channels, factor, "w_x", "valid", bias=False, stride=factor)
        of_gate = convolution(gate, channels, one, "w_g")
        mask = activate(convolution(activate(of_x + of_gate, "relu"), 1, one, "psi"), "sigmoid")
    return x * upsample(mask, factor, "linear")


def non_local_block(x: tf.Tensor, factor: Sequence[int], name: str) -> tf.Tensor:
    """Wang et al. 2018, arXiv:1711.07971, figure 2, embedded Gaussian: every pixel adds what it saw in all others.

    Those are pooled by `factor` first (section 3.3). The affinities take memory by the product of both numbers of
    pixels. They are divided by the root of the channels, as in the authors' program: the softmax of sums over
    many channels would be a maximum. All kernels start at random; the paper starts the last at zero where it adds
    blocks to a trained network.
    """
    channels, inner, one = x.shape[-1], max(x.shape[-1] // 2, 1), [1] * len(factor)
    with v1.variable_scope(name):
        others = max_pooling(x, factor)
        theta = convolution(x, inner, one, "theta", bias=False)
        phi = convolution(others, inner, one, "phi", bias=False)
        g = convolution(others, inner, one, "g", bias=False)
        affinities = tf.matmul(in_a_row(theta), in_a_row(phi), transpose_b=True) / math.sqrt(inner)
        seen = tf.reshape(tf.matmul(tf.nn.softmax(affinities), in_a_row(g)), tf.shape(theta))
        return x + convolution(tf.ensure_shape(seen, theta.shape), channels, one, "w_z", bias=False)


def in_a_row(x: tf.Tensor) -> tf.Tensor:
    """The pixels in a row: `[batch, *size, channels]` -> `[batch, pixels, channels]`."""
    return tf.reshape(x, [tf.shape(x)[0], -1, x.shape[-1]])
