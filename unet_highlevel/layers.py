"""Layers that `tf.layers` lacks, or has with another default; the networks call all others by their own names there.

Shapes are `[batch, *size, channels]`. The scopes of `tf.layers` make the canonical names: `encoder1/conv1/kernel`.

As in every TensorFlow 1 graph, the seed, the rule for initial weights and the training step belong to the graph.
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from unet_common.graph_model import batches_so_far, draw_key
from unet_common.moving_statistics import momentum_at
from unet_common.operations.depthwise import depthwise_convolution3d
from unet_common.operations.positions import middle_position
from unet_common.weights.initial import kernel_initialiser

v1 = tf.compat.v1
layers = v1.layers

Initialiser = Callable[..., tf.Tensor]


def initialise_kernel(shape: Sequence[int], dtype: tf.DType) -> tf.Tensor:
    """Draw a convolution's kernel `[*sides, channels, filters]`: the default initialiser of the networks' scope.

    A layer that is given no initialiser asks the variable scope it is in, and calls what it gets in a scope of its
    own: there the kernel's canonical name is known. Without a scope's default, `get_variable` would take Glorot's,
    drawn in the order of the graph.
    """
    *sides, channels, filters = shape
    area = math.prod(sides)
    return kernel_initialiser(area * channels, area * filters)(shape, dtype, None)


def transposed_initialiser(strides: int | Sequence[int]) -> Initialiser:
    """Initialiser of a transposed convolution, to be given to it: its kernel is `[*sides, filters, channels]`.

    An output pixel sees the input through a part of the kernel only, as large as the kernel divided by the strides.
    """

    def initialise(shape: Sequence[int], dtype: tf.DType) -> tf.Tensor:
        *sides, filters, channels = shape
        area = math.prod(sides)
        fan_in = channels * area // math.prod(_on_each_axis(strides, len(sides)))
        return kernel_initialiser(fan_in, area * filters)(shape, dtype, None)

    return initialise


class DepthwiseConv3D(layers.Layer):
    """A depthwise convolution; `tf.layers` has separable ones only, and these for images."""

    def __init__(self, kernel_size: int, name: str):
        super().__init__(name=name)
        self.kernel_size = kernel_size

    def build(self, shape):
        area = self.kernel_size**3

        def initialise(shape: Sequence[int], dtype: tf.DType) -> tf.Tensor:
            return kernel_initialiser(area, area)(shape, dtype, None)  # channels do not meet

        # As of a convolution whose filters see one channel each.
        self.kernel = self.add_weight(
            "kernel", [*[self.kernel_size] * 3, 1, shape[-1]], initializer=initialise
        )
        self.bias = self.add_weight("bias", [shape[-1]], initializer=v1.zeros_initializer())
        super().build(shape)

    def call(self, x):
        return depthwise_convolution3d(x, self.kernel) + self.bias


def depthwise_conv3d(x: tf.Tensor, kernel_size: int, name: str) -> tf.Tensor:
    """Convolution of volumes in which each channel has a kernel of its own and sees no other: the shape is kept."""
    return DepthwiseConv3D(kernel_size, name)(x)


class KernelGenerator(layers.Layer):
    """A dense layer whose values are a kernel; those of one in `tf.layers` are a row, with weights drawn for that."""

    def __init__(self, channels: int, filters: int, name: str):
        super().__init__(name=name)
        self.units = [channels, filters]

    def build(self, shape):
        self.kernel = self.add_weight("kernel", [shape[-1], *self.units])  # drawn as a convolution's
        self.bias = self.add_weight("bias", self.units, initializer=v1.zeros_initializer())
        super().build(shape)

    def call(self, x):
        return tf.tensordot(x, self.kernel, 1) + self.bias


def kernel_generator(x: tf.Tensor, channels: int, filters: int, name: str) -> tf.Tensor:
    """A kernel for each sample: `[batch, units]` -> `[batch, channels, filters]`."""
    return KernelGenerator(channels, filters, name)(x)


def max_pooling3d(x: tf.Tensor, pool_size: int | Sequence[int], strides: int | Sequence[int]) -> tf.Tensor:
    """The largest value of every window of voxels, as `tf.layers.max_pooling3d` has it.

    A volume is pooled along the last two axes and then along the first: TensorFlow's three-dimensional
    pooling has no float64 kernel, and float64 is where the equality of the implementations is proved.
    """
    window, steps = _on_each_axis(pool_size, 3), _on_each_axis(strides, 3)
    channels, (batch, *size) = x.shape[-1], tf.unstack(tf.shape(x)[:-1])
    depth, height, width = (
        (side - wide) // step + 1 for side, wide, step in zip(size, window, steps, strict=True)
    )
    slices = tf.reshape(x, [batch * size[0], *size[1:], channels])
    slices = layers.max_pooling2d(slices, pool_size=window[1:], strides=steps[1:])
    columns = tf.reshape(slices, [batch, size[0], height * width, channels])
    columns = layers.max_pooling2d(columns, pool_size=[window[0], 1], strides=[steps[0], 1])
    return tf.reshape(columns, [batch, depth, height, width, channels])


def batch_normalisation(
    x: tf.Tensor, training: bool, name: str, momentum: float = 0.99, epsilon: float = 1e-3
) -> tf.Tensor:
    """Ioffe & Szegedy 2015, arXiv:1502.03167: each channel to mean `beta` and deviation `gamma`.

    `training` is False unless one says otherwise, and the updates of the moving statistics are only added to
    the collection UPDATE_OPS: `model_fn` has to run them. `fused=False` because the fused kernel stores the
    moving variance times N / (N - 1), which Keras 3 does not. The momentum may be a tensor, though nobody
    says so: it rises with the global step up to `momentum` (`unet_common.moving_statistics`).
    """
    if training:
        momentum = momentum_at(batches_so_far(), momentum)
    return layers.batch_normalization(
        x, axis=-1, momentum=momentum, epsilon=epsilon, training=training, fused=False, name=name
    )


class GroupNormalisation(layers.Layer):
    """Group normalisation, which `tf.layers` lacks (it was in `tf.contrib`): so a layer of its own kind is made."""

    def __init__(self, groups: int, epsilon: float, name: str):
        super().__init__(name=name)
        self.groups, self.epsilon = groups, epsilon

    def build(self, shape):
        self.gamma = self.add_weight("gamma", [shape[-1]], initializer=v1.ones_initializer())
        self.beta = self.add_weight("beta", [shape[-1]], initializer=v1.zeros_initializer())
        super().build(shape)

    def call(self, x):
        size, rank = tf.shape(x), x.shape.rank
        grouped = tf.reshape(x, tf.concat([size[:-1], [self.groups, x.shape[-1] // self.groups]], 0))
        axes = [*range(1, rank - 1), rank]  # the pixels, and the channels of a group
        mean, variance = tf.nn.moments(grouped, axes, keepdims=True)
        standard = tf.reshape((grouped - mean) * tf.math.rsqrt(variance + self.epsilon), size)
        return tf.ensure_shape(standard, x.shape) * self.gamma + self.beta


def group_normalisation(x: tf.Tensor, groups: int, name: str, epsilon: float = 1e-5) -> tf.Tensor:
    """Wu & He 2018, arXiv:1803.08494: each group of channels of each image to mean 0 and deviation 1.

    As many groups as channels make instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022). Nothing
    is kept of one batch for the next, so training and inference are the same function.
    """
    return GroupNormalisation(groups, epsilon, name)(x)


def normalise(x: tf.Tensor, kind: str, groups: int, training: bool, name: str) -> tf.Tensor:
    """The normalisation called `kind`: batch, instance, group (with its number of groups), none."""
    if kind == "none":
        return x
    if kind == "batch":
        return batch_normalisation(x, training, name)
    return group_normalisation(x, x.shape[-1] if kind == "instance" else groups, name)


def dropout(x: tf.Tensor, rate: float, training: bool, name: str) -> tf.Tensor:
    """Srivastava et al. 2014: zero a share `rate` of the values, scale the others by 1 / (1 - rate).

    `tf.layers.dropout` draws from a generator with hidden state, which a resumed training cannot restore; the
    stateless variant is keyed by the graph's seed, the layer's canonical name and the batch's number.
    """
    if not training or rate == 0:
        return x
    return tf.nn.experimental.stateless_dropout(x, rate, seed=draw_key(name))


def patch_position(images: tf.Tensor, noise: float, training: bool, name: str) -> tf.Tensor:
    """The position of each patch's middle, `[batch, axes]`, with noise of that standard deviation in training.

    It is a function of the graph's seed, `name` and the number of the batch alone, as the masks of `dropout` are.
    """
    if not training:
        return middle_position(images)
    return middle_position(images, noise, draw_key(name))


def activate(x: tf.Tensor, name: str) -> tf.Tensor:
    """The non-linearity called `name` in the settings. The slope of a leaky ReLU would be 0.2 by default."""
    if name == "leaky_relu":
        return tf.nn.leaky_relu(x, alpha=0.01)
    return {"elu": tf.nn.elu, "relu": tf.nn.relu}[name](x)


class PReLU(layers.Layer):
    """A PReLU, which `tf.layers` lacks; `name` keeps its weight at `NAME/alpha`."""

    def __init__(self, per_pixel: bool, name: str):
        super().__init__(name=name)
        self.per_pixel = per_pixel

    def build(self, shape):
        shape = shape[1:] if self.per_pixel else shape[-1:]
        self.alpha = self.add_weight("alpha", shape, initializer=v1.zeros_initializer())
        super().build(shape)

    def call(self, x):
        return tf.nn.relu(x) - self.alpha * tf.nn.relu(-x)


def prelu(x: tf.Tensor, name: str, per_pixel: bool = False) -> tf.Tensor:
    """He et al. 2015, arXiv:1502.01852: a ReLU that learns its slope `alpha` below zero, at first 0.

    One slope a channel as in the paper, or one for each value of an image, whose size must be known then.
    """
    return PReLU(per_pixel, name)(x)


def _on_each_axis(value: int | Sequence[int], rank: int) -> Sequence[int]:
    """The number for each axis: a single one stands for as many equal ones, as everywhere in `tf.layers`."""
    return [value] * rank if isinstance(value, int) else value
