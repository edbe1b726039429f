"""Layers from Keras 3: objects that own their weights; what their defaults hide is written out here.

Shapes are `[batch, *size, channels]`. Keras has one class for each rank, chosen when the layer is made. A
weight's path is that of the nested layers around it: `encoder1/conv1/kernel`.

Keras has no graph to hold a seed and a training step, so they travel as a `Randomness`.
"""

import math
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
from keras import layers

from unet_common.resizing import Grid, resize
from unet_common.weights.initial import Initialisation, initial_kernel, stateless_seed

Initialiser = Callable[..., tf.Tensor]


class Randomness:
    """What random draws depend on: the experiment's seed, its rule for initial weights, and the training step.

    The training loop makes `step` the optimizer's counter of iterations. A plain object, so that no layer takes
    the step for a weight of its own.
    """

    def __init__(self, seed: int, initialisation: Initialisation = "he_normal"):
        self.seed, self.initialisation = seed, initialisation
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)


class Drawn(keras.initializers.Initializer):
    """Initialiser of a kernel, for which `unet_common.weights.initial.initial_kernel` has the rules.

    Keras's own `HeNormal(seed)` draws the same numbers for every layer of one shape and seed; these
    depend on the seed and the weight's canonical name. Keras tells an initialiser the shape and never the name,
    hence the reference to the layer, whose path is known by the time it is built. `fans` makes of the shape the
    numbers of input and output values.
    """

    def __init__(self, layer: layers.Layer, fans: Callable, randomness: Randomness):
        self.layer, self.fans, self.randomness = layer, fans, randomness

    def __call__(self, shape, dtype=None):
        seed = stateless_seed(self.randomness.seed, f"{self.layer.path}/kernel")
        return initial_kernel(shape, *self.fans(shape), self.randomness.initialisation, seed, dtype)


def convolution(
    rank: int,
    filters: int,
    kernel_size: Sequence[int],
    randomness: Randomness,
    name: str,
    padding: str = "same",
    bias: bool = True,
    stride: int | Sequence[int] = 1,
    initialiser: Initialiser | None = None,
) -> layers.Layer:
    """Convolution: `[batch, *size, channels]` -> `[batch, *size', filters]`; the stride is one number, or one an axis.

    With a stride, `same` pads an even side after the image only: where the borders are to be treated alike,
    `pad` first and use `valid`.
    The kernel is drawn at random, unless there is an `initialiser`.
    """
    kind = {2: layers.Conv2D, 3: layers.Conv3D}[rank]
    layer = kind(filters, kernel_size, strides=stride, padding=padding, use_bias=bias, name=name)
    area = math.prod(kernel_size)
    drawn = Drawn(layer, lambda shape: (area * shape[-2], area * shape[-1]), randomness)
    layer.kernel_initializer = initialiser or drawn  # the default is Glorot's, with a seed of its own
    return layer


def transposed_convolution(
    rank: int,
    filters: int,
    factor: Sequence[int],
    randomness: Randomness,
    name: str,
    kernel_size: Sequence[int] | None = None,
    bias: bool = True,
    initialiser: Initialiser | None = None,
) -> layers.Layer:
    """Enlarge each axis by its `factor`. The kernel is as large unless `kernel_size` says otherwise, so that the
    patches do not overlap.

    The output's shape is inferred, unlike in `tf.nn.conv_transpose`.
    """
    kind, kernel_size = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[rank], kernel_size or factor
    layer = kind(filters, kernel_size, strides=factor, padding="same", use_bias=bias, name=name)
    area = math.prod(kernel_size)
    overlap = area // math.prod(factor)  # kernel positions that reach one output pixel
    drawn = Drawn(layer, lambda shape: (overlap * shape[-1], area * shape[-2]), randomness)
    layer.kernel_initializer = initialiser or drawn
    return layer


def pad(rank: int, before: int, after: int) -> layers.Layer:
    """Zeros around each image: so many pixels at the start and at the end of every axis."""
    return {2: layers.ZeroPadding2D, 3: layers.ZeroPadding3D}[rank]([(before, after)] * rank)


