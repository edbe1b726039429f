"""The 2.5D U-Net of Wang et al. 2019 (arXiv:1906.03906, figure 2), written with operations."""

import tensorflow as tf

from unet_common.networks import UNet25D
from unet_common.resizing import crop_end, pad, upsample
from unet_lowlevel.ops import activate, batch_normalisation, convolution, max_pooling

v1 = tf.compat.v1


def convolution_block(x: tf.Tensor, level: int, network: UNet25D, training: bool, name: str) -> tf.Tensor:
    """Twice convolution, normalisation and ReLU, within the slices or across them as well."""
    with v1.variable_scope(name):
        for i in (1, 2):
            x = convolution(x, network.filters_at(level), network.kernel_at(level), f"conv{i}")
            x = activate(batch_normalisation(x, training, f"norm{i}"), "relu")
    return x


def down(x: tf.Tensor, level: int, network: UNet25D) -> tf.Tensor:
    """Max pooling. Where windows overlap, the last reaches beyond the end: no value is below the zeros there."""
    if level > network.in_plane_levels:
        x = pad(x, 0, 2)  # for an even side one too many, which no window gets to
    return max_pooling(x, network.pooling_at(level), network.window_at(level))


def spatial_attention(x: tf.Tensor, level: int, network: UNet25D, name: str) -> tuple[tf.Tensor, tf.Tensor]:
    """The figure's attention module: features amplified by the map, `x + x * map`, and the logits of the map."""
    with v1.variable_scope(name):
        inner = activate(convolution(x, max(x.shape[-1] // 2, 1), network.kernel_at(level), "conv"), "relu")
        logits = convolution(inner, 1, network.kernel_at(level), "map")
    return x + x * activate(logits, "sigmoid"), logits


def decoder_block(
    x: tf.Tensor, skip: tf.Tensor, level: int, network: UNet25D, training: bool, name: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """The level's features from those below and those of the encoder, and the logits of its attention map."""
    with v1.variable_scope(name):
        x = upsample(x, network.pooling_at(level), "linear")
        x = convolution(x, network.filters_at(level), network.kernel_at(level), "up")
        # Half of an odd number of slices was rounded up: twice that is one too many.
        x = tf.concat([crop_end(x, skip), skip], -1)
        x, attention = spatial_attention(x, level, network, "attention")
    return convolution_block(x, level, network, training, name), attention


def unet_25d(images: tf.Tensor, network: UNet25D, training: bool) -> list[tf.Tensor]:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`, and those of the attention maps.

    The maps are `[batch, *size of the level, 1]`, one for each level, the finest first.
    """
    x, skips, attention = images, [], []
    for level in range(1, network.depth):
        x = convolution_block(x, level, network, training, f"encoder{level}")
        skips.append(x)
        x = down(x, level, network)
    x, of_level = spatial_attention(x, network.depth, network, "bottleneck/attention")
    attention.append(of_level)
    x = convolution_block(x, network.depth, network, training, "bottleneck")
    for level in reversed(range(1, network.depth)):
        x, of_level = decoder_block(x, skips.pop(), level, network, training, f"decoder{level}")
        attention.insert(0, of_level)
    return [convolution(x, network.classes, network.kernel_at(1), "head"), *attention]
