"""The partially reversible U-Net (Bruegger et al. 2019, arXiv:1906.06148), written with operations."""

import tensorflow as tf

from unet_common.networks.no_new_net import Levels
from unet_common.operations.blocks import Block, Unit, block_sequence, pre_activated_convolution
from unet_common.resizing import average_blocks, upsample
from unet_common.weights.initial import kernel_initialiser
from unet_lowlevel.ops import convolution, max_pooling

v1 = tf.compat.v1


def _unit(channels: int, dtype: tf.DType, name: str) -> Unit:
    """The weights of a normalisation and a convolution of 3 x 3 x 3."""
    with v1.variable_scope(name):
        with v1.variable_scope("norm"):
            gamma = v1.get_variable("gamma", [channels], dtype, v1.ones_initializer())
            beta = v1.get_variable("beta", [channels], dtype, v1.zeros_initializer())
        with v1.variable_scope("conv"):
            initialiser = kernel_initialiser(27 * channels, 27 * channels)
            kernel = v1.get_variable("kernel", [3, 3, 3, channels, channels], dtype, initialiser)
    return Unit(gamma, beta, kernel)


def sequence(x: tf.Tensor, blocks: int, level: int, network: Levels, name: str) -> tf.Tensor:
    """Blocks of two convolutions, one after the other; in reversible ones each has half of the channels."""
    channels = x.shape[-1] // 2 if network.block == "reversible" else x.shape[-1]
    groups, dilation = network.groups_at(channels), network.dilation_at(level)
    with v1.variable_scope(name):
        weights: list[Block] = [
            (_unit(channels, x.dtype, f"block{i}/f"), _unit(channels, x.dtype, f"block{i}/g"))
            for i in range(1, blocks + 1)
        ]
    return block_sequence(
        x,
        weights,
        network.block,
        lambda x, unit: pre_activated_convolution(x, unit, groups, dilation),
        network.recompute,
    )


def pool(x: tf.Tensor, network: Levels) -> tf.Tensor:
    """Half the size."""
    return max_pooling(x, [2, 2, 2]) if network.pooling == "max" else average_blocks(x, 2)


def reversible_unet(images: tf.Tensor, network: Levels, training: bool) -> tf.Tensor:
    """Sequences down and up again, between them convolutions of one voxel to the channels of the next level."""
    x, skips = convolution(images, network.filters_at(1), [3, 3, 3], "stem", bias=False), []
    for level in range(1, network.depth + 1):
        if level > 1:
            skips.append(x)
            x = convolution(pool(x, network), network.filters_at(level), [1, 1, 1], f"down{level - 1}")
        x = sequence(x, network.encoder_blocks, level, network, f"encoder{level}")
    for level in range(network.depth, 0, -1):
        x = sequence(x, network.decoder_blocks, level, network, f"decoder{level}")
        if level > 1:
            x = convolution(x, network.filters_at(level - 1), [1, 1, 1], f"up{level - 1}")
            x = upsample(x, [2, 2, 2], "linear") + skips.pop()
    return convolution(x, network.classes, [1, 1, 1], "head")