class MaxPooling(layers.Layer):
    """Largest value of every `window` of pixels, one in each step of `factor`.

    A volume is pooled along the last two axes and then along the first: TensorFlow's three-dimensional
    pooling has no float64 kernel, and float64 is where the equality of the implementations is proved.
    """

    def __init__(self, factor: Sequence[int], window: Sequence[int]):
        super().__init__()
        self.factor, self.window = tuple(factor), tuple(window)

    def call(self, x):
        factor, window = self.factor, self.window
        if len(x.shape) == 4:
            return keras.ops.max_pool(x, window, strides=factor)
        batch, *size, channels = keras.ops.shape(x)
        depth, height, width = self._pooled(size)
        slices = keras.ops.reshape(x, [batch * size[0], *size[1:], channels])
        slices = keras.ops.max_pool(slices, window[1:], strides=factor[1:])
        columns = keras.ops.reshape(slices, [batch, size[0], height * width, channels])
        columns = keras.ops.max_pool(columns, [window[0], 1], strides=[factor[0], 1])
        return keras.ops.reshape(columns, [batch, depth, height, width, channels])

    def compute_output_shape(self, shape):
        return (shape[0], *self._pooled(shape[1:-1]), shape[-1])

    def _pooled(self, size):
        sides = zip(size, self.window, self.factor, strict=True)
        return [None if side is None else (side - wide) // step + 1 for side, wide, step in sides]


def max_pooling(factor: Sequence[int], window: Sequence[int] | None = None) -> layers.Layer:
    """A `MaxPooling` layer; blocks that touch, unless a `window` is given."""
    return MaxPooling(factor, window or factor)


class Upsample(layers.Layer):
    """Enlarges each axis by its factor, without weights.

    `keras.layers.UpSampling2D` has no grid that keeps the corners, and computes in float32, whatever it is given.
    """

    def __init__(self, factor: Sequence[int], grid: Grid):
        super().__init__()
        self.factor, self.grid = tuple(factor), grid

    def call(self, x):
        return resize(x, tf.shape(x)[1:-1] * self.factor, self.grid)

    def compute_output_shape(self, shape):
        sides = zip(shape[1:-1], self.factor, strict=True)
        return (shape[0], *[None if side is None else side * step for side, step in sides], shape[-1])


def upsample(factor: Sequence[int], grid: Grid) -> layers.Layer:
    """An `Upsample` layer; `unet_common.resizing` has the grids."""
    return Upsample(factor, grid)


class UpsampleLike(layers.Layer):
    """Enlarges its first input to the spatial size of its second, without weights."""

    def __init__(self, grid: Grid):
        super().__init__()
        self.grid = grid

    def call(self, x, like):
        return resize(x, tf.shape(like)[1:-1], self.grid)

    def compute_output_shape(self, x_shape, like_shape):
        return (x_shape[0], *like_shape[1:-1], x_shape[-1])


def upsample_like(grid: Grid) -> layers.Layer:
    """An `UpsampleLike` layer."""
    return UpsampleLike(grid)


def batch_normalisation(name: str, momentum: float = 0.99, epsilon: float = 1e-3) -> layers.Layer:
    """Ioffe & Szegedy 2015, arXiv:1502.03167: each channel to mean `beta` and deviation `gamma`.

    `fit` says `training=True` by itself, and the layer updates its moving statistics by itself, from the biased
    variance (sum / N) of the batch.
    """
    return layers.BatchNormalization(axis=-1, momentum=momentum, epsilon=epsilon, name=name)


def group_normalisation(groups: int, name: str, epsilon: float = 1e-5) -> layers.Layer:
    """Wu & He 2018, arXiv:1803.08494: each group of channels of each image to mean 0 and deviation 1.

    `groups=-1` makes a group of each channel, which is instance normalisation (Ulyanov et al. 2016,
    arXiv:1607.08022). Nothing is kept of one batch for the next, so training and inference are the same
    function. Keras's default epsilon is 1e-3.
    """
    return layers.GroupNormalization(groups, axis=-1, epsilon=epsilon, name=name)


def normalise(kind: str, groups: int, name: str) -> layers.Layer:
    """The normalisation called `kind`: batch, instance, group (with its number of groups), none."""
    if kind == "none":
        return layers.Identity()
    if kind == "batch":
        return batch_normalisation(name)
    return group_normalisation(-1 if kind == "instance" else groups, name)


class Dropout(layers.Layer):
    """Srivastava et al. 2014: zero a share `rate` of the values, scale the others by 1 / (1 - rate).

    `keras.layers.Dropout` draws from a `SeedGenerator`, whose state its checkpoints leave out; this mask is a
    function of the seed, the layer's canonical name and the step.
    """

    def __init__(self, rate: float, randomness: Randomness, name: str):
        super().__init__(name=name)
        self.rate, self.randomness = rate, randomness

    def call(self, x, training=None):
        if not training or self.rate == 0:
            return x
        seed = stateless_seed(self.randomness.seed, self.path)
        step = tf.cast(tf.convert_to_tensor(self.randomness.step), tf.int32)
        return tf.nn.experimental.stateless_dropout(x, self.rate, seed=[seed, step])


def dropout(rate: float, randomness: Randomness, name: str) -> layers.Layer:
    """A `Dropout` layer."""
    return Dropout(rate, randomness, name)


def activate(x: tf.Tensor, name: str, slope: float = 0.01) -> tf.Tensor:
    """The non-linearity called `name`. TensorFlow's default `slope` of a leaky ReLU is 0.2, Keras's 0.3."""
    if name == "leaky_relu":
        return keras.ops.leaky_relu(x, negative_slope=slope)
    return {"elu": keras.ops.elu, "relu": keras.ops.relu, "sigmoid": keras.ops.sigmoid}[name](x)


class PReLU(layers.Layer):
    """`keras.layers.PReLU` has a slope for each value, or shares them along axes, which stay in the weight's shape."""

    def __init__(self, per_pixel: bool, name: str):
        super().__init__(name=name)
        self.per_pixel = per_pixel

    def build(self, shape):
        self.alpha = self.add_weight(
            shape=shape[1:] if self.per_pixel else shape[-1:], initializer="zeros", name="alpha"
        )

    def call(self, x):
        return keras.ops.relu(x) - self.alpha * keras.ops.relu(-x)


def prelu(name: str, per_pixel: bool = False) -> layers.Layer:
    """He et al. 2015, arXiv:1502.01852: a ReLU that learns its slope `alpha` below zero, at first 0.

    One slope a channel as in the paper, or one for each value of an image, whose size must be known then.
    """
    return PReLU(per_pixel, name)
