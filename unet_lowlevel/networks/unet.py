"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597, figure 1), written with operations."""

import tensorflow as tf

from unet_common.networks import UNet
from unet_common.resizing import crop
from unet_lowlevel.networks.attention import attention_gate, non_local_block
from unet_lowlevel.ops import activate, convolution, dropout, max_pooling, normalise, transposed_convolution

v1 = tf.compat.v1


def convolution_block(x: tf.Tensor, level: int, network: UNet, training: bool, name: str) -> tf.Tensor:
    """The blue arrows of the figure: convolution, normalisation, activation, dropout, twice."""
    filters, kernel_size = network.filters_at(level), network.kernel_at(level)
    bias = network.normalisation == "none"  # the normalisation's mean would take it off again
    with v1.variable_scope(name):
        for i in range(1, network.convolutions + 1):
            x = convolution(
                x,
                filters,
                kernel_size,
                f"conv{i}",
                network.padding,
                bias,
                dilation=network.dilation_at(level),
            )
            x = normalise(x, network.normalisation, network.groups, training, f"norm{i}")
            x = activate(x, network.activation)
            x = dropout(x, network.dropout, training, f"dropout{i}")
    return x


def strided_convolution(x: tf.Tensor, level: int, network: UNet, training: bool, name: str) -> tf.Tensor:
    """Convolution with a stride in place of a red arrow: its blocks do not overlap, as those of a pooling."""
    factor, bias = network.pooling_at(level), network.normalisation == "none"
    with v1.variable_scope(name):
        x = convolution(x, network.filters_at(level), factor, "conv", "valid", bias, stride=factor)
        x = normalise(x, network.normalisation, network.groups, training, "norm")
        return activate(x, network.activation)


def decoder_block(
    x: tf.Tensor, skip: tf.Tensor, level: int, network: UNet, training: bool, name: str
) -> tf.Tensor:
    """The green and grey arrows: up-convolution, then the encoder's features of the same resolution beside it.

    With attention the features are weighted first, by what is known a level below.
    """
    with v1.variable_scope(name):
        up = transposed_convolution(x, network.filters_at(level), network.pooling_at(level), "up")
        if network.padding == "valid":
            skip = crop(skip, up)
        if level in network.attention_gates:
            skip = attention_gate(skip, x, network.pooling_at(level), "attention")
    x = tf.concat([skip, up], -1)
    return convolution_block(x, level, network, training, name)


def head(x: tf.Tensor, network: UNet, name: str) -> tf.Tensor:
    """The 1 x 1 convolution: a logit for each class."""
    return convolution(x, network.classes, [1] * network.rank, name)


def unet(images: tf.Tensor, network: UNet, training: bool) -> tf.Tensor | list[tf.Tensor]:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`.

    With deep supervision, training gets a list: these logits, and those of ever coarser decoder levels.
    """
    x, skips, coarse = images, [], []
    for level in range(1, network.depth):
        x = convolution_block(x, level, network, training, f"encoder{level}")
        if level in network.non_local:
            factor = network.subsampling_at(level)
            x = non_local_block(x, factor, f"non_local{level}")
        skips.append(x)
        if network.downsampling == "convolution":
            x = strided_convolution(x, level, network, training, f"down{level}")
        else:
            x = max_pooling(x, network.pooling_at(level))
    x = convolution_block(x, network.depth, network, training, "bottleneck")
    if network.depth in network.non_local:
        factor = network.subsampling_at(network.depth)
        x = non_local_block(x, factor, f"non_local{network.depth}")
    for level in reversed(range(1, network.depth)):
        x = decoder_block(x, skips.pop(), level, network, training, f"decoder{level}")
        if training and 1 < level <= 1 + network.deep_supervision:
            coarse.insert(0, head(x, network, f"head{level}"))
    logits = head(x, network, "head")
    return [logits, *coarse] if coarse else logits
