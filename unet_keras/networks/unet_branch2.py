"""A U-Net with a backbone and a second branch, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNetBranch2
from unet_common.resizing import bilinear
from unet_keras.layers import Randomness, convolution, transposed_convolution
from unet_keras.networks.unet_backboned import Enlarge, encode, head, reduce


def frozen(images: keras.KerasTensor, x: keras.KerasTensor) -> None:
    """All layers from `images` to `x` are no longer trained: seen alone, they are a model, and it says so to each.

    A batch normalisation that is not trained is in inference mode, also when the model around it is trained.
    """
    keras.Model(images, x).trainable = False


class Branch(layers.Layer):
    """One value of features within the decoder, enlarged to the image's size, for the logit of one class.

    At first it adds nothing, and what it learns is interpolated.
    """

    def __init__(self, network: UNetBranch2, randomness: Randomness, name):
        super().__init__(name=name)
        self.network, factor = network, network.branch_factor
        self.conv = convolution(2, 1, [1, 1], randomness, "conv", initialiser=keras.initializers.Zeros())
        sides = [2 * factor, 2 * factor]
        self.up = transposed_convolution(
            2, 1, [factor, factor], randomness, "up", sides, initialiser=bilinear
        )

    def call(self, x):
        x = self.up(self.conv(x))
        return x * keras.ops.one_hot(self.network.corrected_class, self.network.classes, dtype=x.dtype)


def unet_branch2(
    images: keras.KerasTensor, network: UNetBranch2, randomness: Randomness
) -> keras.KerasTensor:
    """Images `[batch, height, width, channels]` -> logits `[batch, height, width, classes]`."""
    x, skips = encode(images, network, randomness)
    for level, skip in enumerate(skips, 1):
        x = reduce(x, randomness, f"reduce{level}")
        if level == network.branch_level:
            correction = Branch(network, randomness, "branch")(x)
            if network.freeze:
                frozen(images, x)
        x = Enlarge(network, randomness, f"enlarge{level}")(x, skip)
    return head(network.classes, randomness, "head")(x) + correction
