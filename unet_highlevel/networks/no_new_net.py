"""No New-Net (Isensee et al. 2018, arXiv:1809.10483; its skips added, 1906.06148), written with `tf.layers`."""

import tensorflow as tf

from unet_common.networks import NoNewNet
from unet_common.resizing import upsample
from unet_highlevel.layers import activate, group_normalisation
from unet_highlevel.networks.reversible_unet import pool, reversible_unet

v1 = tf.compat.v1
layers = v1.layers


def convolution_block(x: tf.Tensor, filters: int, level: int, network: NoNewNet, name: str) -> tf.Tensor:
    """Convolution, group normalisation, leaky ReLU."""
    with v1.variable_scope(name):
        dilation = network.dilation_at(level)
        x = layers.conv3d(
            x, filters, kernel_size=3, padding="same", use_bias=False, dilation_rate=dilation, name="conv"
        )
        return activate(group_normalisation(x, network.groups_at(filters), "norm"), "leaky_relu")


def no_new_net(images: tf.Tensor, network: NoNewNet, training: bool) -> tf.Tensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    if network.block != "published":
        return reversible_unet(images, network, training)
    x, skips = images, []
    for level in range(1, network.depth):
        for i in (1, 2):
            x = convolution_block(x, network.filters_at(level), level, network, f"encoder{level}/block{i}")
        skips.append(x)
        x = pool(x, network)
    # A level of the decoder gives the channels of the level above, so that its skip can be added.
    x = convolution_block(x, network.filters_at(network.depth), network.depth, network, "bottleneck/block1")
    x = convolution_block(
        x, network.filters_at(network.depth - 1), network.depth, network, "bottleneck/block2"
    )
    for level in reversed(range(1, network.depth)):
        x = upsample(x, [2, 2, 2], "linear") + skips.pop()
        x = convolution_block(x, network.filters_at(level), level, network, f"decoder{level}/block1")
        x = convolution_block(
            x, network.filters_at(max(level - 1, 1)), level, network, f"decoder{level}/block2"
        )
    return layers.conv3d(x, network.classes, kernel_size=1, name="head")
