"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597, figure 1), written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNet
from unet_keras.layers import (
    Randomness,
    activate,
    batch_normalisation,
    convolution,
    crop,
    dropout,
    max_pooling,
    transposed_convolution,
)


class ConvolutionBlock(layers.Layer):
    """The blue arrows of the figure: convolution, normalisation, activation, dropout, twice."""

    def __init__(self, filters, network: UNet, randomness: Randomness, name):
        super().__init__(name=name)
        self.activation, self.padding = network.activation, network.padding
        normalise = network.normalisation == "batch"
        self.convolutions, self.normalisations, self.dropouts = [], [], []
        for i in range(1, network.convolutions + 1):
            # A bias would be taken off again by the normalisation's mean.
            self.convolutions.append(
                convolution(
                    network.rank,
                    filters,
                    network.kernel_size,
                    randomness,
                    f"conv{i}",
                    network.padding,
                    bias=not normalise,
                )
            )
            self.normalisations.append(batch_normalisation(f"norm{i}") if normalise else layers.Identity())
            self.dropouts.append(dropout(network.dropout, randomness, f"dropout{i}"))

    def call(self, x, training=None):
        for convolve, normalise, drop in zip(
            self.convolutions, self.normalisations, self.dropouts, strict=True
        ):
            x = activate(normalise(convolve(x), training=training), self.activation)
            x = drop(x, training=training)
        return x


class DecoderBlock(ConvolutionBlock):
    """Green and grey arrows: up-convolution, then the encoder's features of the same resolution beside it.

    A block that is more than a convolution block, not one that has one: so `conv1` stays `decoder1/conv1`.
    """

    def __init__(self, filters, network: UNet, randomness: Randomness, name):
        super().__init__(filters, network, randomness, name)
        self.up = transposed_convolution(network.rank, filters, randomness, "up")

    def call(self, x, skip, training=None):
        x = self.up(x)
        if self.padding == "valid":
            skip = crop(skip, x)
        x = keras.ops.concatenate([skip, x], axis=-1)
        return super().call(x, training=training)


def unet(images: keras.KerasTensor, network: UNet, randomness: Randomness) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        skip = ConvolutionBlock(network.filters_at(level), network, randomness, f"encoder{level}")(x)
        skips.append(skip)
        x = max_pooling()(skip)
    x = ConvolutionBlock(network.filters_at(network.depth), network, randomness, "bottleneck")(x)
    for level in reversed(range(1, network.depth)):
        decoder = DecoderBlock(network.filters_at(level), network, randomness, f"decoder{level}")
        x = decoder(x, skips.pop())
    return convolution(network.rank, network.classes, 1, randomness, "head")(x)
