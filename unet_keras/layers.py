"""Layers that Keras 3 lacks, or has with another default; the networks take all others from `keras.layers` themselves.

Shapes are `[batch, *size, channels]`. A class of ours says what it was made with (`get_config`) and is registered, so
that a model can be written as JSON and made again of it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import tensorflow as tf
from keras import layers

from unet_common import resizing
from unet_common.moving_statistics import momentum_at
from unet_common.operations import blocks
from unet_common.operations.depthwise import depthwise_convolution3d
from unet_common.operations.positions import middle_position
from unet_common.resizing import Grid
from unet_common.weights.initial import Initialisation, stateless_seed

registered = keras.saving.register_keras_serializable(package="unet_keras")


class Randomness:
    """The state that random draws depend on: the experiment's seed, its rule for initial weights, the training step.

    A TensorFlow 1 graph has a place for each; Keras has none. A compiled model makes `step` the optimizer's counter of
    iterations, which moving statistics follow, too. A plain object, so that no layer takes the step for a weight of
    its own.
    """

    def __init__(self, seed: int, initialisation: Initialisation = "he_normal"):
        self.seed, self.initialisation = seed, initialisation
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)

    def draw_key(self, name: str) -> list[int | tf.Tensor]:
        """The pair that keys what a layer draws for a batch: of seed and canonical name, and of the batch's number."""
        seed = stateless_seed(self.seed, canonical_name(name))
        return [seed, tf.cast(tf.convert_to_tensor(self.step), tf.int32)]

    @contextmanager
    def at(self, step: int) -> Iterator[None]:
        """A block in which draws are those of `step`, and the counter of the training stays where it is."""
        before, self.step = self.step, tf.constant(step, tf.int64)
        try:
            yield
        finally:
            self.step = before


def canonical_name(path: str) -> str:
    """The name `encoder1/conv1/kernel` for `encoder1.conv1/kernel`: names in Keras may have dots, no slashes."""
    return path.replace(".", "/")


def randomness_of(layer: layers.Layer) -> Randomness:
    """The seed, rule and step that `unet_keras.model.initialise` gave to `layer`.

    Raises:
        RuntimeError: nothing yet, and it is to be trained.
    """
    if layer.randomness is None:
        raise RuntimeError(
            f"{type(layer).__name__} '{layer.name}' has no seed and no step to be trained with. A model that was made "
            "of JSON gets them with unet_keras.model.initialise(model, Randomness(seed)), before its weights are set."
        )
    return layer.randomness


@registered
class Bilinear(keras.initializers.Initializer):
    """Initialiser of a transposed convolution that interpolates linearly, until it is trained to do better."""

    def __call__(self, shape, dtype=None):
        return resizing.bilinear(shape, dtype)


@registered
class DepthwiseConv3D(layers.Layer):
    """Convolution of volumes in which each channel has a kernel of its own and sees no other: the shape is kept.

    Keras has `DepthwiseConv1D` and `DepthwiseConv2D`. The kernel is `[*sides, 1, channels]`, as of a `Conv3D` with as
    many groups as channels, which TensorFlow does not compute on the CPU.
    """

    def __init__(self, kernel_size: int, **options):
        super().__init__(**options)
        self.kernel_size = kernel_size
        self.kernel_initializer = (
            keras.initializers.GlorotUniform()
        )  # the default, until the model draws its own

    def build(self, shape):
        sides, channels = [self.kernel_size] * 3, shape[-1]
        self.kernel = self.add_weight(
            shape=[*sides, 1, channels], initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=[channels], initializer="zeros", name="bias")

    def call(self, x):
        return depthwise_convolution3d(x, self.kernel) + self.bias

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size}


@registered
class MaxPooling3D(layers.MaxPooling3D):
    """Keras's, along the last two axes and then along the first.

    TensorFlow's three-dimensional pooling has no float64 kernel, and float64 is where the equality of the
    implementations is proved.
    """

    def call(self, x):
        window, steps = self.pool_size, self.strides
        batch, *size, channels = keras.ops.shape(x)
        depth, height, width = (
            (side - wide) // step + 1 for side, wide, step in zip(size, window, steps, strict=True)
        )
        slices = keras.ops.reshape(x, [batch * size[0], *size[1:], channels])
        slices = keras.ops.max_pool(slices, window[1:], strides=steps[1:], data_format="channels_last")
        columns = keras.ops.reshape(slices, [batch, size[0], height * width, channels])
        columns = keras.ops.max_pool(
            columns, [window[0], 1], strides=[steps[0], 1], data_format="channels_last"
        )
        return keras.ops.reshape(columns, [batch, depth, height, width, channels])


