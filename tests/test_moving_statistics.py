"""The moving statistics of batch normalisation follow a training from its first steps, in all three alike."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import SETTINGS, train_all

from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.moving_statistics import momentum_at
from unet_common.networks import CATALOGUE
from unet_keras import Model
from unet_lowlevel.ops import batch_normalisation

v1 = tf.compat.v1


@pytest.mark.parametrize(
    "step, momentum, kept",
    [
        (0, 0.99, 0.1),
        (1, 0.99, 2 / 11),
        (80, 0.99, 0.9),
        (81, 0.9, 0.9),
        (889, 0.99, 890 / 899),
        (890, 0.99, 0.99),
        (10**9, 0.99, 0.99),
        (0, 0.0, 0.0),
    ],
)
def test_the_momentum_rises_with_the_step_to_that_of_the_layer(step, momentum, kept):
    value = momentum_at(tf.Variable(step, dtype=tf.int64), momentum)
    assert value.dtype == tf.float64
    assert value.numpy() == pytest.approx(kept, abs=1e-15)


def test_it_is_that_of_tensorflows_moving_average():
    for step in (0, 7, 1000):
        with tf.Graph().as_default(), v1.Session() as session:
            value = v1.get_variable("value", [], initializer=v1.ones_initializer())
            update = tf.train.ExponentialMovingAverage(0.99, num_updates=step).apply([value])
            session.run(v1.global_variables_initializer())
            session.run(value.assign(2.0))
            session.run(update)
            (average,) = [v for v in v1.global_variables() if "ExponentialMovingAverage" in v.name]
            kept = 2 - session.run(average)  # of the 1 that it was
        assert kept == pytest.approx(momentum_at(tf.constant(step), 0.99).numpy(), abs=1e-6)


def test_of_the_initial_values_nothing_is_left_after_a_few_steps():
    """The statistics of constant batches: a mean of 5 and a variance of 0, from 0 and 1."""
    with tf.Graph().as_default() as graph:
        step = v1.train.get_or_create_global_step()
        batch_normalisation(tf.fill([8, 1], tf.constant(5.0, tf.float64)), True, "norm")
        with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
            update = step.assign_add(1).op
        initialise = v1.global_variables_initializer()
        mean, variance = (
            v for v in v1.global_variables() if v.op.name in ("norm/moving_mean", "norm/moving_variance")
        )
    session = v1.Session(graph=graph)
    session.run(initialise)
    left = 1.0
    for number in range(10):
        session.run(update)
        left *= (1 + number) / (10 + number)
        assert 1 - session.run(mean)[0] / 5 == pytest.approx(left, abs=1e-12)
        assert session.run(variance)[0] == pytest.approx(left, abs=1e-12)
    assert left < 2e-5


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_after_sixty_steps_both_modes_predict_the_same(implementation, tmp_path):
    """Statistics of many samples together are what inference should use; with a constant momentum 0.12 was between."""
    ((_history, _weights, run),) = train_all(
        tmp_path,
        [implementation],
        network={"depth": 2, "filters": 4},
        optimizer={"name": "adam", "learning_rate": 0.01},
        training={"steps": 60, "validate_every": 30, "batch_size": 2},
        precision="float32",
    )
    model = load(implementation).Model(run.network)
    model.load(run.final_weights)
    batches = run.training_batches(0).take(16).as_numpy_iterator()
    images = np.concatenate([images for images, _targets in batches])
    inference, training = (1 / (1 + np.exp(-model.predict(images, training=mode))) for mode in (False, True))
    assert np.abs(inference - training).mean() < 0.04


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_checkpoints_hold_nothing_more_for_it(implementation, tmp_path):
    """So those that were written under a constant momentum still open: the step was always in them."""
    ((_history, weights, run),) = train_all(
        tmp_path, [implementation], network={"depth": 2, "filters": 2}, training={"steps": 1, "batch_size": 2}
    )
    moving = sum("/moving_" in name for name in weights)
    trained = len(weights) - moving
    counters = {"keras": 4}.get(
        implementation, 1
    )  # the step; Keras's rate, and TensorFlow's count and graph of objects
    kept = tf.train.list_variables(str(run.checkpoints))
    assert len(kept) == trained + moving + trained + counters  # a velocity for each trained weight


def test_a_compiled_keras_model_counts_its_own_steps():
    """Whoever compiles it, and fits it without this project's loop."""
    model = Model(CATALOGUE["unet"](depth=2, filters=2)).keras_model
    model.compile("sgd", lambda targets, logits: tf.reduce_mean(logits**2))
    images = np.ones((2, 8, 8, 1), np.float32)
    model.fit(images, images, batch_size=1, epochs=3, verbose=0)
    assert model.randomness.step.numpy() == model.optimizer.iterations.numpy() == 6


def test_the_settings_of_the_consistency_tests_have_moving_statistics():
    """Those tests compare them, after whole trainings, as closely as all other weights."""
    network = CATALOGUE["unet"](**SETTINGS["network"])
    assert any("/moving_" in name for name in load("lowlevel").Model(network).weights())
