"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with a ResNet or VGG encoder, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNetEncoder
from unet_common.networks.encoders import HALVINGS, stages
from unet_keras.layers import (
    Randomness,
    activate,
    convolution,
    transposed_convolution,
    upsample,
    upsample_like,
)
from unet_keras.networks.encoders import batch_norm, encoder, sides


def decoder_norm(network: UNetEncoder, name: str) -> layers.Layer:
    """After each of the decoder's convolutions, if it is wanted."""
    return batch_norm(name) if network.decoder_batch_norm else layers.Identity()


class UpsamplingBlock(layers.Layer):
    """Twice the size by interpolation, the encoder's features beside it, two convolutions."""

    def __init__(self, filters, network: UNetEncoder, randomness: Randomness, name):
        super().__init__(name=name)
        rank, bias = network.rank, not network.decoder_batch_norm
        self.up = upsample(sides(rank, 2), "corners")
        self.convolutions, self.norms = [], []
        for i in (1, 2):
            kernel_size = sides(rank, 3)
            self.convolutions.append(
                convolution(rank, filters, kernel_size, randomness, f"conv{i}", bias=bias)
            )
            self.norms.append(decoder_norm(network, f"norm{i}"))

    def call(self, x, skip=None, training=None):
        x = self.up(x)
        if skip is not None:
            x = keras.ops.concatenate([x, skip], axis=-1)
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            x = activate(norm(convolve(x), training=training), "relu")
        return x


class TransposeBlock(layers.Layer):
    """Twice the size by a transposed convolution, the encoder's features beside it, one convolution."""

    def __init__(self, filters, network: UNetEncoder, randomness: Randomness, name):
        super().__init__(name=name)
        rank, bias = network.rank, not network.decoder_batch_norm
        self.up = transposed_convolution(
            rank, filters, sides(rank, 2), randomness, "up", sides(rank, 4), bias
        )
        self.up_norm = decoder_norm(network, "up_norm")
        self.conv = convolution(rank, filters, sides(rank, 3), randomness, "conv", bias=bias)
        self.norm = decoder_norm(network, "norm")

    def call(self, x, skip=None, training=None):
        x = activate(self.up_norm(self.up(x), training=training), "relu")
        if skip is not None:
            x = keras.ops.concatenate([x, skip], axis=-1)
        return activate(self.norm(self.conv(x), training=training), "relu")


def head(network: UNetEncoder, randomness: Randomness, name: str) -> layers.Layer:
    """A 3 x 3 convolution: a logit for each class."""
    return convolution(network.rank, network.classes, sides(network.rank, 3), randomness, name)


def unet_encoder(
    images: keras.KerasTensor, network: UNetEncoder, randomness: Randomness
) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    features = encoder(network.rank, network.encoder, network.filters, randomness, "encoder")(images)
    *skips, x = (features[stage] for stage in stages(network.encoder))
    block = {"upsampling": UpsamplingBlock, "transpose": TransposeBlock}[network.decoder]
    for i, filters in enumerate(network.decoder_filters, 1):
        skip = skips.pop() if skips else None  # at the full resolution there is none
        x = block(filters, network, randomness, f"decoder{i}")(x, skip)
    logits = head(network, randomness, "head")(x)
    if len(network.decoder_filters) != HALVINGS:
        logits = upsample_like("linear")(logits, images)
    return logits
