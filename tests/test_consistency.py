"""The promise: one network, three APIs, the same weights, outputs, losses and gradients.

Every network of the catalogue is tested in every configuration that `expected/NAME.py` lists for it; one without
such a file fails. float64 is the proof, float32 a smoke test: there, differently rounded sums flip the
winners of poolings and rectifiers, and that is no difference between the networks.
"""

import random
from itertools import permutations

import numpy as np
import pytest
from helpers import CASES, LOSS, SEED, STEP, cases, slow
from pydantic import ValidationError

from data.errors import UserError
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE
from unet_common.weights.interchange import is_kernel, is_weight, load_weights


def batch(network, size):
    """Two random images and random targets."""
    generator = np.random.default_rng(0)
    images = generator.standard_normal((2, *size, network.channels))
    labels = generator.integers(0, max(network.classes, 2), (2, *size))
    if network.classes == 1:
        return images, labels[..., np.newaxis].astype(float)
    return images, np.eye(network.classes)[labels]


@pytest.fixture(scope="module")
def built():
    """Models by (network, implementation, precision, device), each built once."""
    cache = {}

    def build(network, name, precision="float64", device="CPU:0"):
        key = network, name, precision, device
        if key not in cache:
            cache[key] = load(name).Model(network, seed=SEED, precision=precision)
        return cache[key]

    return build


@pytest.mark.parametrize("name, hyperparameters, size, count", CASES)
def test_names_shapes_counts_and_initial_weights(built, name, hyperparameters, size, count):
    network = CATALOGUE[name](**hyperparameters)
    first, *others = (built(network, implementation).weights() for implementation in IMPLEMENTATIONS)
    assert sum(value.size for value in first.values()) == count
    assert all(is_weight(weight) for weight in first)
    for other in others:
        assert other.keys() == first.keys()
        for weight, value in first.items():
            assert value.dtype == other[weight].dtype == np.float64
            np.testing.assert_array_equal(other[weight], value, err_msg=weight)


@pytest.mark.parametrize("name, hyperparameters, size, count", CASES)
def test_outputs_loss_and_gradients_in_float64(built, device, name, hyperparameters, size, count):
    network = CATALOGUE[name](**hyperparameters)
    images, targets = batch(network, size)
    models = [built(network, implementation, "float64", device) for implementation in IMPLEMENTATIONS]
    inference, training, _loss, gradients = agreed(models, images, targets)
    assert inference.shape == (2, *network.output_size(size), network.classes)
    moving = any("moving" in weight for weight in built(network, "lowlevel").weights())
    if moving or getattr(network, "dropout", 0):
        assert np.abs(inference - training).max() > 1e-3  # the two modes are not the same thing
    for weight, gradient in gradients.items():
        assert np.abs(gradient).max() > 0, f"{weight} has no gradient"


def drawn_unet(seed):
    """A U-Net with hyperparameters drawn at random, and an input size that it accepts, in 2D or 3D."""
    generator = random.Random(seed)
    while True:
        rank, depth = generator.choice([2, 2, 3]), generator.randint(2, 4)
        levels = list(range(1, depth))
        drawn = {
            "rank": rank,
            "depth": depth,
            "channels": generator.randint(1, 3),
            "classes": generator.randint(1, 3),
            "multilabel": generator.random() < 0.3,
            "filters": generator.choice([2, 3, 4]),
            "max_filters": generator.choice([None, 5]),
            "convolutions": generator.randint(1, 3),
            "kernel_size": generator.choice([1, 2, 3, [3] * (rank - 1) + [1]]),
            "pooling": generator.choice([2, 3, [2] * (rank - 1) + [1]]),
            "downsampling": generator.choice(["pooling", "convolution"]),
            "dilation": generator.choice([1, 1, 2]),
            "padding": generator.choice(["same", "same", "valid"]),
            "normalisation": generator.choice(["batch", "instance", "group", "none"]),
            "groups": generator.choice([1, 2]),
            "activation": generator.choice(["elu", "relu", "leaky_relu"]),
            "dropout": generator.choice([0.0, 0.3]),
            "deep_supervision": generator.randint(0, depth - 2),
            "attention_gates": generator.choice([[], generator.sample(levels, 1)]),
            "non_local": generator.choice([[], [], [depth]]),
        }
        try:
            network = CATALOGUE["unet"](**drawn)
            padded = zip((6,) * rank, network.padding_for((6,) * rank), strict=True)
            return network, tuple(before + side + after for side, (before, after) in padded)
        except ValidationError:
            continue


