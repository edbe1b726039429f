"""`unet_encoder` and `hrnet` against a second reading of their papers' tables, in NumPy; their features and sizes.

`test_consistency.py` says that the three implementations are one function. Here it is the right one: the stride
of a bottleneck, where skips are taken, the order in a concatenation, the grids of interpolation.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from data.errors import UserError
from unet_common.implementation import load
from unet_common.networks import HRNet, UNetEncoder
from unet_common.networks.encoders import BOTTLENECKS, RESNETS, VGGS, stages
from unet_lowlevel.networks.encoders import encoder

v1 = tf.compat.v1


def relu(x):
    return np.maximum(x, 0)


def interpolated(x, size, corners):
    """Each axis of `[batch, height, width, channels]` by `np.interp`, which clamps at the ends."""
    for axis, new in enumerate(size, 1):
        old, steps = x.shape[axis], np.arange(new)
        places = steps * (old - 1) / max(new - 1, 1) if corners else (steps + 0.5) * old / new - 0.5
        x = np.apply_along_axis(lambda line, at=places: np.interp(at, np.arange(len(line)), line), axis, x)
    return x


def pooled(x, window, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, (window, window), (1, 2))
    return windows.max((-2, -1))[:, ::stride, ::stride]


class Reading:
    """A network's weights, and layers that find theirs by name; inference only."""

    def __init__(self, weights):
        self.weights = weights

    def conv(self, x, name, stride=1):
        """Zeros on both sides of an image, as many as half of the kernel."""
        kernel, bias = self.weights[f"{name}/kernel"], self.weights.get(f"{name}/bias", 0)
        margin = len(kernel) // 2
        x = np.pad(x, [(0, 0), (margin, margin), (margin, margin), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (1, 2))
        return np.einsum("nyxcij,ijco->nyxo", windows[:, ::stride, ::stride], kernel) + bias

    def norm(self, x, name):
        gamma, beta, mean, variance = (
            self.weights[f"{name}/{role}"] for role in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    def unit(self, x, name, stride=1):
        return self.norm(self.conv(x, f"{name}/conv", stride), f"{name}/norm")

    def transposed(self, x, name, rate=2):
        """Kernel 4: pixel i reaches the pixels 2 i - 1 to 2 i + 2 of an image of twice the size.

        With another rate, too, as many pixels go at the start as at the end, and of an odd number one more at the end.
        """
        kernel, (batch, height, width, _channels) = self.weights[f"{name}/kernel"], x.shape
        larger = np.zeros((batch, rate * height + 4 - rate, rate * width + 4 - rate, kernel.shape[2]))
        for i, j in np.ndindex(4, 4):
            larger[:, i : i + rate * height : rate, j : j + rate * width : rate] += x @ kernel[i, j].T
        start = (4 - rate) // 2
        middle = larger[:, start : start + rate * height, start : start + rate * width]
        return middle + self.weights.get(f"{name}/bias", 0)

    def block(self, x, name, stride):
        """Whatever convolutions it has; the stride is on the first one of 3 x 3."""
        y, i = x, 1
        while f"{name}/conv{i}/kernel" in self.weights:
            if i > 1:
                y = relu(y)
            large = len(self.weights[f"{name}/conv{i}/kernel"]) == 3
            y = self.norm(self.conv(y, f"{name}/conv{i}", stride if large else 1), f"{name}/norm{i}")
            stride, i = (1 if large else stride), i + 1
        if f"{name}/shortcut/conv/kernel" in self.weights:
            return relu(y + self.unit(x, f"{name}/shortcut", x.shape[1] // y.shape[1]))
        return relu(y + x)

    def blocks(self, x, name, count, stride=1):
        for i in range(1, count + 1):
            x = self.block(x, f"{name}/block{i}", stride if i == 1 else 1)
        return x

    def resnet(self, x, counts):
        x = relu(self.norm(self.conv(x, "encoder/conv1", 2), "encoder/norm1"))
        features = [x]
        x = pooled(np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf), 3, 2)
        for i, count in enumerate(counts, 1):
            x = self.blocks(x, f"encoder/layer{i}", count, 1 if i == 1 else 2)
            features.append(x)
        return features

    def vgg(self, x, counts):
        features = []
        for group, count in enumerate(counts, 1):
            for i in range(1, count + 1):
                x = relu(self.conv(x, f"encoder/group{group}/conv{i}"))
            x = pooled(x, 2, 2)
            features.append(x)
        return features

    def unet_encoder(self, images, network):
        if network.encoder in VGGS:
            *skips, x = self.vgg(images, VGGS[network.encoder])
        else:
            *skips, x = self.resnet(images, RESNETS[network.encoder])

        def norm(x, name):
            return relu(self.norm(x, name) if network.decoder_batch_norm else x)

        sizes = {skip.shape[1:3]: skip for skip in skips}
        for i, rate in enumerate(network.decoder_rates or [2] * len(network.decoder_filters), 1):
            name, size = f"decoder{i}", tuple(rate * side for side in x.shape[1:3])
            if network.decoder == "upsampling":
                x = interpolated(x, size, corners=True)
            else:
                x = norm(self.transposed(x, f"{name}/up", rate), f"{name}/up_norm")
            if size in sizes:
                x = np.concatenate([x, sizes.pop(size)], -1)
            for end in ("1", "2") if network.decoder == "upsampling" else ("",):
                x = norm(self.conv(x, f"{name}/conv{end}"), f"{name}/norm{end}")
        return interpolated(self.conv(x, "head"), images.shape[1:3], corners=False)

    def exchange(self, branches, name):
        sums = []
        for i, target in enumerate(branches, 1):
            total = target
            for j, x in enumerate(branches, 1):
                if j > i:
                    x = interpolated(self.unit(x, f"{name}/from{j}to{i}"), target.shape[1:3], corners=False)
                for step in range(1, i - j + 1):
                    x = self.unit(x, f"{name}/from{j}to{i}/unit{step}", 2)
                    x = x if step == i - j else relu(x)
                total = total if i == j else total + x
            sums.append(relu(total))
        return sums

    def hrnet(self, images, network):
        x = relu(self.unit(relu(self.unit(images, "stem/unit1", 2)), "stem/unit2", 2))
        trunk = self.blocks(x, "stage1", network.blocks)
        branches = [relu(self.unit(trunk, "transition1/branch1"))]
        coarsest = trunk
        for stage, modules in enumerate(network.modules, 2):
            branches.append(relu(self.unit(coarsest, f"transition{stage - 1}/branch{stage}", 2)))
            for i in range(1, modules + 1):
                name = f"stage{stage}_module{i}"
                branches = [
                    self.blocks(x, f"{name}/branch{j}", network.blocks) for j, x in enumerate(branches, 1)
                ]
                branches = self.exchange(branches, f"{name}/exchange")
            coarsest = branches[-1]
        size = branches[0].shape[1:3]
        x = np.concatenate([interpolated(branch, size, corners=False) for branch in branches], -1)
        if network.head == "transpose":
            x = self.transposed(relu(self.norm(self.transposed(x, "head/up1"), "head/norm")), "head/up2")
            return x[:, : images.shape[1], : images.shape[2]]
        x = relu(self.norm(self.conv(x, "head/conv"), "head/norm"))
        if network.head == "mixed":
            x = self.transposed(x, "head/up")
            x = interpolated(x, [2 * side for side in x.shape[1:3]], corners=False)
            return x[:, : images.shape[1], : images.shape[2]]
        x = self.conv(x, "head/logits")
        return interpolated(x, images.shape[1:3], corners=False)


def model_with_weights(network):
    """None of the weights at its initial value; kernels of a size that keeps the activations'."""
    model = load("lowlevel").Model(network, precision="float64")
    generator, weights = np.random.default_rng(0), {}
    for name, value in model.weights().items():
        if name.endswith("kernel"):
            weights[name] = generator.normal(0, np.sqrt(2 / np.prod(value.shape[:-1])), value.shape)
        else:
            weights[name] = generator.uniform(0.5, 1.5, value.shape)
    model.set_weights(weights)
    return model, weights


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"encoder": "resnet18", "decoder": "transpose", "decoder_filters": (4, 3, 3, 2, 2), "channels": 2},
        {"encoder": "resnet50", "decoder_filters": (3, 2)},
        {
            "encoder": "vgg16",
            "decoder_batch_norm": False,
            "decoder_filters": (3, 3, 2, 2, 2, 2),
            "classes": 3,
        },
        # Pixels at 1/32, 1/8, 3/8; with features that join at 1/8.
        {
            "encoder": "resnet18",
            "decoder": "transpose",
            "decoder_filters": (4, 3, 2),
            "decoder_rates": (1, 4, 3),
        },
        # At 1/32, 1/4 and 1/2, where features join, at 1/2 again, at 3/2.
        {"encoder": "vgg16", "decoder_filters": (4, 3, 3, 2, 2), "decoder_rates": (1, 8, 2, 1, 3)},
    ],
)
def test_unet_encoder_is_what_the_tables_say(hyperparameters):
    network = UNetEncoder(filters=2, **hyperparameters)
    model, weights = model_with_weights(network)
    images = np.random.default_rng(1).standard_normal((2, 64, 32, network.channels))
    expected = Reading(weights).unet_encoder(images, network)
    bound = 1e-11 * np.abs(expected).max()
    np.testing.assert_allclose(model.predict(images), expected, rtol=0, atol=bound)


