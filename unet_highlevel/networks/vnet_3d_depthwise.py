"""A V-Net of depthwise convolutions (Milletari et al. 2016, Chollet 2017), written with `tf.layers`."""

import tensorflow as tf

from unet_common.networks import VNet3DDepthwise
from unet_highlevel.layers import depthwise_conv3d, normalise
from unet_highlevel.networks.vnet import add
from unet_highlevel.networks.vnet_3d import down, up

v1 = tf.compat.v1
layers = v1.layers


def depthwise_unit(
    x: tf.Tensor, filters: int, network: VNet3DDepthwise, training: bool, name: str
) -> tf.Tensor:
    """Each channel convolved by itself; then, unless the unit is that alone, all channels of a voxel mixed."""
    with v1.variable_scope(name):
        x = depthwise_conv3d(x, network.kernel_size, "depthwise")
        x = normalise(x, network.normalisation, 1, training, "norm1")
        x = tf.nn.leaky_relu(x, alpha=0.3)
        if network.unit == "depthwise":
            return x
        x = layers.conv3d(x, filters, kernel_size=1, name="pointwise")
        x = normalise(x, network.normalisation, 1, training, "norm2")
        return tf.nn.leaky_relu(x, alpha=0.3)


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
    x, skips = layers.conv3d(images, network.filters, kernel_size=3, padding="same", name="stem"), []
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
    return layers.conv3d(x, network.classes, kernel_size=1, name="head")
