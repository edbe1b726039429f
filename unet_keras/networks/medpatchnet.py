"""MedPatchNet (Fischer et al. 2019, ISMRM abstract 840), written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import MedPatchNet
from unet_common.networks.medpatchnet import HIDDEN, LEVELS
from unet_keras.layers import BatchNormalization, Crop, PatchPosition, ReshapeLike


def pre_activation(x: keras.KerasTensor, network: MedPatchNet, name: str) -> keras.KerasTensor:
    """Normalisation and leaky ReLU, which come before a convolution."""
    x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)
    return layers.LeakyReLU(negative_slope=network.leak)(x)


def convolution_unit(
    x: keras.KerasTensor, filters: int, side: int, network: MedPatchNet, name: str, stride: int = 1
) -> keras.KerasTensor:
    """Normalisation, leaky ReLU, valid convolution without bias."""
    x = pre_activation(x, network, f"{name}.norm")
    return layers.Conv3D(filters, side, strides=stride, use_bias=False, name=f"{name}.conv")(x)


def esp_block(x: keras.KerasTensor, branches: int, network: MedPatchNet, name: str) -> keras.KerasTensor:
    """Mehta et al. 2018, arXiv:1803.06815: reduce the channels, see them with growing dilations, merge, and add.

    The sums over the branches fill the holes that dilation leaves (their figure 3).
    """
    channels = x.shape[-1]
    reduced = -(-channels // branches)
    inner = convolution_unit(x, reduced, 1, network, f"{name}.reduce")
    inner = pre_activation(inner, network, f"{name}.norm")
    sums: list[keras.KerasTensor] = []
    for i in range(1, branches + 1):
        of_branch = layers.Conv3D(
            reduced,
            kernel_size=3,
            padding="same",
            use_bias=False,
            dilation_rate=2 ** (i - 1),
            name=f"{name}.branch{i}",
        )(inner)
        sums.append(layers.Add()([sums[-1], of_branch]) if sums else of_branch)
    merged = convolution_unit(layers.Concatenate()(sums), channels, 1, network, f"{name}.merge")
    return layers.Add()([x, merged])


def up(x: keras.KerasTensor, filters: int, network: MedPatchNet, name: str) -> keras.KerasTensor:
    """Twice the size, by a pre-activated transposed convolution whose middle, for voxel j, lies at 2 j.

    There the skip's voxels lie which the crop leaves. `same` would cut off the end of what the kernels reach, and have
    the middle at 2 j + 1; so it is the start which is cut off.
    """
    x = pre_activation(x, network, f"{name}.norm")
    x = layers.Conv3DTranspose(filters, kernel_size=3, strides=2, use_bias=False, name=f"{name}.conv")(x)
    return layers.Cropping3D([(1, 0)] * 3)(x)


def dynamic_convolution(
    x: keras.KerasTensor, position: keras.KerasTensor, network: MedPatchNet, name: str
) -> keras.KerasTensor:
    """A convolution of 1 x 1 x 1 with a kernel for each sample, that of its `position` `[batch, 3]`.

    Jia et al. 2016, arXiv:1605.09673, figure 2a. A change that is generated is added to a static kernel; or the
    kernel is generated alone, as published, and zero at first in the middle of a volume. Such a convolution is a
    product of matrices: one operation for all samples.
    """
    channels = x.shape[-1]
    hidden = position
    for i, units in enumerate(HIDDEN, 1):
        hidden = layers.Dense(units, name=f"{name}.hidden{i}")(hidden)
        hidden = layers.LeakyReLU(negative_slope=network.leak)(hidden)
    kernels = layers.EinsumDense(
        "bh,hio->bio", output_shape=(channels, channels), bias_axes="io", name=f"{name}.generator"
    )(hidden)
    voxels = layers.Reshape([-1, channels])(x)
    y = ReshapeLike()(layers.Dot(axes=(2, 1))([voxels, kernels]), x)
    if network.dynamic_kernel == "generated":
        return y
    return layers.Add()([layers.Conv3D(channels, kernel_size=1, use_bias=False, name=f"{name}.static")(x), y])


def medpatchnet(images: keras.KerasTensor, network: MedPatchNet) -> keras.KerasTensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *smaller size, classes]`."""
    if network.takes_positions:
        position = PatchPosition(network.position_noise, name="position")(images)
    x = images[..., : network.image_channels]
    x = layers.Conv3D(network.filters_at(1), kernel_size=5, use_bias=False, name="encoder1.stem")(x)
    skips = []
    for level in LEVELS:
        x = convolution_unit(x, network.filters_at(level), 3, network, f"encoder{level}.unit")
        if branches := network.branches_at(level):
            x = esp_block(x, branches, network, f"encoder{level}.esp")
        skips.append(x)
        x = convolution_unit(x, network.filters_at(level + 1), 3, network, f"down{level}", stride=2)
    x = layers.Conv3D(x.shape[-1], kernel_size=1, use_bias=False, name="bottleneck.conv")(x)
    if network.dynamic_middle:
        x = dynamic_convolution(x, position, network, "bottleneck.dynamic")
    for level in reversed(LEVELS):
        x = up(x, network.filters_at(level), network, f"up{level}")
        x = layers.Concatenate()([Crop()(skips.pop(), x), x])
        x = convolution_unit(x, network.filters_at(level), 3, network, f"decoder{level}.unit")
        if branches := network.branches_at(level):
            x = esp_block(x, branches, network, f"decoder{level}.esp")
    if network.dynamic_end:
        x = dynamic_convolution(x, position, network, "decoder1.dynamic")
    x = convolution_unit(x, network.filters_at(1), 3, network, "decoder1.last")
    return convolution_unit(x, network.classes, 1, network, "head")
