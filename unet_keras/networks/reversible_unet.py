"""The partially reversible U-Net (Bruegger et al. 2019, arXiv:1906.06148), written with Keras 3."""

import keras
from keras import layers

from unet_common.networks.no_new_net import Levels
from unet_keras.layers import AverageBlocks, BlockSequence, MaxPooling3D, Upsample


def sequence(x: keras.KerasTensor, blocks: int, level: int, network: Levels, name: str) -> keras.KerasTensor:
    """Blocks of two convolutions, one after the other; in reversible ones each has half of the channels."""
    channels = x.shape[-1] // 2 if network.block == "reversible" else x.shape[-1]
    groups, dilation = network.groups_at(channels), network.dilation_at(level)
    return BlockSequence(network.block, blocks, groups, dilation, network.recompute, name=name)(x)


def pool(x: keras.KerasTensor, network: Levels) -> keras.KerasTensor:
    """Half the size."""
    return MaxPooling3D(2)(x) if network.pooling == "max" else AverageBlocks(2)(x)


def reversible_unet(images: keras.KerasTensor, network: Levels) -> keras.KerasTensor:
    """Sequences down and up again, between them convolutions of one voxel to the channels of the next level."""
    filters, skips = network.filters_at(1), []
    x = layers.Conv3D(filters, kernel_size=3, padding="same", use_bias=False, name="stem")(images)
    for level in range(1, network.depth + 1):
        if level > 1:
            skips.append(x)
            x = layers.Conv3D(network.filters_at(level), 1, name=f"down{level - 1}")(pool(x, network))
        x = sequence(x, network.encoder_blocks, level, network, f"encoder{level}")
    for level in range(network.depth, 0, -1):
        x = sequence(x, network.decoder_blocks, level, network, f"decoder{level}")
        if level > 1:
            x = layers.Conv3D(network.filters_at(level - 1), 1, name=f"up{level - 1}")(x)
            x = layers.Add()([Upsample((2, 2, 2), "linear")(x), skips.pop()])
    return layers.Conv3D(network.classes, kernel_size=1, name="head")(x)
