"""ResNets and VGGs as torchvision has them, in 2D and 3D, written with `tf.layers`; `backbones.py` has others, 2D only.

He et al. 2016, arXiv:1512.03385, and Simonyan & Zisserman 2015, arXiv:1409.1556. An encoder gives its features by
name, from fine to coarse; `unet_common.networks.encoders` says which there are. The weights are called as in
torchvision, with blocks counted from 1: `layer1.0.conv1.weight` is `encoder/layer1/block1/conv1/kernel`.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from unet_common.networks.encoders import BOTTLENECKS, RESNETS, VGGS, EncoderName
from unet_common.resizing import pad
from unet_highlevel.layers import batch_normalisation, max_pooling3d

v1 = tf.compat.v1
layers = v1.layers

# By the rank of a tensor, which has axes for the batch and the channels, too.
CONV = {4: layers.conv2d, 5: layers.conv3d}
MAX_POOLING = {4: layers.max_pooling2d, 5: max_pooling3d}


def batch_norm(x: tf.Tensor, training: bool, name: str) -> tf.Tensor:
    """Batch normalisation with the constants of the original programs, PyTorch's: there the momentum is called 0.1."""
    return batch_normalisation(x, training, name, momentum=0.9, epsilon=1e-5)


def normalised_convolution(
    x: tf.Tensor, filters: int, side: int, stride: int, training: bool, name: str
) -> tf.Tensor:
    """Convolution and batch normalisation, with as many zeros before the image as after it."""
    conv = CONV[x.shape.rank]
    with v1.variable_scope(name):
        x = pad(x, side // 2, side // 2)
        x = conv(x, filters, kernel_size=side, strides=stride, use_bias=False, name="conv")
        return batch_norm(x, training, "norm")


def basic_block(
    x: tf.Tensor, filters: int, stride: int, projected: bool, training: bool, name: str
) -> tf.Tensor:
    """Two 3 x 3 convolutions with a shortcut around them (He et al., figure 5, left).

    The shortcut is `projected` by a 1 x 1 convolution where the block changes the size or the channels.
    """
    conv = CONV[x.shape.rank]
    with v1.variable_scope(name):
        shortcut = x
        if projected:
            shortcut = normalised_convolution(x, filters, 1, stride, training, "shortcut")
        x = pad(x, 1, 1)
        x = conv(x, filters, kernel_size=3, strides=stride, use_bias=False, name="conv1")
        x = tf.nn.relu(batch_norm(x, training, "norm1"))
        x = conv(x, filters, kernel_size=3, padding="same", use_bias=False, name="conv2")
        x = batch_norm(x, training, "norm2")
        return tf.nn.relu(x + shortcut)


def bottleneck(
    x: tf.Tensor, filters: int, stride: int, projected: bool, training: bool, name: str
) -> tf.Tensor:
    """A 3 x 3 convolution of few channels between two of 1 x 1 (He et al., figure 5, right); gives 4 * `filters`."""
    conv = CONV[x.shape.rank]
    with v1.variable_scope(name):
        shortcut = x
        if projected:
            shortcut = normalised_convolution(x, 4 * filters, 1, stride, training, "shortcut")
        x = conv(x, filters, kernel_size=1, use_bias=False, name="conv1")
        x = tf.nn.relu(batch_norm(x, training, "norm1"))
        x = pad(x, 1, 1)
        x = conv(x, filters, kernel_size=3, strides=stride, use_bias=False, name="conv2")
        x = tf.nn.relu(batch_norm(x, training, "norm2"))
        x = conv(x, 4 * filters, kernel_size=1, use_bias=False, name="conv3")
        x = batch_norm(x, training, "norm3")
        return tf.nn.relu(x + shortcut)


def residual_stage(
    x: tf.Tensor, block: Callable, filters: int, blocks: int, stride: int, training: bool, name: str
) -> tf.Tensor:
    """Blocks in a row. The first has the stride; a bottleneck also changes the channels there."""
    with v1.variable_scope(name):
        for i in range(1, blocks + 1):
            projected = i == 1 and (stride > 1 or block is bottleneck)
            x = block(x, filters, stride if i == 1 else 1, projected, training, f"block{i}")
    return x


def resnet_encoder(
    x: tf.Tensor, block: Callable, filters: int, blocks: Sequence[int], training: bool, name: str
) -> dict[str, tf.Tensor]:
    """Features `stem`, after its normalisation and ReLU, and `layer1` to `layer4`."""
    conv, max_pooling, features = CONV[x.shape.rank], MAX_POOLING[x.shape.rank], {}
    with v1.variable_scope(name):
        x = conv(pad(x, 3, 3), filters, kernel_size=7, strides=2, use_bias=False, name="conv1")
        x = features["stem"] = tf.nn.relu(batch_norm(x, training, "norm1"))
        # Zeros do not win against what a ReLU gives, so they may stand beyond the image's borders.
        x = max_pooling(pad(x, 1, 1), pool_size=3, strides=2)
        for i, count in enumerate(blocks, 1):
            stage, stride = f"layer{i}", 1 if i == 1 else 2
            x = residual_stage(x, block, filters * 2 ** (i - 1), count, stride, training, stage)
            features[stage] = x
    return features


def vgg_group(x: tf.Tensor, filters: int, convolutions: int, name: str) -> tf.Tensor:
    """Convolutions of 3 x 3 with a bias, each with its ReLU: VGG is older than batch normalisation."""
    conv = CONV[x.shape.rank]
    with v1.variable_scope(name):
        for i in range(1, convolutions + 1):
            x = conv(x, filters, kernel_size=3, padding="same", name=f"conv{i}")
            x = tf.nn.relu(x)
    return x


def vgg_encoder(x: tf.Tensor, filters: int, convolutions: Sequence[int], name: str) -> dict[str, tf.Tensor]:
    """Features `group1` and, pooled, `pool1`, to `group5` and `pool5`."""
    max_pooling, features = MAX_POOLING[x.shape.rank], {}
    with v1.variable_scope(name):
        for i, count in enumerate(convolutions, 1):
            x = features[f"group{i}"] = vgg_group(x, filters * min(2 ** (i - 1), 8), count, f"group{i}")
            x = features[f"pool{i}"] = max_pooling(x, pool_size=2, strides=2)
    return features


def encoder(x: tf.Tensor, kind: EncoderName, filters: int, training: bool, name: str) -> dict[str, tf.Tensor]:
    """The encoder called `kind`: images to features by name."""
    if kind in VGGS:
        return vgg_encoder(x, filters, VGGS[kind], name)
    block = bottleneck if kind in BOTTLENECKS else basic_block
    return resnet_encoder(x, block, filters, RESNETS[kind], training, name)
