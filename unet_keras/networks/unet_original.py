"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597, figure 1) to the letter, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNetOriginal
from unet_keras.layers import Crop, Dropout


def convolution_block(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """The blue arrows of the figure: two 3 x 3 convolutions without padding, each with a ReLU."""
    for i in (1, 2):
        x = layers.Conv2D(filters, kernel_size=3, padding="valid", name=f"{name}.conv{i}")(x)
        x = layers.ReLU()(x)
    return x


def decoder_block(
    x: keras.KerasTensor, skip: keras.KerasTensor, filters: int, name: str
) -> keras.KerasTensor:
    """The green and grey arrows: up-convolution, then the middle of the encoder's features beside it."""
    x = layers.UpSampling2D(2, interpolation="nearest")(x)
    x = layers.Conv2D(filters, kernel_size=2, padding="same", name=f"{name}.up")(x)
    x = layers.ReLU()(x)
    x = layers.Concatenate()([Crop()(skip, x), x])
    return convolution_block(x, filters, name)


def head(x: keras.KerasTensor, network: UNetOriginal, name: str) -> keras.KerasTensor:
    """The 1 x 1 convolution: a logit for each class."""
    return layers.Conv2D(network.classes, kernel_size=1, name=name)(x)


def unet_original(images: keras.KerasTensor, network: UNetOriginal) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *smaller size, classes]`."""
    x, skips = images, []
    for level in range(1, network.depth):
        skips.append(convolution_block(x, network.filters_at(level), f"encoder{level}"))
        x = layers.MaxPooling2D(2)(skips[-1])
    x = convolution_block(x, network.filters_at(network.depth), "bottleneck")
    # "At the end of the contracting path", section 3.1.
    x = Dropout(network.dropout, name="dropout")(x)
    for level in reversed(range(1, network.depth)):
        x = decoder_block(x, skips.pop(), network.filters_at(level), f"decoder{level}")
    return head(x, network, "head")
