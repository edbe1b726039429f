"""What only Keras has: a model that JSON holds, and the walk that gives a built model its seed."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import CASES

from unet_common import losses
from unet_common.networks import CATALOGUE
from unet_keras import Model
from unet_keras.layers import BatchNormalization, Dropout, Randomness
from unet_keras.model import SegmentationModel, initialise
from unet_keras.training import as_counted

SEED = 3


def outputs(model, images, training=False):
    """All of them, of deep supervision, too."""
    return [output.numpy() for output in tf.nest.flatten(model(images, training=training))]


def with_seed_or_step(model):
    return [
        layer
        for layer in model.layers
        if (isinstance(layer, Dropout) and layer.rate > 0)
        or (isinstance(layer, BatchNormalization) and layer.trainable)
    ]


@pytest.mark.parametrize("name, hyperparameters, size, count", CASES)
def test_a_model_that_was_made_of_json_is_the_same(name, hyperparameters, size, count):
    network = CATALOGUE[name](**hyperparameters)
    built = Model(network, SEED, precision="float64").keras_model
    text = built.to_json()
    model = keras.models.model_from_json(text)
    assert type(model) is SegmentationModel and model.to_json() == text
    assert [weight.path for weight in model.weights] == [weight.path for weight in built.weights]
    trained = ([weight.path for weight in one.trainable_weights] for one in (model, built))
    assert next(trained) == next(trained)  # what is frozen stays so

    images = np.random.default_rng(0).standard_normal((2, *size, network.channels))
    model.set_weights(built.get_weights())
    for output, expected in zip(outputs(model, images), outputs(built, images), strict=True):
        np.testing.assert_array_equal(output, expected)

    if with_seed_or_step(model):
        with pytest.raises(RuntimeError, match=r"has no seed and no step .*\.initialise"):
            model(images, training=True)
    initialise(model, Randomness(SEED))
    model.set_weights(built.get_weights())
    for output, expected in zip(outputs(model, images, True), outputs(built, images, True), strict=True):
        np.testing.assert_array_equal(output, expected)
    for weight, expected in zip(model.get_weights(), built.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)  # moving statistics


def test_the_configurations_have_what_json_could_lose():
    networks = [CATALOGUE[case.values[0]](**case.values[1]) for case in CASES]
    for setting in ("dropout", "attention_gates", "non_local", "deep_supervision", "freeze", "prelu"):
        assert any(getattr(network, setting, None) for network in networks), setting


def test_json_says_nothing_of_the_training():
    """A loss is a function of ours that JSON has no name for."""
    model = Model(CATALOGUE["unet"](depth=2, filters=2)).keras_model
    model.compile("sgd", losses.loss("dice", False))
    assert "compile_config" not in json.loads(model.to_json())
    assert not keras.models.model_from_json(model.to_json()).compiled


def test_a_kernel_that_was_given_an_initialiser_keeps_it():
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(1, 3, kernel_initializer="ones", name="told")(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(1, 3, name="untold")(x))
    told, untold, *_biases = (weight for weight in model.weights if weight.name == "kernel")
    before = untold.numpy()
    initialise(model, Randomness(SEED))
    np.testing.assert_array_equal(told, np.ones((3, 3, 1, 1)))
    assert np.abs(untold - before).min() > 0


def test_slots_are_restored_to_their_weights_whatever_the_order_of_layers(tmp_path):
    """An optimizer's slots have numbers in a checkpoint: the order is that in which the run began."""
    model = Model(CATALOGUE["unet"](depth=2, filters=2))
    order = model.keras_model.trainable_variables[::-1]
    optimizer = keras.optimizers.SGD(momentum=0.5)
    optimizer.build(order)
    checkpoint = tf.train.Checkpoint(weights=model.variables, optimizer=optimizer)
    path = checkpoint.write(str(tmp_path / "checkpoint"))
    counted = as_counted(path, model.variables)
    assert [id(variable) for variable in counted] == [id(variable) for variable in order]
