"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with a backbone, written with Keras 3.

The decoder is that of LinkNet (Chaurasia & Culurciello 2017, arXiv:1707.03718, figure 2): of each block the first
half, `reduce`, is apart from the rest, `Enlarge`, since a second branch may start between them.
"""

import keras
from keras import layers

from unet_common.networks import UNetBackboned
from unet_common.networks.backbones import DEEPEST, POOLED, SKIPS
from unet_keras.layers import Randomness, convolution, transposed_convolution, upsample
from unet_keras.networks.backbones import TwoUnits, Unit, backbone


def encode(
    images: keras.KerasTensor, network: UNetBackboned, randomness: Randomness
) -> tuple[keras.KerasTensor, list[keras.KerasTensor | None]]:
    """What the decoder starts from, and what its blocks add, coarse to fine."""
    features = backbone(network.encoder, network.filters, randomness, "encoder")(images)
    x = features[DEEPEST[network.encoder]]
    if network.encoder in POOLED:
        x = TwoUnits(network.centre_filters, randomness, "centre")(x)
    return x, [features.get(name) for name in SKIPS[network.encoder]]


def reduce(x: keras.KerasTensor, randomness: Randomness, name: str) -> keras.KerasTensor:
    """The first half of a decoder block: a quarter of the channels."""
    return Unit(x.shape[-1] // 4, 1, randomness, name)(x)


def join(x: keras.KerasTensor, skip: keras.KerasTensor | None, network: UNetBackboned) -> keras.KerasTensor:
    """The encoder's features of the same resolution, added or put beside."""
    if skip is None:
        return x
    return x + skip if network.skip == "add" else keras.ops.concatenate([x, skip], axis=-1)


class Enlarge(layers.Layer):
    """The second half: twice the size, and the channels of the features that join."""

    def __init__(self, network: UNetBackboned, randomness: Randomness, name):
        super().__init__(name=name)
        self.network, self.randomness = network, randomness

    def build(self, x_shape, skip_shape=None):
        network, inside = self.network, x_shape[-1]
        filters = network.last_filters if skip_shape is None else skip_shape[-1]
        if network.decoder == "transpose":
            self.up = transposed_convolution(2, inside, [2, 2], self.randomness, "up", [4, 4])
        else:
            self.repeat, self.up = upsample([2, 2], "nearest"), Unit(inside, 3, self.randomness, "up")
        self.expand = Unit(filters, 1, self.randomness, "expand")

    def call(self, x, skip=None, training=None):
        if self.network.decoder == "transpose":
            x = self.up(x)
        else:
            x = self.up(self.repeat(x), training=training)
        return join(self.expand(x, training=training), skip, self.network)


def trunk(images: keras.KerasTensor, network: UNetBackboned, randomness: Randomness) -> keras.KerasTensor:
    """Everything but the head: `[batch, height, width, channels]` -> `[batch, height, width, features]`."""
    x, skips = encode(images, network, randomness)
    for level, skip in enumerate(skips, 1):
        x = reduce(x, randomness, f"reduce{level}")
        x = Enlarge(network, randomness, f"enlarge{level}")(x, skip)
    return x


def head(classes: int, randomness: Randomness, name: str) -> layers.Layer:
    """A 3 x 3 convolution: a logit for each class."""
    return convolution(2, classes, [3, 3], randomness, name)


def unet_backboned(
    images: keras.KerasTensor, network: UNetBackboned, randomness: Randomness
) -> keras.KerasTensor:
    """Images `[batch, height, width, channels]` -> logits `[batch, height, width, classes]`."""
    return head(network.classes, randomness, "head")(trunk(images, network, randomness))
