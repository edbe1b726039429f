"""The 3D U-Net of Cicek et al. 2016 (arXiv:1606.06650, figure 2), written with `tf.layers`."""

import tensorflow as tf

from unet_common.networks import UNet3D
from unet_common.resizing import upsample
from unet_highlevel.layers import max_pooling3d, normalise, transposed_initialiser

v1 = tf.compat.v1
layers = v1.layers


def convolution_block(
    x: tf.Tensor, filters: tuple[int, int], network: UNet3D, training: bool, name: str
) -> tf.Tensor:
    """Two convolutions of the figure, each with its own number of `filters`."""
    with v1.variable_scope(name):
        for i, channels in enumerate(filters, 1):
            x = layers.conv3d(x, channels, kernel_size=3, padding="same", name=f"conv{i}")
            x = normalise(x, network.normalisation, 1, training, f"norm{i}")
            x = tf.nn.relu(x)
    return x


def decoder_block(
    x: tf.Tensor, skip: tf.Tensor, filters: int, network: UNet3D, training: bool, name: str
) -> tf.Tensor:
    """Twice the size and as many channels, the encoder's features of that size behind them, two convolutions."""
    with v1.variable_scope(name):
        if network.upsampling == "transpose":
            x = layers.conv3d_transpose(
                x,
                x.shape[-1],
                kernel_size=2,
                strides=2,
                padding="same",
                kernel_initializer=transposed_initialiser(strides=2),
                name="up",
            )
        else:
            x = upsample(x, [2, 2, 2], "nearest")
    x = tf.concat([x, skip], -1)
    return convolution_block(x, (filters, filters), network, training, name)


def unet_3d(images: tf.Tensor, network: UNet3D, training: bool) -> tf.Tensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        filters = network.filters_at(level)
        skips.append(convolution_block(x, (filters, 2 * filters), network, training, f"encoder{level}"))
        x = max_pooling3d(skips[-1], pool_size=2, strides=2)
    filters = network.filters_at(network.depth)
    x = convolution_block(x, (filters, 2 * filters), network, training, "bottleneck")
    for level in reversed(range(1, network.depth)):
        filters = 2 * network.filters_at(level)
        x = decoder_block(x, skips.pop(), filters, network, training, f"decoder{level}")
    return layers.conv3d(x, network.classes, kernel_size=1, name="head")
