"""The high-resolution network of Wang et al. 2020 (arXiv:1908.07919, figure 2), written with Keras 3.

Branches are in a list, the finest first, each at half the resolution of the one before.
"""

import keras
from keras import layers

from unet_common.networks import HRNet
from unet_keras.layers import CropEnd, Upsample, UpsampleLike
from unet_keras.networks.encoders import (
    basic_block,
    batch_norm,
    bottleneck,
    normalised_convolution,
    residual_stage,
    sides,
)


def unit(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
    """A 3 x 3 convolution, normalised, and its ReLU."""
    return layers.ReLU()(normalised_convolution(x, filters, 3, stride, name))


def stem(x: keras.KerasTensor, network: HRNet, name: str) -> keras.KerasTensor:
    """Two convolutions down to a quarter of the image's size, where the finest branch stays."""
    for i in (1, 2):
        x = unit(x, network.stem_filters, 2, f"{name}.unit{i}")
    return x


def transition(branches: list[keras.KerasTensor], network: HRNet, name: str) -> list[keras.KerasTensor]:
    """One branch more, made from the coarsest. The first transition also makes branch 1, of what is the trunk."""
    new = len(branches) + 1
    coarser = unit(branches[-1], network.filters_at(new), 2, f"{name}.branch{new}")
    if new == 2:
        branches = [unit(branches[0], network.filters_at(1), 1, f"{name}.branch1")]
    return [*branches, coarser]


def to_finer(x: keras.KerasTensor, finer: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The channels of a finer branch by a 1 x 1 convolution, its size by interpolation."""
    x = normalised_convolution(x, finer.shape[-1], 1, 1, name)
    return UpsampleLike("linear")(x, finer)


def to_coarser(x: keras.KerasTensor, filters: int, halvings: int, name: str) -> keras.KerasTensor:
    """A convolution for each halving. The last has the coarser branch's channels, and no ReLU before the sum."""
    for i in range(1, halvings):
        x = unit(x, x.shape[-1], 2, f"{name}.unit{i}")
    return normalised_convolution(x, filters, 3, 2, f"{name}.unit{halvings}")


def exchange(branches: list[keras.KerasTensor], name: str) -> list[keras.KerasTensor]:
    """Replace each branch by the sum of all of them, brought to its size and its channels (figure 3)."""
    sums = []
    for i, target in enumerate(branches, 1):
        terms = []
        for j, x in enumerate(branches, 1):
            if j > i:
                x = to_finer(x, target, f"{name}.from{j}to{i}")
            if j < i:
                x = to_coarser(x, target.shape[-1], i - j, f"{name}.from{j}to{i}")
            terms.append(x)
        sums.append(layers.ReLU()(layers.Add()(terms)))
    return sums


def module(branches: list[keras.KerasTensor], network: HRNet, name: str) -> list[keras.KerasTensor]:
    """Residual blocks in each branch, then the exchange."""
    branches = [
        residual_stage(x, basic_block, x.shape[-1], network.blocks, 1, f"{name}.branch{i}")
        for i, x in enumerate(branches, 1)
    ]
    return exchange(branches, f"{name}.exchange")


def collect(branches: list[keras.KerasTensor]) -> keras.KerasTensor:
    """All branches in the size of the finest, side by side (figure 4b)."""
    finest, *coarser = branches
    return layers.Concatenate()([finest, *[UpsampleLike("linear")(x, finest) for x in coarser]])


def interpolation_head(
    x: keras.KerasTensor, images: keras.KerasTensor, network: HRNet, name: str
) -> keras.KerasTensor:
    """Convolutions of 1 x 1, first of all channels among themselves; the logits enlarged to the image's size."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    x = Conv(x.shape[-1], kernel_size=1, name=f"{name}.conv")(x)  # its bias is one of the published weights
    x = layers.ReLU()(batch_norm(x, f"{name}.norm"))
    x = Conv(network.classes, kernel_size=1, name=f"{name}.logits")(x)
    return UpsampleLike("linear")(x, images)


def transpose_head(
    x: keras.KerasTensor, images: keras.KerasTensor, network: HRNet, name: str
) -> keras.KerasTensor:
    """The stem the other way round: two transposed convolutions, and off with what lies beyond the image."""
    ConvTranspose = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[network.rank]
    x = ConvTranspose(network.stem_filters, kernel_size=4, strides=2, padding="same", name=f"{name}.up1")(x)
    x = layers.ReLU()(batch_norm(x, f"{name}.norm"))
    x = ConvTranspose(network.classes, kernel_size=4, strides=2, padding="same", name=f"{name}.up2")(x)
    return CropEnd()(x, images)


def mixed_head(
    x: keras.KerasTensor, images: keras.KerasTensor, network: HRNet, name: str
) -> keras.KerasTensor:
    """All channels among themselves, a transposed convolution for half the size; its logits enlarged, and cut off."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    ConvTranspose = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[network.rank]
    x = Conv(x.shape[-1], kernel_size=1, name=f"{name}.conv")(x)
    x = layers.ReLU()(batch_norm(x, f"{name}.norm"))
    x = ConvTranspose(network.classes, kernel_size=4, strides=2, padding="same", name=f"{name}.up")(x)
    return CropEnd()(Upsample(sides(x, 2), "linear")(x), images)


HEADS = {"interpolation": interpolation_head, "transpose": transpose_head, "mixed": mixed_head}


def hrnet(images: keras.KerasTensor, network: HRNet) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x = stem(images, network, "stem")
    x = residual_stage(x, bottleneck, network.stem_filters, network.blocks, 1, "stage1")
    branches = [x]
    for stage, modules in enumerate(network.modules, 2):
        branches = transition(branches, network, f"transition{stage - 1}")
        for i in range(1, modules + 1):
            branches = module(branches, network, f"stage{stage}_module{i}")
    return HEADS[network.head](collect(branches), images, network, "head")