@pytest.mark.parametrize(
    "head, size", [("interpolation", (37, 45)), ("transpose", (45, 34)), ("mixed", (37, 34))]
)
def test_hrnet_is_what_the_figures_say(head, size):
    network = HRNet(width=2, stem_filters=3, modules=(1, 2, 1), blocks=1, head=head, channels=2, classes=3)
    model, weights = model_with_weights(network)
    images = np.random.default_rng(1).standard_normal((2, *size, 2))
    expected = Reading(weights).hrnet(images, network)
    bound = 1e-11 * np.abs(expected).max()
    np.testing.assert_allclose(model.predict(images), expected, rtol=0, atol=bound)


@pytest.mark.parametrize("kind", ["resnet34", "resnet50", "vgg19"])
def test_the_features_of_an_encoder_by_name(kind):
    """Their sizes and channels, as the papers' tables give them for 64 filters, here for 2."""
    with tf.Graph().as_default():
        v1.set_random_seed(0)
        features = encoder(v1.placeholder(tf.float32, [1, 64, 96, 1]), kind, 2, False, "encoder")
    shapes = {name: tuple(feature.shape[1:]) for name, feature in features.items()}
    wide = 4 if kind in BOTTLENECKS else 1
    if kind in VGGS:
        assert shapes["group1"] == (64, 96, 2) and shapes["group5"] == (4, 6, 16)
        channels = [2, 4, 8, 16, 16]
    else:
        channels = [2, 2 * wide, 4 * wide, 8 * wide, 16 * wide]
    assert [shapes[stage] for stage in stages(kind)] == [
        (64 // scale, 96 // scale, count) for scale, count in zip((2, 4, 8, 16, 32), channels, strict=True)
    ]


def test_a_vggs_features_before_pooling_are_there_for_other_networks():
    with tf.Graph().as_default():
        v1.set_random_seed(0)
        features = encoder(v1.placeholder(tf.float32, [1, 32, 32, 1]), "vgg16", 2, False, "encoder")
    names = [f"{kind}{i}" for i in range(1, 6) for kind in ("group", "pool")]
    assert list(features) == names  # from fine to coarse


@pytest.mark.parametrize("blocks", range(7))
def test_logits_have_the_images_size_whatever_the_decoders_depth(blocks):
    network = UNetEncoder(encoder="vgg16", filters=1, decoder_filters=(1,) * blocks)
    logits = load("lowlevel").Model(network).predict(np.zeros((1, 32, 64, 1)))
    assert logits.shape[1:3] == network.output_size((32, 64)) == (32, 64)


def test_a_block_joins_the_features_of_its_size_once():
    def skips(*rates, encoder="resnet18"):
        return UNetEncoder(encoder=encoder, decoder_filters=(1,) * len(rates), decoder_rates=rates).skips

    assert UNetEncoder().rates == (2, 2, 2, 2, 2)
    assert UNetEncoder().skips == skips(2, 2, 2, 2, 2) == ("layer3", "layer2", "layer1", "stem", None)
    assert skips(2, 2, 2, 2, 1) == skips(2, 2, 2, 2, 4) == UNetEncoder().skips
    assert skips(4, 4, 2, encoder="vgg16") == ("pool3", "pool1", None)
    assert skips(1, 2, 1, 3, 2) == (None, "layer3", None, None, None)
    assert skips() == ()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"decoder_rates": (2, 2)}, "decoder_rates has 2 values; decoder_filters has 5 blocks"),
        ({"decoder_rates": (2, 2, 2, 2, 0)}, "decoder_rates"),
        (
            {"decoder_rates": (2, 2, 2, 2, 5), "decoder": "transpose"},
            "a transposed convolution enlarges by 4 at most",
        ),
    ],
)
def test_rates_that_do_not_fit(settings, message):
    with pytest.raises(ValidationError, match=message):
        UNetEncoder(**settings)


