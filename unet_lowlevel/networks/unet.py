"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597, figure 1), written with operations."""

import tensorflow as tf

from unet_common.networks import UNet
from unet_lowlevel.ops import (
    activate,
    batch_normalisation,
    convolution,
    crop,
    dropout,
    max_pooling,
    transposed_convolution,
)

v1 = tf.compat.v1


def convolution_block(x: tf.Tensor, filters: int, network: UNet, training: bool, name: str) -> tf.Tensor:
    """The blue arrows of the figure: convolution, normalisation, activation, dropout, twice."""
    normalise = network.normalisation == "batch"
    with v1.variable_scope(name):
        for i in range(1, network.convolutions + 1):
            # A bias would be taken off again by the normalisation's mean.
            x = convolution(x, filters, network.kernel_size, f"conv{i}", network.padding, bias=not normalise)
            if normalise:
                x = batch_normalisation(x, training, f"norm{i}")
            x = activate(x, network.activation)
            x = dropout(x, network.dropout, training, f"dropout{i}")
    return x


def decoder_block(
    x: tf.Tensor, skip: tf.Tensor, filters: int, network: UNet, training: bool, name: str
) -> tf.Tensor:
    """Green and grey arrows: up-convolution, then the encoder's features of the same resolution beside it."""
    with v1.variable_scope(name):
        x = transposed_convolution(x, filters, "up")
    if network.padding == "valid":
        skip = crop(skip, x)
    x = tf.concat([skip, x], -1)
    return convolution_block(x, filters, network, training, name)


def unet(images: tf.Tensor, network: UNet, training: bool) -> tf.Tensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        skip = convolution_block(x, network.filters_at(level), network, training, f"encoder{level}")
        skips.append(skip)
        x = max_pooling(skip)
    x = convolution_block(x, network.filters_at(network.depth), network, training, "bottleneck")
    for level in reversed(range(1, network.depth)):
        x = decoder_block(x, skips.pop(), network.filters_at(level), network, training, f"decoder{level}")
    return convolution(x, network.classes, 1, "head")
