"""The U-Net (Ronneberger et al. 2015, arXiv:1505.04597), padded and with batch norms, written with `tf.layers`."""

import tensorflow as tf

from unet_common.networks import UNetPadding
from unet_common.resizing import upsample
from unet_highlevel.layers import batch_normalisation

v1 = tf.compat.v1
layers = v1.layers


def convolution_block(
    x: tf.Tensor, filters: int, network: UNetPadding, training: bool, name: str
) -> tf.Tensor:
    """Two 3 x 3 convolutions, each normalised and with a ReLU; maybe a shortcut around them."""
    with v1.variable_scope(name):
        shortcut = x
        for i in (1, 2):
            x = layers.conv2d(x, filters, kernel_size=3, padding="same", name=f"conv{i}")
            x = batch_normalisation(x, training, f"norm{i}")
            x = tf.nn.relu(x)
        if network.residual:
            x += layers.conv2d(shortcut, filters, kernel_size=1, name="shortcut")
    return x


def decoder_block(
    x: tf.Tensor, skip: tf.Tensor, filters: int, network: UNetPadding, training: bool, name: str
) -> tf.Tensor:
    """Up-convolution, the encoder's features of the same resolution beside it, convolutions."""
    with v1.variable_scope(name):
        x = upsample(x, [2, 2], "nearest")
        x = layers.conv2d(x, filters, kernel_size=2, padding="same", name="up")
        x = tf.nn.relu(x)
    x = tf.concat([x, skip], -1)
    return convolution_block(x, filters, network, training, name)


def head(x: tf.Tensor, network: UNetPadding, name: str) -> tf.Tensor:
    """The 1 x 1 convolution: a logit for each class."""
    return layers.conv2d(x, network.classes, kernel_size=1, name=name)


def unet_padding(images: tf.Tensor, network: UNetPadding, training: bool) -> tf.Tensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        skips.append(convolution_block(x, network.filters_at(level), network, training, f"encoder{level}"))
        x = layers.max_pooling2d(skips[-1], pool_size=2, strides=2)
    x = convolution_block(x, network.filters_at(network.depth), network, training, "bottleneck")
    for level in reversed(range(1, network.depth)):
        x = decoder_block(x, skips.pop(), network.filters_at(level), network, training, f"decoder{level}")
    return head(x, network, "head")
