"""A training that was stopped, in whatever way, goes on as if it had not been: bit for bit on the CPU."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import EACH, ROOT, first_quickly

from data.errors import UserError
from unet_common.experiment import experiment_from
from unet_common.implementation import load
from unet_common.training import checkpoints
from unet_common.training.history import read_history
from unet_common.training.run import Run
from unet_common.weights.interchange import load_weights

SETTINGS = {
    "network": {"depth": 2, "filters": 2, "dropout": 0.25},
    "data": {"images": 5, "size": [32, 32]},
    "sampling": {"crop": [16, 16]},
    "augmentation": {"rotation": 90, "elastic": 1.0, "noise": 0.1},
    "schedule": {"name": "plateau", "patience": 1, "factor": 0.5},
    "training": {"steps": 60, "batch_size": 2, "validate_every": 8, "keep": 2},
}


def new_run(path, implementation, **changes):
    return Run.create(path, experiment_from({**SETTINGS, "implementation": implementation, **changes}))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """History, final and best weights of a training that nothing stopped; each trained once."""
    cache = {}

    def train(implementation):
        if implementation not in cache:
            run = new_run(tmp_path_factory.mktemp("unbroken") / implementation, implementation)
            load(implementation).train(run)
            cache[implementation] = run
        return cache[implementation]

    return train


# The resume command, which also starts a run that has not begun; it sends itself a signal some milliseconds after a
# step: in the middle of whatever happens then, and however busy the machine is that runs the tests.
STOPPED = """
import os, random, signal, sys, threading
from pathlib import Path
from unet_common.implementation import load
from unet_common.training.monitor import Monitor
from unet_common.training.run import Run

path, number, last_step = Path(sys.argv[1]), signal.Signals[sys.argv[2]], int(sys.argv[3])
report = Monitor.batch_done

def batch_done(monitor, loss):
    report(monitor, loss)
    if monitor.step == last_step:
        threading.Timer(random.uniform(0, 0.02), os.kill, (os.getpid(), number)).start()