@pytest.mark.parametrize("seed", [*range(4), *(slow(seed) for seed in range(4, 16))])
def test_networks_drawn_at_random_agree_in_float64(device, seed):
    """Within the bounds that are promised, also where nobody chose the hyperparameters."""
    network, size = drawn_unet(seed)
    models = [load(name).Model(network, seed=SEED, precision="float64") for name in IMPLEMENTATIONS]
    assert agreed(models, *batch(network, size))[0].shape == (2, *network.output_size(size), network.classes)


def agreed(models, images, targets):
    """The `results` of the first model, once those of the others were found to be the same, as far as is promised."""
    weights = without_zero_kernels(models[0].weights())
    for model in models:
        model.set_weights(weights)
    first, *others = (results(model, images, targets) for model in models)
    inference, training, loss, gradients = first
    for other_inference, other_training, other_loss, other_gradients in others:
        np.testing.assert_allclose(other_inference, inference, rtol=0, atol=1e-12)
        np.testing.assert_allclose(other_training, training, rtol=0, atol=1e-12)
        assert other_loss == pytest.approx(loss, abs=1e-12)
        assert other_gradients.keys() == gradients.keys()
        largest = max(np.abs(gradient).max() for gradient in gradients.values())
        for weight, gradient in gradients.items():
            np.testing.assert_allclose(
                other_gradients[weight], gradient, rtol=0, atol=1e-10 * largest, err_msg=weight
            )
    return first


@pytest.mark.parametrize("name, hyperparameters, size, count", list(cases(float32=True)))
def test_outputs_and_loss_in_float32(built, device, name, hyperparameters, size, count):
    network = CATALOGUE[name](**hyperparameters)
    images, targets = (array.astype(np.float32) for array in batch(network, size))
    models = [built(network, implementation, "float32", device) for implementation in IMPLEMENTATIONS]
    first, *others = (results(model, images, targets) for model in models)
    for other in others:
        assert other[0].dtype == np.float32
        np.testing.assert_allclose(other[0], first[0], rtol=0, atol=1e-4)
        np.testing.assert_allclose(other[1], first[1], rtol=0, atol=1e-4)
        assert other[2] == pytest.approx(first[2], abs=1e-5)


def without_zero_kernels(weights):
    """Other values for kernels that are zero at first: nothing gets past them, neither values nor gradients."""
    generator = np.random.default_rng(1)
    return {
        name: value if value.any() or not is_kernel(name) else generator.standard_normal(value.shape)
        for name, value in weights.items()
    }


def results(model, images, targets):
    """Logits in inference and in training mode, loss, gradients."""
    return (
        model.predict(images),
        model.predict(images, training=True, step=STEP),
        *model.loss_and_gradients(images, targets, LOSS, step=STEP),
    )


