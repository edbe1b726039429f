"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with a backbone, written with Keras 3.

The decoder is that of LinkNet (Chaurasia & Culurciello 2017, arXiv:1707.03718, figure 2): of each block the first
half, `reduce`, is apart from the rest, `enlarge`, since a second branch may start between them.
"""

import keras
from keras import layers

from unet_common.networks import UNetBackboned
from unet_common.networks.backbones import BLOCKS, DEEPEST, POOLED, SKIPS
from unet_keras.layers import UpsampleLike
from unet_keras.networks.backbones import backbone, two_units, unit


def encode(
    images: keras.KerasTensor, network: UNetBackboned
) -> tuple[keras.KerasTensor, list[keras.KerasTensor | None]]:
    """The features that the decoder starts from, and those that its blocks add, coarse to fine."""
    features = backbone(images, network.encoder, network.filters, "encoder")
    x = features[DEEPEST[network.encoder]]
    if network.encoder in POOLED:
        x = two_units(x, network.centre_filters, "centre")
    skips = SKIPS[network.encoder][: network.decoder_blocks]
    return x, [features[name] if name else None for name in skips]


def reduce(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The first half of a decoder block: a quarter of the channels."""
    return unit(x, x.shape[-1] // 4, 1, name)


def join(x: keras.KerasTensor, skip: keras.KerasTensor | None, network: UNetBackboned) -> keras.KerasTensor:
    """The encoder's features of the same resolution, added or put beside."""
    if skip is None:
        return x
    return layers.Add()([x, skip]) if network.skip == "add" else layers.Concatenate()([x, skip])


def enlarge(
    x: keras.KerasTensor, skip: keras.KerasTensor | None, network: UNetBackboned, name: str
) -> keras.KerasTensor:
    """The second half: twice the size, and the channels of the features that join."""
    inside, filters = x.shape[-1], network.last_filters if skip is None else skip.shape[-1]
    if network.decoder == "transpose":
        x = layers.Conv2DTranspose(inside, kernel_size=4, strides=2, padding="same", name=f"{name}.up")(x)
    else:
        x = unit(layers.UpSampling2D(2, interpolation="nearest")(x), inside, 3, f"{name}.up")
    return join(unit(x, filters, 1, f"{name}.expand"), skip, network)


def trunk(images: keras.KerasTensor, network: UNetBackboned) -> keras.KerasTensor:
    """Everything but the head: `[batch, height, width, channels]` -> `[batch, height, width, features]`.

    With fewer than five blocks, height and width are a half, a quarter, ... of the images'.
    """
    x, skips = encode(images, network)
    for level, skip in enumerate(skips, 1):
        x = reduce(x, f"reduce{level}")
        x = enlarge(x, skip, network, f"enlarge{level}")
    return x


def head(x: keras.KerasTensor, classes: int, name: str) -> keras.KerasTensor:
    """A 3 x 3 convolution: a logit for each class."""
    return layers.Conv2D(classes, kernel_size=3, padding="same", name=name)(x)


def cover(images: keras.KerasTensor, logits: keras.KerasTensor, network: UNetBackboned) -> keras.KerasTensor:
    """Logits as large as the images: enlarged without weights, where the decoder stops before."""
    return logits if network.decoder_blocks == BLOCKS else UpsampleLike("linear")(logits, images)


def unet_backboned(images: keras.KerasTensor, network: UNetBackboned) -> keras.KerasTensor:
    """Images `[batch, height, width, channels]` -> logits `[batch, height, width, classes]`."""
    logits = head(trunk(images, network), network.classes, "head")
    return cover(images, logits, network)
