"""The high-resolution network of Wang et al. 2020 (arXiv:1908.07919, figure 2), written with Keras 3.

Branches are in a list, the finest first, each at half the resolution of the one before.
"""

import keras
from keras import layers

from unet_common.networks import HRNet
from unet_common.resizing import crop_end
from unet_keras.layers import Randomness, activate, convolution, transposed_convolution, upsample_like
from unet_keras.networks.encoders import (
    BasicBlock,
    Bottleneck,
    NormalisedConvolution,
    ResidualStage,
    batch_norm,
    sides,
)


class Unit(NormalisedConvolution):
    """A 3 x 3 convolution, normalised, and its ReLU."""

    def __init__(self, rank, filters, stride, randomness: Randomness, name):
        super().__init__(rank, filters, 3, stride, randomness, name)

    def call(self, x, training=None):
        return activate(super().call(x, training=training), "relu")


class Stem(layers.Layer):
    """Down to a quarter of the image's size, where the finest branch stays."""

    def __init__(self, network: HRNet, randomness: Randomness, name):
        super().__init__(name=name)
        self.units = [Unit(network.rank, network.stem_filters, 2, randomness, f"unit{i}") for i in (1, 2)]

    def call(self, x, training=None):
        for unit in self.units:
            x = unit(x, training=training)
        return x


class Transition(layers.Layer):
    """One branch more, made from the coarsest. The first transition also makes branch 1, of what is the trunk."""

    def __init__(self, new, network: HRNet, randomness: Randomness, name):
        super().__init__(name=name)
        self.coarser = Unit(network.rank, network.filters_at(new), 2, randomness, f"branch{new}")
        self.first = None
        if new == 2:
            self.first = Unit(network.rank, network.filters_at(1), 1, randomness, "branch1")

    def call(self, branches, training=None):
        coarser = self.coarser(branches[-1], training=training)
        if self.first:
            branches = [self.first(branches[0], training=training)]
        return [*branches, coarser]


class ToFiner(NormalisedConvolution):
    """The channels of a finer branch by a 1 x 1 convolution, its size by interpolation."""

    def __init__(self, rank, filters, randomness: Randomness, name):
        super().__init__(rank, filters, 1, 1, randomness, name)
        self.up = upsample_like("linear")

    def call(self, x, finer, training=None):
        return self.up(super().call(x, training=training), finer)


class ToCoarser(layers.Layer):
    """A convolution for each halving. The last has the coarser branch's channels, and no ReLU before the sum."""

    def __init__(self, rank, filters_before, filters, halvings, randomness: Randomness, name):
        super().__init__(name=name)
        self.units = [Unit(rank, filters_before, 2, randomness, f"unit{i}") for i in range(1, halvings)]
        self.units.append(NormalisedConvolution(rank, filters, 3, 2, randomness, f"unit{halvings}"))

    def call(self, x, training=None):
        for unit in self.units:
            x = unit(x, training=training)
        return x


class Exchange(layers.Layer):
    """Each branch becomes the sum of all of them, brought to its size and its channels (figure 3)."""

    def __init__(self, branches, network: HRNet, randomness: Randomness, name):
        super().__init__(name=name)
        rank, filters_at = network.rank, network.filters_at
        self.ways = {}
        for i in range(1, branches + 1):
            for j in range(1, branches + 1):
                way = f"from{j}to{i}"
                if j > i:
                    self.ways[way] = ToFiner(rank, filters_at(i), randomness, way)
                if j < i:
                    self.ways[way] = ToCoarser(rank, filters_at(j), filters_at(i), i - j, randomness, way)

    def call(self, branches, training=None):
        sums = []
        for i, target in enumerate(branches, 1):
            terms = []
            for j, x in enumerate(branches, 1):
                if j > i:
                    x = self.ways[f"from{j}to{i}"](x, target, training=training)
                if j < i:
                    x = self.ways[f"from{j}to{i}"](x, training=training)
                terms.append(x)
            sums.append(activate(sum(terms[1:], terms[0]), "relu"))
        return sums


class Module(layers.Layer):
    """Residual blocks in each branch, then the exchange."""

    def __init__(self, branches, network: HRNet, randomness: Randomness, name):
        super().__init__(name=name)
        rank, blocks = network.rank, network.blocks
        self.branches = [
            ResidualStage(rank, BasicBlock, network.filters_at(i), blocks, 1, randomness, f"branch{i}")
            for i in range(1, branches + 1)
        ]
        self.exchange = Exchange(branches, network, randomness, "exchange")

    def call(self, branches, training=None):
        own = zip(self.branches, branches, strict=True)
        return self.exchange([branch(x, training=training) for branch, x in own], training=training)


def collect(branches: list[keras.KerasTensor]) -> keras.KerasTensor:
    """All branches in the size of the finest, side by side (figure 4b)."""
    finest, *coarser = branches
    return keras.ops.concatenate([finest, *[upsample_like("linear")(x, finest) for x in coarser]], axis=-1)


class InterpolationHead(layers.Layer):
    """1 x 1 convolutions, first of all channels among themselves; the logits enlarged to the image's size."""

    def __init__(self, channels, network: HRNet, randomness: Randomness, name):
        super().__init__(name=name)
        rank, kernel_size = network.rank, sides(network.rank, 1)
        # Its bias is one of the published weights.
        self.conv = convolution(rank, channels, kernel_size, randomness, "conv")
        self.norm = batch_norm("norm")
        self.logits = convolution(rank, network.classes, kernel_size, randomness, "logits")
        self.up = upsample_like("linear")

    def call(self, x, images, training=None):
        x = activate(self.norm(self.conv(x), training=training), "relu")
        return self.up(self.logits(x), images)


class TransposeHead(layers.Layer):
    """The stem the other way round: two transposed convolutions, and off with what lies beyond the image."""

    def __init__(self, _channels, network: HRNet, randomness: Randomness, name):
        super().__init__(name=name)
        rank, factor, kernel_size = network.rank, sides(network.rank, 2), sides(network.rank, 4)
        self.up1 = transposed_convolution(rank, network.stem_filters, factor, randomness, "up1", kernel_size)
        self.norm = batch_norm("norm")
        self.up2 = transposed_convolution(rank, network.classes, factor, randomness, "up2", kernel_size)

    def call(self, x, images, training=None):
        x = activate(self.norm(self.up1(x), training=training), "relu")
        return crop_end(self.up2(x), images)


def hrnet(images: keras.KerasTensor, network: HRNet, randomness: Randomness) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    rank = network.rank
    x = Stem(network, randomness, "stem")(images)
    x = ResidualStage(rank, Bottleneck, network.stem_filters, network.blocks, 1, randomness, "stage1")(x)
    branches = [x]
    for stage, modules in enumerate(network.modules, 2):
        branches = Transition(stage, network, randomness, f"transition{stage - 1}")(branches)
        for i in range(1, modules + 1):
            branches = Module(stage, network, randomness, f"stage{stage}_module{i}")(branches)
    x = collect(branches)
    head = {"interpolation": InterpolationHead, "transpose": TransposeHead}[network.head]
    return head(x.shape[-1], network, randomness, "head")(x, images)
