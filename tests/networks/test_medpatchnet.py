"""MedPatchNet: published blocks, skips that lie on what they are joined to, and the position of a patch."""

from math import prod

import numpy as np
import pytest
import tensorflow as tf
from helpers import ONE, first_quickly
from pydantic import ValidationError

from data.errors import UserError
from data.preprocessing.positions import append_positions
from data.sampling.augmentation import augment
from data.settings import Augmentation
from unet_common.experiment import experiment_from, resolve
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import MedPatchNet
from unet_common.operations.positions import middle_position
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import predict_probabilities
from unet_common.training.run import Run

BACKBONE = MedPatchNet(filters=1, channels=1, esp=False, dynamic_middle=False)
ESP = MedPatchNet(filters=2, channels=1, dynamic_middle=False)
DYNAMIC = MedPatchNet(filters=2, dynamic_end=True, patch_size=(56, 56, 56))


def model_of(network, implementation="lowlevel"):
    return load(implementation).Model(network, seed=3, precision="float64")


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_published_blocks(implementation):
    """Numbers of trained values: medseg_dl, `block_dsp`, and the generators of its dynamic convolutions."""
    network = MedPatchNet(dynamic_end=True, dynamic_kernel="generated", patch_size=(56, 56, 56))
    weights = load(implementation).Model(network).weights()

    def trained(scope):
        return sum(
            prod(value.shape)
            for name, value in weights.items()
            if name.startswith(f"{scope}/") and "moving" not in name
        )

    for side in ("encoder", "decoder"):
        assert trained(f"{side}2/esp") == 45_140
        assert trained(f"{side}3/esp") == 246_400
    assert trained("bottleneck/dynamic") == 8_462_720 and trained("decoder1/dynamic") == 140_672


@pytest.mark.parametrize("side, output", [(56, 8), (64, 16), (96, 48), (160, 112)])
def test_the_published_sizes(side, output):
    assert BACKBONE.output_size((side,) * 3) == (output,) * 3
    assert BACKBONE.padding_for((output,) * 3) == [(24, 24)] * 3


def test_sides_whose_output_is_not_in_the_middle_are_refused():
    with pytest.raises(
        UserError, match=r"56 plus a multiple of 8.* Nearest good sizes: 56x64x56 or 64x64x64"
    ):
        BACKBONE.output_size((57, 64, 63))


