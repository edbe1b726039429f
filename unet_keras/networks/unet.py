"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597, figure 1), written with Keras 3.

The names of layers have dots where the canonical names of weights have slashes: `encoder1.conv1`.
"""

import keras
from keras import layers

from unet_common.networks import UNet
from unet_keras.layers import Crop, Dropout, MaxPooling3D, activate, normalise
from unet_keras.networks.attention import attention_gate, non_local_block


def convolution_block(x: keras.KerasTensor, level: int, network: UNet, name: str) -> keras.KerasTensor:
    """The blue arrows of the figure: convolution, normalisation, activation, dropout, twice."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    filters, kernel_size = network.filters_at(level), network.kernel_at(level)
    use_bias = network.normalisation == "none"  # the normalisation's mean would take it off again
    for i in range(1, network.convolutions + 1):
        x = Conv(
            filters,
            kernel_size,
            padding=network.padding,
            dilation_rate=network.dilation_at(level),
            use_bias=use_bias,
            name=f"{name}.conv{i}",
        )(x)
        x = normalise(x, network.normalisation, network.groups, name=f"{name}.norm{i}")
        x = activate(x, network.activation)
        x = Dropout(network.dropout, name=f"{name}.dropout{i}")(x)
    return x


def strided_convolution(x: keras.KerasTensor, level: int, network: UNet, name: str) -> keras.KerasTensor:
    """Convolution with a stride in place of a red arrow: its blocks do not overlap, as those of a pooling."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    factor, use_bias = network.pooling_at(level), network.normalisation == "none"
    x = Conv(network.filters_at(level), factor, strides=factor, use_bias=use_bias, name=f"{name}.conv")(x)
    x = normalise(x, network.normalisation, network.groups, name=f"{name}.norm")
    return activate(x, network.activation)


def decoder_block(
    x: keras.KerasTensor, skip: keras.KerasTensor, level: int, network: UNet, name: str
) -> keras.KerasTensor:
    """The green and grey arrows: up-convolution, then the encoder's features of the same resolution beside it.

    With attention the features are weighted first, by what is known a level below.
    """
    ConvTranspose = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[network.rank]
    filters, factor = network.filters_at(level), network.pooling_at(level)
    # Kernel and strides are equal, so that the patches do not overlap.
    up = ConvTranspose(filters, kernel_size=factor, strides=factor, padding="same", name=f"{name}.up")(x)
    if network.padding == "valid":
        skip = Crop()(skip, up)
    if level in network.attention_gates:
        skip = attention_gate(skip, x, factor, f"{name}.attention")
    x = layers.Concatenate()([skip, up])
    return convolution_block(x, level, network, name)


def head(x: keras.KerasTensor, network: UNet, name: str) -> keras.KerasTensor:
    """The 1 x 1 convolution: a logit for each class."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    return Conv(network.classes, kernel_size=1, name=name)(x)


def unet(images: keras.KerasTensor, network: UNet) -> keras.KerasTensor | list[keras.KerasTensor]:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`.

    With deep supervision a list: these logits, and those of ever coarser decoder levels. A functional model has
    the same outputs in training and inference.
    """
    MaxPooling = {2: layers.MaxPooling2D, 3: MaxPooling3D}[network.rank]
    x, skips, coarse = images, [], []
    for level in range(1, network.depth):
        x = convolution_block(x, level, network, f"encoder{level}")
        if level in network.non_local:
            x = non_local_block(x, network.subsampling_at(level), f"non_local{level}")
        skips.append(x)
        if network.downsampling == "convolution":
            x = strided_convolution(x, level, network, f"down{level}")
        else:
            x = MaxPooling(network.pooling_at(level))(x)
    x = convolution_block(x, network.depth, network, "bottleneck")
    if network.depth in network.non_local:
        x = non_local_block(x, network.subsampling_at(network.depth), f"non_local{network.depth}")
    for level in reversed(range(1, network.depth)):
        x = decoder_block(x, skips.pop(), level, network, f"decoder{level}")
        if 1 < level <= 1 + network.deep_supervision:
            coarse.insert(0, head(x, network, f"head{level}"))
    logits = head(x, network, "head")
    return [logits, *coarse] if coarse else logits
