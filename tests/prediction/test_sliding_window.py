"""Prediction of whole images, in tiles and over mirrored copies, with NumPy filters as networks."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import expit

from data.errors import UserError
from data.labels.outputs import Outputs
from data.validation import validated
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE, UNet
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import predict_probabilities, probabilities


@dataclass(frozen=True)
class Filter:
    """A network that is a blur of pooled pixels: local, and equal at whole strides only."""

    rank: int = 2
    classes: int = 1
    multilabel: bool = False
    radius: int = 3  # of the blur, in blocks
    block: int = 4  # side in pixels
    valid: bool = False
    symmetric: bool = True

    @property
    def stride(self) -> tuple[int, ...]:
        return (self.block,) * self.rank

    @property
    def context(self) -> tuple[int, ...]:
        return (self.block * (self.radius + 1),) * self.rank

    @property
    def margin(self) -> int:
        return self.block * self.radius if self.valid else 0

    def _covering(self, side):
        return -(-side // self.block) * self.block + 2 * self.margin

    def output_size(self, size):
        assert all(side % self.block == 0 and side > 2 * self.margin for side in size)
        return tuple(side - 2 * self.margin for side in size)

    def padding_for(self, size):
        extra = [self._covering(side) - side for side in size]
        return [(pad // 2, pad - pad // 2) for pad in extra]

    def crop_after(self, size):
        starts = [before - self.margin for before, _ in self.padding_for(size)]
        return tuple(slice(at, at + side) for at, side in zip(starts, size, strict=True))

    def __call__(self, images):
        """Logits: `same` pads with zeros, as convolutions do."""
        assert images.dtype == np.float32
        kernel = 1.0 / (1 + np.arange(-self.radius, self.radius + 1) ** 2)
        axes = range(1, self.rank + 1)
        values = images.astype(np.float64)
        for axis in axes:
            blocks = np.add.reduceat(values, np.arange(0, values.shape[axis], self.block), axis)
            tilt = 1 if self.symmetric else np.linspace(0.2, 1.8, len(kernel)) ** axis
            values = ndimage.convolve1d(blocks, kernel * tilt, axis, mode="constant")
            values = np.repeat(values, self.block, axis)
        keep = slice(self.margin, -self.margin or None)
        values = values[(slice(None), *[keep] * self.rank)]
        scale = np.linspace(0.3, 1.0, self.classes)
        return (values.sum(axis=-1, keepdims=True) * scale / 20).astype(np.float32)


def image_of(size, channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(*size, channels)).astype(np.float32)


CASES = [
    pytest.param(Filter(), (150, 203), 64, id="2d"),
    pytest.param(Filter(valid=True), (150, 203), 40, id="2d, valid convolutions"),
    pytest.param(Filter(classes=3), (97, 131), (64, 70), id="three classes, oblong tiles"),
    pytest.param(Filter(classes=2, multilabel=True), (97, 131), 64, id="overlapping classes"),
    pytest.param(Filter(rank=3, radius=1), (41, 38, 50), 32, id="3d"),
    pytest.param(Filter(rank=3, radius=1, valid=True), (41, 20, 30), 16, id="3d, valid"),
]


@pytest.mark.parametrize("network, size, tile", CASES)
def test_tiles_give_what_the_whole_image_gives(network, size, tile):
    image = image_of(size)
    whole = predict_probabilities(network, image, network)
    tiled = predict_probabilities(network, image, network, PredictionSettings(tile=tile))
    assert whole.shape == tiled.shape == (*size, network.classes)
    assert whole.dtype == tiled.dtype == np.float32
    assert np.ptp(whole) > 0.1
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


@pytest.mark.parametrize("overlap", [0, 0.25])
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_valid_convolutions_are_exact_in_tiles_whatever_the_overlap(name, overlap):
    """Also where transposed convolutions see beyond a tile, as those of `unet_original` do."""
    for network in (
        CATALOGUE["unet_original"](depth=3, filters=4),
        UNet(depth=3, filters=4, padding="valid"),
    ):
        model = load(name).Model(network)
        image = image_of((90, 75), channels=1)
        whole = predict_probabilities(model.predict, image, network)
        settings = PredictionSettings(tile=36, overlap=overlap)
        tiled = predict_probabilities(model.predict, image, network, settings)
        assert np.ptp(whole) > 0.01
        np.testing.assert_allclose(tiled, whole, atol=2e-6)


@pytest.mark.parametrize("normalisation", ["instance", "group", "batch"])
@pytest.mark.parametrize("name", ["unet", "unet_plus_plus"])
def test_a_network_that_normalises_each_image_sees_everything(name, normalisation):
    network = CATALOGUE[name](normalisation=normalisation)
    assert network.sees_everything == (normalisation != "batch")
    assert (min(network.context) > 10**6) == network.sees_everything


@pytest.mark.parametrize("overlap", [0, 0.1, 0.3, 0.9])
@pytest.mark.parametrize("tile", [1, 17, 200])
@pytest.mark.parametrize("network", [UNet(depth=3), UNet(depth=4, padding="valid")], ids=str)
def test_weights_of_tiles_add_up_to_one_whatever_the_overlap(network, tile, overlap):
    def constant(images):
        size = network.output_size(images.shape[1:-1])
        return np.full((len(images), *size, 1), np.log(3), np.float32)

    settings = PredictionSettings(tile=tile, overlap=overlap)
    result = predict_probabilities(constant, image_of((50, 71)), network, settings)
    np.testing.assert_allclose(result, 0.75, atol=1e-6)


def test_too_small_overlap_still_blends_without_a_step():
    network = Filter(radius=10)
    image = np.ones((256, 256, 1), np.float32)
    whole = predict_probabilities(network, image, network)
    tiled = predict_probabilities(network, image, network, PredictionSettings(tile=64))
    assert np.abs(np.diff(tiled[:, 128, 0], axis=0)).max() < 0.1
    np.testing.assert_allclose(tiled, whole, atol=0.5)


def test_whole_image_is_the_network_on_a_reflected_image():
    network = Filter()
    image = image_of((30, 41), channels=1)
    padded = np.pad(image, [(1, 1), (1, 2), (0, 0)], mode="reflect")
    expected = expit(network(padded[None])[0, 1:31, 1:42])
    np.testing.assert_allclose(predict_probabilities(network, image, network), expected, atol=1e-6)


def test_image_smaller_than_the_padding():
    network = Filter(valid=True)
    assert predict_probabilities(network, image_of((3, 1)), network).shape == (3, 1, 1)


def test_batch_size_changes_nothing_and_progress_counts_tiles():
    network, image, counts = Filter(), image_of((100, 100)), []
    one = predict_probabilities(network, image, network, PredictionSettings(tile=40))
    many = predict_probabilities(
        network,
        image,
        network,
        PredictionSettings(tile=40),
        batch_size=5,
        progress=lambda *count: counts.append(count),
    )
    np.testing.assert_array_equal(one, many)
    assert counts == [(4, 16), (8, 16), (12, 16), (16, 16)]  # a batch does not reach into the next row


@pytest.mark.parametrize("symmetries, views", [("none", 1), ("flips", 4), ("all", 8)])
def test_symmetries_make_the_prediction_equivariant(symmetries, views):
    network, image, counts = Filter(symmetric=False), image_of((48, 64)), []

    def predict(images):
        counts.append(len(images))
        return network(images)

    result = predict_probabilities(predict, image, network, PredictionSettings(symmetries=symmetries))
    assert len(counts) == views
    mirrored = predict_probabilities(
        network, image[:, ::-1], network, PredictionSettings(symmetries=symmetries)
    )
    turned = predict_probabilities(
        network, np.rot90(image), network, PredictionSettings(symmetries=symmetries)
    )
    assert np.allclose(mirrored[:, ::-1], result, atol=1e-5) == (symmetries != "none")
    assert np.allclose(np.rot90(turned, -1), result, atol=1e-5) == (symmetries == "all")


def test_symmetries_with_tiles_and_volumes():
    network, image = Filter(rank=3, radius=1, symmetric=False), image_of((20, 24, 40))
    whole = predict_probabilities(network, image, network, PredictionSettings(symmetries="all"))
    in_tiles = PredictionSettings(tile=(20, 24, 32), overlap=0.6, symmetries="all")
    tiled = predict_probabilities(network, image, network, in_tiles)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_probabilities_are_sigmoid_or_softmax_and_safe_for_large_logits():
    np.testing.assert_allclose(probabilities(np.array([[0.0], [1e4], [-1e4]])), [[0.5], [1], [0]])
    values = np.array([[np.log(1.0), np.log(3.0)], [1e4, 0.0]])
    np.testing.assert_allclose(probabilities(values), [[0.25, 0.75], [1, 0]])


def test_label_map():
    binary = np.array([[[0.2], [0.5]], [[0.7], [0.9]]], np.float32)
    np.testing.assert_array_equal(Outputs(1).label_map(binary), [[0, 1], [1, 1]])
    np.testing.assert_array_equal(Outputs(1).label_map(binary, threshold=0.8), [[0, 0], [0, 1]])
    np.testing.assert_array_equal(Outputs(3).label_map(np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])), [1, 0])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"tile": 0}, "tile: should be greater than 0; got 0"),
        ({"tile": (8, 8, 8)}, "or 2 sides"),
        ({"tile": 16, "overlap": 1.0}, "overlap: should be less than 1; got 1.0"),
    ],
)
def test_refused_settings(settings, message):
    with pytest.raises(UserError, match=message):
        predict_probabilities(Filter(), image_of((32, 32)), Filter(), validated(PredictionSettings, settings))


def test_refused_batch_size():
    with pytest.raises(UserError, match="batch size is 0"):
        predict_probabilities(Filter(), image_of((32, 32)), Filter(), batch_size=0)


def test_refused_images():
    with pytest.raises(ValueError, match="rank 2"):
        predict_probabilities(Filter(), image_of((8, 8, 8)), Filter())
    with pytest.raises(UserError, match="not finite"):
        predict_probabilities(Filter(), np.full((8, 8, 1), np.nan, np.float32), Filter())
