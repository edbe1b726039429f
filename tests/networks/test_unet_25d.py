"""The 2.5D U-Net: any number of slices, across any axis; its attention maps, and the loss that judges them."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from helpers import command
from PIL import Image

import predict
from data.errors import UserError
from unet_common.experiment import experiment_from
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.losses import loss
from unet_common.losses.sizes import largest_in
from unet_common.networks import UNet, UNet25D
from unet_common.prediction.inputs import check_effects
from unet_common.prediction.predictor import Predictor
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import predict_probabilities
from unet_common.training.run import Run

SMALL = UNet25D(depth=4, in_plane_levels=2, filters=2)


def volume(*size, channels=1, batch=1):
    return np.random.default_rng(0).standard_normal((batch, *size, channels))


def models(network):
    """One in each implementation, with the same weights, none at its initial value."""
    built = [load(name).Model(network, precision="float64") for name in IMPLEMENTATIONS]
    generator = np.random.default_rng(1)
    weights = {
        name: value + generator.normal(0, 0.05, value.shape) ** 2
        for name, value in built[0].weights().items()
    }
    for model in built:
        model.set_weights(weights)
    return built


def test_levels_are_as_large_as_in_the_program_that_the_count_is_of():
    """Its only number of slices: 5, 5, 5, 3, 2."""
    model = load("lowlevel").Model(UNet25D(filters=2))
    maps = model.attention(volume(32, 16, 5))
    assert [level.shape[1:] for level in maps] == [
        (32, 16, 5, 1),
        (16, 8, 5, 1),
        (8, 4, 5, 1),
        (4, 2, 3, 1),
        (2, 1, 2, 1),
    ]


@pytest.mark.parametrize("slices", [1, 2, 3, 5, 7, 12, 24])
def test_any_number_of_slices_and_the_three_agree(slices):
    images = volume(16, 8, slices)
    first, *others = [(model.predict(images), model.attention(images)) for model in models(SMALL)]
    assert first[0].shape == images.shape
    assert all(level.min() > 0 and level.max() < 1 and level.std() > 0 for level in first[1][:2])
    for logits, maps in others:
        np.testing.assert_allclose(logits, first[0], rtol=0, atol=1e-12)
        assert len(maps) == SMALL.depth
        for level, other in zip(first[1], maps, strict=True):
            np.testing.assert_allclose(other, level, rtol=0, atol=1e-12)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("slices", [5, 12, 24])
def test_anisotropic_volumes_of_awkward_sizes_are_predicted(implementation, slices):
    predict = load(implementation).Model(SMALL).predict
    image = volume(21, 18, slices)[0]
    predicted = predict_probabilities(predict, image, SMALL)
    assert predicted.shape == (21, 18, slices, 1) and predicted.std() > 0
    assert SMALL.padding_for((21, 18, slices))[2] == (0, 0)


def test_the_slices_may_lie_across_any_axis():
    model = load("lowlevel").Model(SMALL, precision="float64")
    pages = load("lowlevel").Model(SMALL.model_copy(update={"slice_axis": 0}), precision="float64")
    weights = model.weights()
    # Kernels are [x, y, slice, ...] in the one and [slice, x, y, ...] in the other.
    turned = {name: np.moveaxis(value, 2, 0) if value.ndim == 5 else value for name, value in weights.items()}
    pages.set_weights(turned)
    images = volume(16, 8, 5)
    expected = np.moveaxis(model.predict(images), 3, 1)
    np.testing.assert_allclose(pages.predict(np.moveaxis(images, 3, 1)), expected, rtol=0, atol=1e-12)
    assert pages.network.output_size((5, 16, 8)) == (5, 16, 8)
    with pytest.raises(
        UserError, match=r"any number of slices, which lie across axis 0\. Nearest good sizes"
    ):
        pages.network.output_size((5, 16, 9))


def dice_loss(map_, truth):
    """With 1 added to both sides of the ratio, which is the default of the term `dice`."""
    return 1 - (2 * (map_ * truth).sum() + 1) / ((map_ + truth).sum() + 1)


def pooled(truth, size):
    """The largest of each block, one slice after another: [x, y, slice]."""
    result = np.zeros(size)
    for place in np.ndindex(*truth.shape):
        factors = [-(-side // wanted) for side, wanted in zip(truth.shape, size, strict=True)]
        block = tuple(index // factor for index, factor in zip(place, factors, strict=True))
        result[block] = max(result[block], truth[place])
    return result


@pytest.mark.parametrize("classes", [1, 3])
def test_the_loss_of_the_maps_is_the_mean_dice_with_the_largest_truth_of_each_block(classes):
    """In numbers, not in training mode: the maps are those of the moving statistics."""
    network = UNet25D(depth=4, in_plane_levels=2, filters=2, classes=classes)
    model = models(network)[0]
    images = volume(16, 8, 5)
    generator = np.random.default_rng(2)
    labels = (generator.random((1, 16, 8, 5)) < 0.02) * generator.integers(1, max(classes, 2), (1, 16, 8, 5))
    targets = labels[..., None].astype(float) if classes == 1 else np.eye(classes)[labels]
    logits = [model.predict(images), *(np.log(a / (1 - a)) for a in model.attention(images))]
    plain, judged = (
        loss("bce" if classes == 1 else "cross_entropy", attention=weight)(
            tf.constant(targets), [tf.constant(level) for level in logits]
        ).numpy()
        for weight in (0.0, 0.5)
    )
    truth, parts = (labels[0] > 0).astype(float), []
    for level in model.attention(images):
        truth = pooled(truth, level.shape[1:4])
        parts.append(dice_loss(level[0, ..., 0], truth))
    assert judged - plain == pytest.approx(0.5 * np.mean(parts), abs=1e-9)


def test_blocks_of_ignored_voxels_alone_are_ignored():
    truth = np.array([-1, -1, -1, 1, 0, -1, 0], float).reshape(1, 1, 1, 7, 1)
    coarse = largest_in(tf.constant(truth), tf.zeros([1, 1, 1, 4, 1], tf.float64))
    np.testing.assert_array_equal(np.ravel(coarse), [-1, 1, 0, 0])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_weight_of_zero_leaves_the_maps_alone(implementation):
    """The maps are outputs all the same, and what they are good for still teaches them."""
    images, targets = volume(8, 8, 3, batch=2), np.ones((2, 8, 8, 3, 1))
    results = []
    for weight in (0.0, 1.0, 2.0):
        network = UNet25D(depth=3, filters=2, attention_loss=weight)
        model = load(implementation).Model(network, precision="float64")
        results.append(model.loss_and_gradients(images, targets, "bce"))
    (alone, gradients), (once, _), (twice, _) = results
    assert once > alone and twice - once == pytest.approx(once - alone)
    assert np.abs(gradients["decoder1/attention/map/kernel"]).max() > 0


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_other_networks_have_no_maps(implementation):
    with pytest.raises(UserError, match=r"^unet has no attention maps; unet_25d has\."):
        load(implementation).Model(UNet(depth=2, filters=2)).attention(np.zeros((1, 4, 4, 1)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training on parts of 5 slices."""
    settings = {
        "implementation": "lowlevel",
        "network": {"name": "unet_25d", "depth": 3, "in_plane_levels": 1, "filters": 4},
        "data": {"name": "blobs3d", "images": 2, "size": [24, 24, 16]},
        "sampling": {"validation": 0.5, "crop": [16, 16, 5]},
        "loss": "hardness_weighted_dice",
        "training": {"steps": 4, "validate_every": 4, "batch_size": 2},
    }
    run = Run.create(tmp_path_factory.mktemp("run") / "run", experiment_from(settings))
    load("lowlevel").train(run)
    return run


