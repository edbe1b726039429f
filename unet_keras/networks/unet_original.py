"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597, figure 1) to the letter, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNetOriginal
from unet_common.resizing import crop
from unet_keras.layers import Randomness, activate, convolution, dropout, max_pooling, upsample


class ConvolutionBlock(layers.Layer):
    """The blue arrows of the figure: two 3 x 3 convolutions without padding, each with a ReLU."""

    def __init__(self, filters, randomness: Randomness, name):
        super().__init__(name=name)
        self.convolutions = [convolution(2, filters, [3, 3], randomness, f"conv{i}", "valid") for i in (1, 2)]

    def call(self, x):
        for convolve in self.convolutions:
            x = activate(convolve(x), "relu")
        return x


class DecoderBlock(ConvolutionBlock):
    """Green and grey arrows: up-convolution, then the middle of the encoder's features beside it."""

    def __init__(self, filters, randomness: Randomness, name):
        super().__init__(filters, randomness, name)
        self.enlarge = upsample([2, 2], "nearest")
        self.up = convolution(2, filters, [2, 2], randomness, "up")

    def call(self, x, skip):
        x = activate(self.up(self.enlarge(x)), "relu")
        x = keras.ops.concatenate([crop(skip, x), x], axis=-1)
        return super().call(x)


def head(network: UNetOriginal, randomness: Randomness, name: str) -> layers.Layer:
    """The 1 x 1 convolution: a logit for each class."""
    return convolution(2, network.classes, [1, 1], randomness, name)


def unet_original(
    images: keras.KerasTensor, network: UNetOriginal, randomness: Randomness
) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *smaller size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        skips.append(ConvolutionBlock(network.filters_at(level), randomness, f"encoder{level}")(x))
        x = max_pooling([2, 2])(skips[-1])
    x = ConvolutionBlock(network.filters_at(network.depth), randomness, "bottleneck")(x)
    # "At the end of the contracting path", section 3.1.
    x = dropout(network.dropout, randomness, "dropout")(x)
    for level in reversed(range(1, network.depth)):
        x = DecoderBlock(network.filters_at(level), randomness, f"decoder{level}")(x, skips.pop())
    return head(network, randomness, "head")(x)