@pytest.mark.parametrize(
    "name, hyperparameters",
    [
        ("unet", {"depth": 3, "filters": 4}),
        ("unet_encoder", {"encoder": "vgg16", "filters": 4, "decoder_filters": (4, 4)}),
        ("unet_branch2", {"encoder": "vgg16", "filters": 4, "centre_filters": 4}),
        ("reversible_unet", {"widths": (4, 8), "groups": 2}),
        ("hrnet", {"width": 2, "modules": (1, 1, 1), "blocks": 1, "stem_filters": 4}),
    ],
)
def test_per_part_what_is_called_encoder_has_a_rule_of_its_own(name, hyperparameters):
    """And what starts as something else than random keeps that; all alike in the three."""
    network = CATALOGUE[name](**hyperparameters)
    first, *others = (
        load(implementation).Model(network, SEED, "float64", "per_part").weights()
        for implementation in IMPLEMENTATIONS
    )
    for other in others:
        assert other.keys() == first.keys()
        for weight, value in first.items():
            np.testing.assert_array_equal(other[weight], value, err_msg=weight)
    uniform = load("lowlevel").Model(network, SEED, "float64", "glorot_uniform").weights()
    for weight, value in first.items():
        if is_kernel(weight) and value.size > 1 and not weight.startswith("branch"):
            same_draws = value.std() / uniform[weight].std() * uniform[weight]
            assert np.allclose(value, same_draws, rtol=1e-5) != weight.startswith("encoder"), weight


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_seed_decides_the_initial_weights(implementation):
    network = CATALOGUE["unet"](depth=2, filters=2)
    model = load(implementation).Model
    weights, same, other = (model(network, seed=seed).weights() for seed in (0, 0, 1))
    np.testing.assert_array_equal(weights["encoder1/conv2/kernel"], same["encoder1/conv2/kernel"])
    assert np.abs(weights["encoder1/conv2/kernel"] - other["encoder1/conv2/kernel"]).min() > 0
    # Layers of equal shape have weights of their own.
    assert np.abs(weights["encoder1/conv2/kernel"] - weights["decoder1/conv2/kernel"]).min() > 0


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_dropout_masks_belong_to_the_step_and_leave_no_trace(implementation):
    network = CATALOGUE["unet"](depth=2, filters=2, dropout=0.5)
    model = load(implementation).Model(network, precision="float64")
    images, targets = batch(network, (8, 8))
    before = model.weights()
    first, again, later = (model.predict(images, training=True, step=step) for step in (1, 1, 2))
    model.loss_and_gradients(images, targets, LOSS)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - later).max() > 1e-3
    for weight, value in model.weights().items():
        np.testing.assert_array_equal(value, before[weight], err_msg=weight)


@pytest.mark.parametrize("writer, reader", list(permutations(IMPLEMENTATIONS, 2)))
def test_weights_travel_between_implementations(writer, reader, tmp_path):
    network = CATALOGUE["unet"](depth=2, filters=3, channels=2, classes=3)
    original = load(writer).Model(network, seed=1)
    generator = np.random.default_rng(0)
    weights = {name: generator.random(value.shape, np.float32) for name, value in original.weights().items()}
    original.set_weights(weights)
    original.save(tmp_path / "weights.h5")
    copy = load(reader).Model(network, seed=2)
    copy.load(tmp_path / "weights.h5")
    for name, value in copy.weights().items():
        np.testing.assert_array_equal(value, weights[name], err_msg=name)
        np.testing.assert_array_equal(load_weights(tmp_path / "weights.h5", network)[name], value)
    images, _ = batch(network, (8, 6))
    np.testing.assert_allclose(copy.predict(images), original.predict(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_wrong_weights_and_sizes_are_refused(implementation, tmp_path):
    network = CATALOGUE["unet"](depth=3, filters=2)
    model = load(implementation).Model(network)
    weights = model.weights()
    bias = weights.pop("head/bias")
    with pytest.raises(UserError, match="from memory do not fit the network:\n  - head/bias is missing"):
        model.set_weights(weights)
    with pytest.raises(UserError, match=r"head/bias has shape \(2,\), the network \(1,\)"):
        model.set_weights({**weights, "head/bias": np.append(bias, 0)})
    model.save(tmp_path / "weights.h5")
    deeper = load(implementation).Model(CATALOGUE["unet"](depth=4, filters=2))
    with pytest.raises(UserError, match="another network:\n  - depth: 3 in the file, 4 here"):
        deeper.load(tmp_path / "weights.h5")
    with pytest.raises(UserError, match="Nearest good sizes: 8x12 or 12x12"):
        model.predict(np.zeros((1, 10, 12, 1), np.float32))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_network_computes_on_the_device(device, implementation):
    """The fixture does what it says: on a GPU the comparison is one of GPU kernels, and otherwise it is not."""
    model = load(implementation).Model(CATALOGUE["unet"](depth=2, filters=2))
    if implementation == "keras":
        placed = [variable.value.device for variable in model.keras_model.trainable_variables]
    else:
        model.loss_and_gradients(*batch(model.network, (4, 4)), LOSS)
        kinds = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")
        placed = [node.device for node in model.graph.get_operations() if node.type in kinds]
    assert len(placed) > 10 and all(device in place for place in placed)
