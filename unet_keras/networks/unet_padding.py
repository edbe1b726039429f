"""The U-Net (Ronneberger et al. 2015, arXiv:1505.04597), padded and with batch norms, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNetPadding
from unet_keras.layers import BatchNormalization


def convolution_block(
    x: keras.KerasTensor, filters: int, network: UNetPadding, name: str
) -> keras.KerasTensor:
    """Two 3 x 3 convolutions, each normalised and with a ReLU; maybe a shortcut around them."""
    shortcut = x
    for i in (1, 2):
        x = layers.Conv2D(filters, kernel_size=3, padding="same", name=f"{name}.conv{i}")(x)
        x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}.norm{i}")(x)
        x = layers.ReLU()(x)
    if network.residual:
        x = layers.Add()([x, layers.Conv2D(filters, kernel_size=1, name=f"{name}.shortcut")(shortcut)])
    return x


def decoder_block(
    x: keras.KerasTensor, skip: keras.KerasTensor, filters: int, network: UNetPadding, name: str
) -> keras.KerasTensor:
    """Up-convolution, the encoder's features of the same resolution beside it, convolutions."""
    x = layers.UpSampling2D(2, interpolation="nearest")(x)
    x = layers.Conv2D(filters, kernel_size=2, padding="same", name=f"{name}.up")(x)
    x = layers.ReLU()(x)
    x = layers.Concatenate()([x, skip])
    return convolution_block(x, filters, network, name)


def head(x: keras.KerasTensor, network: UNetPadding, name: str) -> keras.KerasTensor:
    """The 1 x 1 convolution: a logit for each class."""
    return layers.Conv2D(network.classes, kernel_size=1, name=name)(x)


def unet_padding(images: keras.KerasTensor, network: UNetPadding) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        skips.append(convolution_block(x, network.filters_at(level), network, f"encoder{level}"))
        x = layers.MaxPooling2D(2)(skips[-1])
    x = convolution_block(x, network.filters_at(network.depth), network, "bottleneck")
    for level in reversed(range(1, network.depth)):
        x = decoder_block(x, skips.pop(), network.filters_at(level), network, f"decoder{level}")
    return head(x, network, "head")
