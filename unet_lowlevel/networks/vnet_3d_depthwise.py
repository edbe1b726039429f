"""A V-Net of depthwise convolutions (Milletari et al. 2016, Chollet 2017), written with operations."""

import tensorflow as tf

from unet_common.networks import VNet3DDepthwise
from unet_lowlevel.networks.vnet import add
from unet_lowlevel.networks.vnet_3d import down, up
from unet_lowlevel.ops import activate, convolution, depthwise_convolution, normalise

v1 = tf.compat.v1


def depthwise_unit(
    x: tf.Tensor, filters: int, network: VNet3DDepthwise, training: bool, name: str
) -> tf.Tensor:
    """Each channel convolved by itself; then, unless the unit is that alone, all channels of a voxel mixed."""
    with v1.variable_scope(name):
        x = depthwise_convolution(x, [network.kernel_size] * 3, "depthwise")
        x = normalise(x, network.normalisation, 1, training, "norm1")
        x = activate(x, "leaky_relu", slope=0.3)
        if network.unit == "depthwise":
            return x
        x = convolution(x, filters, [1, 1, 1], "pointwise")
        x = normalise(x, network.normalisation, 1, training, "norm2")
        return activate(x, "leaky_relu", slope=0.3)


def residual_stage(
    x: tf.Tensor, units: int, filters: int, network: VNet3DDepthwise, training: bool, name: str
) -> tf.Tensor:
    """Up to three units, to whose result is added what the stage started from."""
    start = x
    with v1.variable_scope(name):
        for i in range(1, units + 1):
            x = depthwise_unit(x, filters, network, training, f"unit{i}")
    return add(x, start)


def vnet_3d_depthwise(images: tf.Tensor, network: VNet3DDepthwise, training: bool) -> tf.Tensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = convolution(images, network.filters, [3, 3, 3], "stem"), []
    for level in range(2, network.depth + 1):
        skips.append(x)
        x = down(x, network.filters_at(level), f"down{level - 1}")
        units, filters = network.convolutions_at(level - 1), network.unit_filters_at(level)
        name = "bottleneck" if level == network.depth else f"encoder{level}"
        x = residual_stage(x, units, filters, network, training, name)
    for level in reversed(range(1, network.depth)):
        units, filters = network.convolutions_at(level), network.filters_at(level)
        x = tf.concat([up(x, filters, network, f"up{level}"), skips.pop()], -1)
        x = residual_stage(x, units, 2 * filters, network, training, f"decoder{level}")
    return convolution(x, network.classes, [1, 1, 1], "head")
