"""What a call of `Model` may be given, and what it leaves alone, in all three."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from helpers import LOSS

from data.errors import UserError
from data.labels.outputs import IGNORED
from unet_common import losses
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE, UNet

SMALL = {"depth": 2, "filters": 2}


@pytest.fixture(scope="module")
def model():
    """A model of each implementation and set of hyperparameters, built once."""
    cache = {}

    def build(implementation, **hyperparameters):
        key = implementation, str(hyperparameters)
        if key not in cache:
            cache[key] = load(implementation).Model(UNet(**SMALL, **hyperparameters), precision="float64")
        return cache[key]

    return build


def batch(*shape):
    generator = np.random.default_rng(0)
    return generator.standard_normal(shape), generator.integers(0, 2, shape).astype(float)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    "images, message",
    [
        (
            np.zeros((8, 8, 1)),
            r"images must be \[batch, height, width, channels\]; their shape is \(8, 8, 1\)",
        ),
        (np.zeros((1, 8, 8, 8, 1)), r"\[batch, height, width, channels\]; their shape is \(1, 8, 8, 8, 1\)"),
        (np.zeros(()), r"their shape is \(\)"),
        (np.zeros((1, 8, 8, 4)), r"images must have 1 channel on their last axis; .* \(1, 8, 8, 4\)"),
        (np.zeros((2, 1, 8, 8)), r"images must have 1 channel on their last axis; .* \(2, 1, 8, 8\)"),
        (np.zeros((1, 8, 8, 0)), r"images must have 1 channel on their last axis; .* \(1, 8, 8, 0\)"),
        (np.zeros((0, 8, 8, 1)), r"images must be one at least; their shape is \(0, 8, 8, 1\)"),
        (np.zeros((1, 9, 8, 1)), "does not accept inputs of size 9x8.*Nearest good sizes: 8x8 or 10x8"),
        (np.zeros((1, 0, 8, 1)), "does not accept inputs of size 0x8.*Nearest good sizes: 2x8"),
        (np.full((1, 8, 8, 1), "a"), "images must be an array of numbers; their type is <U1"),
        (np.full((1, 8, 8, 1), None), "images must be an array of numbers; their type is object"),
        (np.zeros((1, 8, 8, 1), complex), "images must be an array of numbers; their type is complex128"),
        ([[1.0], [2.0, 3.0]], "images must be an array of numbers; .*inhomogeneous"),
    ],
)
def test_images_that_do_not_fit_are_refused_in_one_sentence(model, implementation, images, message):
    one = model(implementation)
    one.predict(np.zeros((1, 8, 8, 1)))  # what fits before does not make the rest fit
    for call in (one.predict, lambda images: one.loss_and_gradients(images, np.zeros((1, 8, 8, 1)), LOSS)):
        with pytest.raises(UserError, match=message) as error:
            call(images)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    "targets, message",
    [
        (np.zeros((2, 8, 8, 2)), r"must have the shape \(2, 8, 8, 1\); theirs is \(2, 8, 8, 2\)"),
        (np.zeros((1, 8, 8, 1)), r"must have the shape \(2, 8, 8, 1\); theirs is \(1, 8, 8, 1\)"),
        (np.zeros((2, 10, 8, 1)), r"must have the shape \(2, 8, 8, 1\); theirs is \(2, 10, 8, 1\)"),
        (np.zeros((2, 4, 4, 1)), r"must have the shape \(2, 8, 8, 1\); theirs is \(2, 4, 4, 1\)"),
        (np.zeros((0, 8, 8, 1)), r"must have the shape \(2, 8, 8, 1\); theirs is \(0, 8, 8, 1\)"),
        (
            np.zeros((2, 8, 8), int),
            r"\(2, 8, 8, 1\); theirs is \(2, 8, 8\), and `Outputs\.encode` makes targets",
        ),
        (np.full((2, 8, 8, 1), "yes"), "targets must be an array of numbers; their type is <U3"),
        (
            np.full((2, 8, 8, 1), 255),
            "targets must lie in 0 to 1, or below where they are ignored; .* is 255",
        ),
    ],
)
def test_targets_that_do_not_fit_are_refused_in_one_sentence(model, implementation, targets, message):
    with pytest.raises(UserError, match=message) as error:
        model(implementation).loss_and_gradients(np.zeros((2, 8, 8, 1)), targets, LOSS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_targets_as_large_as_the_images_or_as_the_logits(model, implementation):
    one = model(implementation, padding="valid")
    images, targets = batch(2, 20, 20, 1)
    assert one.network.output_size((20, 20)) == (4, 4)
    whole, gradients = one.loss_and_gradients(images, targets, LOSS)
    middle, same = one.loss_and_gradients(images, targets[:, 8:12, 8:12], LOSS)
    assert whole == middle
    np.testing.assert_array_equal(gradients["head/kernel"], same["head/kernel"])
    with pytest.raises(UserError, match=r"\(2, 20, 20, 1\) or \(2, 4, 4, 1\); theirs is \(2, 12, 12, 1\)"):
        one.loss_and_gradients(images, targets[:, 4:16, 4:16], LOSS)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_numbers_of_any_type_mean_the_same(model, implementation):
    one = model(implementation)
    images, targets = batch(2, 8, 8, 1)
    images = np.round(4 * images)
    logits, loss = one.predict(images), one.loss_and_gradients(images, targets, LOSS)[0]
    for kind in (np.int16, np.float16, tf.constant, np.ndarray.tolist):
        given = images.astype(kind) if isinstance(kind, type) else kind(images)
        np.testing.assert_array_equal(one.predict(given), logits)
    for kind in (bool, np.uint8):
        assert one.loss_and_gradients(images, targets.astype(kind), LOSS)[0] == loss


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("classes", [1, 3])
def test_ignored_targets_are_ignored(model, implementation, classes):
    one = model(implementation, classes=classes)
    images, _ = batch(2, 8, 8, 1)
    labels = np.random.default_rng(1).integers(0, 2, (2, 8, 8))
    targets = labels[..., np.newaxis].astype(float) if classes == 1 else np.eye(classes)[labels]
    targets[:, :3] = IGNORED
    value, gradients = one.loss_and_gradients(images, targets, LOSS)
    logits = one.predict(images, training=True)
    expected = losses.loss(LOSS, ignoring=True)(*map(tf.constant, (targets, logits))).numpy()
    assert value == pytest.approx(expected, abs=1e-12)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients.values())


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_two_threads_get_what_they_would_get_one_after_the_other(model, implementation):
    """Each step has dropout masks of its own, whatever another thread asks for meanwhile."""
    one = model(implementation, dropout=0.5)
    images, targets = batch(2, 32, 32, 1)

    def call(step):
        if step % 2:
            return one.predict(images, training=True, step=step)
        return one.loss_and_gradients(images, targets, LOSS, step)[1]["head/kernel"]

    expected = [call(step) for step in range(24)]
    with ThreadPoolExecutor(2) as threads:
        for step, result in enumerate(threads.map(call, range(24))):
            np.testing.assert_array_equal(result, expected[step], err_msg=f"step {step}")


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_thread_that_sets_the_weights_waits_for_the_one_that_reads_them(model, implementation):
    one = model(implementation, normalisation="none")
    zeros, ones = ({name: value * 0 + to for name, value in one.weights().items()} for to in (0, 1))

    def read(_):
        return {float(value.flat[0]) for value in one.weights().values()}

    def write(number):
        one.set_weights((zeros, ones)[number % 2])
        return read(number)

    one.set_weights(zeros)
    with ThreadPoolExecutor(2) as threads:
        for values in threads.map(lambda number: (read if number % 3 else write)(number), range(60)):
            assert len(values) == 1


@pytest.mark.parametrize("training", ["before", "between"])
def test_the_counter_of_a_compiled_models_optimizer_stays(training):
    """In Keras the training's step is the optimizer's counter; a call has a step of its own."""
    images, targets = batch(2, 8, 8, 1)
    trained = []
    for interrupted in (False, True):
        one = load("keras").Model(CATALOGUE["unet"](**SMALL, dropout=0.5), precision="float64")
        unet = one.keras_model
        unet.compile("adam", losses.loss(LOSS))
        for step in range(4):
            if interrupted and (training == "between" or step == 0):
                one.predict(images, training=True, step=70)
                one.loss_and_gradients(images, targets, LOSS, step=80)
            unet.train_on_batch(images, targets)
            assert int(unet.optimizer.iterations) == int(one.randomness.step) == step + 1
        trained.append(one.weights())
    for name, value in trained[0].items():
        np.testing.assert_array_equal(trained[1][name], value, err_msg=name)
