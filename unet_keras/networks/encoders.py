"""ResNet and VGG encoders, written with Keras 3.

He et al. 2016, arXiv:1512.03385, and Simonyan & Zisserman 2015, arXiv:1409.1556. An encoder gives its features by
name, from fine to coarse; `unet_common.networks.encoders` says which there are. The weights are called as in
torchvision, with blocks counted from 1: `layer1.0.conv1.weight` is `encoder/layer1/block1/conv1/kernel`.
"""

from collections.abc import Sequence

from keras import layers

from unet_common.networks.encoders import BOTTLENECKS, RESNETS, VGGS, EncoderName
from unet_keras.layers import Randomness, activate, batch_normalisation, convolution, max_pooling, pad


def batch_norm(name: str) -> layers.Layer:
    """With the constants of the original programs, which are PyTorch's: there the momentum is called 0.1."""
    return batch_normalisation(name, momentum=0.9, epsilon=1e-5)


def sides(rank: int, length: int) -> list[int]:
    """Of a kernel or window that is as long along every axis of the image."""
    return [length] * rank


class NormalisedConvolution(layers.Layer):
    """Convolution and batch normalisation, with as many zeros before the image as after it."""

    def __init__(self, rank, filters, side, stride, randomness: Randomness, name):
        super().__init__(name=name)
        self.pad = pad(rank, side // 2, side // 2)
        kernel_size = sides(rank, side)
        self.conv = convolution(rank, filters, kernel_size, randomness, "conv", "valid", False, stride)
        self.norm = batch_norm("norm")

    def call(self, x, training=None):
        return self.norm(self.conv(self.pad(x)), training=training)


class BasicBlock(layers.Layer):
    """Two 3 x 3 convolutions with a shortcut around them (He et al., figure 5, left).

    The shortcut is `projected` by a 1 x 1 convolution where the block changes the size or the channels.
    """

    def __init__(self, rank, filters, stride, projected, randomness: Randomness, name):
        super().__init__(name=name)
        kernel_size = sides(rank, 3)
        self.shortcut = layers.Identity()
        if projected:
            self.shortcut = NormalisedConvolution(rank, filters, 1, stride, randomness, "shortcut")
        self.pad = pad(rank, 1, 1)
        self.conv1 = convolution(rank, filters, kernel_size, randomness, "conv1", "valid", False, stride)
        self.norm1 = batch_norm("norm1")
        self.conv2 = convolution(rank, filters, kernel_size, randomness, "conv2", bias=False)
        self.norm2 = batch_norm("norm2")

    def call(self, x, training=None):
        shortcut = self.shortcut(x, training=training)
        x = activate(self.norm1(self.conv1(self.pad(x)), training=training), "relu")
        x = self.norm2(self.conv2(x), training=training)
        return activate(x + shortcut, "relu")


class Bottleneck(layers.Layer):
    """A 3 x 3 convolution of few channels between two of 1 x 1 (He et al., figure 5, right); gives 4 * `filters`."""

    def __init__(self, rank, filters, stride, projected, randomness: Randomness, name):
        super().__init__(name=name)
        self.shortcut = layers.Identity()
        if projected:
            self.shortcut = NormalisedConvolution(rank, 4 * filters, 1, stride, randomness, "shortcut")
        self.conv1 = convolution(rank, filters, sides(rank, 1), randomness, "conv1", bias=False)
        self.norm1 = batch_norm("norm1")
        self.pad = pad(rank, 1, 1)
        self.conv2 = convolution(rank, filters, sides(rank, 3), randomness, "conv2", "valid", False, stride)
        self.norm2 = batch_norm("norm2")
        self.conv3 = convolution(rank, 4 * filters, sides(rank, 1), randomness, "conv3", bias=False)
        self.norm3 = batch_norm("norm3")

    def call(self, x, training=None):
        shortcut = self.shortcut(x, training=training)
        x = activate(self.norm1(self.conv1(x), training=training), "relu")
        x = activate(self.norm2(self.conv2(self.pad(x)), training=training), "relu")
        x = self.norm3(self.conv3(x), training=training)
        return activate(x + shortcut, "relu")


class ResidualStage(layers.Layer):
    """Blocks in a row. The first has the stride; a bottleneck also changes the channels there."""

    def __init__(self, rank, block, filters, blocks, stride, randomness: Randomness, name):
        super().__init__(name=name)
        self.blocks = []
        for i in range(1, blocks + 1):
            projected = i == 1 and (stride > 1 or block is Bottleneck)
            self.blocks.append(
                block(rank, filters, stride if i == 1 else 1, projected, randomness, f"block{i}")
            )

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x, training=training)
        return x


class ResnetEncoder(layers.Layer):
    """Features `stem`, after its normalisation and ReLU, and `layer1` to `layer4`."""

    def __init__(self, rank, block, filters, blocks: Sequence[int], randomness: Randomness, name):
        super().__init__(name=name)
        self.pad = pad(rank, 3, 3)
        self.conv1 = convolution(rank, filters, sides(rank, 7), randomness, "conv1", "valid", False, 2)
        self.norm1 = batch_norm("norm1")
        # Zeros do not win against what a ReLU gives, so they may stand beyond the image's borders.
        self.pad_pool, self.pool = pad(rank, 1, 1), max_pooling(sides(rank, 2), sides(rank, 3))
        self.stages = []
        for i, count in enumerate(blocks, 1):
            stage, stride = f"layer{i}", 1 if i == 1 else 2
            self.stages.append(
                ResidualStage(rank, block, filters * 2 ** (i - 1), count, stride, randomness, stage)
            )

    def call(self, x, training=None):
        features = {}
        x = self.norm1(self.conv1(self.pad(x)), training=training)
        x = features["stem"] = activate(x, "relu")
        x = self.pool(self.pad_pool(x))
        for stage in self.stages:
            x = features[stage.name] = stage(x, training=training)
        return features


class VggGroup(layers.Layer):
    """3 x 3 convolutions with a bias, each with its ReLU: VGG is older than batch normalisation."""

    def __init__(self, rank, filters, convolutions, randomness: Randomness, name):
        super().__init__(name=name)
        self.convolutions = [
            convolution(rank, filters, sides(rank, 3), randomness, f"conv{i}")
            for i in range(1, convolutions + 1)
        ]

    def call(self, x):
        for convolve in self.convolutions:
            x = activate(convolve(x), "relu")
        return x


class VggEncoder(layers.Layer):
    """Features `group1` and, pooled, `pool1`, to `group5` and `pool5`."""

    def __init__(self, rank, filters, convolutions: Sequence[int], randomness: Randomness, name):
        super().__init__(name=name)
        self.pool = max_pooling(sides(rank, 2))
        self.groups = [
            VggGroup(rank, filters * min(2 ** (i - 1), 8), count, randomness, f"group{i}")
            for i, count in enumerate(convolutions, 1)
        ]

    def call(self, x):
        features = {}
        for i, group in enumerate(self.groups, 1):
            x = features[f"group{i}"] = group(x)
            x = features[f"pool{i}"] = self.pool(x)
        return features


def encoder(rank: int, kind: EncoderName, filters: int, randomness: Randomness, name: str) -> layers.Layer:
    """The encoder called `kind`: images to features by name."""
    if kind in VGGS:
        return VggEncoder(rank, filters, VGGS[kind], randomness, name)
    block = Bottleneck if kind in BOTTLENECKS else BasicBlock
    return ResnetEncoder(rank, block, filters, RESNETS[kind], randomness, name)
