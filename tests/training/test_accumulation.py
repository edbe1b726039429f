"""A step of several batches: their mean gradient, as that of one batch so many times as large."""

import numpy as np
import pytest
from helpers import EACH, ONE, SETTINGS, assert_equal_courses, first_quickly, slow, train_all

from unet_common.experiment import experiment_from
from unet_common.implementation import load
from unet_common.training.beginning import lines_on_training
from unet_common.training.history import read_history
from unet_common.training.monitor import Monitor
from unet_common.training.run import Run
from unet_common.weights.interchange import load_weights


@EACH
@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "momentum": 0.5, "clip_norm": 0.125, "weight_decay": 0.125, "l2": 0.0625},
        slow({"name": "adam", "clip_norm": 0.125}),
        slow({"name": "rmsprop"}),
    ],
    ids=lambda settings: settings["name"],
)
def test_it_is_the_larger_batch(tmp_path, implementation, optimizer):
    """Clipped is the mean, and weights decay once a step. Batch norm and a pooled Dice would see other batches."""
    results = []
    for batch_size, accumulate in ((6, 1), (2, 3)):
        (result,) = train_all(
            tmp_path / str(batch_size),
            [implementation],
            network={**SETTINGS["network"], "normalisation": "instance"},
            loss="bce",
            optimizer=optimizer,
            training={"steps": 6, "validate_every": 4, "batch_size": batch_size, "accumulate": accumulate},
        )
        results.append(result)
    assert_equal_courses(results, loss=1e-12, weights=1e-12)
    (whole, _, run), (parts, _, in_parts) = results
    assert [row["epoch"] for row in parts] == [row["epoch"] for row in whole]
    assert run.experiment.training.samples_per_step == in_parts.experiment.training.samples_per_step == 6


def test_the_three_draw_other_masks_for_each_batch(tmp_path):
    """Dropout and moving statistics count batches, and not steps."""
    training = {"steps": 5, "validate_every": 2, "batch_size": 1, "accumulate": 2}
    network = {**SETTINGS["network"], "dropout": 0.25}
    results = train_all(tmp_path, network=network, training=training)
    assert_equal_courses(results, loss=1e-9, weights=1e-9)


@ONE
def test_the_moving_statistics_have_seen_every_batch(tmp_path, implementation):
    """The momentum of update n is (1 + n) / (10 + n), counted in batches; the weights stand still here."""
    still = {"name": "sgd", "learning_rate": 1e-30, "momentum": 0.0}
    training = {"steps": 2, "batch_size": 1, "accumulate": 3}
    ((_, weights, run),) = train_all(tmp_path, [implementation], optimizer=still, training=training)
    model = load(implementation).Model(run.network, 0, "float64")
    assert weights.keys() == model.weights().keys()
    expected = 0.0
    for number, (images, _targets) in enumerate(run.training_batches(0).as_numpy_iterator()):
        momentum = (1 + number) / (10 + number)
        kernel = model.weights()["encoder1/conv1/kernel"]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(images[0, ..., 0], 1), kernel.shape[:2])
        mean = np.einsum("hwij,ijf->hwf", windows, kernel[:, :, 0]).mean((0, 1))
        expected = momentum * expected + (1 - momentum) * mean
    np.testing.assert_allclose(weights["encoder1/norm1/moving_mean"], expected, rtol=0, atol=1e-12)


@first_quickly("implementation", "highlevel", "lowlevel", "keras")
def test_a_stop_within_a_step_waits_for_its_end_and_goes_on_exactly(tmp_path, implementation, monkeypatch):
    settings = {
        **SETTINGS,
        "implementation": implementation,
        "network": {**SETTINGS["network"], "dropout": 0.25},
        "training": {"steps": 5, "validate_every": 4, "batch_size": 1, "accumulate": 3},
    }
    unbroken, stopped = (
        Run.create(tmp_path / name, experiment_from(settings)) for name in ("unbroken", "stopped")
    )
    load(implementation).train(unbroken)
    report = Monitor.batch_done

    def interrupt_within(monitor, loss):
        report(monitor, loss)
        if monitor.step == 2 and not monitor.between_steps:
            monitor.interrupted = True

    monkeypatch.setattr(Monitor, "batch_done", interrupt_within)
    load(implementation).train(stopped)
    assert stopped.state.name == "interrupted" and stopped.steps_done() == 3
    monkeypatch.setattr(Monitor, "batch_done", report)
    load(implementation).train(stopped)
    assert stopped.state.name == "finished"
    assert read_history(stopped.history) == read_history(unbroken.history)
    weights = [load_weights(run.final_weights, run.network) for run in (unbroken, stopped)]
    for name, value in weights[0].items():
        np.testing.assert_array_equal(weights[1][name], value, err_msg=name)


def test_a_training_says_what_a_step_is(tmp_path):
    training = {"steps": 4, "batch_size": 2, "accumulate": 3}
    run = Run.create(tmp_path / "run", experiment_from({**SETTINGS, "training": training}))
    assert any(
        "4 steps, each 3 batches of 2 crops of 32 x 32" in line for line in lines_on_training(run, [], 0)
    )
    epochs = {"epochs": 2, "batch_size": 1, "accumulate": 2}
    run = Run.create(tmp_path / "epochs", experiment_from({**SETTINGS, "training": epochs}))
    assert run.steps == len(run.sampler) and run.epoch(run.steps) == 2