Monitor.batch_done = batch_done
run = Run.open(path)
load(run.experiment.implementation).train(run)
"""


def train_until_stopped(path, signal_name, step):
    """The exit status of a training in a process of its own that gets a signal after `step`."""
    command = [sys.executable, "-c", STOPPED, str(path), signal_name, str(step)]
    return subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL, timeout=300).returncode


def assert_same(run, reference):
    """Weights and history are those of the training that was never stopped."""
    for file in ("final_weights", "best_weights"):
        here, there = (load_weights(getattr(one, file), run.network) for one in (run, reference))
        for name, value in there.items():
            np.testing.assert_array_equal(here[name], value, err_msg=f"{file}: {name}")
    assert read_history(run.history) == read_history(reference.history)


@EACH
def test_killed_at_a_random_moment(implementation, unbroken, tmp_path):
    run = new_run(tmp_path / "run", implementation)
    assert train_until_stopped(run.path, "SIGKILL", random.randint(10, 30)) == -signal.SIGKILL
    assert run.state.name == "killed"
    Run.resume(run.path, {})  # what --resume checks first
    load(implementation).train(run)
    assert run.state.name == "finished"
    assert_same(run, unbroken(implementation))


@pytest.mark.slow
@EACH
def test_volumes_go_on_bit_for_bit(implementation, tmp_path):
    changes = {
        "network": {"rank": 3, "depth": 3, "filters": 2, "normalisation": "instance", "deep_supervision": 1},
        "data": {"name": "blobs3d", "images": 4, "size": [16, 16, 16]},
        "preprocessing": {"normalisation": "case", "positions": True},
        "sampling": {"crop": [8, 8, 8], "samples_per_class": [1, 1, 1]},
        "augmentation": {
            "rotation": 20,
            "gamma": {"amount": 0.5, "probability": 0.5},
            "blur": 1,
            "noise": 0.1,
        },
    }
    runs = []
    for name, steps in (("unbroken", 12), ("broken", 5)):
        training = {**SETTINGS["training"], "steps": steps, "validate_every": 4}
        runs.append(new_run(tmp_path / name, implementation, **changes, training=training))
        load(implementation).train(runs[-1])
    resumed = Run.resume(tmp_path / "broken", {"training.steps": 12})
    load(implementation).train(resumed)
    here, there = (load_weights(run.final_weights, run.network) for run in (resumed, runs[0]))
    for name, value in there.items():
        np.testing.assert_array_equal(here[name], value, err_msg=name)
    losses = [[row["loss"] for row in read_history(run.history) if row["loss"]] for run in (resumed, runs[0])]
    assert losses[0] == losses[1] and len(losses[0]) == 12


@first_quickly("implementation", "highlevel", "lowlevel", "keras")
def test_interrupted_with_ctrl_c(implementation, unbroken, tmp_path):
    run = new_run(tmp_path / "run", implementation)
    assert train_until_stopped(run.path, "SIGINT", 21) == 0  # the loop ends as it always does
    assert run.state.name == "interrupted"
    stopped_at = max(row["step"] for row in read_history(run.history))
    assert checkpoints.step_of(checkpoints.latest_intact(run.checkpoints)) == stopped_at
    load(implementation).train(run)
    assert_same(run, unbroken(implementation))


@EACH
def test_a_damaged_checkpoint_is_passed_over(implementation, unbroken, tmp_path, capsys):
    run = new_run(tmp_path / "run", implementation, training={**SETTINGS["training"], "steps": 24})
    load(implementation).train(run)
    latest = checkpoints.latest_intact(run.checkpoints)
    data = Path(f"{latest}.data-00000-of-00001")
    os.truncate(data, data.stat().st_size // 2)
    resumed = Run.resume(run.path, {"training.steps": 60})
    assert checkpoints.step_of(checkpoints.latest_intact(run.checkpoints)) == 16
    assert "is damaged or not finite; trying the one before" in capsys.readouterr().err
    load(implementation).train(resumed)
    assert_same(resumed, unbroken(implementation))


@EACH
def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(implementation, tmp_path):
    run = new_run(
        tmp_path / "run",
        implementation,
        optimizer={"name": "sgd", "learning_rate": 1e-3},
        schedule={"name": "step", "every": 11, "factor": 1e-9},
    )
    poison(run)
    with pytest.raises(UserError, match=r"The loss became nan at step 12; .*--learning-rate \(now 0\.001\)"):
        load(implementation).train(run)
    assert run.state.name == "failed"
    latest = checkpoints.latest_intact(run.checkpoints)
    assert checkpoints.step_of(latest) == 8
    for value in load_weights(run.best_weights, run.network).values():
        assert np.isfinite(value).all()


def poison(run):
    """Make the images of the twelfth step NaN."""
    sample = run.sampler.sample

    def poisoned(number):
        image, target = sample(number)
        return image * np.float32("nan" if number // 2 == 11 else 1), target

    run.sampler.sample = poisoned


@EACH
def test_early_stopping(implementation, tmp_path):
    """With a rate of nearly nothing the first validation stays the best."""
    run = new_run(
        tmp_path / "run",
        implementation,
        optimizer={"name": "sgd", "learning_rate": 1e-30},
        network={"depth": 2, "filters": 2, "normalisation": "none"},
        training={**SETTINGS["training"], "early_stopping": 2},
    )
    load(implementation).train(run)
    assert run.state.name == "stopped early"
    assert read_history(run.history)[-1]["step"] == 24
    assert run.final_weights.is_file()


@EACH
def test_without_validation(implementation, tmp_path):
    run = new_run(
        tmp_path / "run",
        implementation,
        sampling={"crop": [16, 16], "validation": 0},
        training={"steps": 5, "batch_size": 2},
        schedule={"name": "constant"},  # the usual one of these tests waits for validations
    )
    load(implementation).train(run)
    assert run.state.name == "finished" and run.final_weights.is_file() and not run.best_weights.exists()
    load(implementation).train(run)  # a finished training has nothing left to do, and does no harm
    assert run.state.name == "finished" and len(read_history(run.history)) == 5


@pytest.mark.slow
@EACH
def test_a_full_disk_leaves_the_previous_checkpoint(implementation, unbroken, tmp_path):
    """The limit on the size of files stands for the disk: writes fail with EFBIG instead of ENOSPC."""
    run = new_run(tmp_path / "run", implementation, training={**SETTINGS["training"], "steps": 16})
    load(implementation).train(run)
    program = (
        "import resource, signal, sys; from pathlib import Path; from unet_common.implementation import load;"
        "from unet_common.training.run import Run; from data.errors import run_command;"
        "run = Run.resume(Path(sys.argv[1]), {'training.steps': 60});"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY));"
        "run_command(lambda: load(run.experiment.implementation).train(run))"
    )
    command = [sys.executable, "-c", program, str(run.path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2, ended.stderr
    assert f"error: {run.path}" in ended.stderr and "could not be written" in ended.stderr
    assert checkpoints.step_of(checkpoints.latest_intact(run.checkpoints)) >= 16
    load(implementation).train(Run.resume(run.path, {}))
    assert_same(run, unbroken(implementation))
