"""The V-Net of Milletari et al. 2016 (arXiv:1606.04797, figure 2), written with `tf.layers`."""

import tensorflow as tf

from unet_common.networks import VNet
from unet_common.resizing import pad_channels
from unet_highlevel.layers import batch_normalisation, prelu, transposed_initialiser

v1 = tf.compat.v1
layers = v1.layers


def convolution_unit(
    x: tf.Tensor, direction: str, filters: int, network: VNet, training: bool, name: str
) -> tf.Tensor:
    """A convolution of the figure, which keeps the size or moves down or up a level, with its PReLU."""
    conv = {2: layers.conv2d, 3: layers.conv3d}[network.rank]
    conv_transpose = {2: layers.conv2d_transpose, 3: layers.conv3d_transpose}[network.rank]
    with v1.variable_scope(name):
        if direction == "keep":
            x = conv(x, filters, network.kernel_size, padding="same", name="conv")
        elif direction == "down":
            x = conv(x, filters, kernel_size=2, strides=2, padding="same", name="conv")
        else:
            x = conv_transpose(
                x,
                filters,
                kernel_size=2,
                strides=2,
                padding="same",
                kernel_initializer=transposed_initialiser(strides=2),
                name="conv",
            )
        x = batch_normalisation(x, training, "norm")
        if network.prelu == "none":
            return tf.nn.relu(x)
        return prelu(x, "prelu", per_pixel=network.prelu == "element")


def residual_stage(
    x: tf.Tensor, start: tf.Tensor, level: int, filters: int, network: VNet, training: bool, name: str
) -> tf.Tensor:
    """The boxes of the figure: up to three convolutions, to whose result is added what the stage started from."""
    with v1.variable_scope(name):
        for i in range(1, network.convolutions_at(level) + 1):
            x = convolution_unit(x, "keep", filters, network, training, f"unit{i}")
    return add(x, start)


def add(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The sum; whichever has fewer channels gets more, of zeros."""
    channels = max(x.shape[-1], y.shape[-1])
    return pad_channels(x, channels) + pad_channels(y, channels)


def vnet(images: tf.Tensor, network: VNet, training: bool) -> tf.Tensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    conv = {2: layers.conv2d, 3: layers.conv3d}[network.rank]
    x, skips = images, []
    if network.fixed_size:  # the slopes of elements have to know it
        x = tf.ensure_shape(x, [None, *network.fixed_size, network.channels])
    for level in range(1, network.depth):
        filters = network.filters_at(level)
        skips.append(residual_stage(x, x, level, filters, network, training, f"encoder{level}"))
        x = convolution_unit(skips[-1], "down", 2 * filters, network, training, f"down{level}")
    filters = network.filters_at(network.depth)
    x = residual_stage(x, x, network.depth, filters, network, training, "bottleneck")
    for level in reversed(range(1, network.depth)):
        filters = network.filters_at(level)
        up = convolution_unit(x, "up", filters, network, training, f"up{level}")
        x = tf.concat([skips.pop(), up], -1)
        x = residual_stage(x, up, level, 2 * filters, network, training, f"decoder{level}")
    return conv(x, network.classes, kernel_size=1, name="head")
