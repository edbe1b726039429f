"""Blocks that decide where to look, written with Keras 3."""

import math

import keras
from keras import layers

from unet_keras.layers import Randomness, activate, convolution, max_pooling, upsample


class AttentionGate(layers.Layer):
    """Oktay et al. 2018, arXiv:1804.03999, figure 2: `x` times a mask in [0, 1] that depends on it and on `gate`.

    `gate` is a level deeper, smaller by `factor`. The mask is made there and interpolated, which keeps it in
    [0, 1]; a convolution after the sigmoid would not. Kernels are as large as the factor where x is brought to the
    gate's size, and half the channels are between, as in the authors' program; the mask starts at a half.
    """

    def __init__(self, filters, factor, randomness: Randomness, name):
        super().__init__(name=name)
        rank, channels, one = len(factor), max(filters // 2, 1), [1] * len(factor)
        self.w_x = convolution(rank, channels, factor, randomness, "w_x", "valid", bias=False, stride=factor)
        self.w_g = convolution(rank, channels, one, randomness, "w_g")
        self.psi = convolution(rank, 1, one, randomness, "psi")
        self.upsample = upsample(factor, "linear")

    def call(self, x, gate):
        mask = activate(self.psi(activate(self.w_x(x) + self.w_g(gate), "relu")), "sigmoid")
        return x * self.upsample(mask)


class NonLocalBlock(layers.Layer):
    """Wang et al. 2018, arXiv:1711.07971, figure 2, embedded Gaussian: every pixel adds what it saw in all others.

    Those are pooled by `factor` first (section 3.3). The affinities take memory by the product of both numbers of
    pixels. They are divided by the root of the channels, as in the authors' program: the softmax of sums over
    many channels would be a maximum. All kernels start at random; the paper starts the last at zero where it adds
    blocks to a trained network.
    """

    def __init__(self, filters, factor, randomness: Randomness, name):
        super().__init__(name=name)
        rank, self.inner, one = len(factor), max(filters // 2, 1), [1] * len(factor)
        self.pool = max_pooling(factor)
        self.theta = convolution(rank, self.inner, one, randomness, "theta", bias=False)
        self.phi = convolution(rank, self.inner, one, randomness, "phi", bias=False)
        self.g = convolution(rank, self.inner, one, randomness, "g", bias=False)
        self.w_z = convolution(rank, filters, one, randomness, "w_z", bias=False)

    def call(self, x):
        others, theta = self.pool(x), self.theta(x)
        phi, g = in_a_row(self.phi(others)), in_a_row(self.g(others))
        affinities = keras.ops.matmul(in_a_row(theta), keras.ops.swapaxes(phi, 1, 2)) / math.sqrt(self.inner)
        seen = keras.ops.reshape(keras.ops.matmul(keras.ops.softmax(affinities), g), keras.ops.shape(theta))
        return x + self.w_z(seen)


def in_a_row(x: keras.KerasTensor) -> keras.KerasTensor:
    """`[batch, *size, channels]` -> `[batch, pixels, channels]`."""
    return keras.ops.reshape(x, [keras.ops.shape(x)[0], -1, x.shape[-1]])
