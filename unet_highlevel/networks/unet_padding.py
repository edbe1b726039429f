"""The U-Net (Ronneberger et al. 2015, arXiv:1505.04597), padded and with batch norms, written with `tf.layers`."""

import tensorflow as tf

from unet_common.networks import UNetPadding
from unet_common.resizing import upsample
from unet_highlevel.layers import activate, batch_normalisation, convolution, max_pooling

v1 = tf.compat.v1


def convolution_block(
    x: tf.Tensor, filters: int, network: UNetPadding, training: bool, name: str
) -> tf.Tensor:
    """Two 3 x 3 convolutions, each normalised and with a ReLU; maybe a shortcut around them."""
    with v1.variable_scope(name):
        shortcut = x
        for i in (1, 2):
            x = batch_normalisation(convolution(x, filters, [3, 3], f"conv{i}"), training, f"norm{i}")
            x = activate(x, "relu")
        if network.residual:
            x += convolution(shortcut, filters, [1, 1], "shortcut")
    return x


def decoder_block(
    x: tf.Tensor, skip: tf.Tensor, filters: int, network: UNetPadding, training: bool, name: str
) -> tf.Tensor:
    """Up-convolution, the encoder's features of the same resolution beside it, convolutions."""
    with v1.variable_scope(name):
        x = activate(convolution(upsample(x, [2, 2], "nearest"), filters, [2, 2], "up"), "relu")
    x = tf.concat([x, skip], -1)
    return convolution_block(x, filters, network, training, name)


def head(x: tf.Tensor, network: UNetPadding, name: str) -> tf.Tensor:
    """The 1 x 1 convolution: a logit for each class."""
    return convolution(x, network.classes, [1, 1], name)


def unet_padding(images: tf.Tensor, network: UNetPadding, training: bool) -> tf.Tensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        skips.append(convolution_block(x, network.filters_at(level), network, training, f"encoder{level}"))
        x = max_pooling(skips[-1], [2, 2])
    x = convolution_block(x, network.filters_at(network.depth), network, training, "bottleneck")
    for level in reversed(range(1, network.depth)):
        x = decoder_block(x, skips.pop(), network.filters_at(level), network, training, f"decoder{level}")
    return head(x, network, "head")
