"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with a ResNet or VGG encoder, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNetEncoder
from unet_common.networks.encoders import stages
from unet_common.networks.unet_encoder import TRANSPOSED_SIDE
from unet_keras.layers import Upsample, UpsampleLike
from unet_keras.networks.encoders import batch_norm, encoder, sides


def decoder_norm(x: keras.KerasTensor, network: UNetEncoder, name: str) -> keras.KerasTensor:
    """The normalisation after each of the decoder's convolutions, if it is wanted."""
    return batch_norm(x, name) if network.decoder_batch_norm else x


def upsampling_block(
    x: keras.KerasTensor,
    skip: keras.KerasTensor | None,
    filters: int,
    rate: int,
    network: UNetEncoder,
    name: str,
) -> keras.KerasTensor:
    """Interpolation to `rate` times the size, the encoder's features beside it, two convolutions."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    use_bias = not network.decoder_batch_norm
    x = Upsample(sides(x, rate), "corners")(x)
    if skip is not None:
        x = layers.Concatenate()([x, skip])
    for i in (1, 2):
        x = Conv(filters, kernel_size=3, padding="same", use_bias=use_bias, name=f"{name}.conv{i}")(x)
        x = layers.ReLU()(decoder_norm(x, network, f"{name}.norm{i}"))
    return x


def transpose_block(
    x: keras.KerasTensor,
    skip: keras.KerasTensor | None,
    filters: int,
    rate: int,
    network: UNetEncoder,
    name: str,
) -> keras.KerasTensor:
    """A transposed convolution to `rate` times the size, the encoder's features beside it, one convolution."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    ConvTranspose = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[network.rank]
    use_bias = not network.decoder_batch_norm
    x = ConvTranspose(
        filters,
        kernel_size=TRANSPOSED_SIDE,
        strides=rate,
        padding="same",
        use_bias=use_bias,
        name=f"{name}.up",
    )(x)
    x = layers.ReLU()(decoder_norm(x, network, f"{name}.up_norm"))
    if skip is not None:
        x = layers.Concatenate()([x, skip])
    x = Conv(filters, kernel_size=3, padding="same", use_bias=use_bias, name=f"{name}.conv")(x)
    return layers.ReLU()(decoder_norm(x, network, f"{name}.norm"))


def head(x: keras.KerasTensor, network: UNetEncoder, name: str) -> keras.KerasTensor:
    """A 3 x 3 convolution: a logit for each class."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    return Conv(network.classes, kernel_size=3, padding="same", name=name)(x)


def unet_encoder(images: keras.KerasTensor, network: UNetEncoder) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    features = encoder(images, network.encoder, network.filters, "encoder")
    x = features[stages(network.encoder)[-1]]
    block = {"upsampling": upsampling_block, "transpose": transpose_block}[network.decoder]
    blocks = zip(network.skips, network.decoder_filters, network.rates, strict=True)
    for i, (name, filters, rate) in enumerate(blocks, 1):
        skip = features[name] if name else None
        x = block(x, skip, filters, rate, network, f"decoder{i}")
    logits = head(x, network, "head")
    if not network.reaches_full_size:
        logits = UpsampleLike("linear")(logits, images)
    return logits
