"""The U-Nets with a backbone: what their encoders are, and what a second branch changes and leaves alone."""

import keras
import numpy as np
import pytest
from helpers import assert_equal_courses, train_all
from pydantic import ValidationError

from data.errors import UserError
from unet_common.experiment import experiment_from, resolve
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import UNetBackboned, UNetBranch2
from unet_common.resizing import resize
from unet_common.weights.interchange import load_weights, save_weights, starting_weights

SMALL = {"encoder": "vgg16", "filters": 4, "centre_filters": 4}


def with_other_weights(model, seed=0):
    """All weights drawn anew, none at its initial value."""
    generator = np.random.default_rng(seed)
    weights = {}
    for name, value in model.weights().items():
        centre = 1.0 if name.endswith(("gamma", "moving_variance")) else 0.0
        weights[name] = (centre + generator.uniform(-0.4, 0.4, value.shape)).astype(value.dtype)
    model.set_weights(weights)
    return weights


@pytest.mark.parametrize(
    "encoder, blocks, side",
    [("unet", 5, 320), ("unet", 3, 352), ("unet", 1, 416), ("resnet34", 5, 640), ("darknet52", 5, 544)],
)
def test_context_bounds_what_a_pixel_depends_on(encoder, blocks, side):
    network = UNetBackboned(encoder=encoder, filters=4, centre_filters=4, decoder_blocks=blocks)
    model = load("lowlevel").Model(network, precision="float64")
    images = np.random.default_rng(0).standard_normal((1, side, 32, 1))
    before = model.predict(images)
    images[:, 40] += 1e3  # not at the border of a coarse pixel
    changed = np.abs(model.predict(images) - before).max((0, 2, 3)) > 0
    assert changed[40] and not changed[40 + network.context[0] + 1 :].any()
    assert changed.size > 40 + network.context[0] + 1  # the test can fail


@pytest.mark.parametrize("blocks", range(1, 6))
def test_logits_of_fewer_blocks_are_enlarged_to_the_images_size(blocks):
    network = UNetBackboned(**SMALL, classes=2, decoder_blocks=blocks)
    model = load("keras").Model(network, precision="float64").keras_model
    images = np.random.default_rng(0).standard_normal((1, 32, 64, 1))
    coarse = keras.Model(model.input, model.get_layer("head").output)(images)
    assert coarse.shape[1:3] == (2**blocks, 2 ** (blocks + 1))
    logits = model(images)
    assert logits.shape[1:3] == network.output_size((32, 64)) == (32, 64)
    np.testing.assert_allclose(logits, resize(coarse, (32, 64), "linear"), rtol=0, atol=1e-12)


def our_scope(layer):
    """`conv1_bn` is `conv1/norm`, and `conv2_block1_0_conv` is `conv2/block1/conv0`."""
    stage, *block, kind = layer.split("_")
    kind = {"conv": "conv", "bn": "norm"}[kind]
    return "/".join([stage, block[0], kind + block[1]] if block else [stage, kind])


