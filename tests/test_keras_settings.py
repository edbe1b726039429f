"""A user's own settings of Keras change nothing: those of `keras.json`, and those of the environment."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import CASES, LOSS, ROOT, SEED, first_quickly

from data.errors import UserError
from unet_common.implementation import load
from unet_common.networks import CATALOGUE
from unet_common.weights.interchange import load_weights

FILE = {"floatx": "float16", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}
VARIABLES = {"KERAS_BACKEND": "torch", "KERAS_MAX_STEPS_PER_EPOCH": "1", "KERAS_MAX_EPOCHS": "1"}

TRAINING = (
    "--set data.images=4 --set data.size=[48,48] --set sampling.crop=[32,32] --set network.depth=2 "
    "--set network.filters=2 --set training.batch_size=2 --set training.validate_every=2 --steps 4"
)


def train(run, implementation, home, variables):
    """The final weights of a training whose `keras.json` lies in `home`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    done = subprocess.run(
        [sys.executable, "train.py", "--impl", implementation, "--run", run, *TRAINING.split()],
        cwd=ROOT,
        env={**environment, **variables, "KERAS_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Finished after step 4 of 4" in done.stdout + done.stderr
    return load_weights(run / "weights" / "final.h5", CATALOGUE["unet"](depth=2, filters=2))


@first_quickly(
    "implementation, variables",
    ("keras", VARIABLES),
    ("keras", {}),
    ("lowlevel", VARIABLES),
    ("highlevel", VARIABLES),
)
def test_a_training_is_the_same(tmp_path, implementation, variables):
    expected = train(tmp_path / "plain", implementation, tmp_path, {})
    (tmp_path / "keras.json").write_text(json.dumps(FILE))
    weights = train(tmp_path / "run", implementation, tmp_path, variables)
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


@pytest.fixture
def settings_of_the_user():
    before = keras.config.floatx(), keras.config.image_data_format()
    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    yield
    assert (keras.config.floatx(), keras.config.image_data_format()) == ("float16", "channels_first")
    keras.config.set_floatx(before[0])
    keras.config.set_image_data_format(before[1])


def first_of_each_network():
    """A configuration of each, of which those of `unet` are quick: one in 3D, too, whose pooling is our own."""
    for case in CASES:
        if case.id in ("unet-0", "unet-4"):
            yield case
        elif case.id.endswith("-0"):
            yield pytest.param(*case.values, id=case.id, marks=pytest.mark.slow)


@pytest.mark.parametrize("name, hyperparameters, size, count", first_of_each_network())
def test_a_model_is_the_same(request, name, hyperparameters, size, count):
    network = CATALOGUE[name](**hyperparameters)
    images = np.random.default_rng(0).standard_normal((2, *size, network.channels))
    targets = np.zeros((2, *size, network.classes))

    def results():
        model = load("keras").Model(network, SEED, "float64")
        value, gradients = model.loss_and_gradients(images, targets, LOSS)
        return model.predict(images), model.predict(images, training=True), value, *gradients.values()

    before = results()
    request.getfixturevalue("settings_of_the_user")
    for value, expected in zip(results(), before, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_another_backend_that_was_imported_before_us_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(UserError) as error:
        load("keras").Model(CATALOGUE["unet"](depth=2, filters=2))
    assert str(error.value) == (
        "Keras computes with jax in this process, and unet_keras needs TensorFlow: import unet_keras before keras, "
        "or set the environment variable KERAS_BACKEND to tensorflow."
    )


@pytest.mark.parametrize("first, backend", [("", "tensorflow"), ("sys.modules['keras'] = None; ", "jax")])
def test_the_backend_is_chosen_while_nobody_has_chosen_another(first, backend):
    """Processes that the user's program starts inherit its environment: it stays, where Keras is there already."""
    program = f"import os, sys; {first}import data; print(os.environ['KERAS_BACKEND'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{backend}\n", "")
