"""The V-Net of Milletari et al. 2016 (arXiv:1606.04797, figure 2) in a later form, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import VNet3D
from unet_keras.layers import Upsample, normalise
from unet_keras.networks.vnet import add


def convolution_unit(x: keras.KerasTensor, filters: int, network: VNet3D, name: str) -> keras.KerasTensor:
    """A convolution that keeps the size, its normalisation and its leaky ReLU."""
    x = layers.Conv3D(filters, network.kernel_size, padding="same", name=f"{name}.conv")(x)
    x = normalise(x, network.normalisation, 1, f"{name}.norm")
    return layers.LeakyReLU(negative_slope=0.3)(x)


def residual_stage(
    x: keras.KerasTensor, level: int, filters: int, network: VNet3D, name: str
) -> keras.KerasTensor:
    """The boxes of the figure: up to three convolutions, to whose result is added what the stage started from."""
    start = x
    for i in range(1, network.convolutions_at(level) + 1):
        x = convolution_unit(x, filters, network, f"{name}.unit{i}")
    return add(x, start)


def down(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Half the size, by a convolution of 2 x 2 x 2 and nothing after it."""
    return layers.Conv3D(filters, kernel_size=2, strides=2, padding="same", name=name)(x)


def up(x: keras.KerasTensor, filters: int, network: VNet3D, name: str) -> keras.KerasTensor:
    """Twice the size, by a transposed convolution; or by interpolation, and a convolution for the channels."""
    if network.upsampling == "transpose":
        return layers.Conv3DTranspose(filters, kernel_size=2, strides=2, padding="same", name=name)(x)
    x = Upsample([2, 2, 2], grid="linear")(x)
    return layers.Conv3D(filters, kernel_size=1, name=name)(x)


def vnet_3d(images: keras.KerasTensor, network: VNet3D) -> keras.KerasTensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        filters = network.filters_at(level)
        skips.append(residual_stage(x, level, filters, network, f"encoder{level}"))
        x = down(skips[-1], 2 * filters, f"down{level}")
    filters = network.filters_at(network.depth)
    x = residual_stage(x, network.depth, filters, network, "bottleneck")
    for level in reversed(range(1, network.depth)):
        filters = network.filters_at(level)
        x = layers.Concatenate()([up(x, filters, network, f"up{level}"), skips.pop()])
        x = residual_stage(x, level, 2 * filters, network, f"decoder{level}")
    return layers.Conv3D(network.classes, kernel_size=1, name="head")(x)
