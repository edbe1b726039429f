"""A run folder has an identity and an owner: moved, copied, handed on or wanted by two, nothing is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from helpers import ONE, ROOT, command, first_quickly
from PIL import Image

import predict
import train
from data.errors import UserError
from unet_common.experiment import experiment_from
from unet_common.implementation import load
from unet_common.training import checkpoints
from unet_common.training.cross_validation import train_folds
from unet_common.training.history import read_history
from unet_common.training.owner import OWNER, is_owned, owning
from unet_common.training.run import Run
from unet_common.weights.interchange import load_weights, save_weights

SETTINGS = {
    "network": {"depth": 2, "filters": 2},
    "data": {"images": 5, "size": [32, 32]},
    "sampling": {"crop": [16, 16]},
    "training": {"steps": 8, "batch_size": 2, "validate_every": 4},
}


def new_run(path, implementation="lowlevel", **changes):
    return Run.create(path, experiment_from({**SETTINGS, "implementation": implementation, **changes}))


def trained(path, implementation="lowlevel", **changes):
    run = new_run(path, implementation, **changes)
    load(implementation).train(run)
    return run


def content(folder):
    """Every file below a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same_weights(run, other):
    here, there = (load_weights(one.final_weights, one.network) for one in (run, other))
    for name, value in there.items():
        np.testing.assert_array_equal(here[name], value, err_msg=name)


# --- identity ------------------------------------------------------------------------------------------


@ONE
@first_quickly("relative", True, False)
def test_a_renamed_run_goes_on_from_its_own_checkpoints(implementation, relative, tmp_path, monkeypatch):
    """Another run took its old place: it goes on from there no more than from anywhere else."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path.relative_to(tmp_path) if relative else tmp_path
    trained(folder / "a", implementation)
    shutil.move(folder / "a", folder / "b")
    other = trained(folder / "a", implementation, seed=1)
    before = content(other.path)
    renamed = Run.resume(folder / "b", {"training.steps": 16})
    load(implementation).train(renamed)
    assert content(other.path) == before
    unbroken = trained(folder / "c", implementation, training={**SETTINGS["training"], "steps": 16})
    assert_same_weights(renamed, unbroken)
    assert read_history(renamed.history) == read_history(unbroken.history)


@ONE
def test_a_copy_touches_nothing_of_the_original(implementation, tmp_path):
    original = trained(tmp_path / "original", implementation)
    shutil.copytree(original.path, tmp_path / "copy")
    before = content(original.path)
    load(implementation).train(Run.resume(tmp_path / "copy", {"training.steps": 20}))
    assert content(original.path) == before
    assert checkpoints.step_of(checkpoints.latest_intact(tmp_path / "copy/checkpoints")) == 20
    shutil.rmtree(original.path)  # it does not need it either
    load(implementation).train(Run.resume(tmp_path / "copy", {"training.steps": 24}))


@pytest.mark.parametrize("name", ["a*", "a?", "a[1]", "a\\b"])
def test_a_name_that_tensorflow_takes_for_a_pattern_is_refused_before_anything(name, tmp_path):
    with pytest.raises(UserError, match="by which TensorFlow looks for several files"):
        new_run(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    run = new_run(tmp_path / "run")
    moved = shutil.move(run.path, tmp_path / name)
    with pytest.raises(UserError, match="by which TensorFlow looks for several files"):
        Run.resume(moved, {})


@ONE
def test_other_names_are_names(implementation, tmp_path):
    run = trained(tmp_path / "zellé 100% 'b' $(x) #a,b;{c}", implementation)
    load(implementation).train(Run.resume(run.path, {"training.steps": 9}))
    assert read_history(run.history)[-1]["step"] == 9


def test_a_terminal_of_ascii_gets_an_escaped_path(tmp_path):
    run = new_run(tmp_path / "zellé", training={"steps": 1})
    command_line = [sys.executable, "train.py", "--resume", str(run.path)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command_line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert r"zell\xe9" in done.stdout


# --- an owner ------------------------------------------------------------------------------------------

TRAINS = """
import sys, time
from pathlib import Path
from unet_common.training.owner import owning
with owning(Path(sys.argv[1])):
    print("owned", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def another(tmp_path):
    """Another process that owns a folder."""
    processes = []

    def owns(folder):
        folder.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", TRAINS, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "owned\n"
        return process

    yield owns
    for process in processes:
        process.kill()
        process.wait()


def test_one_process_trains_in_a_run(another, tmp_path):
    run = trained(tmp_path / "run")
    process = another(run.path)
    assert is_owned(run.path)
    before = content(run.path)
    for attempt in (lambda: Run.resume(run.path, {}), lambda: load("lowlevel").train(run)):
        with pytest.raises(UserError, match=rf"process {process.pid} on .* trains in it just now"):
            attempt()
        assert content(run.path) == before
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_owned(run.path)
    load("lowlevel").train(Run.resume(run.path, {"training.steps": 10}))  # the lock went with the process
    assert not (run.path / OWNER).exists()


def test_a_folder_is_claimed_before_any_data_is_read(another, tmp_path, monkeypatch):
    process = another(tmp_path / "run")
    monkeypatch.setattr("unet_common.training.run.complete", lambda experiment: 1 / 0)
    with pytest.raises(UserError, match=f"process {process.pid} on"):
        new_run(tmp_path / "run")


def test_the_process_of_another_host_is_told(tmp_path):
    """Not every network file system tells other hosts of locks."""
    run = trained(tmp_path / "run")
    owner = {"process": 12, "host": "elsewhere", "command": "train.py"}
    (run.path / OWNER).write_text(json.dumps(owner))
    with pytest.raises(
        UserError, match=r"process 12 on elsewhere \(train\.py\) began .*remove .*owner\.json"
    ):
        Run.resume(run.path, {})
    (run.path / OWNER).unlink()
    Run.resume(run.path, {})


def test_a_folder_that_is_owned_is_free_again_after_an_error(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(ZeroDivisionError), owning(folder):
        raise ZeroDivisionError
    with owning(folder), pytest.raises(UserError, match="trains in it just now"), owning(folder):
        pass
    assert not is_owned(folder)


def test_two_trainings_of_one_second_get_a_folder_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _form: "2026")
    flags = ["--set", "data.images=3", "--set", "data.size=[16,16]", "--set", "sampling.crop=[16,16]"]
    flags += ["--set", "network.depth=2", "--set", "network.filters=2", "--steps", 1, "--batch-size", 1]
    for _ in range(2):
        command(train, *flags)
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        "2026_unet_membranes_lowlevel",
        "2026_unet_membranes_lowlevel_2",
    }


