"""Backbones, in 2D: VGG and ResNet34 of `encoders.py`, and three more, written with `tf.layers`.

An encoder gives its features by name, from fine to coarse; `unet_common.networks.backbones` says what the decoder takes
of them. Convolutions have a bias though a normalisation follows, except in Darknet, as in the original programs.

The weights of `resnet50` are called almost as in Keras: its `conv2_block1_3_bn` is `encoder/conv2/block1/norm3` here,
and both give the shortcut the number 0.
"""

import tensorflow as tf

from unet_common.networks.backbones import DARKNET52, RESNET50, Backbone
from unet_common.resizing import pad
from unet_highlevel.layers import batch_normalisation
from unet_highlevel.networks.encoders import encoder

v1 = tf.compat.v1
layers = v1.layers


def unit(x: tf.Tensor, filters: int, side: int, training: bool, name: str) -> tf.Tensor:
    """Convolution, batch normalisation, ReLU: what the U-Net's own encoder and all decoders are made of."""
    with v1.variable_scope(name):
        x = layers.conv2d(x, filters, kernel_size=side, padding="same", name="conv")
        return tf.nn.relu(batch_normalisation(x, training, "norm"))


def two_units(x: tf.Tensor, filters: int, training: bool, name: str) -> tf.Tensor:
    """Two 3 x 3 units, one after the other."""
    with v1.variable_scope(name):
        for i in (1, 2):
            x = unit(x, filters, 3, training, f"unit{i}")
    return x


def contracting_path(x: tf.Tensor, filters: int, training: bool, name: str) -> dict[str, tf.Tensor]:
    """The U-Net's own encoder: features `level1` and, pooled, `pool1`, to `level5` and `pool5`."""
    features = {}
    with v1.variable_scope(name):
        for level in range(1, 6):
            width = filters * 2 ** (level - 1)
            x = features[f"level{level}"] = two_units(x, width, training, f"level{level}")
            x = features[f"pool{level}"] = layers.max_pooling2d(x, pool_size=2, strides=2)
    return features


def resnet_norm(x: tf.Tensor, training: bool, name: str) -> tf.Tensor:
    """Batch normalisation with the epsilon of Keras's ResNet."""
    return batch_normalisation(x, training, name, epsilon=1.001e-5)


def resnet_stem(x: tf.Tensor, filters: int, training: bool, name: str) -> tf.Tensor:
    """A 7 x 7 convolution that halves the size."""
    with v1.variable_scope(name):
        x = layers.conv2d(pad(x, 3, 3), filters, kernel_size=7, strides=2, name="conv")
        return tf.nn.relu(resnet_norm(x, training, "norm"))


def resnet_block(
    x: tf.Tensor, filters: int, stride: int, projected: bool, training: bool, name: str
) -> tf.Tensor:
    """A bottleneck as it was published: the first 1 x 1 convolution has the stride; gives 4 * `filters` channels."""
    with v1.variable_scope(name):
        shortcut = x
        if projected:
            shortcut = layers.conv2d(x, 4 * filters, kernel_size=1, strides=stride, name="conv0")
            shortcut = resnet_norm(shortcut, training, "norm0")
        x = layers.conv2d(x, filters, kernel_size=1, strides=stride, name="conv1")
        x = tf.nn.relu(resnet_norm(x, training, "norm1"))
        x = layers.conv2d(x, filters, kernel_size=3, padding="same", name="conv2")
        x = tf.nn.relu(resnet_norm(x, training, "norm2"))
        x = layers.conv2d(x, 4 * filters, kernel_size=1, name="conv3")
        x = resnet_norm(x, training, "norm3")
        return tf.nn.relu(x + shortcut)


def resnet_stage(
    x: tf.Tensor, filters: int, blocks: int, stride: int, training: bool, name: str
) -> tf.Tensor:
    """Blocks in a row. The first has the stride and changes the channels."""
    with v1.variable_scope(name):
        x = resnet_block(x, filters, stride, True, training, "block1")
        for i in range(2, blocks + 1):
            x = resnet_block(x, filters, 1, False, training, f"block{i}")
    return x


def resnet50(x: tf.Tensor, filters: int, training: bool, name: str) -> dict[str, tf.Tensor]:
    """He et al. 2016, arXiv:1512.03385, table 1, as Keras has it: features `conv1` to `conv5`."""
    features = {}
    with v1.variable_scope(name):
        x = features["conv1"] = resnet_stem(x, filters, training, "conv1")
        # Zeros do not win against what a ReLU gives, so they may stand beyond the image's borders.
        x = layers.max_pooling2d(pad(x, 1, 1), pool_size=3, strides=2)
        for i, blocks in enumerate(RESNET50, 2):
            width, stride = filters * 2 ** (i - 2), 1 if i == 2 else 2
            x = features[f"conv{i}"] = resnet_stage(x, width, blocks, stride, training, f"conv{i}")
    return features


def darknet_unit(
    x: tf.Tensor, filters: int, side: int, training: bool, name: str, padding: str = "same", stride: int = 1
) -> tf.Tensor:
    """Convolution, batch normalisation, leaky ReLU."""
    with v1.variable_scope(name):
        x = layers.conv2d(
            x, filters, kernel_size=side, strides=stride, padding=padding, use_bias=False, name="conv"
        )
        return tf.nn.leaky_relu(batch_normalisation(x, training, "norm"), alpha=0.1)


def darknet_block(x: tf.Tensor, filters: int, training: bool, name: str) -> tf.Tensor:
    """Two convolutions, of half the `filters` and of all, added to what came in."""
    with v1.variable_scope(name):
        y = darknet_unit(x, filters // 2, 1, training, "unit1")
        return x + darknet_unit(y, filters, 3, training, "unit2")


def darknet_stage(x: tf.Tensor, filters: int, blocks: int, training: bool, name: str) -> tf.Tensor:
    """A convolution that halves the size, seeing one row and column of zeros at the image's start; then blocks."""
    with v1.variable_scope(name):
        x = darknet_unit(pad(x, 1, 0), filters, 3, training, "down", "valid", 2)
        for i in range(1, blocks + 1):
            x = darknet_block(x, filters, training, f"block{i}")
    return x


def darknet52(x: tf.Tensor, filters: int, training: bool, name: str) -> dict[str, tf.Tensor]:
    """Redmon & Farhadi 2018, arXiv:1804.02767, table 1, without the classifier: features `stage1` to `stage5`."""
    features = {}
    with v1.variable_scope(name):
        x = darknet_unit(x, filters // 2, 3, training, "stem")
        for i, blocks in enumerate(DARKNET52, 1):
            width = filters * 2 ** (i - 1)
            x = features[f"stage{i}"] = darknet_stage(x, width, blocks, training, f"stage{i}")
    return features


def backbone(x: tf.Tensor, kind: Backbone, filters: int, training: bool, name: str) -> dict[str, tf.Tensor]:
    """The encoder called `kind`: images to features by name."""
    if kind in ("vgg16", "resnet34"):
        return encoder(x, kind, filters, training, name)
    own = {"unet": contracting_path, "resnet50": resnet50, "darknet52": darknet52}
    return own[kind](x, filters, training, name)
