"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with a ResNet or VGG encoder, written with Keras 3."""

import keras
from keras import layers

from unet_common.networks import UNetEncoder
from unet_common.networks.encoders import HALVINGS, stages
from unet_keras.layers import Upsample, UpsampleLike
from unet_keras.networks.encoders import batch_norm, encoder, sides


def decoder_norm(x: keras.KerasTensor, network: UNetEncoder, name: str) -> keras.KerasTensor:
    """The normalisation after each of the decoder's convolutions, if it is wanted."""
    return batch_norm(x, name) if network.decoder_batch_norm else x


def upsampling_block(
    x: keras.KerasTensor, skip: keras.KerasTensor | None, filters: int, network: UNetEncoder, name: str
) -> keras.KerasTensor:
    """Interpolation to twice the size, the encoder's features beside it, two convolutions."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    use_bias = not network.decoder_batch_norm
    x = Upsample(sides(x, 2), "corners")(x)
    if skip is not None:
        x = layers.Concatenate()([x, skip])
    for i in (1, 2):
        x = Conv(filters, kernel_size=3, padding="same", use_bias=use_bias, name=f"{name}.conv{i}")(x)
        x = layers.ReLU()(decoder_norm(x, network, f"{name}.norm{i}"))
    return x


def transpose_block(
    x: keras.KerasTensor, skip: keras.KerasTensor | None, filters: int, network: UNetEncoder, name: str
) -> keras.KerasTensor:
    """A transposed convolution to twice the size, the encoder's features beside it, one convolution."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    ConvTranspose = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[network.rank]
    use_bias = not network.decoder_batch_norm
    x = ConvTranspose(
        filters, kernel_size=4, strides=2, padding="same", use_bias=use_bias, name=f"{name}.up"
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
    *skips, x = (features[stage] for stage in stages(network.encoder))
    block = {"upsampling": upsampling_block, "transpose": transpose_block}[network.decoder]
    for i, filters in enumerate(network.decoder_filters, 1):
        skip = skips.pop() if skips else None  # at the full resolution there is none
        x = block(x, skip, filters, network, f"decoder{i}")
    logits = head(x, network, "head")
    if len(network.decoder_filters) != HALVINGS:
        logits = UpsampleLike("linear")(logits, images)
    return logits
