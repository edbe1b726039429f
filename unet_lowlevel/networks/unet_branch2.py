"""A U-Net with a backbone and a second branch, written with operations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from unet_common.networks import UNetBranch2
from unet_common.resizing import bilinear
from unet_lowlevel.networks.unet_backboned import cover, encode, enlarge, head, reduce
from unet_lowlevel.ops import convolution, transposed_convolution

v1 = tf.compat.v1


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
        x = convolution(x, 1, [1, 1], "conv", initialiser=v1.zeros_initializer())
        sides = [2 * factor, 2 * factor]
        x = transposed_convolution(x, 1, [factor, factor], "up", sides, initialiser=bilinear)
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
    return cover(images, head(x, network.classes, "head") + correction, network)
