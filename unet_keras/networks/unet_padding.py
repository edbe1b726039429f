"""The U-Net (Ronneberger et al. 2015, arXiv:1505.04597), padded and with batch norms, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNetPadding
from unet_keras.layers import (
    Randomness,
    activate,
    batch_normalisation,
    convolution,
    max_pooling,
    upsample,
)


class ConvolutionBlock(layers.Layer):
    """Two 3 x 3 convolutions, each normalised and with a ReLU; maybe a shortcut around them."""

    def __init__(self, filters, network: UNetPadding, randomness: Randomness, name):
        super().__init__(name=name)
        self.convolutions = [convolution(2, filters, [3, 3], randomness, f"conv{i}") for i in (1, 2)]
        self.norms = [batch_normalisation(f"norm{i}") for i in (1, 2)]
        self.shortcut = None
        if network.residual:
            self.shortcut = convolution(2, filters, [1, 1], randomness, "shortcut")

    def call(self, x, training=None):
        shortcut = x
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            x = activate(norm(convolve(x), training=training), "relu")
        if self.shortcut is not None:
            x += self.shortcut(shortcut)
        return x


class DecoderBlock(ConvolutionBlock):
    """Up-convolution, the encoder's features of the same resolution beside it, convolutions."""

    def __init__(self, filters, network: UNetPadding, randomness: Randomness, name):
        super().__init__(filters, network, randomness, name)
        self.enlarge = upsample([2, 2], "nearest")
        self.up = convolution(2, filters, [2, 2], randomness, "up")

    def call(self, x, skip, training=None):
        x = activate(self.up(self.enlarge(x)), "relu")
        x = keras.ops.concatenate([x, skip], axis=-1)
        return super().call(x, training=training)


def head(network: UNetPadding, randomness: Randomness, name: str) -> layers.Layer:
    """The 1 x 1 convolution: a logit for each class."""
    return convolution(2, network.classes, [1, 1], randomness, name)


def unet_padding(
    images: keras.KerasTensor, network: UNetPadding, randomness: Randomness
) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        skips.append(ConvolutionBlock(network.filters_at(level), network, randomness, f"encoder{level}")(x))
        x = max_pooling([2, 2])(skips[-1])
    x = ConvolutionBlock(network.filters_at(network.depth), network, randomness, "bottleneck")(x)
    for level in reversed(range(1, network.depth)):
        block = DecoderBlock(network.filters_at(level), network, randomness, f"decoder{level}")
        x = block(x, skips.pop())
    return head(network, randomness, "head")(x)
