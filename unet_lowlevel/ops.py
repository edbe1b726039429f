"""Layers by hand: variables from `get_variable`, mathematics from `tf.nn`.

Shapes are `[batch, *size, channels]`; every function looks at the rank of its input, so the same lines
serve images and volumes. A variable's name is the path of the variable scopes around it, which is what
makes it canonical: `encoder1/conv1/kernel`.

What a layer needs to draw random numbers comes from the graph, where TensorFlow 1 keeps such things: the seed
(`tf.set_random_seed`), the rule for initial weights (a collection) and the batches so far (the global step).
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
    dilation: int = 1,
) -> tf.Tensor:
    """Convolution: `[batch, *size, channels]` -> `[batch, *size', filters]`; the stride is one number, or one an axis.

    With a stride, `same` pads an even side after the image only: where the borders are to be treated alike,
    `pad` first and use `valid`.
    The kernel is drawn at random, unless there is an `initialiser`. It sees every pixel, or with a `dilation` every
    second, third, ... one.
    """
    shape = [*kernel_size, x.shape[-1], filters]
    with v1.variable_scope(name):
        area = math.prod(kernel_size)
        initialiser = initialiser or kernel_initialiser(area * x.shape[-1], area * filters)
        kernel = v1.get_variable("kernel", shape, x.dtype, initialiser)
        x = tf.nn.convolution(x, kernel, strides=stride, padding=padding.upper(), dilations=dilation)
        if bias:
            x += v1.get_variable("bias", [filters], x.dtype, v1.zeros_initializer())
    return x


def depthwise_convolution(x: tf.Tensor, kernel_size: Sequence[int], name: str) -> tf.Tensor:
    """Convolution of volumes in which each channel has a kernel of its own and sees no other: the shape is kept."""
    area, channels = math.prod(kernel_size), x.shape[-1]
    with v1.variable_scope(name):
        # `[*sides, 1, channels]`: each filter is a sum over one channel, and each channel goes into one filter.
        initialiser = kernel_initialiser(area, area)
        kernel = v1.get_variable("kernel", [*kernel_size, 1, channels], x.dtype, initialiser)
        bias = v1.get_variable("bias", [channels], x.dtype, v1.zeros_initializer())
        return depthwise_convolution3d(x, kernel) + bias


def transposed_convolution(
    x: tf.Tensor,
    filters: int,
    factor: Sequence[int],
    name: str,
    kernel_size: Sequence[int] | None = None,
    bias: bool = True,
    initialiser: Initialiser | None = None,
    padding: str = "same",
) -> tf.Tensor:
    """Enlarge each axis by its `factor`. The kernel is as large unless `kernel_size` says otherwise, so that the
    patches do not overlap. If it is larger, `valid` gives all that they reach, and `same` the start of that.

    The gradient of a convolution that takes `filters` channels to `channels`: hence the order of the
    kernel's last two axes, and hence TensorFlow wants to be told the output's shape.
    """
    kernel_size, channels = kernel_size or factor, x.shape[-1]
    steps = list(zip(kernel_size, factor, strict=True))
    beyond = [max(side - step, 0) if padding == "valid" else 0 for side, step in steps]
    sides = [
        None if side is None else side * step + more
        for side, step, more in zip(x.shape[1:-1], factor, beyond, strict=True)
    ]
    area = math.prod(kernel_size)
    fan_in = channels * area // math.prod(factor)  # of one output pixel
    with v1.variable_scope(name):
        shape = [*kernel_size, filters, channels]
        initialiser = initialiser or kernel_initialiser(fan_in, area * filters)
        kernel = v1.get_variable("kernel", shape, x.dtype, initialiser)
        size = tf.shape(x)
        output_shape = tf.concat([size[:1], size[1:-1] * factor + beyond, [filters]], 0)
        x = tf.nn.conv_transpose(x, kernel, output_shape, factor, padding=padding.upper())
        x = tf.ensure_shape(x, [None, *sides, filters])  # what it cannot read off a tensor, but we know
        if bias:
            x += v1.get_variable("bias", [filters], x.dtype, v1.zeros_initializer())
    return x


def dense(x: tf.Tensor, units: Sequence[int], name: str) -> tf.Tensor:
    """A weighted sum of the channels for each unit: `[batch, channels]` -> `[batch, *units]`.

    Where there are several axes of units, the values are a kernel of a convolution, and are drawn as its sums need it.
    """
    *sides, last, first = shape = [x.shape[-1], *units]
    area = math.prod(sides)
    with v1.variable_scope(name):
        kernel = v1.get_variable("kernel", shape, x.dtype, kernel_initialiser(area * last, area * first))
        return tf.tensordot(x, kernel, 1) + v1.get_variable("bias", units, x.dtype, v1.zeros_initializer())


def max_pooling(x: tf.Tensor, factor: Sequence[int], window: Sequence[int] | None = None) -> tf.Tensor:
    """The largest value of every `window` of pixels, one in each step of `factor`; blocks that touch, if not given.

    A volume is pooled along the last two axes and then along the first: TensorFlow's three-dimensional
    pooling has no float64 kernel, and float64 is where the equality of the implementations is proved.
    """
    window = window or factor
    if x.shape.rank == 4:
        return tf.nn.max_pool2d(x, window, strides=factor, padding="VALID")
    channels, (batch, *size) = x.shape[-1], tf.unstack(tf.shape(x)[:-1])
    depth, height, width = (
        (side - wide) // step + 1 for side, wide, step in zip(size, window, factor, strict=True)
    )
    slices = tf.reshape(x, [batch * size[0], *size[1:], channels])
    slices = tf.nn.max_pool2d(slices, window[1:], strides=factor[1:], padding="VALID")
    columns = tf.reshape(slices, [batch, size[0], height * width, channels])
    columns = tf.nn.max_pool2d(columns, [window[0], 1], strides=[factor[0], 1], padding="VALID")
    return tf.reshape(columns, [batch, depth, height, width, channels])


def batch_normalisation(
    x: tf.Tensor, training: bool, name: str, momentum: float = 0.99, epsilon: float = 1e-3
) -> tf.Tensor:
    """Ioffe & Szegedy 2015, arXiv:1502.03167: each channel to mean `beta` and deviation `gamma`.

    Training normalises by the batch's own statistics and adds the operations that update the moving ones to
    the collection UPDATE_OPS: nobody runs them unless the training loop does. Inference uses the moving
    statistics. Their momentum rises with the global step up to `momentum` (`unet_common.moving_statistics`).
    The moving variance follows the biased variance (sum / N) of the batch, as Keras 3 has it;
    `tf.nn.fused_batch_norm` would store N / (N - 1) of it.
    """
    channels, axes = x.shape[-1], list(range(x.shape.rank - 1))
    zeros, ones = v1.zeros_initializer(), v1.ones_initializer()
    with v1.variable_scope(name):
        gamma = v1.get_variable("gamma", [channels], x.dtype, ones)
        beta = v1.get_variable("beta", [channels], x.dtype, zeros)
        moving_mean = v1.get_variable("moving_mean", [channels], x.dtype, zeros, trainable=False)
        moving_variance = v1.get_variable("moving_variance", [channels], x.dtype, ones, trainable=False)
        if training:
            mean, variance = tf.nn.moments(x, axes)
            share = 1 - momentum_at(batches_so_far(), momentum)
            for moving, batch in ((moving_mean, mean), (moving_variance, variance)):
                update = moving.assign_sub(tf.cast(share, x.dtype) * (moving - batch))
                v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
        else:
            mean, variance = moving_mean, moving_variance
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)


def group_normalisation(x: tf.Tensor, groups: int, name: str, epsilon: float = 1e-5) -> tf.Tensor:
    """Wu & He 2018, arXiv:1803.08494: each group of channels of each image to mean 0 and deviation 1.

    As many groups as channels make instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022). Nothing
    is kept of one batch for the next, so training and inference are the same function.
    """
    channels, size = x.shape[-1], tf.shape(x)
    with v1.variable_scope(name):
        gamma = v1.get_variable("gamma", [channels], x.dtype, v1.ones_initializer())
        beta = v1.get_variable("beta", [channels], x.dtype, v1.zeros_initializer())
        grouped = tf.reshape(x, tf.concat([size[:-1], [groups, channels // groups]], 0))
        axes = [*range(1, x.shape.rank - 1), x.shape.rank]  # the pixels, and the channels of a group
        mean, variance = tf.nn.moments(grouped, axes, keepdims=True)
        standard = tf.reshape((grouped - mean) * tf.math.rsqrt(variance + epsilon), size)
        return tf.ensure_shape(standard, x.shape) * gamma + beta


def normalise(x: tf.Tensor, kind: str, groups: int, training: bool, name: str) -> tf.Tensor:
    """The normalisation called `kind`: batch, instance, group (with its number of groups), none."""
    if kind == "none":
        return x
    if kind == "batch":
        return batch_normalisation(x, training, name)
    return group_normalisation(x, x.shape[-1] if kind == "instance" else groups, name)


def dropout(x: tf.Tensor, rate: float, training: bool, name: str) -> tf.Tensor:
    """Srivastava et al. 2014: zero a share `rate` of the values, scale the others by 1 / (1 - rate).

    The mask is a function of the graph's seed, the layer's canonical name and the number of the batch alone.
    """
    if not training or rate == 0:
        return x
    uniform = tf.random.stateless_uniform(tf.shape(x), draw_key(name), dtype=x.dtype)
    return tf.where(uniform >= rate, x / (1 - rate), tf.zeros_like(x))


def patch_position(images: tf.Tensor, noise: float, training: bool, name: str) -> tf.Tensor:
    """The position of each patch's middle, `[batch, axes]`, with noise of that standard deviation in training.

    It is a function of the graph's seed, `name` and the number of the batch alone, as the masks of `dropout` are.
    """
    if not training:
        return middle_position(images)
    return middle_position(images, noise, draw_key(name))


def activate(x: tf.Tensor, name: str, slope: float = 0.01) -> tf.Tensor:
    """The non-linearity called `name`. TensorFlow's default `slope` of a leaky ReLU is 0.2, Keras's 0.3."""
    if name == "leaky_relu":
        return tf.nn.leaky_relu(x, alpha=slope)
    return {"elu": tf.nn.elu, "relu": tf.nn.relu, "sigmoid": tf.sigmoid}[name](x)


def prelu(x: tf.Tensor, name: str, per_pixel: bool = False) -> tf.Tensor:
    """He et al. 2015, arXiv:1502.01852: a ReLU that learns its slope `alpha` below zero, at first 0.

    One slope a channel as in the paper, or one for each value of an image, whose size must be known then.
    """
    shape = x.shape[1:] if per_pixel else x.shape[-1:]
    with v1.variable_scope(name):
        alpha = v1.get_variable("alpha", shape, x.dtype, v1.zeros_initializer())
    return tf.nn.relu(x) - alpha * tf.nn.relu(-x)