@registered
class AverageBlocks(layers.Layer):
    """Mean of blocks of as many voxels along each axis. `AveragePooling3D` has no float64 kernel on the CPU."""

    def __init__(self, side: int, **options):
        super().__init__(**options)
        self.side = side

    def call(self, x):
        return resizing.average_blocks(x, self.side)

    def compute_output_shape(self, shape):
        return (shape[0], *[None if n is None else n // self.side for n in shape[1:-1]], shape[-1])

    def get_config(self):
        return {**super().get_config(), "side": self.side}


@registered
class Upsample(layers.Layer):
    """Enlargement of each axis by its factor, without weights; `unet_common.resizing` has the grids.

    `UpSampling2D(interpolation="bilinear")` has no grid that keeps the corners, and computes in float32, whatever it is
    given; `UpSampling3D` only repeats.
    """

    def __init__(self, factor: Sequence[int], grid: Grid, **options):
        super().__init__(**options)
        self.factor, self.grid = tuple(factor), grid

    def call(self, x):
        return resizing.resize(x, tf.shape(x)[1:-1] * self.factor, self.grid)

    def compute_output_shape(self, shape):
        sides = zip(shape[1:-1], self.factor, strict=True)
        return (shape[0], *[None if side is None else side * step for side, step in sides], shape[-1])

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "grid": self.grid}


@registered
class UpsampleLike(layers.Layer):
    """Enlargement of one input to the spatial size of another, without weights. Keras's layers know factors only."""

    def __init__(self, grid: Grid, **options):
        super().__init__(**options)
        self.grid = grid

    def call(self, x, like):
        return resizing.resize(x, tf.shape(like)[1:-1], self.grid)

    def compute_output_shape(self, x_shape, like_shape):
        return (x_shape[0], *like_shape[1:-1], x_shape[-1])

    def get_config(self):
        return {**super().get_config(), "grid": self.grid}


@registered
class Crop(layers.Layer):
    """The middle of `skip`, as large as `x`. `Cropping2D` has to be told how many pixels that cuts off."""

    def call(self, skip, x):
        return resizing.crop(skip, x)

    def compute_output_shape(self, skip_shape, x_shape):
        return (*x_shape[:-1], skip_shape[-1])


@registered
class CropEnd(layers.Layer):
    """The start of each axis of `x`, as long as `like`: what lies beyond the image's end is cut off."""

    def call(self, x, like):
        return resizing.crop_end(x, like)

    def compute_output_shape(self, x_shape, like_shape):
        return (*like_shape[:-1], x_shape[-1])


@registered
class ReshapeLike(layers.Layer):
    """The values of `x` in the shape of `like`. `Reshape` has to know all sides but one when the model is built."""

    def call(self, x, like):
        return keras.ops.reshape(x, keras.ops.shape(like))

    def compute_output_shape(self, x_shape, like_shape):
        return like_shape


@registered
class ConvolutionUnit(layers.Layer):
    """The weights of a normalisation and a convolution of 3 x 3 x 3; the sequence that it is in computes with them."""

    kernel_initializer = keras.initializers.GlorotUniform()  # the default, until the model draws its own

    def build(self, shape):
        channels = shape[-1]
        self.gamma = self.add_weight(shape=[channels], initializer="ones", name="norm.gamma")
        self.beta = self.add_weight(shape=[channels], initializer="zeros", name="norm.beta")
        self.kernel = self.add_weight(
            shape=[3, 3, 3, channels, channels], initializer=self.kernel_initializer, name="conv.kernel"
        )

    def call(self, x):
        raise RuntimeError("a unit has weights only: the sequence computes with them")


@registered
class BlockSequence(layers.Layer):
    """Blocks of two convolutions, one after the other; in reversible ones each has half of the channels."""

    def __init__(
        self, kind: str, length: int, groups: int, dilation: int = 1, recompute: bool = True, **options
    ):
        super().__init__(**options)
        self.kind, self.length, self.groups = kind, length, groups
        self.dilation, self.recompute = dilation, recompute
        names = [f"block{i}.{half}" for i in range(1, length + 1) for half in "fg"]
        self.units = [ConvolutionUnit(name=name, dtype=self.dtype_policy) for name in names]

    def build(self, shape):
        channels = shape[-1] // 2 if self.kind == "reversible" else shape[-1]
        for unit in self.units:
            unit.build([*shape[:-1], channels])

    def call(self, x):
        weights = [blocks.Unit(*map(tf.convert_to_tensor, (u.gamma, u.beta, u.kernel))) for u in self.units]

        def compute(x, unit):
            return blocks.pre_activated_convolution(x, unit, self.groups, self.dilation)

        pairs = list(zip(weights[::2], weights[1::2], strict=True))
        return blocks.block_sequence(x, pairs, self.kind, compute, self.recompute)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        own = ("kind", "length", "groups", "dilation", "recompute")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@registered
class BatchNormalization(layers.BatchNormalization):
    """Keras's, with a momentum that rises with the training step up to `momentum`: `unet_common.moving_statistics`.

    Ioffe & Szegedy 2015, arXiv:1502.03167. Keras takes the momentum for a number, so the update is written out here.
    The step is not the layer's own: `unet_keras.model.initialise` gives it the model's `Randomness`.
    """

    randomness: Randomness | None = None

    def call(self, x, training=None):
        if not training or not self.trainable:  # what is frozen stays in inference mode
            return super().call(x, training=False)
        mean, variance = keras.ops.moments(x, axes=list(range(x.ndim - 1)))
        share = 1 - momentum_at(randomness_of(self).step, self.momentum)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign_sub(tf.cast(share, x.dtype) * (moving - batch))
        return keras.ops.batch_normalization(x, mean, variance, -1, self.beta, self.gamma, self.epsilon)


def normalise(x: keras.KerasTensor, kind: str, groups: int, name: str) -> keras.KerasTensor:
    """The normalisation called `kind`: batch, instance, group (with its number of groups), none.

    Ioffe & Szegedy 2015, arXiv:1502.03167; Ulyanov et al. 2016, arXiv:1607.08022; Wu & He 2018, arXiv:1803.08494. That
    of instances is one of groups of a single channel, which Keras calls -1. Its epsilon would be 1e-3.
    """
    if kind == "none":
        return x
    if kind == "batch":
        return BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)
    return layers.GroupNormalization(-1 if kind == "instance" else groups, epsilon=1e-5, name=name)(x)


