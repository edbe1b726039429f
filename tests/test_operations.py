"""Operations against NumPy: values from their definitions, gradients from finite differences.

The hand-rolled operations of `unet_lowlevel` are tested here; `test_consistency.py` ties the other two packages
to them.
"""

import math

import numpy as np
import pytest
import tensorflow as tf
from helpers import RANKS, SIZES, Operation, images

from unet_common import resizing
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import UNetEncoder, VNet3DDepthwise
from unet_common.operations.depthwise import depthwise_convolution3d
from unet_common.resizing import linear_kernel
from unet_common.weights.initial import choose_initialisation
from unet_lowlevel import ops

v1 = tf.compat.v1


@RANKS
@pytest.mark.parametrize("sides", [(1, 1, 1), (2, 2, 2), (3, 3, 3), (1, 3, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_convolution(rank, sides, padding):
    x, kernel_size = images(rank), sides[:rank]
    operation = Operation(lambda x: ops.convolution(x, 4, kernel_size, "conv", padding), x)
    weights = operation.weights()
    assert {name: value.shape for name, value in weights.items()} == {
        "conv/kernel": (*kernel_size, 3, 4),
        "conv/bias": (4,),
    }
    padded = x
    if padding == "same":  # of an odd number of zeros, the greater half comes after
        padded = np.pad(x, [(0, 0), *[((side - 1) // 2, side // 2) for side in kernel_size], (0, 0)])
    spatial = tuple(range(1, rank + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, spatial)
    windows = np.moveaxis(windows, rank + 1, -1)  # [batch, *size, *kernel, channels]
    expected = np.tensordot(windows, weights["conv/kernel"], rank + 1) + weights["conv/bias"]
    np.testing.assert_allclose(operation(x), expected, rtol=0, atol=1e-12)


def by_channel(x, kernel):
    """One convolution for each channel, which is what a depthwise convolution means."""
    channels = [
        tf.nn.conv3d(x[..., c : c + 1], kernel[..., c : c + 1], [1] * 5, "SAME") for c in range(x.shape[-1])
    ]
    return tf.concat(channels, -1)


@pytest.mark.parametrize("sides", [(1, 1, 1), (2, 2, 2), (3, 3, 3), (5, 5, 5), (1, 3, 2), (4, 1, 3)])
def test_depthwise_convolution_is_one_convolution_a_channel(sides):
    """Values and gradients, also where the kernel is longer than the volume."""
    x, generator = images(3), np.random.default_rng(0)
    kernel, direction = generator.standard_normal((*sides, 1, 3)), generator.standard_normal(x.shape)
    results = []
    for function in (depthwise_convolution3d, by_channel):
        with tf.GradientTape() as tape:
            given = tf.constant(x), tf.constant(kernel)
            tape.watch(given)
            value = function(*given)
        results.append([value, *tape.gradient(value, given, tf.constant(direction))])
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


def test_the_gradient_of_a_depthwise_convolution_is_that_of_its_values():
    x = images(3, channels=2, size=(3, 2, 4))
    Operation(lambda x: ops.depthwise_convolution(x, [3, 3, 3], "conv"), x).check_gradients(x)


def test_a_depthwise_convolution_has_a_kernel_and_a_bias_for_each_channel():
    x = images(3)
    operation = Operation(lambda x: ops.depthwise_convolution(x, [3, 3, 3], "conv"), x)
    weights = operation.weights()
    assert {name: value.shape for name, value in weights.items()} == {
        "conv/kernel": (3, 3, 3, 1, 3),
        "conv/bias": (3,),
    }
    expected = depthwise_convolution3d(tf.constant(x), tf.constant(weights["conv/kernel"]))
    np.testing.assert_allclose(operation(x), expected + weights["conv/bias"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("rule", ["he_normal", "glorot_uniform"])
def test_depthwise_kernels_are_drawn_for_sums_over_one_channel(name, rule):
    network = VNet3DDepthwise(depth=2, filters=64)
    kernel = load(name).Model(network, initialisation=rule).weights()["decoder1/unit1/depthwise/kernel"]
    fan_in = fan_out = 27
    deviation = math.sqrt(2 / fan_in if rule == "he_normal" else 2 / (fan_in + fan_out))
    assert kernel.shape == (3, 3, 3, 1, 128)
    assert kernel.std() == pytest.approx(deviation, rel=0.06)  # five standard errors of 3,456 draws


@RANKS
@pytest.mark.parametrize("stride", [2, 3, (1, 3, 2)])
def test_a_convolution_with_a_stride_is_every_so_many_pixels_of_one_without(rank, stride):
    x, kernel_size = images(rank, size=(7, 8, 6)[:rank]), (3,) * rank
    strides = (stride,) * rank if isinstance(stride, int) else stride[:rank]
    stride = stride if isinstance(stride, int) else strides
    strided = Operation(lambda x: ops.convolution(x, 4, kernel_size, "conv", "valid", stride=stride), x)
    every = Operation(lambda x: ops.convolution(x, 4, kernel_size, "conv", "valid"), x)
    pixels = (slice(None), *[slice(None, None, step) for step in strides])
    np.testing.assert_allclose(strided(x), every(x)[pixels], rtol=0, atol=1e-12)


@RANKS
def test_pad_adds_zeros_to_the_spatial_axes(rank):
    x = images(rank)
    y = Operation(lambda x: resizing.pad(x, 1, 2), x)(x)
    np.testing.assert_array_equal(y, np.pad(x, [(0, 0), *[(1, 2)] * rank, (0, 0)]))


@RANKS
def test_pad_channels_adds_zeros_behind_the_others(rank):
    x = images(rank)
    y = Operation(lambda x: resizing.pad_channels(x, 5), x)(x)
    np.testing.assert_array_equal(y[..., :3], x)
    assert y.shape[-1] == 5 and not y[..., 3:].any()
    np.testing.assert_array_equal(Operation(lambda x: resizing.pad_channels(x, 3), x)(x), x)


@RANKS
def test_a_transposed_convolution_with_a_larger_kernel_adds_its_patches_where_they_overlap(rank):
    """Kernel 4 and stride 2: pixel i reaches the output's pixels 2 i - 1 to 2 i + 2, and its size is doubled."""
    x, sides = images(rank), SIZES[rank]

    def build(x):
        return ops.transposed_convolution(x, 4, (2,) * rank, "up", (4,) * rank, bias=False)

    operation = Operation(build, x)
    kernel = operation.weights()["up/kernel"]
    assert list(operation.weights()) == ["up/kernel"] and kernel.shape == (*(4,) * rank, 4, 3)
    expected = np.zeros(
        (2, *[2 * side + 2 for side in sides], 4)
    )  # a pixel more at either end, cut off below
    for tap in np.ndindex(*(4,) * rank):
        reached = tuple(slice(start, start + 2 * side, 2) for start, side in zip(tap, sides, strict=True))
        expected[(slice(None), *reached)] += x @ kernel[tap].T
    inner = (slice(None), *[slice(1, -1)] * rank)
    np.testing.assert_allclose(operation(x), expected[inner], rtol=0, atol=1e-12)


def test_the_linear_kernel_is_a_pyramid():
    row = np.array([0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125])
    np.testing.assert_array_equal(linear_kernel([8, 8, 1, 1])[..., 0, 0], np.outer(row, row))
    np.testing.assert_array_equal(linear_kernel([3, 1, 1]).ravel(), [0.5, 1, 0.5])
    kernel = linear_kernel([4, 2, 2])
    assert kernel[:, 0, 0].all() and kernel[:, 1, 1].all() and not kernel[:, 0, 1].any()


@RANKS
@pytest.mark.parametrize("step", [2, 4])
def test_a_transposed_convolution_interpolates_at_first_if_it_is_told_to(rank, step):
    x, factor, kernel_size = images(rank), (step,) * rank, (2 * step,) * rank

    def build(x):
        return ops.transposed_convolution(x, 3, factor, "up", kernel_size, initialiser=resizing.bilinear)

    y = Operation(build, x, initial=True)(x)
    expected = Operation(lambda x: resizing.upsample(x, factor, "linear"), x)(x)
    inner = (slice(None), *[slice(step, -step)] * rank)  # beyond the borders it sees zeros
    np.testing.assert_allclose(y[inner], expected[inner], rtol=0, atol=1e-12)


@RANKS
@pytest.mark.parametrize("factors", [(2, 2, 2), (3, 3, 3), (1, 2, 3)])
def test_transposed_convolution(rank, factors):
    x, factor = images(rank), factors[:rank]
    operation = Operation(lambda x: ops.transposed_convolution(x, 4, factor, "up"), x)
    kernel, bias = operation.weights()["up/kernel"], operation.weights()["up/bias"]
    assert kernel.shape == (*factor, 4, 3)
    expected = np.empty((2, *np.multiply(SIZES[rank], factor), 4))
    for offset in np.ndindex(factor):  # each pixel becomes a block
        block = (slice(None), *(slice(start, None, step) for start, step in zip(offset, factor, strict=True)))
        expected[block] = x @ kernel[offset].T + bias
    np.testing.assert_allclose(operation(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(6, 4), (7, 5), (4, 6, 2), (5, 4, 7)])
@pytest.mark.parametrize("factors", [(2, 2, 2), (1, 2, 2), (3, 1, 2)])
def test_max_pooling(size, factors):
    x, factor = images(len(size), size=size), factors[: len(size)]
    pooled = np.floor_divide(size, factor)
    # What does not fill a block at the end is left out.
    blocks = x[(slice(None), *(slice(side * step) for side, step in zip(pooled, factor, strict=True)))]
    expected = np.full((2, *pooled, 3), -np.inf)
    for offset in np.ndindex(factor):
        corner = (
            slice(None),
            *(slice(start, None, step) for start, step in zip(offset, factor, strict=True)),
        )
        expected = np.maximum(expected, blocks[corner])
    np.testing.assert_array_equal(Operation(lambda x: ops.max_pooling(x, factor), x)(x), expected)


@pytest.mark.parametrize("size", [(7, 6), (5, 7, 6)])
def test_max_pooling_with_windows_that_overlap(size):
    rank, x = len(size), images(len(size), size=size)
    y = Operation(lambda x: ops.max_pooling(x, (2,) * rank, (3,) * rank), x)(x)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3,) * rank, tuple(range(1, rank + 1)))
    every = windows.max(tuple(range(-rank, 0)))[(slice(None), *[slice(None, None, 2)] * rank)]
    np.testing.assert_array_equal(y, every)


LINE = np.arange(4.0)
# Of PyTorch's `interpolate` and of TensorFlow's resizing, for the pixels 0, 1, 2, 3.
DOUBLED = {
    "nearest": [0, 0, 1, 1, 2, 2, 3, 3],
    "linear": [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3],
    "corners": np.arange(8) * 3 / 7,
}


@pytest.mark.parametrize("grid", DOUBLED)
@RANKS
def test_upsampling_of_a_line_along_each_axis(rank, grid):
    for axis in range(1, rank + 1):
        shape = [1] * (rank + 2)
        shape[axis] = 4
        x = LINE.reshape(shape)
        factor = [2 if index == axis else 1 for index in range(1, rank + 1)]
        y = Operation(lambda x, factor=factor: resizing.upsample(x, factor, grid), x)(x)
        assert y.shape[axis] == 8
        np.testing.assert_allclose(y.ravel(), DOUBLED[grid], rtol=0, atol=1e-12)


@pytest.mark.parametrize("grid", DOUBLED)
@pytest.mark.parametrize("size, other", [((4, 5), (7, 5)), ((3, 2, 1), (5, 3, 4))])
def test_upsampling_to_any_size_interpolates_each_axis(grid, size, other):
    """A plane is reproduced by linear interpolation, at the places that the grid says; clamped at the borders."""
    slopes = np.arange(1, len(size) + 1)
    x = np.tensordot(slopes, np.indices(size), 1)[np.newaxis, ..., np.newaxis].astype(float)
    y = Operation(lambda x: resizing.upsample_like(x, tf.zeros([1, *other, 3], tf.float64), grid), x)(x)
    expected = np.zeros(other)
    for axis, (old, new) in enumerate(zip(size, other, strict=True)):
        steps = np.arange(new)
        if grid == "corners":
            places = steps * (old - 1) / max(new - 1, 1)
        else:
            places = (steps + 0.5) * old / new - 0.5
        if grid == "nearest":
            places = np.floor(places + 0.5)
        shape = [-1 if index == axis else 1 for index in range(len(size))]
        expected = expected + slopes[axis] * np.clip(places, 0, old - 1).reshape(shape)
    np.testing.assert_allclose(y[0, ..., 0], expected, rtol=0, atol=1e-12)


@RANKS
@pytest.mark.parametrize("step, momentum", [(0, 0.1), (5, 0.4), (100, 0.75)])
def test_batch_normalisation_in_training_uses_the_batch_and_moves_its_statistics(rank, step, momentum):
    x = 3 * images(rank) + 2
    operation = Operation(lambda x: ops.batch_normalisation(x, True, "norm", 0.75, 0.01), x, step=step)
    before = operation.weights()
    axes = tuple(range(rank + 1))
    mean, variance = x.mean(axes), x.var(axes)  # the biased variance, sum / N
    expected = (x - mean) / np.sqrt(variance + 0.01) * before["norm/gamma"] + before["norm/beta"]
    np.testing.assert_allclose(operation(x), expected, rtol=0, atol=1e-12)
    for name, value in operation.weights().items():  # nothing moves unless the updates are run
        np.testing.assert_array_equal(value, before[name])

    operation.session.run(operation.updates, {operation.x: x})
    after = operation.weights()
    for name, batch in (("norm/moving_mean", mean), ("norm/moving_variance", variance)):
        expected = momentum * before[name] + (1 - momentum) * batch
        np.testing.assert_allclose(after[name], expected, rtol=0, atol=1e-12)
    assert set(operation.trainable) == {"norm/gamma", "norm/beta"}


def test_batch_normalisation_in_inference_uses_the_moving_statistics():
    x = images(2)
    operation = Operation(lambda x: ops.batch_normalisation(x, False, "norm"), x)
    gamma, beta, mean, variance = (
        operation.weights()[f"norm/{role}"] for role in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    expected = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(operation(x), expected, rtol=0, atol=1e-12)
    assert operation.updates == []


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_zeroes_its_share_and_scales_the_rest(rate):
    x = np.random.default_rng(0).uniform(1, 2, (4, 50, 50, 4))  # no zeros of its own
    y = Operation(lambda x: ops.dropout(x, rate, True, "dropout"), x)(x)
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-15)
    five_deviations = 5 * math.sqrt(rate * (1 - rate) / x.size)
    assert kept.mean() == pytest.approx(1 - rate, abs=five_deviations)
    for axis in range(4):  # no image, row, column or channel is spared
        others = tuple(range(axis)) + tuple(range(axis + 1, 4))
        np.testing.assert_allclose(kept.mean(others), 1 - rate, atol=0.1)


def test_a_dropout_mask_is_a_function_of_seed_layer_and_step():
    x = np.ones((1, 16, 16, 2))

    def mask(seed=0, scope="encoder1", name="dropout1", step=0):
        def build(x):
            with v1.variable_scope(scope):
                return ops.dropout(x, 0.5, True, name)

        return Operation(build, x, seed, step)(x) != 0

    np.testing.assert_array_equal(mask(), mask())
    for change in ({"seed": 1}, {"scope": "encoder2"}, {"name": "dropout2"}, {"step": 1}):
        assert 0.3 < np.mean(mask() != mask(**change)) < 0.7, change


@RANKS
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_normalisation(rank, groups):
    x = 3 * images(rank, channels=4) + 2
    operation = Operation(lambda x: ops.group_normalisation(x, groups, "norm", 0.01), x)
    grouped = x.reshape(*x.shape[:-1], groups, 4 // groups)
    axes = (*range(1, rank + 1), rank + 2)
    mean, variance = grouped.mean(axes, keepdims=True), grouped.var(axes, keepdims=True)
    standard = ((grouped - mean) / np.sqrt(variance + 0.01)).reshape(x.shape)
    expected = standard * operation.weights()["norm/gamma"] + operation.weights()["norm/beta"]
    np.testing.assert_allclose(operation(x), expected, rtol=0, atol=1e-12)


def test_normalisations_by_name():
    x = images(2, channels=4)
    for kind, groups in (("instance", 4), ("group", 2)):
        named = Operation(lambda x, kind=kind: ops.normalise(x, kind, 2, True, "norm"), x)
        same = Operation(lambda x, groups=groups: ops.group_normalisation(x, groups, "norm"), x)
        np.testing.assert_array_equal(named(x), same(x))
    constant = tf.ones([1, 2, 2, 4])
    assert ops.normalise(constant, "none", 2, True, "norm") is constant


def test_no_dropout_in_inference_or_at_rate_zero():
    x = tf.ones([1, 4, 4, 1])
    assert ops.dropout(x, 0.5, False, "dropout") is x
    assert ops.dropout(x, 0.0, True, "dropout") is x


def test_kernels_are_drawn_as_he_et_al_say():
    x = np.zeros((1, 4, 4, 64))
    kernel = Operation(lambda x: ops.convolution(x, 64, [3, 3], "conv"), x, initial=True).weights()[
        "conv/kernel"
    ]
    deviation = math.sqrt(2 / (3 * 3 * 64))
    assert kernel.std() == pytest.approx(deviation, rel=0.02)  # five standard errors of 36,864 draws
    assert abs(kernel.mean()) < 5 * deviation / math.sqrt(kernel.size)
    assert 2.2 * deviation < np.abs(kernel).max() < 2.28 * deviation  # cut at two deviations, then widened
    up = Operation(lambda x: ops.transposed_convolution(x, 64, [2, 2], "up"), x, initial=True).weights()[
        "up/kernel"
    ]
    assert up.std() == pytest.approx(math.sqrt(2 / 64), rel=0.03)  # every output pixel sees one input pixel
    single = Operation(lambda x: ops.convolution(x, 64, [3, 3], "conv"), x.astype(np.float32), initial=True)
    np.testing.assert_array_equal(single.weights()["conv/kernel"], kernel)  # whatever the precision


@pytest.mark.parametrize("rule", ["he_uniform", "glorot_normal", "glorot_uniform"])
def test_kernels_are_drawn_as_the_chosen_rule_says(rule):
    def build(x):
        choose_initialisation(rule)
        return ops.transposed_convolution(ops.convolution(x, 32, [3, 3], "conv"), 64, [2, 2], "up")

    weights = Operation(build, np.zeros((1, 4, 4, 64)), initial=True).weights()
    # A value of `up` is a sum over 32 channels of one pixel, and a value of these is added to 64 of 4 pixels.
    fans = {"conv/kernel": (9 * 64, 9 * 32), "up/kernel": (32, 4 * 64)}
    for name, (fan_in, fan_out) in fans.items():
        deviation = math.sqrt(2 / fan_in if rule == "he_uniform" else 2 / (fan_in + fan_out))
        assert weights[name].std() == pytest.approx(deviation, rel=0.03)
        widest = np.abs(weights[name]).max() / deviation
        assert 2.2 < widest < 2.28 if rule.endswith("normal") else 1.71 < widest <= math.sqrt(3) + 1e-6


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_per_part_encoders_have_he_and_all_else_pytorchs_rule(name):
    """Deviations of pytorch_segmentation_models, measured; and of a transposed convolution by its sums."""
    network = UNetEncoder(
        encoder="resnet18", filters=16, decoder="transpose", decoder_filters=(128, 64), channels=2
    )
    weights = load(name).Model(network, initialisation="per_part").weights()
    he = {
        "encoder/conv1/kernel": 16 * 7**2,
        "encoder/layer3/block1/conv1/kernel": 64 * 3**2,
        "encoder/layer3/block1/shortcut/conv/kernel": 64,
    }
    fans_in = {
        "decoder1/up/kernel": 128 * 2**2,  # of 4 x 4 values at a stride of 2
        "decoder1/conv/kernel": (128 + 64) * 3**2,
        "head/kernel": 64 * 3**2,
    }
    deviations = {kernel: math.sqrt(2 / fan_out) for kernel, fan_out in he.items()}
    deviations |= {kernel: 1 / math.sqrt(3 * fan_in) for kernel, fan_in in fans_in.items()}
    for kernel, deviation in deviations.items():
        drawn = weights[kernel]
        assert drawn.std() == pytest.approx(deviation, rel=4 / math.sqrt(drawn.size)), kernel
        widest = np.abs(drawn).max() / deviation
        assert widest > 2 if kernel in he else widest <= math.sqrt(3) + 1e-6, kernel


def test_activations():
    x = np.linspace(-3, 3, 13).reshape(1, 13, 1, 1)
    expected = {
        "elu": np.where(x > 0, x, np.expm1(x)),
        "relu": np.maximum(x, 0),
        "leaky_relu": np.where(x > 0, x, 0.01 * x),
        "sigmoid": 1 / (1 + np.exp(-x)),
    }
    for name, values in expected.items():
        y = Operation(lambda x, name=name: ops.activate(x, name), x)(x)
        # TensorFlow keeps the slope of a leaky ReLU in float32.
        np.testing.assert_allclose(y, values, rtol=0, atol=1e-9, err_msg=name)
    steep = Operation(lambda x: ops.activate(x, "leaky_relu", slope=0.1), x)(x)
    np.testing.assert_allclose(steep, np.where(x > 0, x, 0.1 * x), rtol=0, atol=1e-8)


@RANKS
@pytest.mark.parametrize("per_pixel", [False, True])
def test_prelu_has_a_slope_for_each_channel_or_each_value(rank, per_pixel):
    x = images(rank)

    def build(x):
        return ops.prelu(tf.ensure_shape(x, (None, *SIZES[rank], 3)), "prelu", per_pixel)

    operation = Operation(build, x)
    alpha = operation.weights()["prelu/alpha"]
    assert alpha.shape == ((*SIZES[rank], 3) if per_pixel else (3,))
    np.testing.assert_allclose(operation(x), np.where(x > 0, x, alpha * x), rtol=0, atol=1e-12)
    assert not Operation(build, x, initial=True).weights()["prelu/alpha"].any()


@pytest.mark.parametrize("size, smaller", [((8, 9), (4, 4)), ((6, 7, 8), (6, 4, 2))])
def test_crop_takes_the_middle(size, smaller):
    x = images(len(size), size=size)
    y = Operation(lambda x: resizing.crop(x, tf.zeros([2, *smaller, 5])), x)(x)
    starts = [(side - length) // 2 for side, length in zip(size, smaller, strict=True)]
    middle = tuple(slice(start, start + length) for start, length in zip(starts, smaller, strict=True))
    np.testing.assert_array_equal(y, x[(slice(None), *middle)])


@pytest.mark.parametrize("size, smaller", [((8, 9), (5, 9)), ((6, 7, 8), (6, 4, 5))])
def test_crop_end_keeps_the_start(size, smaller):
    x = images(len(size), size=size)
    y = Operation(lambda x: resizing.crop_end(x, tf.zeros([2, *smaller, 5])), x)(x)
    np.testing.assert_array_equal(y, x[(slice(None), *map(slice, smaller))])


def sides(x, length):
    """The same length along each spatial axis of `x`."""
    return [length] * (x.shape.rank - 2)


BUILDS = {
    "convolution": lambda x: ops.convolution(x, 2, sides(x, 3), "layer"),
    "valid convolution": lambda x: ops.convolution(x, 2, sides(x, 2), "layer", "valid"),
    "transposed convolution": lambda x: ops.transposed_convolution(x, 2, sides(x, 2), "layer"),
    "strided convolution": lambda x: ops.convolution(x, 2, sides(x, 2), "layer", bias=False, stride=2),
    "large transposed kernel": lambda x: ops.transposed_convolution(x, 1, sides(x, 2), "layer", sides(x, 4)),
    "max pooling": lambda x: ops.max_pooling(x, sides(x, 2)),
    "nearest upsampling": lambda x: resizing.upsample(x, sides(x, 2), "nearest"),
    "linear upsampling": lambda x: resizing.upsample(x, sides(x, 2), "linear"),
    "prelu": lambda x: ops.prelu(x, "layer"),
    "instance normalisation": lambda x: ops.normalise(x, "instance", 1, True, "layer"),
    "group normalisation": lambda x: ops.normalise(x, "group", 1, True, "layer"),
    "batch normalisation": lambda x: ops.batch_normalisation(x, True, "layer"),
    "inference's normalisation": lambda x: ops.batch_normalisation(x, False, "layer"),
    "dropout": lambda x: ops.dropout(x, 0.5, True, "layer"),
    "elu": lambda x: ops.activate(x, "elu"),
    "leaky relu": lambda x: ops.activate(x, "leaky_relu"),
    "crop": lambda x: resizing.crop(x, x[:, 1:-1, 1:-1]),
    "crop end": lambda x: resizing.crop_end(x, x[:, :-1, 1:-1]),
}


@RANKS
@pytest.mark.parametrize("name", BUILDS)
def test_gradients_by_finite_differences(rank, name):
    x = images(rank, channels=2, size=(4, 4) if rank == 2 else (4, 4, 2))
    Operation(BUILDS[name], x).check_gradients(x)
