"""ResNets and VGGs as torchvision has them, in 2D and 3D, written with Keras 3; `backbones.py` has others, 2D only.

He et al. 2016, arXiv:1512.03385, and Simonyan & Zisserman 2015, arXiv:1409.1556. An encoder gives its features by
name, from fine to coarse; `unet_common.networks.encoders` says which there are. The weights are called as in
torchvision, with blocks counted from 1: `layer1.0.conv1.weight` is `encoder/layer1/block1/conv1/kernel`.

With a stride, `padding="same"` pads an even side after the image only: where the borders are to be treated alike,
zeros come first.
"""

from collections.abc import Callable, Sequence

import keras
from keras import layers

from unet_common.networks.encoders import BOTTLENECKS, RESNETS, VGGS, EncoderName
from unet_keras.layers import BatchNormalization, MaxPooling3D

# By the rank of a tensor, which has axes for the batch and the channels, too.
Conv = {4: layers.Conv2D, 5: layers.Conv3D}
ZeroPadding = {4: layers.ZeroPadding2D, 5: layers.ZeroPadding3D}
MaxPooling = {4: layers.MaxPooling2D, 5: MaxPooling3D}


def batch_norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Batch normalisation with the constants of the original programs, PyTorch's: there the momentum is called 0.1."""
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def sides(x: keras.KerasTensor, length: int) -> list[int]:
    """The factors of an image's axes, where all are the same. Keras's own layers take the number alone, too."""
    return [length] * (x.ndim - 2)


def normalised_convolution(
    x: keras.KerasTensor, filters: int, side: int, stride: int, name: str
) -> keras.KerasTensor:
    """Convolution and batch normalisation, with as many zeros before the image as after it."""
    x = ZeroPadding[x.ndim](side // 2)(x)
    x = Conv[x.ndim](
        filters, kernel_size=side, strides=stride, padding="valid", use_bias=False, name=f"{name}.conv"
    )(x)
    return batch_norm(x, f"{name}.norm")


def basic_block(
    x: keras.KerasTensor, filters: int, stride: int, projected: bool, name: str
) -> keras.KerasTensor:
    """Two 3 x 3 convolutions with a shortcut around them (He et al., figure 5, left).

    The shortcut is `projected` by a 1 x 1 convolution where the block changes the size or the channels.
    """
    shortcut = x
    if projected:
        shortcut = normalised_convolution(x, filters, 1, stride, f"{name}.shortcut")
    x = ZeroPadding[x.ndim](1)(x)
    x = Conv[x.ndim](
        filters, kernel_size=3, strides=stride, padding="valid", use_bias=False, name=f"{name}.conv1"
    )(x)
    x = layers.ReLU()(batch_norm(x, f"{name}.norm1"))
    x = Conv[x.ndim](filters, kernel_size=3, padding="same", use_bias=False, name=f"{name}.conv2")(x)
    x = batch_norm(x, f"{name}.norm2")
    return layers.ReLU()(layers.Add()([x, shortcut]))


def bottleneck(
    x: keras.KerasTensor, filters: int, stride: int, projected: bool, name: str
) -> keras.KerasTensor:
    """A 3 x 3 convolution of few channels between two of 1 x 1 (He et al., figure 5, right); gives 4 * `filters`."""
    shortcut = x
    if projected:
        shortcut = normalised_convolution(x, 4 * filters, 1, stride, f"{name}.shortcut")
    x = Conv[x.ndim](filters, kernel_size=1, use_bias=False, name=f"{name}.conv1")(x)
    x = layers.ReLU()(batch_norm(x, f"{name}.norm1"))
    x = ZeroPadding[x.ndim](1)(x)
    x = Conv[x.ndim](
        filters, kernel_size=3, strides=stride, padding="valid", use_bias=False, name=f"{name}.conv2"
    )(x)
    x = layers.ReLU()(batch_norm(x, f"{name}.norm2"))
    x = Conv[x.ndim](4 * filters, kernel_size=1, use_bias=False, name=f"{name}.conv3")(x)
    x = batch_norm(x, f"{name}.norm3")
    return layers.ReLU()(layers.Add()([x, shortcut]))


def residual_stage(
    x: keras.KerasTensor, block: Callable, filters: int, blocks: int, stride: int, name: str
) -> keras.KerasTensor:
    """Blocks in a row. The first has the stride; a bottleneck also changes the channels there."""
    for i in range(1, blocks + 1):
        projected = i == 1 and (stride > 1 or block is bottleneck)
        x = block(x, filters, stride if i == 1 else 1, projected, f"{name}.block{i}")
    return x


def resnet_encoder(
    x: keras.KerasTensor, block: Callable, filters: int, blocks: Sequence[int], name: str
) -> dict[str, keras.KerasTensor]:
    """Features `stem`, after its normalisation and ReLU, and `layer1` to `layer4`."""
    features = {}
    x = ZeroPadding[x.ndim](3)(x)
    x = Conv[x.ndim](
        filters, kernel_size=7, strides=2, padding="valid", use_bias=False, name=f"{name}.conv1"
    )(x)
    x = features["stem"] = layers.ReLU()(batch_norm(x, f"{name}.norm1"))
    # Zeros do not win against what a ReLU gives, so they may stand beyond the image's borders.
    x = MaxPooling[x.ndim](3, strides=2)(ZeroPadding[x.ndim](1)(x))
    for i, count in enumerate(blocks, 1):
        stride = 1 if i == 1 else 2
        x = residual_stage(x, block, filters * 2 ** (i - 1), count, stride, f"{name}.layer{i}")
        features[f"layer{i}"] = x
    return features


def vgg_group(x: keras.KerasTensor, filters: int, convolutions: int, name: str) -> keras.KerasTensor:
    """Convolutions of 3 x 3 with a bias, each with its ReLU: VGG is older than batch normalisation."""
    for i in range(1, convolutions + 1):
        x = Conv[x.ndim](filters, kernel_size=3, padding="same", name=f"{name}.conv{i}")(x)
        x = layers.ReLU()(x)
    return x


def vgg_encoder(
    x: keras.KerasTensor, filters: int, convolutions: Sequence[int], name: str
) -> dict[str, keras.KerasTensor]:
    """Features `group1` and, pooled, `pool1`, to `group5` and `pool5`."""
    features = {}
    for i, count in enumerate(convolutions, 1):
        x = features[f"group{i}"] = vgg_group(x, filters * min(2 ** (i - 1), 8), count, f"{name}.group{i}")
        x = features[f"pool{i}"] = MaxPooling[x.ndim](2)(x)
    return features


def encoder(x: keras.KerasTensor, kind: EncoderName, filters: int, name: str) -> dict[str, keras.KerasTensor]:
    """The encoder called `kind`: images to features by name."""
    if kind in VGGS:
        return vgg_encoder(x, filters, VGGS[kind], name)
    block = bottleneck if kind in BOTTLENECKS else basic_block
    return resnet_encoder(x, block, filters, RESNETS[kind], name)
