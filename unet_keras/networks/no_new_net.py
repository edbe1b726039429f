"""No New-Net (Isensee et al. 2018, arXiv:1809.10483; its skips added, 1906.06148), written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import NoNewNet
from unet_keras.layers import Upsample, activate, normalise
from unet_keras.networks.reversible_unet import pool, reversible_unet


def convolution_block(
    x: keras.KerasTensor, filters: int, level: int, network: NoNewNet, name: str
) -> keras.KerasTensor:
    """Convolution, group normalisation, leaky ReLU."""
    dilation = network.dilation_at(level)
    x = layers.Conv3D(
        filters, kernel_size=3, padding="same", use_bias=False, dilation_rate=dilation, name=f"{name}.conv"
    )(x)
    return activate(normalise(x, "group", network.groups_at(filters), f"{name}.norm"), "leaky_relu")


def no_new_net(images: keras.KerasTensor, network: NoNewNet) -> keras.KerasTensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    if network.block != "published":
        return reversible_unet(images, network)
    x, skips = images, []
    for level in range(1, network.depth):
        for i in (1, 2):
            x = convolution_block(x, network.filters_at(level), level, network, f"encoder{level}.block{i}")
        skips.append(x)
        x = pool(x, network)
    # A level of the decoder gives the channels of the level above, so that its skip can be added.
    x = convolution_block(x, network.filters_at(network.depth), network.depth, network, "bottleneck.block1")
    x = convolution_block(
        x, network.filters_at(network.depth - 1), network.depth, network, "bottleneck.block2"
    )
    for level in reversed(range(1, network.depth)):
        x = layers.Add()([Upsample((2, 2, 2), "linear")(x), skips.pop()])
        x = convolution_block(x, network.filters_at(level), level, network, f"decoder{level}.block1")
        x = convolution_block(
            x, network.filters_at(max(level - 1, 1)), level, network, f"decoder{level}.block2"
        )
    return layers.Conv3D(network.classes, kernel_size=1, name="head")(x)
