"""MedPatchNet (Fischer et al. 2019, ISMRM abstract 840), written with operations."""

import tensorflow as tf

from unet_common.networks import MedPatchNet
from unet_common.networks.medpatchnet import HIDDEN, LEVELS
from unet_common.resizing import crop
from unet_lowlevel.ops import (
    activate,
    batch_normalisation,
    convolution,
    dense,
    patch_position,
    transposed_convolution,
)

v1 = tf.compat.v1


def pre_activation(x: tf.Tensor, network: MedPatchNet, training: bool, name: str) -> tf.Tensor:
    """Normalisation and leaky ReLU, which come before a convolution."""
    return activate(batch_normalisation(x, training, name), "leaky_relu", network.leak)


def convolution_unit(
    x: tf.Tensor, filters: int, side: int, network: MedPatchNet, training: bool, name: str, stride: int = 1
) -> tf.Tensor:
    """Normalisation, leaky ReLU, valid convolution without bias."""
    with v1.variable_scope(name):
        x = pre_activation(x, network, training, "norm")
        return convolution(x, filters, [side] * 3, "conv", "valid", bias=False, stride=stride)


def esp_block(x: tf.Tensor, branches: int, network: MedPatchNet, training: bool, name: str) -> tf.Tensor:
    """Mehta et al. 2018, arXiv:1803.06815: reduce the channels, see them with growing dilations, merge, and add.

    The sums over the branches fill the holes that dilation leaves (their figure 3).
    """
    channels = x.shape[-1]
    reduced = -(-channels // branches)
    with v1.variable_scope(name):
        inner = convolution_unit(x, reduced, 1, network, training, "reduce")
        inner = pre_activation(inner, network, training, "norm")
        sums: list[tf.Tensor] = []
        for i in range(1, branches + 1):
            of_branch = convolution(
                inner, reduced, [3, 3, 3], f"branch{i}", bias=False, dilation=2 ** (i - 1)
            )
            sums.append(sums[-1] + of_branch if sums else of_branch)
        return x + convolution_unit(tf.concat(sums, -1), channels, 1, network, training, "merge")


def up(x: tf.Tensor, filters: int, network: MedPatchNet, training: bool, name: str) -> tf.Tensor:
    """Twice the size, by a pre-activated transposed convolution whose middle, for voxel j, lies at 2 j.

    There the skip's voxels lie which the crop leaves. `same` would cut off the end of what the kernels reach, and have
    the middle at 2 j + 1; so it is the start which is cut off.
    """
    with v1.variable_scope(name):
        x = pre_activation(x, network, training, "norm")
        x = transposed_convolution(x, filters, [2, 2, 2], "conv", [3, 3, 3], bias=False, padding="valid")
        return x[:, 1:, 1:, 1:]


def dynamic_convolution(x: tf.Tensor, position: tf.Tensor, network: MedPatchNet, name: str) -> tf.Tensor:
    """A convolution of 1 x 1 x 1 with a kernel for each sample, that of its `position` `[batch, 3]`.

    Jia et al. 2016, arXiv:1605.09673, figure 2a. A change that is generated is added to a static kernel; or the
    kernel is generated alone, as published, and zero at first in the middle of a volume. Such a convolution is a
    product of matrices: one operation for all samples.
    """
    channels = x.shape[-1]
    with v1.variable_scope(name):
        hidden = position
        for i, units in enumerate(HIDDEN, 1):
            hidden = activate(dense(hidden, [units], f"hidden{i}"), "leaky_relu", network.leak)
        kernels = dense(hidden, [channels, channels], "generator")
        size = tf.shape(x)
        voxels = tf.reshape(x, [size[0], -1, channels])
        y = tf.ensure_shape(tf.reshape(tf.matmul(voxels, kernels), size), x.shape)
        if network.dynamic_kernel == "generated":
            return y
        return convolution(x, channels, [1, 1, 1], "static", bias=False) + y


def medpatchnet(images: tf.Tensor, network: MedPatchNet, training: bool) -> tf.Tensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *smaller size, classes]`."""
    if network.takes_positions:
        position = patch_position(images, network.position_noise, training, "position")
    x = images[..., : network.image_channels]
    x = convolution(x, network.filters_at(1), [5, 5, 5], "encoder1/stem", "valid", bias=False)
    skips = []
    for level in LEVELS:
        x = convolution_unit(x, network.filters_at(level), 3, network, training, f"encoder{level}/unit")
        if branches := network.branches_at(level):
            x = esp_block(x, branches, network, training, f"encoder{level}/esp")
        skips.append(x)
        x = convolution_unit(x, network.filters_at(level + 1), 3, network, training, f"down{level}", stride=2)
    x = convolution(x, x.shape[-1], [1, 1, 1], "bottleneck/conv", bias=False)
    if network.dynamic_middle:
        x = dynamic_convolution(x, position, network, "bottleneck/dynamic")
    for level in reversed(LEVELS):
        x = up(x, network.filters_at(level), network, training, f"up{level}")
        x = tf.concat([crop(skips.pop(), x), x], -1)
        x = convolution_unit(x, network.filters_at(level), 3, network, training, f"decoder{level}/unit")
        if branches := network.branches_at(level):
            x = esp_block(x, branches, network, training, f"decoder{level}/esp")
    if network.dynamic_end:
        x = dynamic_convolution(x, position, network, "decoder1/dynamic")
    x = convolution_unit(x, network.filters_at(1), 3, network, training, "decoder1/last")
    return convolution_unit(x, network.classes, 1, network, training, "head")
