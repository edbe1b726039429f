"""The high-resolution network of Wang et al. 2020 (arXiv:1908.07919, figure 2), written with `tf.layers`.

Branches are in a list, the finest first, each at half the resolution of the one before.
"""

import tensorflow as tf

from unet_common.networks import HRNet
from unet_common.resizing import crop_end, upsample, upsample_like
from unet_highlevel.layers import transposed_initialiser
from unet_highlevel.networks.encoders import (
    basic_block,
    batch_norm,
    bottleneck,
    normalised_convolution,
    residual_stage,
)

v1 = tf.compat.v1
layers = v1.layers


def unit(x: tf.Tensor, filters: int, stride: int, training: bool, name: str) -> tf.Tensor:
    """A 3 x 3 convolution, normalised, and its ReLU."""
    return tf.nn.relu(normalised_convolution(x, filters, 3, stride, training, name))


def stem(x: tf.Tensor, network: HRNet, training: bool, name: str) -> tf.Tensor:
    """Two convolutions down to a quarter of the image's size, where the finest branch stays."""
    with v1.variable_scope(name):
        for i in (1, 2):
            x = unit(x, network.stem_filters, 2, training, f"unit{i}")
    return x


def transition(branches: list[tf.Tensor], network: HRNet, training: bool, name: str) -> list[tf.Tensor]:
    """One branch more, made from the coarsest. The first transition also makes branch 1, of what is the trunk."""
    new = len(branches) + 1
    with v1.variable_scope(name):
        coarser = unit(branches[-1], network.filters_at(new), 2, training, f"branch{new}")
        if new == 2:
            branches = [unit(branches[0], network.filters_at(1), 1, training, "branch1")]
    return [*branches, coarser]


def to_finer(x: tf.Tensor, finer: tf.Tensor, training: bool, name: str) -> tf.Tensor:
    """The channels of a finer branch by a 1 x 1 convolution, its size by interpolation."""
    x = normalised_convolution(x, finer.shape[-1], 1, 1, training, name)
    return upsample_like(x, finer, "linear")


def to_coarser(x: tf.Tensor, filters: int, halvings: int, training: bool, name: str) -> tf.Tensor:
    """A convolution for each halving. The last has the coarser branch's channels, and no ReLU before the sum."""
    with v1.variable_scope(name):
        for i in range(1, halvings):
            x = unit(x, x.shape[-1], 2, training, f"unit{i}")
        return normalised_convolution(x, filters, 3, 2, training, f"unit{halvings}")


def exchange(branches: list[tf.Tensor], training: bool, name: str) -> list[tf.Tensor]:
    """Replace each branch by the sum of all of them, brought to its size and its channels (figure 3)."""
    sums = []
    with v1.variable_scope(name):
        for i, target in enumerate(branches, 1):
            terms = []
            for j, x in enumerate(branches, 1):
                if j > i:
                    x = to_finer(x, target, training, f"from{j}to{i}")
                if j < i:
                    x = to_coarser(x, target.shape[-1], i - j, training, f"from{j}to{i}")
                terms.append(x)
            sums.append(tf.nn.relu(sum(terms[1:], terms[0])))
    return sums


def module(branches: list[tf.Tensor], network: HRNet, training: bool, name: str) -> list[tf.Tensor]:
    """Residual blocks in each branch, then the exchange."""
    with v1.variable_scope(name):
        branches = [
            residual_stage(x, basic_block, x.shape[-1], network.blocks, 1, training, f"branch{i}")
            for i, x in enumerate(branches, 1)
        ]
        return exchange(branches, training, "exchange")


def collect(branches: list[tf.Tensor]) -> tf.Tensor:
    """All branches in the size of the finest, side by side (figure 4b)."""
    finest, *coarser = branches
    return tf.concat([finest, *[upsample_like(x, finest, "linear") for x in coarser]], -1)


def interpolation_head(
    x: tf.Tensor, images: tf.Tensor, network: HRNet, training: bool, name: str
) -> tf.Tensor:
    """Convolutions of 1 x 1, first of all channels among themselves; the logits enlarged to the image's size."""
    conv = {2: layers.conv2d, 3: layers.conv3d}[network.rank]
    with v1.variable_scope(name):
        x = conv(x, x.shape[-1], kernel_size=1, name="conv")  # its bias is one of the published weights
        x = tf.nn.relu(batch_norm(x, training, "norm"))
        x = conv(x, network.classes, kernel_size=1, name="logits")
    return upsample_like(x, images, "linear")


def transpose_head(x: tf.Tensor, images: tf.Tensor, network: HRNet, training: bool, name: str) -> tf.Tensor:
    """The stem the other way round: two transposed convolutions, and off with what lies beyond the image."""
    conv_transpose = {2: layers.conv2d_transpose, 3: layers.conv3d_transpose}[network.rank]
    doubled = {
        "kernel_size": 4,
        "strides": 2,
        "padding": "same",
        "kernel_initializer": transposed_initialiser(strides=2),
    }
    with v1.variable_scope(name):
        x = conv_transpose(x, network.stem_filters, **doubled, name="up1")
        x = tf.nn.relu(batch_norm(x, training, "norm"))
        x = conv_transpose(x, network.classes, **doubled, name="up2")
    return crop_end(x, images)


def mixed_head(x: tf.Tensor, images: tf.Tensor, network: HRNet, training: bool, name: str) -> tf.Tensor:
    """All channels among themselves, a transposed convolution for half the size; its logits enlarged, and cut off."""
    conv = {2: layers.conv2d, 3: layers.conv3d}[network.rank]
    conv_transpose = {2: layers.conv2d_transpose, 3: layers.conv3d_transpose}[network.rank]
    with v1.variable_scope(name):
        x = conv(x, x.shape[-1], kernel_size=1, name="conv")
        x = tf.nn.relu(batch_norm(x, training, "norm"))
        x = conv_transpose(
            x,
            network.classes,
            kernel_size=4,
            strides=2,
            padding="same",
            kernel_initializer=transposed_initialiser(strides=2),
            name="up",
        )
    return crop_end(upsample(x, [2] * network.rank, "linear"), images)


HEADS = {"interpolation": interpolation_head, "transpose": transpose_head, "mixed": mixed_head}


def hrnet(images: tf.Tensor, network: HRNet, training: bool) -> tf.Tensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    x = stem(images, network, training, "stem")
    x = residual_stage(x, bottleneck, network.stem_filters, network.blocks, 1, training, "stage1")
    branches = [x]
    for stage, modules in enumerate(network.modules, 2):
        branches = transition(branches, network, training, f"transition{stage - 1}")
        for i in range(1, modules + 1):
            branches = module(branches, network, training, f"stage{stage}_module{i}")
    return HEADS[network.head](collect(branches), images, network, training, "head")
