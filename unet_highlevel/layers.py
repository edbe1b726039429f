"""Layers from `tf.layers`: it makes the variables; what its defaults hide is written out here.

Shapes are `[batch, *size, channels]`. `tf.layers` has one function for each rank; these look at the rank of
their input. Its scopes make the canonical names: `encoder1/conv1/kernel`.

As in every TensorFlow 1 graph, the seed, the rule for initial weights and the training step belong to the graph.
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from unet_common.weights.initial import canonical_name, drawn, stateless_seed

v1 = tf.compat.v1

Initialiser = Callable[..., tf.Tensor]


def convolution(
    x: tf.Tensor,
    filters: int,
    kernel_size: Sequence[int],
    name: str,
    padding: str = "same",
    bias: bool = True,
    stride: int | Sequence[int] = 1,
    initialiser: Initialiser | None = None,
) -> tf.Tensor:
    """Convolution: `[batch, *size, channels]` -> `[batch, *size', filters]`; the stride is one number, or one an axis.

    With a stride, `same` pads an even side after the image only: where the borders are to be treated alike,
    `pad` first and use `valid`.
    The kernel is drawn at random, unless there is an `initialiser`.
    """
    layer = {4: v1.layers.conv2d, 5: v1.layers.conv3d}[x.shape.rank]
    area = math.prod(kernel_size)
    initialiser = initialiser or drawn(f"{name}/kernel", area * x.shape[-1], area * filters)
    return layer(
        x,
        filters,
        kernel_size,
        strides=stride,
        padding=padding,
        use_bias=bias,
        kernel_initializer=initialiser,  # the default is Glorot's, drawn in the order of the graph
        name=name,
    )


def transposed_convolution(
    x: tf.Tensor,
    filters: int,
    factor: Sequence[int],
    name: str,
    kernel_size: Sequence[int] | None = None,
    bias: bool = True,
    initialiser: Initialiser | None = None,
) -> tf.Tensor:
    """Enlarge each axis by its `factor`. The kernel is as large unless `kernel_size` says otherwise, so that the
    patches do not overlap.

    The output's shape is inferred, unlike in `tf.nn.conv_transpose`.
    """
    layer = {4: v1.layers.conv2d_transpose, 5: v1.layers.conv3d_transpose}[x.shape.rank]
    kernel_size = kernel_size or factor
    area = math.prod(kernel_size)
    fan_in = x.shape[-1] * area // math.prod(factor)  # of one output pixel
    initialiser = initialiser or drawn(f"{name}/kernel", fan_in, area * filters)
    return layer(
        x,
        filters,
        kernel_size=kernel_size,
        strides=factor,
        padding="same",
        use_bias=bias,
        kernel_initializer=initialiser,
        name=name,
    )


def max_pooling(x: tf.Tensor, factor: Sequence[int], window: Sequence[int] | None = None) -> tf.Tensor:
    """Largest value of every `window` of pixels, one in each step of `factor`; blocks that touch, if not given.

    A volume is pooled along the last two axes and then along the first: TensorFlow's three-dimensional
    pooling has no float64 kernel, and float64 is where the equality of the implementations is proved.
    """
    window = window or factor
    if x.shape.rank == 4:
        return v1.layers.max_pooling2d(x, pool_size=window, strides=factor)
    channels, (batch, *size) = x.shape[-1], tf.unstack(tf.shape(x)[:-1])
    depth, height, width = (
        (side - wide) // step + 1 for side, wide, step in zip(size, window, factor, strict=True)
    )
    slices = tf.reshape(x, [batch * size[0], *size[1:], channels])
    slices = v1.layers.max_pooling2d(slices, pool_size=window[1:], strides=factor[1:])
    columns = tf.reshape(slices, [batch, size[0], height * width, channels])
    columns = v1.layers.max_pooling2d(columns, pool_size=[window[0], 1], strides=[factor[0], 1])
    return tf.reshape(columns, [batch, depth, height, width, channels])


def batch_normalisation(
    x: tf.Tensor, training: bool, name: str, momentum: float = 0.99, epsilon: float = 1e-3
) -> tf.Tensor:
    """Ioffe & Szegedy 2015, arXiv:1502.03167: each channel to mean `beta` and deviation `gamma`.

    `training` is False unless one says otherwise, and the updates of the moving statistics are only added to
    the collection UPDATE_OPS: `model_fn` has to run them. `fused=False` because the fused kernel stores the
    moving variance times N / (N - 1), which Keras 3 does not.
    """
    return v1.layers.batch_normalization(
        x, axis=-1, momentum=momentum, epsilon=epsilon, training=training, fused=False, name=name
    )


class GroupNormalisation(v1.layers.Layer):
    """`tf.layers` has none (it was in `tf.contrib`), so this is how one makes a layer of its own kind."""

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

    `v1.layers.dropout` draws from a generator with hidden state, which a resumed training cannot restore; the
    stateless variant is keyed by the graph's seed, the layer's canonical name and the step.
    """
    if not training or rate == 0:
        return x
    seed = stateless_seed(v1.get_default_graph().seed, canonical_name(name))
    step = tf.cast(v1.train.get_or_create_global_step(), tf.int32)
    return tf.nn.experimental.stateless_dropout(x, rate, seed=[seed, step])


def activate(x: tf.Tensor, name: str, slope: float = 0.01) -> tf.Tensor:
    """The non-linearity called `name`. TensorFlow's default `slope` of a leaky ReLU is 0.2, Keras's 0.3."""
    if name == "leaky_relu":
        return tf.nn.leaky_relu(x, alpha=slope)
    return {"elu": tf.nn.elu, "relu": tf.nn.relu, "sigmoid": tf.sigmoid}[name](x)


class PReLU(v1.layers.Layer):
    """`tf.layers` has none; `name` keeps its weight at `NAME/alpha`."""

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
