"""Golden files: a change that changes numbers in all three packages alike does not pass unseen.

For every configuration of `test_consistency.py`, which ties the other two packages to `lowlevel`,
`tests/golden/NAME.npz` holds what `lowlevel` gave for weights and images that depend on nothing of this
project, and some of its initial weights. `tests/golden/NAME.h5` is an interchange file of format version 1,
which has to stay readable.

For a new network, or where numbers have changed on purpose, write the files anew, and say so in the commit:

    PYTHONPATH=. python tests/test_golden.py NAME ...
"""

import sys
from importlib import import_module
from pathlib import Path

import conftest  # noqa: F401  (sets TensorFlow up, also when this file is run as a program)
import numpy as np
import pytest
from helpers import CASES, LOSS, SEED, STEP

from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE
from unet_common.weights.interchange import load_weights, save_weights

GOLDEN = Path(__file__).parent / "golden"


def expected(name):
    """`CONFIGURATIONS`, and in `KEPT` the hyperparameters of a network small enough to be kept as weights."""
    return import_module(f"expected.{name}")


def weights_from_numpy(shapes):
    """Weights of usual size, none at its initial value. NumPy promises never to change RandomState's draws."""
    generator = np.random.RandomState(0)
    weights = {}
    for name in sorted(shapes):
        shape, role = shapes[name], name.rsplit("/", 1)[-1]
        if role == "kernel":
            weights[name] = generator.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        elif role in ("gamma", "moving_variance"):
            weights[name] = generator.uniform(0.5, 1.5, shape)
        else:
            weights[name] = generator.uniform(-0.5, 0.5, shape)
    return weights


def some(values, count=24):
    """`count` values spread evenly over an array."""
    return np.ravel(values)[np.linspace(0, np.size(values) - 1, count).astype(int)]


def outputs(network, size):
    """What is compared: some initial weights, some logits of both modes, the loss, each gradient's size."""
    model = load("lowlevel").Model(network, seed=SEED, precision="float64")
    before = model.weights()
    weights = weights_from_numpy({name: value.shape for name, value in before.items()})
    model.set_weights(weights)
    generator = np.random.RandomState(1)
    images = generator.normal(size=(2, *size, network.channels))
    targets = generator.randint(0, 2, (2, *size, 1)).astype(float)
    if network.classes > 1:
        targets = np.eye(network.classes)[generator.randint(0, network.classes, (2, *size))]
    loss, gradients = model.loss_and_gradients(images, targets, LOSS, step=STEP)
    return {
        "initial": np.concatenate([some(before[name], 2) for name in sorted(before) if "kernel" in name]),
        "inference": some(model.predict(images)),
        "training": some(model.predict(images, training=True, step=STEP)),
        "loss": np.array(loss),
        "gradients": np.array([np.abs(gradients[name]).sum() for name in sorted(gradients)]),
    }


@pytest.mark.parametrize("name, hyperparameters, size, count", CASES)
def test_outputs_are_those_of_old(name, hyperparameters, size, count):
    index = [configuration[0] for configuration in expected(name).CONFIGURATIONS].index(hyperparameters)
    now = outputs(CATALOGUE[name](**hyperparameters), size)
    with np.load(GOLDEN / f"{name}.npz") as golden:
        for key, values in now.items():
            # Initial weights are drawn in float32, through a logarithm that each processor may round its own way.
            bound = 1e-6 if key == "initial" else 1e-9
            np.testing.assert_allclose(
                values, golden[f"{index}/{key}"], rtol=bound, atol=bound, err_msg=f"{hyperparameters}: {key}"
            )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", CATALOGUE)
def test_an_old_interchange_file_is_still_read(implementation, name):
    network = CATALOGUE[name](**expected(name).KEPT)
    model = load(implementation).Model(network, precision="float64")
    model.load(GOLDEN / f"{name}.h5")
    written = weights_from_numpy({weight: value.shape for weight, value in model.weights().items()})
    for weight, value in model.weights().items():
        np.testing.assert_array_equal(value, written[weight].astype(np.float32), err_msg=weight)
    assert load_weights(GOLDEN / f"{name}.h5", network).keys() == written.keys()


def regenerate(names):
    """Write the golden files of networks anew."""
    for name in names:
        values = {}
        for index, (hyperparameters, size, _count) in enumerate(expected(name).CONFIGURATIONS):
            for key, value in outputs(CATALOGUE[name](**hyperparameters), size).items():
                values[f"{index}/{key}"] = value
        np.savez_compressed(GOLDEN / f"{name}.npz", **values)
        network = CATALOGUE[name](**expected(name).KEPT)
        weights = load("lowlevel").Model(network).weights()
        drawn = weights_from_numpy({weight: value.shape for weight, value in weights.items()})
        drawn = {weight: value.astype(np.float32) for weight, value in drawn.items()}
        save_weights(GOLDEN / f"{name}.h5", drawn, network)


if __name__ == "__main__":
    regenerate(sys.argv[1:] or CATALOGUE)
