"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with a backbone, written with `tf.layers`.

The decoder is that of LinkNet (Chaurasia & Culurciello 2017, arXiv:1707.03718, figure 2): of each block the first
half, `reduce`, is apart from the rest, `enlarge`, since a second branch may start between them.
"""

import tensorflow as tf

from unet_common.networks import UNetBackboned
from unet_common.networks.backbones import BLOCKS, DEEPEST, POOLED, SKIPS
from unet_common.resizing import upsample, upsample_like
from unet_highlevel.layers import transposed_initialiser
from unet_highlevel.networks.backbones import backbone, two_units, unit

v1 = tf.compat.v1
layers = v1.layers


def encode(
    images: tf.Tensor, network: UNetBackboned, training: bool
) -> tuple[tf.Tensor, list[tf.Tensor | None]]:
    """The features that the decoder starts from, and those that its blocks add, coarse to fine."""
    features = backbone(images, network.encoder, network.filters, training, "encoder")
    x = features[DEEPEST[network.encoder]]
    if network.encoder in POOLED:
        x = two_units(x, network.centre_filters, training, "centre")
    skips = SKIPS[network.encoder][: network.decoder_blocks]
    return x, [features[name] if name else None for name in skips]


def reduce(x: tf.Tensor, training: bool, name: str) -> tf.Tensor:
    """The first half of a decoder block: a quarter of the channels."""
    return unit(x, x.shape[-1] // 4, 1, training, name)


def join(x: tf.Tensor, skip: tf.Tensor | None, network: UNetBackboned) -> tf.Tensor:
    """The encoder's features of the same resolution, added or put beside."""
    if skip is None:
        return x
    return x + skip if network.skip == "add" else tf.concat([x, skip], -1)


def enlarge(
    x: tf.Tensor, skip: tf.Tensor | None, network: UNetBackboned, training: bool, name: str
) -> tf.Tensor:
    """The second half: twice the size, and the channels of the features that join."""
    inside, filters = x.shape[-1], network.last_filters if skip is None else skip.shape[-1]
    with v1.variable_scope(name):
        if network.decoder == "transpose":
            x = layers.conv2d_transpose(
                x,
                inside,
                kernel_size=4,
                strides=2,
                padding="same",
                kernel_initializer=transposed_initialiser(strides=2),
                name="up",
            )
        else:
            x = unit(upsample(x, [2, 2], "nearest"), inside, 3, training, "up")
        return join(unit(x, filters, 1, training, "expand"), skip, network)


def trunk(images: tf.Tensor, network: UNetBackboned, training: bool) -> tf.Tensor:
    """Everything but the head: `[batch, height, width, channels]` -> `[batch, height, width, features]`.

    With fewer than five blocks, height and width are a half, a quarter, ... of the images'.
    """
    x, skips = encode(images, network, training)
    for level, skip in enumerate(skips, 1):
        x = reduce(x, training, f"reduce{level}")
        x = enlarge(x, skip, network, training, f"enlarge{level}")
    return x


def head(x: tf.Tensor, classes: int, name: str) -> tf.Tensor:
    """A 3 x 3 convolution: a logit for each class."""
    return layers.conv2d(x, classes, kernel_size=3, padding="same", name=name)


def cover(images: tf.Tensor, logits: tf.Tensor, network: UNetBackboned) -> tf.Tensor:
    """Logits as large as the images: enlarged without weights, where the decoder stops before."""
    return logits if network.decoder_blocks == BLOCKS else upsample_like(logits, images, "linear")


def unet_backboned(images: tf.Tensor, network: UNetBackboned, training: bool) -> tf.Tensor:
    """Images `[batch, height, width, channels]` -> logits `[batch, height, width, classes]`."""
    logits = head(trunk(images, network, training), network.classes, "head")
    return cover(images, logits, network)
