"""A U-Net with a backbone and a second branch, written with `tf.layers`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from unet_common.networks import UNetBranch2
from unet_common.resizing import bilinear
from unet_highlevel.networks.unet_backboned import cover, encode, enlarge, reduce

v1 = tf.compat.v1
layers = v1.layers


@contextmanager
def frozen(freeze: bool) -> Iterator[None]:
    """A scope whose variables are not trained, if `freeze`: a custom getter makes each of them so.

    That does not tell a batch normalisation to leave its moving statistics alone. Only `training=False` does.
    """

    def untrained(getter: Callable[..., tf.Variable], name: str, **options: Any) -> tf.Variable:
        return getter(name, **{**options, "trainable": False})

    with v1.variable_scope(v1.get_variable_scope(), custom_getter=untrained if freeze else None):
        yield


def branch(x: tf.Tensor, network: UNetBranch2, name: str) -> tf.Tensor:
    """One value of features within the decoder, enlarged to the size of its last, for the logit of one class.

    At first it adds nothing, and what it learns is interpolated.
    """
    factor = network.branch_factor
    with v1.variable_scope(name):
        zeros = v1.zeros_initializer()
        x = layers.conv2d(x, 1, kernel_size=1, kernel_initializer=zeros, name="conv")
        x = layers.conv2d_transpose(
            x,
            1,
            kernel_size=2 * factor,
            strides=factor,
            padding="same",
            kernel_initializer=bilinear,
            name="up",
        )
    return x * tf.one_hot(network.corrected_class, network.classes, dtype=x.dtype)


def unet_branch2(images: tf.Tensor, network: UNetBranch2, training: bool) -> tf.Tensor:
    """Images `[batch, height, width, channels]` -> logits `[batch, height, width, classes]`."""
    before = training and not network.freeze
    with frozen(network.freeze):
        x, skips = encode(images, network, before)
        for level in range(1, network.branch_level):
            x = reduce(x, before, f"reduce{level}")
            x = enlarge(x, skips[level - 1], network, before, f"enlarge{level}")
        x = reduce(x, before, f"reduce{network.branch_level}")
    correction = branch(x, network, "branch")

    x = enlarge(x, skips[network.branch_level - 1], network, training, f"enlarge{network.branch_level}")
    for level in range(network.branch_level + 1, network.decoder_blocks + 1):
        x = reduce(x, training, f"reduce{level}")
        x = enlarge(x, skips[level - 1], network, training, f"enlarge{level}")
    logits = layers.conv2d(x, network.classes, kernel_size=3, padding="same", name="head")
    return cover(images, logits + correction, network)