def test_what_was_left_of_a_run_that_was_never_made_is_in_nobodys_way(tmp_path):
    run = new_run(tmp_path / "run")
    (run.path / "experiment.yaml").unlink()  # killed just before
    assert new_run(tmp_path / "run") == run
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already: choose another --run"):
        new_run(tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


# --- handed on -----------------------------------------------------------------------------------------


def image_folder(folder, seed=0):
    generator = np.random.default_rng(seed)
    for part, high in (("images", 255), ("masks", 2)):
        (folder / part).mkdir(parents=True)
        for name in "abcd":
            pixels = generator.integers(0, high, (20, 20)) * (1 if part == "images" else 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / part / f"{name}.png")


def test_the_data_may_move(tmp_path):
    data = {"name": "folder", "directory": str(tmp_path / "data")}
    image_folder(tmp_path / "data")
    run = trained(tmp_path / "run", data=data)
    shutil.move(tmp_path / "data", tmp_path / "moved")
    with pytest.raises(UserError, match="If the data has moved: --data-dir"):
        Run.resume(run.path, {})
    image_folder(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match=r"other is not what .*run was trained on"):
        Run.resume(run.path, {"data.directory": str(tmp_path / "other")})
    (tmp_path / "other/images/a.png").unlink()
    (tmp_path / "other/masks/a.png").unlink()
    with pytest.raises(UserError, match=r"names 1 images that the data set does not have"):
        Run.resume(run.path, {"data.directory": str(tmp_path / "other")})
    moved = Run.resume(run.path, {"data.directory": str(tmp_path / "moved"), "training.steps": 10})
    load("lowlevel").train(moved)
    assert Run.open(run.path).source.directory == tmp_path / "moved"


def test_the_data_is_found_from_anywhere(tmp_path, monkeypatch):
    image_folder(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    run = new_run(tmp_path / "run", data={"name": "folder", "directory": "data"})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Run.resume(run.path, {}).source.names() == list("abcd")


@ONE
def test_weights_to_start_from_may_go_once_the_run_has_begun(implementation, tmp_path, monkeypatch):
    first = trained(tmp_path / "first")
    monkeypatch.chdir(tmp_path)
    shutil.copy(first.best_weights, "start.h5")
    unbroken = trained(tmp_path / "unbroken", implementation, initial_weights="start.h5")
    run = new_run(tmp_path / "run", implementation, initial_weights="start.h5")
    os.remove("start.h5")
    monkeypatch.chdir(first.path)
    load(implementation).train(Run.resume(run.path, {}))  # killed before its first step, say
    assert_same_weights(run, unbroken)
    load(implementation).train(Run.resume(run.path, {"training.steps": 10}))


def test_mistyped_weights_leave_nothing_behind(tmp_path):
    other = tmp_path / "other.h5"
    network = experiment_from({"network": {"depth": 3}}).network
    save_weights(other, {"head/bias": np.zeros(1)}, network)
    for changes, message in (
        ({"initial_weights": "missing.h5"}, "There is no weights file"),
        ({"initial_weights": str(other)}, "weights of another network"),
        (
            {"network": {"name": "unet_encoder"}, "sampling": {"crop": [32, 32]}, "pretrained": "missing.h5"},
            "missing",
        ),
        ({"sampling": {"crop": [64, 64]}}, "images are smaller than the training crop"),
        ({"data": {"name": "folder", "directory": str(tmp_path / "none")}}, "does not exist"),
    ):
        with pytest.raises(UserError, match=message):
            new_run(tmp_path / "run", **changes)
        assert not (tmp_path / "run").exists()


@ONE
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(implementation, tmp_path):
    unbroken = trained(tmp_path / "unbroken", implementation)
    run = new_run(tmp_path / "run", implementation)
    run.state.write("running")
    (run.history).write_text(
        "step,epoch,loss,learning_rate,validation_loss,validation_dice\n1,0.5,2.0,0.001,,\n"
    )
    load(implementation).train(Run.resume(run.path, {}))
    assert_same_weights(run, unbroken)
    assert read_history(run.history) == read_history(unbroken.history)
    shutil.rmtree(run.checkpoints)  # but a training that went on has some, or they are lost
    with pytest.raises(
        UserError, match=r"has no checkpoint to resume from: what was in .*checkpoints is gone"
    ):
        Run.resume(run.path, {})


# --- length, and flags ---------------------------------------------------------------------------------


def test_a_run_cannot_become_shorter_than_it_is(tmp_path):
    run = trained(tmp_path / "run")
    before = content(run.path)
    with pytest.raises(UserError, match="has made 8 steps already: it cannot end after 3"):
        Run.resume(run.path, {"training.steps": 3})
    assert {k: v for k, v in content(run.path).items() if k.name != ".lock"} == {
        k: v for k, v in before.items() if k.name != ".lock"
    }
    assert Run.resume(run.path, {"training.steps": 8}).steps == 8


@ONE
def test_a_training_that_stopped_early_says_so_and_how_to_go_on(implementation, tmp_path, capsys):
    flags = ["--impl", implementation, "--set", "data.images=5", "--set", "data.size=[32,32]", "--steps", 20]
    flags += ["--set", "sampling.crop=[16,16]", "--set", "network.depth=2", "--set", "network.filters=2"]
    flags += ["--set", "training.validate_every=2", "--set", "training.early_stopping=2", "--batch-size", 1]
    flags += ["--set", "optimizer={name: sgd, learning_rate: 1.0e-30}", "--set", "network.normalisation=none"]
    command(train, "--run", tmp_path / "run", *flags)
    told = "Stopped early after step 6 of 20: no better Dice in 2 validations"
    assert told in capsys.readouterr().out
    command(train, "--resume", tmp_path / "run")
    printed = capsys.readouterr().out
    assert told in printed and "--set training.early_stopping=4" in printed
    command(train, "--resume", tmp_path / "run", "--set", "training.early_stopping=4")
    assert "Stopped early after step 10 of 20" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, told",
    [
        (["--config", "x.yaml"], "leave out --config"),
        (["--run", "x"], "leave out --run"),
        (["--fold", "all"], "leave out --fold"),
        (["--fold", "1", "--run", "x"], "leave out --run, --fold"),
        (["--weights", "all"], "initial_weights cannot change"),
        (["--set", "seed=3"], "seed cannot change"),
    ],
)
def test_flags_that_a_resumed_run_has_no_use_for_are_refused(flags, told, tmp_path):
    run = new_run(tmp_path / "run")
    with pytest.raises(UserError, match=told):
        command(train, "--resume", run.path, *flags)


# --- cross-validation ----------------------------------------------------------------------------------


def test_a_cross_validation_is_of_one_kind(tmp_path, capsys):
    sampling = {"crop": [16, 16], "folds": 2}
    experiment = experiment_from({**SETTINGS, "sampling": sampling})
    trainer = load("lowlevel").train
    train_folds(tmp_path / "cv", experiment, trainer)
    capsys.readouterr()
    other = experiment_from({**SETTINGS, "sampling": sampling, "loss": "dice", "seed": 1})
    with pytest.raises(
        UserError, match=r"(?s)other settings:.*loss: 'dice \+ cross_entropy' there, 'dice' here.*seed"
    ):
        train_folds(tmp_path / "cv", other, trainer)
    train_folds(tmp_path / "cv", experiment, trainer)
    assert "All 2 folds in" in capsys.readouterr().out
    command(predict, "--run", tmp_path / "cv")
    with pytest.raises(UserError, match="keeps its settings"):
        command(train, "--resume", tmp_path / "cv", "--seed", 2)
