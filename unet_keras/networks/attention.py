"""Blocks that decide where to look, written with Keras 3."""

import math
from collections.abc import Sequence

import keras
from keras import layers, ops

from unet_keras.layers import MaxPooling3D, ReshapeLike, Upsample


def attention_gate(
    x: keras.KerasTensor, gate: keras.KerasTensor, factor: Sequence[int], name: str
) -> keras.KerasTensor:
    """Oktay et al. 2018, arXiv:1804.03999, figure 2: `x` times a mask in [0, 1] that depends on it and on `gate`.

    `gate` is a level deeper, smaller by `factor`. The mask is made there and interpolated, which keeps it in
    [0, 1]; a convolution after the sigmoid would not. Kernels are as large as the factor where x is brought to the
    gate's size, and half the channels are between, as in the authors' program; the mask starts at a half.
    """
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[len(factor)]
    channels = max(x.shape[-1] // 2, 1)
    of_x = Conv(
        channels, kernel_size=factor, strides=factor, padding="valid", use_bias=False, name=f"{name}.w_x"
    )(x)
    of_gate = Conv(channels, kernel_size=1, name=f"{name}.w_g")(gate)
    both = layers.ReLU()(layers.Add()([of_x, of_gate]))
    mask = layers.Activation("sigmoid")(Conv(1, kernel_size=1, name=f"{name}.psi")(both))
    return layers.Multiply()([x, Upsample(factor, "linear")(mask)])


def non_local_block(x: keras.KerasTensor, factor: Sequence[int], name: str) -> keras.KerasTensor:
    """Wang et al. 2018, arXiv:1711.07971, figure 2, embedded Gaussian: every pixel adds what it saw in all others.

    Those are pooled by `factor` first (section 3.3). The affinities take memory by the product of both numbers of
    pixels. They are divided by the root of the channels, as in the authors' program: the softmax of sums over
    many channels would be a maximum. All kernels start at random; the paper starts the last at zero where it adds
    blocks to a trained network.
    """
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[len(factor)]
    MaxPooling = {2: layers.MaxPooling2D, 3: MaxPooling3D}[len(factor)]
    channels, inner = x.shape[-1], max(x.shape[-1] // 2, 1)
    others = MaxPooling(factor)(x)
    theta = Conv(inner, kernel_size=1, use_bias=False, name=f"{name}.theta")(x)
    phi = Conv(inner, kernel_size=1, use_bias=False, name=f"{name}.phi")(others)
    g = Conv(inner, kernel_size=1, use_bias=False, name=f"{name}.g")(others)
    affinities = ops.matmul(in_a_row(theta), ops.swapaxes(in_a_row(phi), 1, 2)) / math.sqrt(inner)
    seen = ReshapeLike()(ops.matmul(ops.softmax(affinities), in_a_row(g)), theta)
    return layers.Add()([x, Conv(channels, kernel_size=1, use_bias=False, name=f"{name}.w_z")(seen)])


def in_a_row(x: keras.KerasTensor) -> keras.KerasTensor:
    """The pixels in a row: `[batch, *size, channels]` -> `[batch, pixels, channels]`."""
    return layers.Reshape([-1, x.shape[-1]])(x)
