"""A V-Net of depthwise convolutions (Milletari et al. 2016, Chollet 2017), written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import VNet3DDepthwise
from unet_keras.layers import DepthwiseConv3D, normalise
from unet_keras.networks.vnet import add
from unet_keras.networks.vnet_3d import down, up


def depthwise_unit(
    x: keras.KerasTensor, filters: int, network: VNet3DDepthwise, name: str
) -> keras.KerasTensor:
    """Each channel convolved by itself; then, unless the unit is that alone, all channels of a voxel mixed."""
    x = DepthwiseConv3D(network.kernel_size, name=f"{name}.depthwise")(x)
    x = normalise(x, network.normalisation, 1, f"{name}.norm1")
    x = layers.LeakyReLU(negative_slope=0.3)(x)
    if network.unit == "depthwise":
        return x
    x = layers.Conv3D(filters, kernel_size=1, name=f"{name}.pointwise")(x)
    x = normalise(x, network.normalisation, 1, f"{name}.norm2")
    return layers.LeakyReLU(negative_slope=0.3)(x)


def residual_stage(
    x: keras.KerasTensor, units: int, filters: int, network: VNet3DDepthwise, name: str
) -> keras.KerasTensor:
    """Up to three units, to whose result is added what the stage started from."""
    start = x
    for i in range(1, units + 1):
        x = depthwise_unit(x, filters, network, f"{name}.unit{i}")
    return add(x, start)


def vnet_3d_depthwise(images: keras.KerasTensor, network: VNet3DDepthwise) -> keras.KerasTensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = layers.Conv3D(network.filters, kernel_size=3, padding="same", name="stem")(images), []
    for level in range(2, network.depth + 1):
        skips.append(x)
        x = down(x, network.filters_at(level), f"down{level - 1}")
        units, filters = network.convolutions_at(level - 1), network.unit_filters_at(level)
        name = "bottleneck" if level == network.depth else f"encoder{level}"
        x = residual_stage(x, units, filters, network, name)
    for level in reversed(range(1, network.depth)):
        units, filters = network.convolutions_at(level), network.filters_at(level)
        x = layers.Concatenate()([up(x, filters, network, f"up{level}"), skips.pop()])
        x = residual_stage(x, units, 2 * filters, network, f"decoder{level}")
    return layers.Conv3D(network.classes, kernel_size=1, name="head")(x)
