"""Backbones, in 2D: VGG and ResNet34 of `encoders.py`, and three more, written with Keras 3.

An encoder gives its features by name, from fine to coarse; `unet_common.networks.backbones` says what the decoder takes
of them. Convolutions have a bias though a normalisation follows, except in Darknet, as in the original programs.

The weights of `resnet50` are called almost as in `keras.applications`: its `conv2_block1_3_bn` is
`encoder/conv2/block1/norm3` here, and both give the shortcut the number 0.
"""

import keras
from keras import layers

from unet_common.networks.backbones import DARKNET52, RESNET50, Backbone
from unet_keras.layers import BatchNormalization
from unet_keras.networks.encoders import encoder


def unit(x: keras.KerasTensor, filters: int, side: int, name: str) -> keras.KerasTensor:
    """Convolution, batch normalisation, ReLU: what the U-Net's own encoder and all decoders are made of."""
    x = layers.Conv2D(filters, kernel_size=side, padding="same", name=f"{name}.conv")(x)
    x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}.norm")(x)
    return layers.ReLU()(x)


def two_units(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Two 3 x 3 units, one after the other."""
    for i in (1, 2):
        x = unit(x, filters, 3, f"{name}.unit{i}")
    return x


def contracting_path(x: keras.KerasTensor, filters: int, name: str) -> dict[str, keras.KerasTensor]:
    """The U-Net's own encoder: features `level1` and, pooled, `pool1`, to `level5` and `pool5`."""
    features = {}
    for level in range(1, 6):
        x = features[f"level{level}"] = two_units(x, filters * 2 ** (level - 1), f"{name}.level{level}")
        x = features[f"pool{level}"] = layers.MaxPooling2D(2)(x)
    return features


def resnet_norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Batch normalisation with the epsilon of Keras's ResNet."""
    return BatchNormalization(momentum=0.99, epsilon=1.001e-5, name=name)(x)


def resnet_stem(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """A 7 x 7 convolution that halves the size."""
    x = layers.ZeroPadding2D(3)(x)
    x = layers.Conv2D(filters, kernel_size=7, strides=2, padding="valid", name=f"{name}.conv")(x)
    return layers.ReLU()(resnet_norm(x, f"{name}.norm"))


def resnet_block(
    x: keras.KerasTensor, filters: int, stride: int, projected: bool, name: str
) -> keras.KerasTensor:
    """A bottleneck as it was published: the first 1 x 1 convolution has the stride; gives 4 * `filters` channels."""
    shortcut = x
    if projected:
        shortcut = layers.Conv2D(4 * filters, kernel_size=1, strides=stride, name=f"{name}.conv0")(x)
        shortcut = resnet_norm(shortcut, f"{name}.norm0")
    x = layers.Conv2D(filters, kernel_size=1, strides=stride, name=f"{name}.conv1")(x)
    x = layers.ReLU()(resnet_norm(x, f"{name}.norm1"))
    x = layers.Conv2D(filters, kernel_size=3, padding="same", name=f"{name}.conv2")(x)
    x = layers.ReLU()(resnet_norm(x, f"{name}.norm2"))
    x = layers.Conv2D(4 * filters, kernel_size=1, name=f"{name}.conv3")(x)
    return layers.ReLU()(layers.Add()([resnet_norm(x, f"{name}.norm3"), shortcut]))


def resnet_stage(
    x: keras.KerasTensor, filters: int, blocks: int, stride: int, name: str
) -> keras.KerasTensor:
    """Blocks in a row. The first has the stride and changes the channels."""
    x = resnet_block(x, filters, stride, True, f"{name}.block1")
    for i in range(2, blocks + 1):
        x = resnet_block(x, filters, 1, False, f"{name}.block{i}")
    return x


def resnet50(x: keras.KerasTensor, filters: int, name: str) -> dict[str, keras.KerasTensor]:
    """He et al. 2016, arXiv:1512.03385, table 1, as Keras has it: features `conv1` to `conv5`."""
    features = {}
    x = features["conv1"] = resnet_stem(x, filters, f"{name}.conv1")
    # Zeros do not win against what a ReLU gives, so they may stand beyond the image's borders.
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for i, blocks in enumerate(RESNET50, 2):
        width, stride = filters * 2 ** (i - 2), 1 if i == 2 else 2
        x = features[f"conv{i}"] = resnet_stage(x, width, blocks, stride, f"{name}.conv{i}")
    return features


def darknet_unit(
    x: keras.KerasTensor, filters: int, side: int, name: str, padding: str = "same", stride: int = 1
) -> keras.KerasTensor:
    """Convolution, batch normalisation, leaky ReLU."""
    x = layers.Conv2D(
        filters, kernel_size=side, strides=stride, padding=padding, use_bias=False, name=f"{name}.conv"
    )(x)
    x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}.norm")(x)
    return layers.LeakyReLU(negative_slope=0.1)(x)


def darknet_block(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Two convolutions, of half the `filters` and of all, added to what came in."""
    y = darknet_unit(x, filters // 2, 1, f"{name}.unit1")
    return layers.Add()([x, darknet_unit(y, filters, 3, f"{name}.unit2")])


def darknet_stage(x: keras.KerasTensor, filters: int, blocks: int, name: str) -> keras.KerasTensor:
    """A convolution that halves the size, seeing one row and column of zeros at the image's start; then blocks."""
    x = layers.ZeroPadding2D(((1, 0), (1, 0)))(x)
    x = darknet_unit(x, filters, 3, f"{name}.down", "valid", 2)
    for i in range(1, blocks + 1):
        x = darknet_block(x, filters, f"{name}.block{i}")
    return x


def darknet52(x: keras.KerasTensor, filters: int, name: str) -> dict[str, keras.KerasTensor]:
    """Redmon & Farhadi 2018, arXiv:1804.02767, table 1, without the classifier: features `stage1` to `stage5`."""
    features = {}
    x = darknet_unit(x, filters // 2, 3, f"{name}.stem")
    for i, blocks in enumerate(DARKNET52, 1):
        x = features[f"stage{i}"] = darknet_stage(x, filters * 2 ** (i - 1), blocks, f"{name}.stage{i}")
    return features


def backbone(x: keras.KerasTensor, kind: Backbone, filters: int, name: str) -> dict[str, keras.KerasTensor]:
    """The encoder called `kind`: images to features by name."""
    if kind in ("vgg16", "resnet34"):
        return encoder(x, kind, filters, name)
    own = {"unet": contracting_path, "resnet50": resnet50, "darknet52": darknet52}
    return own[kind](x, filters, name)
