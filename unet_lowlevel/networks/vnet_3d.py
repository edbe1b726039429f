"""The V-Net of Milletari et al. 2016 (arXiv:1606.04797, figure 2) in a later form, written with operations."""

import tensorflow as tf

from unet_common.networks import VNet3D
from unet_common.resizing import upsample
from unet_lowlevel.networks.vnet import add
from unet_lowlevel.ops import activate, convolution, normalise, transposed_convolution

v1 = tf.compat.v1


def convolution_unit(x: tf.Tensor, filters: int, network: VNet3D, training: bool, name: str) -> tf.Tensor:
    """A convolution that keeps the size, its normalisation and its leaky ReLU."""
    with v1.variable_scope(name):
        x = convolution(x, filters, [network.kernel_size] * 3, "conv")
        x = normalise(x, network.normalisation, 1, training, "norm")
        return activate(x, "leaky_relu", slope=0.3)


def residual_stage(
    x: tf.Tensor, level: int, filters: int, network: VNet3D, training: bool, name: str
) -> tf.Tensor:
    """The boxes of the figure: up to three convolutions, to whose result is added what the stage started from."""
    start = x
    with v1.variable_scope(name):
        for i in range(1, network.convolutions_at(level) + 1):
            x = convolution_unit(x, filters, network, training, f"unit{i}")
    return add(x, start)


def down(x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """Half the size, by a convolution of 2 x 2 x 2 and nothing after it."""
    return convolution(x, filters, [2, 2, 2], name, stride=2)


def up(x: tf.Tensor, filters: int, network: VNet3D, name: str) -> tf.Tensor:
    """Twice the size, by a transposed convolution; or by interpolation, and a convolution for the channels."""
    if network.upsampling == "transpose":
        return transposed_convolution(x, filters, [2, 2, 2], name)
    return convolution(upsample(x, [2, 2, 2], "linear"), filters, [1, 1, 1], name)


def vnet_3d(images: tf.Tensor, network: VNet3D, training: bool) -> tf.Tensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        filters = network.filters_at(level)
        skips.append(residual_stage(x, level, filters, network, training, f"encoder{level}"))
        x = down(skips[-1], 2 * filters, f"down{level}")
    filters = network.filters_at(network.depth)
    x = residual_stage(x, network.depth, filters, network, training, "bottleneck")
    for level in reversed(range(1, network.depth)):
        filters = network.filters_at(level)
        x = tf.concat([up(x, filters, network, f"up{level}"), skips.pop()], -1)
        x = residual_stage(x, level, 2 * filters, network, training, f"decoder{level}")
    return convolution(x, network.classes, [1, 1, 1], "head")