@pytest.mark.parametrize("source", ["skip", "below"])
def test_every_level_lies_where_its_skip_does(source):
    """A ramp goes through the network along each path, and comes out where it was: output voxel u is input u + 24.

    Kernels hand on what is in their middle, those on the way up interpolate linearly.
    """
    weights = {}
    for name, value in model_of(BACKBONE).weights().items():
        value = np.zeros_like(value)
        if name.endswith("moving_variance"):
            value += 1 - 1e-3  # and the normalisation's epsilon
        elif name.endswith("gamma"):
            value += 1
        elif name.startswith("up") and name.endswith("kernel"):
            line = np.array([0.5, 1, 0.5])
            value[..., 0, 0] = line[:, None, None] * line[:, None] * line
        elif name.endswith("kernel"):
            joined = name.startswith("decoder") and "unit" in name and source == "below"
            value[(*(side // 2 for side in value.shape[:3]), value.shape[-2] // 2 if joined else 0, 0)] = 1
        weights[name] = value
    model = model_of(BACKBONE)
    model.set_weights(weights)
    for axis in range(3):
        ramp = np.moveaxis(np.broadcast_to(np.arange(1.0, 81), (80, 80, 80)), -1, axis)
        given = np.moveaxis(model.predict(ramp[np.newaxis, ..., np.newaxis])[0, ..., 0], axis, 0)
        if source == "below":  # at the end of a patch nothing more comes from below
            given = given[:-7, :-7, :-7]
        expected = np.arange(25.0, 57)[: len(given), np.newaxis, np.newaxis]
        np.testing.assert_allclose(given, np.broadcast_to(expected, given.shape), rtol=1e-9)


@first_quickly("network, context", (ESP, 63), (BACKBONE, 31))
def test_context_is_what_a_voxel_depends_on(network, context):
    assert network.context == (context,) * 3 and DYNAMIC.sees_everything
    model = model_of(network)
    generator = np.random.default_rng(1)
    model.set_weights(
        {
            name: value + generator.uniform(0.1, 0.3, value.shape) if "kernel" in name else value
            for name, value in model.weights().items()
        }
    )
    for axis in (1, 3):
        shape = [1, 56, 56, 56, 1]
        shape[axis] = 208
        volume, reach = np.random.default_rng(0).standard_normal(shape), []
        plain = model.predict(volume)
        for place in range(100, 108):  # the network is the same at every eighth voxel
            changed = np.swapaxes(volume.copy(), 1, axis)
            changed[:, place] += 1e3
            difference = np.abs(model.predict(np.swapaxes(changed, 1, axis)) - plain)
            reached = np.flatnonzero(np.swapaxes(difference, 1, axis).max(axis=(0, 2, 3, 4))) + 24 - place
            reach += [-reached.min(), reached.max()]
        assert max(reach) == context


@pytest.mark.parametrize(
    "network, tile", [(BACKBONE, (8, 8, 24)), (ESP, (8, 8, 88))], ids=["backbone", "esp"]
)
def test_tiles_give_what_a_whole_volume_gives(network, tile):
    model = model_of(network)
    volume = np.random.default_rng(0).standard_normal((5, 8, tile[2] + 37, 1)).astype(np.float32)
    whole = predict_probabilities(model.predict, volume, network)
    tiled = predict_probabilities(model.predict, volume, network, PredictionSettings(tile=tile, overlap=0.1))
    assert whole.std() > 1e-3
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-6)


def patches(positions, seed=0):
    """The same image at several positions, `[positions, 56, 56, 56, 4]`."""
    image = np.random.default_rng(seed).standard_normal((56, 56, 56, 1))
    return np.stack(
        [np.concatenate([image, np.broadcast_to(p, (56, 56, 56, 3))], -1) for p in np.array(positions)]
    )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_each_sample_has_the_kernel_of_its_position_whatever_the_batch(implementation):
    model = model_of(DYNAMIC, implementation)
    batch = patches([(0, 0, 0), (0.5, -0.2, 0.1), (-0.5, 0.2, 0.9)])
    logits = model.predict(batch)
    for sample, alone in zip(batch, logits, strict=True):
        np.testing.assert_allclose(model.predict(sample[np.newaxis])[0], alone, rtol=0, atol=1e-12)
    assert min(np.abs(logits[i] - logits[j]).max() for i, j in ((0, 1), (0, 2), (1, 2))) > 1e-3
    # Only the middle tells the position: it belongs to the patch.
    batch[:, :20, :, :, 1:] = 0.7
    np.testing.assert_array_equal(model.predict(batch), logits)


@pytest.mark.parametrize("switch", ["dynamic_middle", "dynamic_end", "esp"])
def test_switches_change_weights_and_outputs(switch):
    """In the published program they were left without effect."""
    on, off = (
        MedPatchNet(**{**BACKBONE.model_dump(), "channels": 4, "patch_size": (56, 56, 56), switch: value})
        for value in (True, False)
    )
    with_it, without = model_of(on), model_of(off)
    assert sum(v.size for v in with_it.weights().values()) > sum(v.size for v in without.weights().values())
    batch = patches([(0.5, 0.5, 0.5)])
    assert np.abs(with_it.predict(batch) - without.predict(batch)).max() > 1e-3


def test_kernels_are_of_a_useful_size_at_every_position():
    """The published one is zero in the middle of a volume at first; a static kernel is not."""
    weights = load("lowlevel").Model(MedPatchNet(filters=8, patch_size=(56, 56, 56)), seed=1).weights()

    def values(scope):
        return weights[f"bottleneck/dynamic/{scope}/kernel"].astype(np.float64)

    def generated(position):
        x = np.array(position)
        for layer in ("hidden1", "hidden2"):
            x = x @ values(layer)
            x = np.where(x > 0, x, 0.2 * x)
        return np.tensordot(x, values("generator"), 1)

    static, he = values("static")[0, 0, 0], np.sqrt(2 / 64)
    assert not generated((0, 0, 0)).any()
    assert 0.9 * he < static.std() < 1.1 * he
    assert 0.2 * he < generated((0.6, 0.6, 0.6)).std() < he  # a change, smaller than what it is added to


def test_the_noise_of_positions_is_of_the_training_and_belongs_to_the_step():
    model = model_of(DYNAMIC)
    batch = patches([(0.1, 0.2, 0.3)] * 2)
    np.testing.assert_allclose(*model.predict(batch), rtol=0, atol=1e-12)
    first, again, later = (model.predict(batch, training=True, step=step) for step in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - later).max() > 1e-6 and np.abs(first[0] - first[1]).max() > 1e-6
    quiet = model_of(DYNAMIC.model_copy(update={"position_noise": 0.0}))
    np.testing.assert_allclose(*quiet.predict(batch, training=True, step=1), rtol=0, atol=1e-12)
    noise = middle_position(tf.zeros((4000, 1, 1, 1, 3), tf.float64), 0.08, [1, 2])
    assert np.abs(np.std(noise, axis=0) - 0.08).max() < 0.004 and np.abs(np.mean(noise)) < 0.004


@pytest.mark.parametrize("flips, rotation", [(0.0, 0.0), (1.0, 0.0), (0.5, 20.0)])
def test_a_sample_has_the_position_of_the_place_that_it_was_taken_from(flips, rotation):
    """Flipped and turned as well; and the tile of a prediction there has the same one."""
    size, crop, corner = (40, 50, 30), (16, 15, 8), np.array([20, 3, 10])
    image, label = np.zeros((*size, 1), np.float32), np.zeros(size, np.uint8)
    settings = Augmentation(flips=flips, rotation=rotation)
    sample, _ = augment(image, label, corner, crop, settings, np.random.default_rng(0), positions=True)
    middle = corner + (np.array(crop) - 1) / 2
    position = middle_position(tf.constant(sample[np.newaxis]))[0]
    np.testing.assert_allclose(
        position, 2 * middle / (np.array(size) - 1) - 1, atol=1e-6 if not rotation else 0.01
    )
    tile = append_positions(image)[
        tuple(slice(start, start + side) for start, side in zip(corner, crop, strict=True))
    ]
    for seen in (tile, tile[::-1, :, ::-1]):
        np.testing.assert_allclose(
            middle_position(tf.constant(seen[np.newaxis]))[0],
            2 * middle / (np.array(size) - 1) - 1,
            atol=1e-6,
        )


def test_mirrored_copies_of_a_prediction_know_the_position():
    """Symmetries mirror the image with its positions, so each copy is seen with the kernel of the place."""
    seen = []

    def predict(images):
        seen.append(middle_position(tf.constant(images)).numpy())
        return np.zeros((len(images), *DYNAMIC.output_size(images.shape[1:-1]), 1), np.float32)

    image = append_positions(np.zeros((20, 8, 9, 1), np.float32))
    settings = PredictionSettings(tile=8, overlap=0.0, symmetries="flips")
    predict_probabilities(predict, image, DYNAMIC, settings)
    assert len(seen) % 8 == 0
    for copies in np.array(seen).reshape(-1, 8, 3):
        np.testing.assert_allclose(copies, np.broadcast_to(copies[0], copies.shape), atol=1e-6)
    assert len({round(float(copies[0, 0]), 4) for copies in np.array(seen).reshape(-1, 8, 3)}) == 3


def settings_of(network, **others):
    return {
        "network": {"name": "medpatchnet", "filters": 2, "patch_size": [56, 56, 56], **network},
        "data": {"name": "blobs3d", "images": 3, "size": [24, 20, 22]},
        "sampling": {"pad": True},
        "training": {"steps": 2, "validate_every": 2, "batch_size": 2},
        **others,
    }


def test_a_training_is_given_what_dynamic_convolutions_need():
    experiment = resolve(experiment_from(settings_of({})))
    assert experiment.preprocessing.positions and experiment.sampling.crop == (56, 56, 56)
    assert experiment.network.channels == 4 and experiment.network.image_channels == 1
    experiment = resolve(experiment_from(settings_of({"dynamic_middle": False})))
    assert not experiment.preprocessing.positions and experiment.network.channels == 1
    with pytest.raises(
        UserError, match=r"preprocessing.positions is false, but medpatchnet depends on the position"
    ):
        resolve(experiment_from(settings_of({}, preprocessing={"positions": False})))
    with pytest.raises(
        UserError, match=r"in one piece: its kernels are generated for the position of a patch of \[56"
    ):
        DYNAMIC.output_size((64, 64, 64))


def test_what_does_not_fit_dynamic_convolutions_is_refused():
    with pytest.raises(ValidationError, match="channels is 3: the last 3 are the position"):
        MedPatchNet(channels=3)
    with pytest.raises(
        ValidationError, match=r"patch_size: \[60, 56, 56\]; every side must be 56 plus a multiple of 8"
    ):
        MedPatchNet(patch_size=(60, 56, 56))
    assert MedPatchNet(channels=3, dynamic_middle=False).image_channels == 3


@ONE
def test_validation_is_of_all_patches_side_by_side(implementation, tmp_path, monkeypatch):
    """In as many batches as their activations allow, and the Dice is that of the prediction's label map."""
    monkeypatch.setattr("data.pipeline.TOGETHER", 5 * 56**3)
    run = Run.create(tmp_path / "run", experiment_from(settings_of({}, implementation=implementation)))
    shapes = [images.shape for images, _targets in run.validation_batches()]
    assert shapes == [(5, 56, 56, 56, 4)] * 5 + [(2, 56, 56, 56, 4)]  # 3 x 3 x 3 of 8 voxels a side
    load(implementation).train(run)
    assert run.state.name == "finished" and run.best_weights.is_file()
