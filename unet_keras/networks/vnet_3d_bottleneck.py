"""A V-Net (Milletari et al. 2016, arXiv:1606.04797) of bottlenecks and inception blocks, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import VNet3DBottleneck
from unet_keras.layers import BatchNormalization, MaxPooling3D, Upsample


def normalised_convolution(
    x: keras.KerasTensor, filters: int, side: int, stride: int, name: str
) -> keras.KerasTensor:
    """A convolution and its batch normalisation."""
    x = layers.Conv3D(filters, kernel_size=side, strides=stride, padding="same", name=f"{name}.conv")(x)
    return BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}.norm")(x)


def convolution_unit(
    x: keras.KerasTensor, filters: int, side: int, stride: int, name: str
) -> keras.KerasTensor:
    """A convolution, its batch normalisation and a ReLU."""
    return layers.ReLU()(normalised_convolution(x, filters, side, stride, name))


def bottleneck_unit(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """A 3 x 3 x 3 convolution of few channels between two of 1 x 1 x 1 (He et al., figure 5, right).

    The shortcut around them is projected where the unit changes the channels.
    """
    shortcut = x
    if x.shape[-1] != filters:
        shortcut = normalised_convolution(x, filters, 1, 1, f"{name}.shortcut")
    x = convolution_unit(x, filters // 4, 1, 1, f"{name}.reduce")
    x = convolution_unit(x, filters // 4, 3, 1, f"{name}.middle")
    x = normalised_convolution(x, filters, 1, 1, f"{name}.expand")
    return layers.ReLU()(layers.Add()([x, shortcut]))


def residual_stage(x: keras.KerasTensor, units: int, filters: int, name: str) -> keras.KerasTensor:
    """Bottlenecks in a row."""
    for i in range(1, units + 1):
        x = bottleneck_unit(x, filters, f"{name}.unit{i}")
    return x


def inception_down(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Half the size and twice the channels: a pooling, a short and a long branch (Szegedy et al., reduction block)."""
    channels = x.shape[-1]
    # Zeros do not win against what a ReLU gives, so they may stand beyond the volume's end.
    pooled = MaxPooling3D(3, strides=2)(layers.ZeroPadding3D([(0, 1)] * 3)(x))
    short = convolution_unit(x, channels // 2, 3, 2, f"{name}.short")
    long = convolution_unit(x, channels // 4, 1, 1, f"{name}.long1")
    long = convolution_unit(long, channels // 4, 3, 1, f"{name}.long2")
    long = convolution_unit(long, channels // 2, 3, 2, f"{name}.long3")
    return layers.Concatenate()([pooled, short, long])


def up(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Twice the size by interpolation, and a convolution for the channels."""
    x = Upsample([2, 2, 2], grid="linear")(x)
    return layers.Conv3D(filters, kernel_size=1, name=name)(x)


def vnet_3d_bottleneck(images: keras.KerasTensor, network: VNet3DBottleneck) -> keras.KerasTensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        units, filters = network.encoder_units_at(level), network.filters_at(level)
        x = residual_stage(x, units, filters, f"encoder{level}")
        skips.append(x)
        if level == 1:
            x = convolution_unit(x, 2 * filters, 3, 2, "down1")
        else:
            x = inception_down(x, f"down{level}")
    units, filters = network.encoder_units_at(network.depth), network.filters_at(network.depth)
    x = residual_stage(x, units, filters, "bottleneck")
    for level in reversed(range(1, network.depth)):
        units, filters = network.decoder_units_at(level), network.filters_at(level)
        x = layers.Concatenate()([up(x, filters, f"up{level}"), skips.pop()])
        x = residual_stage(x, units, filters, f"decoder{level}")
    return layers.Conv3D(network.classes, kernel_size=1, name="head")(x)