@pytest.mark.parametrize("last", [1, 3, 4])
@pytest.mark.parametrize("decoder", ["upsampling", "transpose"])
def test_features_are_as_large_as_the_rates_say(decoder, last):
    """Of 64 pixels, 32, 96 and 128; with transposed convolutions the original had 33, 95 and 126."""
    rates = (2, 2, 2, 2, last)
    network = UNetEncoder(
        encoder="vgg16", filters=1, decoder=decoder, decoder_filters=(1,) * 5, decoder_rates=rates
    )
    model = load("keras").Model(network).keras_model
    before = keras.Model(model.input, model.get_layer("head").output)
    assert before(np.zeros((1, 64, 64, 1))).shape[1:3] == (32 * last, 32 * last)
    assert model(np.zeros((1, 64, 64, 1))).shape[1:3] == (64, 64)


@pytest.mark.parametrize(
    "size, quarter", [((100, 100), (25, 25)), ((97, 101), (25, 26)), ((64, 33), (16, 9))]
)
def test_hrnet_has_logits_of_a_quarter_of_the_size_and_enlarges_them(size, quarter):
    """What the authors' networks give, and what their loss makes of it."""
    network = HRNet(width=1, stem_filters=2, modules=(1, 1, 1), blocks=1, classes=2)
    model = load("keras").Model(network, precision="float64").keras_model
    images = np.random.default_rng(0).standard_normal((1, *size, 1))
    coarse = keras.Model(model.input, model.get_layer("head.logits").output)(images).numpy()
    assert coarse.shape[1:3] == quarter
    expected = interpolated(coarse, size, corners=False)
    np.testing.assert_allclose(model(images), expected, rtol=0, atol=1e-12)


