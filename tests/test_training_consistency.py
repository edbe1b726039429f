"""The same command with another --impl: the three real training loops end with the same weights.

float64 is the proof. Its constants are numbers that float32 holds exactly, since `tf.train` rounds its own to float32:
the momentum 0.9 would differ by 3e-8.
"""

import numpy as np
import pytest
import tensorflow as tf
from helpers import SETTINGS, assert_equal_courses, first_quickly, slow, train_all

from comparison import steps
from unet_common.experiment import experiment_from
from unet_common.implementation import load
from unet_common.training.run import Run


@pytest.mark.parametrize("dropout", [slow(0.0), 0.25])
def test_fifty_steps_of_momentum_in_float64(tmp_path, device, dropout):
    if device.startswith("GPU"):
        tf.config.experimental.reset_memory_stats(device)
    results = train_all(
        tmp_path,
        network={**SETTINGS["network"], "dropout": dropout},
        training={"steps": 50, "validate_every": 20, "batch_size": 2},
    )
    # The Estimator averages the validation loss in float32.
    assert_equal_courses(results, loss=1e-9, weights=1e-9)
    if device.startswith("GPU"):  # that is where they were
        assert tf.config.experimental.get_memory_info(device)["peak"] > 2**20
    history = results[0][0]
    assert [row["step"] for row in history if row["validation_dice"] is not None] == [20, 40, 50]
    for score in ("validation_dice", "validation_iou"):
        first, *others = ([row[score] for row in rows] for rows, _, _ in results)
        assert others == [first, first]
    # Of one class they say the same.
    last = history[-1]
    assert last["validation_iou"] == pytest.approx(last["validation_dice"] / (2 - last["validation_dice"]))
    losses = [row["loss"] for row in history if row["loss"] is not None]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_several_classes_in_float64(tmp_path):
    results = train_all(
        tmp_path,
        network={"rank": 3, "depth": 2, "filters": 2},
        data={"name": "blobs3d", "images": 4, "size": [16, 20, 24]},
        preprocessing={"normalisation": "case", "positions": True},
        sampling={"crop": [8, 16, 16], "samples_per_class": [1, 1, 1]},
        training={"steps": 8, "validate_every": 4, "batch_size": 2},
    )
    assert_equal_courses(results, loss=1e-9, weights=1e-9)
    for score in ("validation_dice", "validation_iou"):
        first, *others = ([row[score] for row in rows] for rows, _, _ in results)
        assert others == [first, first]
    assert results[0][2].network.classes == 3 and results[0][2].network.channels == 4


@pytest.mark.slow
def test_volumes_with_instance_normalisation_and_deep_supervision_in_float64(tmp_path):
    results = train_all(
        tmp_path,
        network={
            "rank": 3,
            "depth": 3,
            "filters": 2,
            "normalisation": "instance",
            "activation": "leaky_relu",
            "pooling": [[1, 2, 2], [2, 2, 2]],
            "deep_supervision": 1,
        },
        data={"images": 3, "size": [16, 20, 24]},
        sampling={"crop": [8, 16, 16]},
    )
    assert_equal_courses(results, loss=1e-9, weights=1e-9)
    assert "head2/kernel" in results[0][1]


@first_quickly("rule", "per_part", "glorot_uniform")
def test_trainings_start_from_weights_of_the_chosen_rule(tmp_path, rule):
    still = {"name": "sgd", "learning_rate": 1e-30, "momentum": 0.0}
    settings = {"network": {"depth": 2, "filters": 2}, "training": {"steps": 1, "batch_size": 2}}
    for _history, final, run in train_all(tmp_path, initialisation=rule, optimizer=still, **settings):
        model = load(run.experiment.implementation).Model
        drawn, others = (model(run.network, 0, "float64", kind).weights() for kind in (rule, "he_normal"))
        for name in (name for name in drawn if name.endswith("kernel")):
            np.testing.assert_allclose(final[name], drawn[name], rtol=0, atol=1e-12, err_msg=name)
            if rule != "per_part" or not name.startswith("encoder"):  # there kernels have two equal fans
                assert np.abs(final[name] - others[name]).max() > 1e-3


@pytest.mark.parametrize(
    "optimizer, schedule",
    [
        (
            {"name": "sgd", "momentum": 0.5, "weight_decay": 0.125, "l2": 0.0625},
            {"name": "cosine", "warmup": 3},
        ),
        slow(
            {"name": "adam", "learning_rate": 2.0**-10, "clip_norm": 0.5}, {"name": "plateau", "patience": 1}
        ),
        slow({"name": "sgd", "momentum": 0.875, "nesterov": True}, {"name": "cosine", "warmup": 3}),
        slow(
            {"name": "sgd", "momentum": 0.5, "clip_norm": 0.125}, {"name": "step", "every": 3, "factor": 0.5}
        ),
        slow({"name": "rmsprop", "learning_rate": 2.0**-10}, {"name": "polynomial"}),
    ],
    ids=lambda setting: setting["name"],
)
def test_optimizers_and_schedules_in_float64(tmp_path, optimizer, schedule):
    results = train_all(tmp_path, optimizer=optimizer, schedule=schedule)
    # Decay 0.9 of rmsprop and the betas of adam are rounded to float32 by tf.train and, for adam, by Keras: a
    # relative 1e-8 of steps, which ten steps at most make a hundred times larger.
    bound = 1e-9 if optimizer["name"] == "sgd" else 1e-5
    assert_equal_courses(results, loss=bound, weights=bound)


