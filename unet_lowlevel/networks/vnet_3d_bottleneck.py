"""A V-Net (Milletari et al. 2016, arXiv:1606.04797) of bottlenecks and inception blocks, written with operations."""

import tensorflow as tf

from unet_common.networks import VNet3DBottleneck
from unet_common.resizing import pad, upsample
from unet_lowlevel.ops import activate, batch_normalisation, convolution, max_pooling

v1 = tf.compat.v1


def normalised_convolution(
    x: tf.Tensor, filters: int, side: int, stride: int, training: bool, name: str
) -> tf.Tensor:
    """A convolution and its batch normalisation."""
    with v1.variable_scope(name):
        x = convolution(x, filters, [side] * 3, "conv", stride=stride)
        return batch_normalisation(x, training, "norm")


def convolution_unit(
    x: tf.Tensor, filters: int, side: int, stride: int, training: bool, name: str
) -> tf.Tensor:
    """A convolution, its batch normalisation and a ReLU."""
    return activate(normalised_convolution(x, filters, side, stride, training, name), "relu")


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
        return activate(x + shortcut, "relu")


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
        pooled = max_pooling(pad(x, 0, 1), [2, 2, 2], window=[3, 3, 3])
        short = convolution_unit(x, channels // 2, 3, 2, training, "short")
        long = convolution_unit(x, channels // 4, 1, 1, training, "long1")
        long = convolution_unit(long, channels // 4, 3, 1, training, "long2")
        long = convolution_unit(long, channels // 2, 3, 2, training, "long3")
    return tf.concat([pooled, short, long], -1)


def up(x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """Twice the size by interpolation, and a convolution for the channels."""
    return convolution(upsample(x, [2, 2, 2], "linear"), filters, [1, 1, 1], name)


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
    return convolution(x, network.classes, [1, 1, 1], "head")