@registered
class Dropout(layers.Layer):
    """Srivastava et al. 2014: zero a share `rate` of the values, scale the others by 1 / (1 - rate).

    `keras.layers.Dropout` draws from a `SeedGenerator`, whose state its checkpoints leave out; this mask is a
    function of the seed, the layer's canonical name and the number of the batch. Seed and number are not the layer's
    own: `unet_keras.model.initialise` gives it the model's `Randomness`.
    """

    randomness: Randomness | None = None

    def __init__(self, rate: float, **options):
        super().__init__(**options)
        self.rate = rate

    def call(self, x, training=None):
        if not training or self.rate == 0:
            return x
        return tf.nn.experimental.stateless_dropout(
            x, self.rate, seed=randomness_of(self).draw_key(self.name)
        )

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@registered
class PatchPosition(layers.Layer):
    """The position of each patch's middle, `[batch, axes]`, with noise of that standard deviation in training.

    It is a function of the seed, the layer's canonical name and the number of the batch alone, as the masks of
    `Dropout` are.
    """

    randomness: Randomness | None = None

    def __init__(self, noise: float, **options):
        super().__init__(**options)
        self.noise = noise

    def call(self, images, training=None):
        if not training or self.noise == 0:
            return middle_position(images)
        return middle_position(images, self.noise, randomness_of(self).draw_key(self.name))

    def compute_output_shape(self, shape):
        return (shape[0], len(shape) - 2)

    def get_config(self):
        return {**super().get_config(), "noise": self.noise}


def activate(x: keras.KerasTensor, kind: str) -> keras.KerasTensor:
    """The non-linearity called `kind` in the settings.

    The slope of a leaky ReLU is 0.01 here; `LeakyReLU()` has 0.3, `Activation("leaky_relu")` 0.2.
    """
    layer = layers.LeakyReLU(negative_slope=0.01) if kind == "leaky_relu" else layers.Activation(kind)
    return layer(x)


@registered
class PReLU(layers.Layer):
    """He et al. 2015, arXiv:1502.01852: a ReLU that learns its slope `alpha` below zero, at first 0.

    One slope a channel as in the paper, or one for each value of an image, whose size must be known then.
    `keras.layers.PReLU` can share slopes along axes, which then stay in the weight's shape.
    """

    def __init__(self, per_pixel: bool = False, **options):
        super().__init__(**options)
        self.per_pixel = per_pixel

    def build(self, shape):
        self.alpha = self.add_weight(
            shape=shape[1:] if self.per_pixel else shape[-1:], initializer="zeros", name="alpha"
        )

    def call(self, x):
        return keras.ops.relu(x) - self.alpha * keras.ops.relu(-x)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "per_pixel": self.per_pixel}
