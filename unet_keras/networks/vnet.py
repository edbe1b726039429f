"""The V-Net of Milletari et al. 2016 (arXiv:1606.04797, figure 2), written with Keras 3."""

import keras
from keras import layers, ops

from unet_common.networks import VNet
from unet_keras.layers import BatchNormalization, PReLU


def convolution_unit(
    x: keras.KerasTensor, direction: str, filters: int, network: VNet, name: str
) -> keras.KerasTensor:
    """A convolution of the figure, which keeps the size or moves down or up a level, with its PReLU."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    ConvTranspose = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[network.rank]
    if direction == "keep":
        x = Conv(filters, network.kernel_size, padding="same", name=f"{name}.conv")(x)
    elif direction == "down":
        x = Conv(filters, kernel_size=2, strides=2, padding="same", name=f"{name}.conv")(x)
    else:
        x = ConvTranspose(filters, kernel_size=2, strides=2, padding="same", name=f"{name}.conv")(x)
    x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}.norm")(x)
    if network.prelu == "none":
        return layers.ReLU()(x)
    return PReLU(per_pixel=network.prelu == "element", name=f"{name}.prelu")(x)


def residual_stage(
    x: keras.KerasTensor, start: keras.KerasTensor, level: int, filters: int, network: VNet, name: str
) -> keras.KerasTensor:
    """The boxes of the figure: up to three convolutions, to whose result is added what the stage started from."""
    for i in range(1, network.convolutions_at(level) + 1):
        x = convolution_unit(x, "keep", filters, network, f"{name}.unit{i}")
    return add(x, start)


def add(x: keras.KerasTensor, y: keras.KerasTensor) -> keras.KerasTensor:
    """The sum; whichever has fewer channels gets more, of zeros."""
    channels, others = max(x.shape[-1], y.shape[-1]), [(0, 0)] * (x.ndim - 1)
    return layers.Add()([ops.pad(one, [*others, (0, channels - one.shape[-1])]) for one in (x, y)])


def vnet(images: keras.KerasTensor, network: VNet) -> keras.KerasTensor:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    Conv = {2: layers.Conv2D, 3: layers.Conv3D}[network.rank]
    x, skips = images, []
    if network.fixed_size:  # the slopes of elements have to know it
        x = layers.Reshape([*network.fixed_size, network.channels])(x)
    for level in range(1, network.depth):
        filters = network.filters_at(level)
        skips.append(residual_stage(x, x, level, filters, network, f"encoder{level}"))
        x = convolution_unit(skips[-1], "down", 2 * filters, network, f"down{level}")
    filters = network.filters_at(network.depth)
    x = residual_stage(x, x, network.depth, filters, network, "bottleneck")
    for level in reversed(range(1, network.depth)):
        filters = network.filters_at(level)
        up = convolution_unit(x, "up", filters, network, f"up{level}")
        x = layers.Concatenate()([skips.pop(), up])
        x = residual_stage(x, up, level, 2 * filters, network, f"decoder{level}")
    return Conv(network.classes, kernel_size=1, name="head")(x)
