"""Encoders of the U-Nets with a backbone, written with Keras 3.

An encoder gives its features by name, from fine to coarse; `unet_common.networks.backbones` says what the decoder takes
of them. Convolutions have a bias though a normalisation follows, except in Darknet, as in the original programs.
The VGG and the smaller ResNet are those of `encoders.py`.

The weights of `resnet50` are called almost as in `keras.applications`: its `conv2_block1_3_bn` is
`encoder/conv2/block1/norm3` here, and both give the shortcut the number 0.
"""

from keras import layers

from unet_common.networks.backbones import DARKNET52, RESNET50, Backbone
from unet_keras.layers import Randomness, activate, batch_normalisation, convolution, max_pooling, pad
from unet_keras.networks.encoders import encoder


class Unit(layers.Layer):
    """Convolution, batch normalisation, ReLU: what the U-Net's own encoder and all decoders are made of."""

    def __init__(self, filters, side, randomness: Randomness, name):
        super().__init__(name=name)
        self.conv = convolution(2, filters, [side, side], randomness, "conv")
        self.norm = batch_normalisation("norm")

    def call(self, x, training=None):
        return activate(self.norm(self.conv(x), training=training), "relu")


class TwoUnits(layers.Layer):
    """3 x 3, one after the other."""

    def __init__(self, filters, randomness: Randomness, name):
        super().__init__(name=name)
        self.units = [Unit(filters, 3, randomness, f"unit{i}") for i in (1, 2)]

    def call(self, x, training=None):
        for unit in self.units:
            x = unit(x, training=training)
        return x


class ContractingPath(layers.Layer):
    """The U-Net's own encoder: features `level1` and, pooled, `pool1`, to `level5` and `pool5`."""

    def __init__(self, filters, randomness: Randomness, name):
        super().__init__(name=name)
        self.levels = [TwoUnits(filters * 2**i, randomness, f"level{i + 1}") for i in range(5)]
        self.pool = max_pooling([2, 2])

    def call(self, x, training=None):
        features = {}
        for i, level in enumerate(self.levels, 1):
            x = features[f"level{i}"] = level(x, training=training)
            x = features[f"pool{i}"] = self.pool(x)
        return features


def resnet_norm(name: str) -> layers.Layer:
    """With the epsilon of Keras's ResNet."""
    return batch_normalisation(name, epsilon=1.001e-5)


class ResnetStem(layers.Layer):
    """A 7 x 7 convolution that halves the size."""

    def __init__(self, filters, randomness: Randomness, name):
        super().__init__(name=name)
        self.pad = pad(2, 3, 3)
        self.conv = convolution(2, filters, [7, 7], randomness, "conv", "valid", stride=2)
        self.norm = resnet_norm("norm")

    def call(self, x, training=None):
        return activate(self.norm(self.conv(self.pad(x)), training=training), "relu")


class ResnetBlock(layers.Layer):
    """A bottleneck as it was published: the first 1 x 1 convolution has the stride; gives 4 * `filters` channels."""

    def __init__(self, filters, stride, projected, randomness: Randomness, name):
        super().__init__(name=name)
        self.projected = projected
        if projected:
            self.conv0 = convolution(2, 4 * filters, [1, 1], randomness, "conv0", stride=stride)
            self.norm0 = resnet_norm("norm0")
        self.conv1 = convolution(2, filters, [1, 1], randomness, "conv1", stride=stride)
        self.norm1 = resnet_norm("norm1")
        self.conv2 = convolution(2, filters, [3, 3], randomness, "conv2")
        self.norm2 = resnet_norm("norm2")
        self.conv3 = convolution(2, 4 * filters, [1, 1], randomness, "conv3")
        self.norm3 = resnet_norm("norm3")

    def call(self, x, training=None):
        shortcut = self.norm0(self.conv0(x), training=training) if self.projected else x
        x = activate(self.norm1(self.conv1(x), training=training), "relu")
        x = activate(self.norm2(self.conv2(x), training=training), "relu")
        return activate(self.norm3(self.conv3(x), training=training) + shortcut, "relu")


