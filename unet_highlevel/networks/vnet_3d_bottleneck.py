"""A V-Net (Milletari et al. 2016, arXiv:1606.04797) of bottlenecks and inception blocks, written with `tf.layers`."""

import tensorflow as tf

from unet_common.networks import VNet3DBottleneck
from unet_common.resizing import pad, upsample
from unet_highlevel.layers import batch_normalisation, max_pooling3d

v1 = tf.compat.v1
layers = v1.layers


def normalised_convolution(
    x: tf.Tensor, filters: int, side: int, stride: int, training: bool, name: str
) -> tf.Tensor:
    """A convolution and its batch normalisation."""
    with v1.variable_scope(name):
        x = layers.conv3d(x, filters, kernel_size=side, strides=stride, padding="same", name="conv")
        return batch_normalisation(x, training, "norm")


def convolution_unit(
    x: tf.Tensor, filters: int, side: int, stride: int, training: bool, name: str
) -> tf.Tensor:
    """A convolution, its batch normalisation and a ReLU."""
    return tf.nn.relu(normalised_convolution(x, filters, side, stride, training, name))


def bottleneck_unit(x: tf.Tensor, filters: int, training: bool, name: str) -> tf.Tensor:
    """A 3 x 3 x 3 convolution of few channels between two of 1 x 1 x 1 (He et al., figure 5, right).

    The shortcut around them is projected where the unit changes the channels.
    """
    with v1.variable_scope(name):
        shortcut = x
        if x.shape[-1] != filters:
            shortcut = normalised_convolution(x, filters, 1, 1, training, "shortcut")
        x = convolution_unit(x, filters // 4, 1, 1, training, "reduce")
        x = convolution_unit(x, filters // 4, 3, 1, training, "middle")
        x = normalised_convolution(x, filters, 1, 1, training, "expand")
        return tf.nn.relu(x + shortcut)


def residual_stage(x: tf.Tensor, units: int, filters: int, training: bool, name: str) -> tf.Tensor:
    """Bottlenecks in a row."""
    with v1.variable_scope(name):
        for i in range(1, units + 1):
            x = bottleneck_unit(x, filters, training, f"unit{i}")
    return x


def inception_down(x: tf.Tensor, training: bool, name: str) -> tf.Tensor:
    """Half the size and twice the channels: a pooling, a short and a long branch (Szegedy et al., reduction block)."""
    channels = x.shape[-1]
    with v1.variable_scope(name):
        # Zeros do not win against what a ReLU gives, so they may stand beyond the volume's end.
        pooled = max_pooling3d(pad(x, 0, 1), pool_size=3, strides=2)
        short = convolution_unit(x, channels // 2, 3, 2, training, "short")
        long = convolution_unit(x, channels // 4, 1, 1, training, "long1")
        long = convolution_unit(long, channels // 4, 3, 1, training, "long2")
        long = convolution_unit(long, channels // 2, 3, 2, training, "long3")
    return tf.concat([pooled, short, long], -1)


def up(x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """Twice the size by interpolation, and a convolution for the channels."""
    return layers.conv3d(upsample(x, [2, 2, 2], "linear"), filters, kernel_size=1, name=name)


def vnet_3d_bottleneck(images: tf.Tensor, network: VNet3DBottleneck, training: bool) -> tf.Tensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        units, filters = network.encoder_units_at(level), network.filters_at(level)
        x = residual_stage(x, units, filters, training, f"encoder{level}")
        skips.append(x)
        if level == 1:
            x = convolution_unit(x, 2 * filters, 3, 2, training, "down1")
        else:
            x = inception_down(x, training, f"down{level}")
    units, filters = network.encoder_units_at(network.depth), network.filters_at(network.depth)
    x = residual_stage(x, units, filters, training, "bottleneck")
    for level in reversed(range(1, network.depth)):
        units, filters = network.decoder_units_at(level), network.filters_at(level)
        x = tf.concat([up(x, filters, f"up{level}"), skips.pop()], -1)
        x = residual_stage(x, units, filters, training, f"decoder{level}")
    return layers.conv3d(x, network.classes, kernel_size=1, name="head")