def test_the_maps_are_drawn_beside_a_prediction(run, tmp_path):
    command(predict, "--run", run.path, "--output", tmp_path / "out", "--attention")
    (picture,) = (tmp_path / "out" / "attention").glob("*.png")
    assert min(Image.open(picture).size) > 200
    (name,) = run.split.validation
    case = run.source.read(name)
    predictor = Predictor([run])
    (inside,) = predictor(case, PredictionSettings(attention=True)).inside
    image, maps = inside.image, inside.maps
    assert [level.title for level in maps] == [f"attention, level {level}" for level in (1, 2, 3)]
    assert {level.picture.shape for level in maps} == {image.picture.shape} == {(24, 24, 1)}
    assert np.ptp(maps[0].picture) > 0 and image.prediction.shape == (24, 24)
    # A level's voxel covers what it stands for.
    np.testing.assert_array_equal(maps[2].picture[::4, ::4].repeat(4, 0).repeat(4, 1), maps[2].picture)
    assert predictor(case, PredictionSettings()).inside == ()


def test_networks_without_maps_refuse_to_draw_them(run):
    with pytest.raises(
        UserError, match=r"^--attention is for networks with attention maps, as unet_25d; this is"
    ):
        check_effects([SimpleNamespace(network=UNet(rank=3))], PredictionSettings(attention=True))
    check_effects([run], PredictionSettings(attention=True))


def test_the_last_level_is_three_dimensional():
    with pytest.raises(ValueError, match="in_plane_levels is 3; with depth 3 it is at most 2"):
        UNet25D(depth=3, in_plane_levels=3)