def test_twenty_steps_of_adam_in_float32(tmp_path):
    results = train_all(
        tmp_path,
        precision="float32",
        optimizer={"name": "adam", "learning_rate": 1e-3},
        training={"steps": 20, "validate_every": 10, "batch_size": 2},
    )
    losses = [[row["loss"] for row in rows if row["loss"] is not None] for rows, _, _ in results]
    for other in losses[1:]:
        assert other[0] == pytest.approx(losses[0][0], abs=1e-5)
        np.testing.assert_allclose(other, losses[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "rule, optimizer",
    [
        slow("nesterov", {"name": "sgd", "momentum": 0.875, "nesterov": True}),
        ("adam", {"name": "adam"}),
        slow("decayed", {"name": "sgd", "weight_decay": 0.5}),
        slow("momentum", {"name": "sgd"}),
        slow("clipped", {"name": "sgd", "clip_norm": 0.125}),
        slow("rmsprop", {"name": "rmsprop"}),
        slow("penalised", {"name": "sgd", "l2": 0.25}),
    ],
)
def test_the_first_step_is_the_textbooks(tmp_path, rule, optimizer):
    """One update against the formula in NumPy, from the gradients that `Model` gives."""
    rate = 2.0**-6
    settings = {
        "network": {"depth": 2, "filters": 2},
        "optimizer": {**optimizer, "learning_rate": rate},
        "training": {"steps": 1, "batch_size": 2},
    }
    for history, final, run in train_all(tmp_path, **settings):
        model = load(run.experiment.implementation).Model(run.network, run.experiment.seed, "float64")
        before = model.weights()
        images, targets = next(run.training_batches(0).as_numpy_iterator())
        loss, gradients = model.loss_and_gradients(images, targets, run.experiment.loss)
        kernels = [value for name, value in before.items() if name.endswith("kernel")]
        penalty = 0.25 * sum((value**2).sum() for value in kernels) if rule == "penalised" else 0
        assert history[0]["loss"] == pytest.approx(loss + penalty, abs=1e-12)
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients.values()))
        assert norm > 0.125  # there is something to clip
        for name, gradient in gradients.items():
            value = before[name] if name.endswith("kernel") else 0  # biases and normalisations are spared
            step = {
                "momentum": lambda g: rate * g,
                "decayed": lambda g, value=value: rate * (g + 0.5 * value),
                "penalised": lambda g, value=value: rate * (g + 0.25 * 2 * value),
                "nesterov": lambda g: rate * (g + 0.875 * g),
                "clipped": lambda g, norm=norm: rate * g * 0.125 / norm,
                "rmsprop": lambda g: rate * g / np.sqrt(0.1 * g**2 + 1e-7),
                # The corrected moments are g and g squared; epsilon is added before the correction.
                "adam": lambda g: rate * np.sqrt(1e-3) * g / (np.sqrt(1e-3 * g**2) + 1e-7),
            }[rule](gradient)
            bound = 1e-12 if optimizer["name"] == "sgd" else 1e-6  # constants rounded to float32
            np.testing.assert_allclose(before[name] - final[name], step, rtol=0, atol=bound, err_msg=name)


def test_a_training_goes_on_in_another_implementation(tmp_path):
    """The interchange file carries the weights; without slots (momentum 0) nothing else is needed."""
    plain = {"optimizer": {"name": "sgd", "learning_rate": 2.0**-4, "momentum": 0.0}}
    ((_, keras_weights, run),) = train_all(tmp_path / "first", ["keras"], **plain)
    results = train_all(tmp_path / "second", **plain, initial_weights=str(run.final_weights))
    assert_equal_courses(results, loss=1e-9, weights=1e-9)
    start = load("lowlevel").Model(run.network, precision="float64")
    start.set_weights(keras_weights)
    images, targets = next(run.training_batches(0).as_numpy_iterator())
    loss, _ = start.loss_and_gradients(images, targets, run.experiment.loss)
    assert results[1][0][0]["loss"] == pytest.approx(loss, abs=1e-9)


@pytest.mark.parametrize("name", ["lowlevel", "highlevel"])
def test_nothing_waits_for_each_of_many(name, tmp_path, monkeypatch):
    """With an edge from every moving statistic to every gradient, TensorFlow planned hrnet for six minutes."""
    graphs = []
    monkeypatch.setattr(steps, "_ancestors", lambda operations: graphs.append(operations[0].graph))
    optimizer = {"name": "adam", "weight_decay": 1e-4}
    run = Run.create(tmp_path, experiment_from({**SETTINGS, "optimizer": optimizer, "implementation": name}))
    steps.build(run, steps.one_batch(run))
    operations = graphs[0].get_operations()
    assert sum(len(operation.control_inputs) for operation in operations) < len(operations)
