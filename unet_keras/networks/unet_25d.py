"""The 2.5D U-Net of Wang et al. 2019 (arXiv:1906.03906, figure 2), written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNet25D
from unet_keras.layers import BatchNormalization, CropEnd, MaxPooling3D, Upsample


def convolution_block(x: keras.KerasTensor, level: int, network: UNet25D, name: str) -> keras.KerasTensor:
    """Twice convolution, normalisation and ReLU, within the slices or across them as well."""
    filters, kernel_size = network.filters_at(level), network.kernel_at(level)
    for i in (1, 2):
        x = layers.Conv3D(filters, kernel_size, padding="same", name=f"{name}.conv{i}")(x)
        x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}.norm{i}")(x)
        x = layers.ReLU()(x)
    return x


def down(x: keras.KerasTensor, level: int, network: UNet25D) -> keras.KerasTensor:
    """Max pooling. Where windows overlap, the last reaches beyond the end: no value is below the zeros there."""
    if level > network.in_plane_levels:
        x = layers.ZeroPadding3D([(0, 2)] * 3)(x)  # for an even side one too many, which no window gets to
    return MaxPooling3D(pool_size=network.window_at(level), strides=network.pooling_at(level))(x)


def spatial_attention(
    x: keras.KerasTensor, level: int, network: UNet25D, name: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The figure's attention module: features amplified by the map, `x + x * map`, and the logits of the map."""
    kernel_size = network.kernel_at(level)
    inner = layers.Conv3D(max(x.shape[-1] // 2, 1), kernel_size, padding="same", name=f"{name}.conv")(x)
    logits = layers.Conv3D(1, kernel_size, padding="same", name=f"{name}.map")(layers.ReLU()(inner))
    return layers.Add()([x, layers.Multiply()([x, layers.Activation("sigmoid")(logits)])]), logits


def decoder_block(
    x: keras.KerasTensor, skip: keras.KerasTensor, level: int, network: UNet25D, name: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The level's features from those below and those of the encoder, and the logits of its attention map."""
    filters, kernel_size = network.filters_at(level), network.kernel_at(level)
    x = Upsample(network.pooling_at(level), grid="linear")(x)
    x = layers.Conv3D(filters, kernel_size, padding="same", name=f"{name}.up")(x)
    # Half of an odd number of slices was rounded up: twice that is one too many.
    x = layers.Concatenate()([CropEnd()(x, skip), skip])
    x, attention = spatial_attention(x, level, network, f"{name}.attention")
    return convolution_block(x, level, network, name), attention


def unet_25d(images: keras.KerasTensor, network: UNet25D) -> list[keras.KerasTensor]:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`, and those of the attention maps.

    The maps are `[batch, *size of the level, 1]`, one for each level, the finest first.
    """
    x, skips, attention = images, [], []
    for level in range(1, network.depth):
        x = convolution_block(x, level, network, f"encoder{level}")
        skips.append(x)
        x = down(x, level, network)
    x, of_level = spatial_attention(x, network.depth, network, "bottleneck.attention")
    attention.append(of_level)
    x = convolution_block(x, network.depth, network, "bottleneck")
    for level in reversed(range(1, network.depth)):
        x, of_level = decoder_block(x, skips.pop(), level, network, f"decoder{level}")
        attention.insert(0, of_level)
    logits = layers.Conv3D(network.classes, network.kernel_at(1), padding="same", name="head")(x)
    return [logits, *attention]
