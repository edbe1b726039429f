"""A U-Net with a backbone and a second branch, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNetBranch2
from unet_keras.layers import Bilinear
from unet_keras.networks.unet_backboned import cover, encode, enlarge, head, reduce


def frozen(images: keras.KerasTensor, x: keras.KerasTensor) -> None:
    """Stop training all layers from `images` to `x`: seen alone, they are a model, and it says so to each.

    A batch normalisation that is not trained is in inference mode, also when the model around it is trained.
    """
    keras.Model(images, x).trainable = False


def branch(x: keras.KerasTensor, network: UNetBranch2, name: str) -> keras.KerasTensor:
    """One value of features within the decoder, enlarged to the size of its last, for the logit of one class.

    At first it adds nothing, and what it learns is interpolated.
    """
    factor = network.branch_factor
    x = layers.Conv2D(1, kernel_size=1, kernel_initializer="zeros", name=f"{name}.conv")(x)
    x = layers.Conv2DTranspose(
        1,
        kernel_size=2 * factor,
        strides=factor,
        padding="same",
        kernel_initializer=Bilinear(),
        name=f"{name}.up",
    )(x)
    return x * keras.ops.one_hot(network.corrected_class, network.classes, dtype=x.dtype)


def unet_branch2(images: keras.KerasTensor, network: UNetBranch2) -> keras.KerasTensor:
    """Images `[batch, height, width, channels]` -> logits `[batch, height, width, classes]`."""
    x, skips = encode(images, network)
    for level, skip in enumerate(skips, 1):
        x = reduce(x, f"reduce{level}")
        if level == network.branch_level:
            correction = branch(x, network, "branch")
            if network.freeze:
                frozen(images, x)
        x = enlarge(x, skip, network, f"enlarge{level}")
    logits = layers.Add()([head(x, network.classes, "head"), correction])
    return cover(images, logits, network)
