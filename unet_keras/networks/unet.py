"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597, figure 1), written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNet
from unet_common.resizing import crop
from unet_keras.layers import (
    Randomness,
    activate,
    convolution,
    dropout,
    max_pooling,
    normalise,
    transposed_convolution,
)
from unet_keras.networks.attention import AttentionGate, NonLocalBlock


class ConvolutionBlock(layers.Layer):
    """The blue arrows of the figure: convolution, normalisation, activation, dropout, twice."""

    def __init__(self, level, network: UNet, randomness: Randomness, name):
        super().__init__(name=name)
        self.activation, self.padding = network.activation, network.padding
        rank, filters, kernel_size = network.rank, network.filters_at(level), network.kernel_at(level)
        bias = network.normalisation == "none"  # the normalisation's mean would take it off again
        self.convolutions, self.normalisations, self.dropouts = [], [], []
        for i in range(1, network.convolutions + 1):
            self.convolutions.append(
                convolution(rank, filters, kernel_size, randomness, f"conv{i}", network.padding, bias)
            )
            self.normalisations.append(normalise(network.normalisation, network.groups, f"norm{i}"))
            self.dropouts.append(dropout(network.dropout, randomness, f"dropout{i}"))

    def call(self, x, training=None):
        for convolve, norm, drop in zip(self.convolutions, self.normalisations, self.dropouts, strict=True):
            x = activate(norm(convolve(x), training=training), self.activation)
            x = drop(x, training=training)
        return x


class DecoderBlock(ConvolutionBlock):
    """Green and grey arrows: up-convolution, then the encoder's features of the same resolution beside it.

    With attention the features are weighted first, by what is known a level below.

    A block that is more than a convolution block, not one that has one: so `conv1` stays `decoder1/conv1`.
    """

    def __init__(self, level, network: UNet, randomness: Randomness, name):
        super().__init__(level, network, randomness, name)
        filters, factor = network.filters_at(level), network.pooling_at(level)
        self.up = transposed_convolution(network.rank, filters, factor, randomness, "up")
        self.attention = None
        if level in network.attention_gates:
            self.attention = AttentionGate(filters, factor, randomness, "attention")

    def call(self, x, skip, training=None):
        up = self.up(x)
        if self.padding == "valid":
            skip = crop(skip, up)
        if self.attention:
            skip = self.attention(skip, x)
        x = keras.ops.concatenate([skip, up], axis=-1)
        return super().call(x, training=training)


def head(network: UNet, randomness: Randomness, name: str) -> layers.Layer:
    """The 1 x 1 convolution: a logit for each class."""
    return convolution(network.rank, network.classes, [1] * network.rank, randomness, name)


def unet(
    images: keras.KerasTensor, network: UNet, randomness: Randomness
) -> keras.KerasTensor | list[keras.KerasTensor]:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`.

    With deep supervision a list: these logits, and those of ever coarser decoder levels. A functional model has
    the same outputs in training and inference.
    """
    x, skips, coarse = images, [], []
    for level in range(1, network.depth):
        x = ConvolutionBlock(level, network, randomness, f"encoder{level}")(x)
        if level in network.non_local:
            factor = network.subsampling_at(level)
            x = NonLocalBlock(x.shape[-1], factor, randomness, f"non_local{level}")(x)
        skips.append(x)
        x = max_pooling(network.pooling_at(level))(x)
    x = ConvolutionBlock(network.depth, network, randomness, "bottleneck")(x)
    if network.depth in network.non_local:
        factor = network.subsampling_at(network.depth)
        x = NonLocalBlock(x.shape[-1], factor, randomness, f"non_local{network.depth}")(x)
    for level in reversed(range(1, network.depth)):
        x = DecoderBlock(level, network, randomness, f"decoder{level}")(x, skips.pop())
        if 1 < level <= 1 + network.deep_supervision:
            coarse.insert(0, head(network, randomness, f"head{level}")(x))
    logits = head(network, randomness, "head")(x)
    return [logits, *coarse] if coarse else logits
