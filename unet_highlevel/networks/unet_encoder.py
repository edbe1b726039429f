"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with a ResNet or VGG encoder, written with `tf.layers`."""

import tensorflow as tf

from unet_common.networks import UNetEncoder
from unet_common.networks.encoders import stages
from unet_common.networks.unet_encoder import TRANSPOSED_SIDE
from unet_common.resizing import upsample, upsample_like
from unet_highlevel.layers import transposed_initialiser
from unet_highlevel.networks.encoders import batch_norm, encoder

v1 = tf.compat.v1
layers = v1.layers


def decoder_norm(x: tf.Tensor, network: UNetEncoder, training: bool, name: str) -> tf.Tensor:
    """The normalisation after each of the decoder's convolutions, if it is wanted."""
    return batch_norm(x, training, name) if network.decoder_batch_norm else x


def upsampling_block(
    x: tf.Tensor,
    skip: tf.Tensor | None,
    filters: int,
    rate: int,
    network: UNetEncoder,
    training: bool,
    name: str,
) -> tf.Tensor:
    """Interpolation to `rate` times the size, the encoder's features beside it, two convolutions."""
    conv = {2: layers.conv2d, 3: layers.conv3d}[network.rank]
    use_bias = not network.decoder_batch_norm
    x = upsample(x, [rate] * network.rank, "corners")
    if skip is not None:
        x = tf.concat([x, skip], -1)
    with v1.variable_scope(name):
        for i in (1, 2):
            x = conv(x, filters, kernel_size=3, padding="same", use_bias=use_bias, name=f"conv{i}")
            x = tf.nn.relu(decoder_norm(x, network, training, f"norm{i}"))
    return x


def transpose_block(
    x: tf.Tensor,
    skip: tf.Tensor | None,
    filters: int,
    rate: int,
    network: UNetEncoder,
    training: bool,
    name: str,
) -> tf.Tensor:
    """A transposed convolution to `rate` times the size, the encoder's features beside it, one convolution."""
    conv = {2: layers.conv2d, 3: layers.conv3d}[network.rank]
    conv_transpose = {2: layers.conv2d_transpose, 3: layers.conv3d_transpose}[network.rank]
    use_bias = not network.decoder_batch_norm
    with v1.variable_scope(name):
        x = conv_transpose(
            x,
            filters,
            kernel_size=TRANSPOSED_SIDE,
            strides=rate,
            padding="same",
            use_bias=use_bias,
            kernel_initializer=transposed_initialiser(strides=rate),
            name="up",
        )
        x = tf.nn.relu(decoder_norm(x, network, training, "up_norm"))
        if skip is not None:
            x = tf.concat([x, skip], -1)
        x = conv(x, filters, kernel_size=3, padding="same", use_bias=use_bias, name="conv")
        return tf.nn.relu(decoder_norm(x, network, training, "norm"))


def head(x: tf.Tensor, network: UNetEncoder, name: str) -> tf.Tensor:
    """A 3 x 3 convolution: a logit for each class."""
    conv = {2: layers.conv2d, 3: layers.conv3d}[network.rank]
    return conv(x, network.classes, kernel_size=3, padding="same", name=name)


def unet_encoder(images: tf.Tensor, network: UNetEncoder, training: bool) -> tf.Tensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    features = encoder(images, network.encoder, network.filters, training, "encoder")
    x = features[stages(network.encoder)[-1]]
    block = {"upsampling": upsampling_block, "transpose": transpose_block}[network.decoder]
    blocks = zip(network.skips, network.decoder_filters, network.rates, strict=True)
    for i, (name, filters, rate) in enumerate(blocks, 1):
        skip = features[name] if name else None
        x = block(x, skip, filters, rate, network, training, f"decoder{i}")
    logits = head(x, network, "head")
    if not network.reaches_full_size:
        logits = upsample_like(logits, images, "linear")
    return logits