@pytest.mark.slow
def test_resnet50_is_that_of_keras_by_almost_the_same_names():
    network = UNetBackboned(encoder="resnet50", channels=3)
    model = load("keras").Model(network)
    original = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))
    generator = np.random.default_rng(0)
    weights = model.weights()
    for layer in original.layers:
        values = []
        for variable in layer.weights:
            low = 0.5 if variable.name in ("gamma", "moving_variance") else -0.05
            values.append(generator.uniform(low, low + 0.1, variable.shape))
            name = f"encoder/{our_scope(layer.name)}/{variable.name}"
            assert weights[name].shape == variable.shape
            weights[name] = values[-1]
        layer.set_weights(values)
    assert original.count_params() == sum(
        value.size for name, value in weights.items() if name.startswith("encoder/")
    )
    model.set_weights(weights)
    images = generator.standard_normal((1, 64, 64, 3)).astype(np.float32)
    unet = model.keras_model
    features = keras.Model(unet.input, unet.get_layer("reduce1.conv").input)  # what the decoder starts from
    np.testing.assert_allclose(features(images), original.predict(images, verbose=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "network, settings, message",
    [
        (UNetBackboned, {"filters": 2}, "filters"),
        (UNetBackboned, {"encoder": "darknet52", "filters": 5}, "filters is 5: Darknet halves it"),
        (UNetBackboned, {"rank": 3}, "rank"),
        (UNetBackboned, {"decoder_blocks": 6}, "decoder_blocks"),
        (
            UNetBranch2,
            {"branch_level": 4, "decoder_blocks": 3},
            "branch_level is 4; the decoder has 3 blocks to start from",
        ),
        (UNetBranch2, {"branch_class": 4, "classes": 4}, "branch_class is 4; the network has classes 0 to 3"),
        (UNetBranch2, {"branch_level": 6}, "branch_level"),
    ],
)
def test_hyperparameters_that_do_not_fit_together(network, settings, message):
    with pytest.raises(ValidationError, match=message):
        network(**settings)


def test_the_class_of_the_branch_is_one_of_the_data():
    settings = {"data": "discs", "sampling": {"crop": [64, 64]}}
    network = {"name": "unet_branch2", "encoder": "vgg16", "branch_class": 2}
    assert resolve(experiment_from({**settings, "network": network})).network.corrected_class == 2
    with pytest.raises(UserError, match="branch_class is 3; the network has classes 0 to 2"):
        resolve(experiment_from({**settings, "network": {**network, "branch_class": 3}}))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_branch_changes_one_class_and_nothing_at_first(implementation):
    package = load(implementation)
    grown = package.Model(UNetBranch2(**SMALL, classes=3, branch_class=2), precision="float64")
    whole = package.Model(grown.network.starts_from, precision="float64")
    weights = with_other_weights(whole)
    at_first = {name: value for name, value in grown.weights().items() if name.startswith("branch/")}
    assert grown.weights().keys() == weights.keys() | at_first.keys() and len(at_first) == 4
    assert not at_first["branch/conv/kernel"].any() and at_first["branch/up/kernel"].shape == (8, 8, 1, 1)

    images = np.random.default_rng(1).standard_normal((1, 64, 32, 1))
    logits = whole.predict(images)
    grown.set_weights({**weights, **at_first})
    np.testing.assert_array_equal(grown.predict(images), logits)
    grown.set_weights({**weights, **at_first, "branch/conv/kernel": at_first["branch/conv/kernel"] + 1})
    changed = np.abs(grown.predict(images) - logits)
    assert not changed[..., :2].any() and changed[..., 2].max() > 1e-3


def test_training_a_frozen_network_from_the_weights_of_one_without_branch(tmp_path):
    """The frozen part stays as it was, moving statistics included, and all three train the rest alike."""
    network = UNetBranch2(**SMALL, freeze=True)
    weights = load("lowlevel").Model(network.starts_from, seed=5).weights()
    save_weights(tmp_path / "trained.h5", weights, network.starts_from)
    results = train_all(
        tmp_path,
        network={"name": "unet_branch2", **SMALL, "freeze": True},
        initial_weights=tmp_path / "trained.h5",
        training={"steps": 6, "validate_every": 3, "batch_size": 2},
    )
    assert_equal_courses(results, loss=1e-9, weights=1e-9)
    trained = {"enlarge4", "reduce5", "enlarge5", "head"}
    for _history, final, _run in results:
        for name, value in weights.items():
            if name.split("/")[0] not in trained:
                np.testing.assert_array_equal(final[name], value, err_msg=name)
            elif "bias" not in name:  # before a normalisation it has no gradient
                assert np.abs(final[name] - value).max() > 0, name
        assert final["branch/conv/kernel"].any()


def test_only_a_network_without_branch_that_is_otherwise_the_same_can_be_grown(tmp_path):
    network = UNetBranch2(**SMALL)
    other = UNetBackboned(**SMALL, skip="concatenate")
    save_weights(tmp_path / "other.h5", {"head/bias": np.zeros(1)}, other)
    with pytest.raises(UserError, match="another network:\n  - skip: concatenate in the file, add here"):
        starting_weights(tmp_path / "other.h5", network)
    save_weights(tmp_path / "same.h5", {"head/bias": np.ones(1)}, network.starts_from)
    assert starting_weights(tmp_path / "same.h5", network) == {"head/bias": 1}
    with pytest.raises(UserError, match="name: unet_backboned in the file, unet_branch2 here"):
        load_weights(tmp_path / "same.h5", network)  # for a prediction it is not enough
