"""The 3D U-Net of Cicek et al. 2016 (arXiv:1606.06650, figure 2), written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNet3D
from unet_keras.layers import MaxPooling3D, normalise


def convolution_block(
    x: keras.KerasTensor, filters: tuple[int, int], network: UNet3D, name: str
) -> keras.KerasTensor:
    """Two convolutions of the figure, each with its own number of `filters`."""
    for i, channels in enumerate(filters, 1):
        x = layers.Conv3D(channels, kernel_size=3, padding="same", name=f"{name}.conv{i}")(x)
        x = normalise(x, network.normalisation, 1, f"{name}.norm{i}")
        x = layers.ReLU()(x)
    return x


def decoder_block(
    x: keras.KerasTensor, skip: keras.KerasTensor, filters: int, network: UNet3D, name: str
) -> keras.KerasTensor:
    """Twice the size and as many channels, the encoder's features of that size behind them, two convolutions."""
    if network.upsampling == "transpose":
        x = layers.Conv3DTranspose(x.shape[-1], kernel_size=2, strides=2, padding="same", name=f"{name}.up")(
            x
        )
    else:
        x = layers.UpSampling3D(2)(x)
    x = layers.Concatenate()([x, skip])
    return convolution_block(x, (filters, filters), network, name)


def unet_3d(images: keras.KerasTensor, network: UNet3D) -> keras.KerasTensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        filters = network.filters_at(level)
        skips.append(convolution_block(x, (filters, 2 * filters), network, f"encoder{level}"))
        x = MaxPooling3D(2)(skips[-1])
    filters = network.filters_at(network.depth)
    x = convolution_block(x, (filters, 2 * filters), network, "bottleneck")
    for level in reversed(range(1, network.depth)):
        filters = 2 * network.filters_at(level)
        x = decoder_block(x, skips.pop(), filters, network, f"decoder{level}")
    return layers.Conv3D(network.classes, kernel_size=1, name="head")(x)