class ResnetStage(layers.Layer):
    """Blocks in a row. The first has the stride and changes the channels."""

    def __init__(self, filters, blocks, stride, randomness: Randomness, name):
        super().__init__(name=name)
        self.blocks = [ResnetBlock(filters, stride, True, randomness, "block1")]
        for i in range(2, blocks + 1):
            self.blocks.append(ResnetBlock(filters, 1, False, randomness, f"block{i}"))

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x, training=training)
        return x


class Resnet50(layers.Layer):
    """He et al. 2016, arXiv:1512.03385, table 1, as Keras has it: features `conv1` to `conv5`."""

    def __init__(self, filters, randomness: Randomness, name):
        super().__init__(name=name)
        self.stem = ResnetStem(filters, randomness, "conv1")
        # Zeros do not win against what a ReLU gives, so they may stand beyond the image's borders.
        self.pad, self.pool = pad(2, 1, 1), max_pooling([2, 2], [3, 3])
        self.stages = []
        for i, blocks in enumerate(RESNET50, 2):
            width, stride = filters * 2 ** (i - 2), 1 if i == 2 else 2
            self.stages.append(ResnetStage(width, blocks, stride, randomness, f"conv{i}"))

    def call(self, x, training=None):
        features = {"conv1": self.stem(x, training=training)}
        x = self.pool(self.pad(features["conv1"]))
        for stage in self.stages:
            x = features[stage.name] = stage(x, training=training)
        return features


class DarknetUnit(layers.Layer):
    """Convolution, batch normalisation, leaky ReLU."""

    def __init__(self, filters, side, randomness: Randomness, name, padding="same", stride=1):
        super().__init__(name=name)
        self.conv = convolution(2, filters, [side, side], randomness, "conv", padding, False, stride)
        self.norm = batch_normalisation("norm")

    def call(self, x, training=None):
        return activate(self.norm(self.conv(x), training=training), "leaky_relu", slope=0.1)


class DarknetBlock(layers.Layer):
    """Half of the `filters`, then all again, added to what came in."""

    def __init__(self, filters, randomness: Randomness, name):
        super().__init__(name=name)
        self.unit1 = DarknetUnit(filters // 2, 1, randomness, "unit1")
        self.unit2 = DarknetUnit(filters, 3, randomness, "unit2")

    def call(self, x, training=None):
        return x + self.unit2(self.unit1(x, training=training), training=training)


class DarknetStage(layers.Layer):
    """Half the size by a convolution, which sees one row and column of zeros at the image's start; then blocks."""

    def __init__(self, filters, blocks, randomness: Randomness, name):
        super().__init__(name=name)
        self.pad = pad(2, 1, 0)
        self.down = DarknetUnit(filters, 3, randomness, "down", "valid", 2)
        self.blocks = [DarknetBlock(filters, randomness, f"block{i}") for i in range(1, blocks + 1)]

    def call(self, x, training=None):
        x = self.down(self.pad(x), training=training)
        for block in self.blocks:
            x = block(x, training=training)
        return x


class Darknet52(layers.Layer):
    """Redmon & Farhadi 2018, arXiv:1804.02767, table 1, without the classifier: features `stage1` to `stage5`."""

    def __init__(self, filters, randomness: Randomness, name):
        super().__init__(name=name)
        self.stem = DarknetUnit(filters // 2, 3, randomness, "stem")
        self.stages = [
            DarknetStage(filters * 2 ** (i - 1), blocks, randomness, f"stage{i}")
            for i, blocks in enumerate(DARKNET52, 1)
        ]

    def call(self, x, training=None):
        features, x = {}, self.stem(x, training=training)
        for stage in self.stages:
            x = features[stage.name] = stage(x, training=training)
        return features


def backbone(kind: Backbone, filters: int, randomness: Randomness, name: str) -> layers.Layer:
    """The encoder called `kind`: images to features by name."""
    own = {"unet": ContractingPath, "resnet50": Resnet50, "darknet52": Darknet52}
    if kind in own:
        return own[kind](filters, randomness, name)
    return encoder(2, kind, filters, randomness, name)
