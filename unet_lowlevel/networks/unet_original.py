"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597, figure 1) to the letter, written with operations."""

import tensorflow as tf

from unet_common.networks import UNetOriginal
from unet_common.resizing import crop, upsample
from unet_lowlevel.ops import activate, convolution, dropout, max_pooling

v1 = tf.compat.v1


def convolution_block(x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """The blue arrows of the figure: two 3 x 3 convolutions without padding, each with a ReLU."""
    with v1.variable_scope(name):
        for i in (1, 2):
            x = activate(convolution(x, filters, [3, 3], f"conv{i}", "valid"), "relu")
    return x


def decoder_block(x: tf.Tensor, skip: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """The green and grey arrows: up-convolution, then the middle of the encoder's features beside it."""
    with v1.variable_scope(name):
        x = activate(convolution(upsample(x, [2, 2], "nearest"), filters, [2, 2], "up"), "relu")
    x = tf.concat([crop(skip, x), x], -1)
    return convolution_block(x, filters, name)


def head(x: tf.Tensor, network: UNetOriginal, name: str) -> tf.Tensor:
    """The 1 x 1 convolution: a logit for each class."""
    return convolution(x, network.classes, [1, 1], name)


def unet_original(images: tf.Tensor, network: UNetOriginal, training: bool) -> tf.Tensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *smaller size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        skips.append(convolution_block(x, network.filters_at(level), f"encoder{level}"))
        x = max_pooling(skips[-1], [2, 2])
    x = convolution_block(x, network.filters_at(network.depth), "bottleneck")
    # "At the end of the contracting path", section 3.1.
    x = dropout(x, network.dropout, training, "dropout")
    for level in reversed(range(1, network.depth)):
        x = decoder_block(x, skips.pop(), network.filters_at(level), f"decoder{level}")
    return head(x, network, "head")