def test_sizes_are_checked():
    """127 and 129 pixels went through in the original, and came back as 128."""
    for side, nearest in ((127, "96x32 or 128x32"), (129, "128x32 or 160x32")):
        with pytest.raises(UserError, match=f"multiple of 32.*Nearest good sizes: {nearest}"):
            UNetEncoder().output_size((side, 32))
    assert HRNet().output_size((97, 1)) == (97, 1)
    assert HRNet().padding_for((97, 101)) == [(0, 0), (0, 0)]


@pytest.mark.parametrize(
    "network, side",
    [
        (UNetEncoder(encoder="resnet18", filters=2, decoder_filters=(2, 2, 2)), 832),
        (UNetEncoder(encoder="vgg16", filters=2, decoder="transpose", decoder_filters=(2,) * 6), 832),
        (UNetEncoder(encoder="vgg16", filters=2, decoder_filters=(2, 2), decoder_rates=(4, 3)), 832),
        (
            UNetEncoder(
                encoder="vgg16",
                filters=2,
                decoder="transpose",
                decoder_filters=(2, 2, 2, 2),
                decoder_rates=(4, 1, 4, 4),
            ),
            832,
        ),
        (HRNet(width=2, stem_filters=4, modules=(1, 1, 1), blocks=1), 617),
        (HRNet(width=2, stem_filters=4, modules=(1, 1, 1), blocks=1, head="mixed"), 617),
        (HRNet(width=2, stem_filters=4, modules=(1, 1, 1), blocks=1, head="transpose"), 617),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else str(value),
)
def test_context_bounds_what_a_pixel_depends_on(network, side):
    """A change beyond `context` pixels away must not show."""
    model, _weights = model_with_weights(network)
    (context, _), images = network.context, np.zeros((1, side, 32, 1))
    before = model.predict(images)
    images[:, 0] = 1e3 * np.random.default_rng(0).standard_normal((1, 32, 1))
    changed = (np.abs(model.predict(images) - before) > 0).any((0, 2, 3))
    assert changed[0] and context + 1 < side and not changed[context + 1 :].any()
