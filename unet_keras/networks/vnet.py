"""The V-Net of Milletari et al. 2016 (arXiv:1606.04797, figure 2), written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import VNet
from unet_common.resizing import pad_channels
from unet_keras.layers import (
    Randomness,
    activate,
    batch_normalisation,
    convolution,
    prelu,
    transposed_convolution,
)


class ConvolutionUnit(layers.Layer):
    """A convolution of the figure, which keeps the size or moves down or up a level, with its PReLU."""

    def __init__(self, direction, filters, network: VNet, randomness: Randomness, name):
        super().__init__(name=name)
        rank, two = network.rank, [2] * network.rank
        if direction == "keep":
            self.conv = convolution(rank, filters, [network.kernel_size] * rank, randomness, "conv")
        elif direction == "down":
            self.conv = convolution(rank, filters, two, randomness, "conv", stride=2)
        else:
            self.conv = transposed_convolution(rank, filters, two, randomness, "conv")
        self.norm = batch_normalisation("norm")
        self.prelu = None
        if network.prelu != "none":
            self.prelu = prelu("prelu", per_pixel=network.prelu == "element")

    def call(self, x, training=None):
        x = self.norm(self.conv(x), training=training)
        return self.prelu(x) if self.prelu else activate(x, "relu")


class ResidualStage(layers.Layer):
    """The boxes of the figure: up to three convolutions, to whose result is added what the stage started from."""

    def __init__(self, level, filters, network: VNet, randomness: Randomness, name):
        super().__init__(name=name)
        self.units = [
            ConvolutionUnit("keep", filters, network, randomness, f"unit{i}")
            for i in range(1, network.convolutions_at(level) + 1)
        ]

    def call(self, x, start, training=None):
        for unit in self.units:
            x = unit(x, training=training)
        return add(x, start)


def add(x: keras.KerasTensor, y: keras.KerasTensor) -> keras.KerasTensor:
    """The sum; whichever has fewer channels gets more, of zeros."""
    channels = max(x.shape[-1], y.shape[-1])
    return pad_channels(x, channels) + pad_channels(y, channels)


def vnet(images: keras.KerasTensor, network: VNet, randomness: Randomness) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    if network.fixed_size:  # the slopes of elements have to know it
        x = layers.Reshape([*network.fixed_size, network.channels])(x)
    for level in range(1, network.depth):
        filters = network.filters_at(level)
        skips.append(ResidualStage(level, filters, network, randomness, f"encoder{level}")(x, x))
        x = ConvolutionUnit("down", 2 * filters, network, randomness, f"down{level}")(skips[-1])
    filters = network.filters_at(network.depth)
    x = ResidualStage(network.depth, filters, network, randomness, "bottleneck")(x, x)
    for level in reversed(range(1, network.depth)):
        filters = network.filters_at(level)
        up = ConvolutionUnit("up", filters, network, randomness, f"up{level}")(x)
        x = keras.ops.concatenate([skips.pop(), up], axis=-1)
        x = ResidualStage(level, 2 * filters, network, randomness, f"decoder{level}")(x, up)
    return convolution(network.rank, network.classes, [1] * network.rank, randomness, "head")(x)
