"""The commands answer at once: help, lists and refusals come before TensorFlow, and whatever else is slow, is imported.

No clock here: `python -m benchmarks.start` measures.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from unet_common.experiment import experiment_from
from unet_common.networks import CATALOGUE
from unet_common.training.run import Run
from unet_common.weights.interchange import save_weights

ROOT = Path(__file__).parent.parent
COMMANDS = ("train.py", "predict.py", "evaluate.py", "compare.py")

# TensorFlow takes seconds; each of the others takes a tenth of a second or more, of the half that an answer may take.
LATE = {
    "tensorflow", "keras", "tf_keras", "tensorflow_estimator", "matplotlib", "nibabel", "pydicom", "scipy.ndimage",
    "scipy.interpolate", "scipy.special", "skimage.transform", "skimage.measure", "jinja2", "pygments",
}  # fmt: skip

# Runs command lines as Python would run them, one after the other in one process: what the first imports would be
# found after each of them, so it is enough that nothing slow is there in the end. Prints what became of each.
PROGRAM = """
import contextlib, io, json, runpy, sys
answers = []
for sys.argv in json.load(sys.stdin):
    output, errors, status = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            if sys.argv[0] == "data":
                runpy.run_module("data", run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            status = end.code
    answers.append([status or 0, output.getvalue(), errors.getvalue(), list(sys.modules)])
print(json.dumps(answers))
"""


def answers(lines: list[list[str]]) -> list[tuple[int, str, str]]:
    """Status, output and errors of command lines that import nothing slow."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(lines), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    result = []
    for line, (*answer, modules) in zip(lines, json.loads(done.stdout), strict=True):
        assert not LATE & set(modules), line
        result.append(answer)
    return result


def assert_refused(cases: list[tuple[str, str]]) -> None:
    """The command lines end with status 2 and these words."""
    lines, messages = zip(*((line.split(), message) for line, message in cases), strict=True)
    for line, message, answer in zip(lines, messages, answers(lines), strict=True):
        status, output, errors = answer
        assert (status, output) == (2, "") and message in errors, (line, errors)


def test_help():
    lines = [[command, "--help"] for command in (*COMMANDS, "data")]
    lines += [["data", name, "--help"] for name in ("check", "show", "pack", "fetch")]
    for line, (status, output, errors) in zip(lines, answers(lines), strict=True):
        assert (status, errors) == (0, "") and output.startswith("usage: "), line


def test_the_list_of_networks():
    text, as_json = answers([["train.py", "--list-networks"], ["train.py", "--list-networks", "--json"]])
    assert text[0] == as_json[0] == 0
    assert all(f"\n{name}\n" in f"\n{text[1]}" for name in CATALOGUE)
    assert len(json.loads(as_json[1])) == len(CATALOGUE)


def test_unknown_flags_are_refused():
    lines = [*COMMANDS, "data check membranes", "data fetch isbi2012"]
    assert_refused([(f"{line} --nonsense", "unrecognized arguments: --nonsense") for line in lines])


SETTINGS = [
    ("--network alexnet", "argument --network: invalid choice: 'alexnet'"),
    ("--steps many", "argument --steps: invalid int value: 'many'"),
    ("--steps 0", "error: training.steps: should be greater than 0; got 0"),
    ("--set network.dept=3", "error: network.dept: unknown; allowed here: "),
    ("--set network.depth=99", "error: network.depth: should be less than or equal to 8; got 99"),
    ("--set network.context=3 --network vnet", "error: network.context: unknown; allowed here: "),
    ("--set network.activation=gelu", "error: network.activation: "),
    ("--set optimizer.rate=1", "error: optimizer.rate: unknown; allowed here: "),
    ("--set depth", "error: --set takes KEY=VALUE, such as network.depth=4; got 'depth'."),
    ("--set network.depth=[", "error: --set network.depth: '[' is not understood as YAML."),
    ("--set sampling.crop=[100,100]", "error: sampling.crop: unet does not accept inputs of size 100x100"),
    ("--config nowhere.yaml", "error: The settings file nowhere.yaml cannot be read"),
    ("--loss nonsense", "error: loss: 'nonsense' in 'nonsense' is not understood"),
    ("--loss focal(gama=3)", "error: loss: focal: gama: unknown; allowed here: alpha, gamma"),
    ("--loss bce --set network.classes=3", "error: loss: bce: is for one class or for classes that may overlap"),
    ("--loss dice[4] --data blobs3d", "error: loss: dice: there is no class 4: the network has the classes 0 to 2"),
    ("--loss dice(weights=[1,2])", "error: loss: dice: weights: must be one for each class but the background, 1"),
    ("--learning-rate 0,001", "argument --learning-rate: '0,001' is not a number: write a decimal point, 0.001"),
    ("--epochs some", "argument --epochs: 'some' is not a number"),
    ("--fold abc", "argument --fold: 'abc' is no fold: write its number, from 0 on, or 'all'"),
    ("--data-dir nowhere", "error: There is no folder nowhere (--data-dir)."),
    ("--data-dir docs", "error: docs has none of the layouts that are understood"),
    ("--data membranes --data-dir docs", "the membranes are generated: choose other --data to read files"),
    ("--data folder", "error: folder needs --data-dir"),
    ("--data folder --data-dir nowhere", "nowhere/images does not exist"),
    ("--data volumes --data-dir nowhere", "nowhere/images does not exist"),
    ("--data decathlon --data-dir nowhere", "nowhere/dataset.json cannot be read"),
    ("--data isbi2012 --data-dir nowhere", "nowhere (--data-dir) does not exist"),
    ("--data packed --data-dir nowhere", "nowhere is no packed data set"),
    ("--set network.channels=3", "error: network.channels is 3, but the inputs made of 'membranes' have 1"),
    ("--weights nowhere.h5", "error: There is no weights file nowhere.h5."),
    ("--network unet_encoder --set pretrained=nowhere.h5", "error: There is no file nowhere.h5 with pretrained"),
]  # fmt: skip


@pytest.mark.parametrize("command", ["train.py", "compare.py"])
def test_settings_of_a_training_are_refused(command):
    assert_refused([(f"{command} {flags}", message) for flags, message in SETTINGS])


def test_settings_in_a_file_are_refused(tmp_path):
    (tmp_path / "misspelt.yaml").write_text("network: {depht: 4}\ntraining: {steps: -1}\n")
    (tmp_path / "broken.yaml").write_text("network: [")
    assert_refused(
        [
            (f"train.py --config {tmp_path}/misspelt.yaml", "network.depht: unknown; allowed here: "),
            (f"train.py --config {tmp_path}/broken.yaml", "is not YAML"),
        ]
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run that was created and not trained, with an image beside it."""
    settings = {"data": {"images": 3, "size": [64, 64]}, "sampling": {"crop": [64, 64], "validation": 0.4}}
    run = Run.create(tmp_path_factory.mktemp("runs") / "run", experiment_from(settings))
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(run.path / "a.png")
    return run


def test_a_threshold_is_refused_where_classes_exclude_each_other(tmp_path):
    settings = {
        "data": {"images": 3, "size": [64, 64]},
        "sampling": {"crop": [64, 64]},
        "network": {"classes": 2},
    }
    run = Run.create(tmp_path / "run", experiment_from(settings))
    save_weights(tmp_path / "good.h5", {"head/bias": np.zeros(2)}, run.network)
    flags = f"--run {run.path} --weights {tmp_path}/good.h5 --threshold 0.3"
    message = "--threshold is for sigmoids. The 2 classes of this network exclude each other"
    assert_refused([(f"{name} {flags}", message) for name in ("predict.py", "evaluate.py")])


def test_a_misspelt_group_in_a_file_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("preprocesing: {crop: true}\nnetwork: {depth: 3}\n")
    flags = f"membranes {tmp_path}/out --to hdf5 --config {tmp_path}/x.yaml"
    assert_refused([(f"data pack {flags}", "x.yaml: preprocesing is unknown. Is it preprocessing?")])


def test_runs_and_weights_are_refused(run):
    good, other = run.path / "good.h5", run.path / "other.h5"
    save_weights(good, {"head/bias": np.zeros(1)}, run.network)
    save_weights(other, {"head/bias": np.zeros(1)}, CATALOGUE["vnet"]())
    predict, evaluate = f"predict.py --run {run.path}", f"evaluate.py --run {run.path}"
    assert_refused(
        [
            ("train.py --resume nowhere", "error: There is no run folder nowhere."),
            (f"train.py --resume {run.path} --seed 3", "error: A resumed run keeps its settings; seed cannot change."),
            (f"train.py --run {run.path}", "exists already"),
            (f"train.py --weights {other}", "other.h5 holds the weights of another network"),
            ("predict.py --run nowhere", "error: There is no run folder nowhere."),
            (predict, "has no best weights yet"),
            (f"{predict} --weights nowhere.h5", "error: There is no weights file nowhere.h5."),
            (f"{predict} --weights {other}", "other.h5 holds the weights of another network"),
            (f"{predict} --weights {good} --input nowhere.png", "error: nowhere.png: there is no such file."),
            (f"{predict} --tile 0", "tile: should be greater than 0; got 0"),
            (f"{predict} --tile 1x", "argument --tile: '1x' is no size: write one side, such as 64, or all of them"),
            (f"{predict} --threshold 0,5", "argument --threshold: '0,5' is not a number: write a decimal point, 0.5"),
            (f"{predict} --threshold 2", "error: threshold: should be less than 1; got 2"),
            (f"{predict} --weights {good} --overlap 0.25", "--overlap is of tiles, and this network takes images"),
            (f"{predict} --weights {good} --tolerance 2", "--tolerance is of the surface Dice, a score of volumes"),
            (f"{predict} --weights {good} --input {run.path}/a.png --least-size 9", "--least-size is of scores"),
            (f"{predict} --weights {good} --figures", "--figures are of volumes, and these are images"),
            (f"{predict} --weights {good} --input {run.path}/a.png --figures", "--figures are of volumes"),
            (f"{predict} --weights {good} --look", "--look is at volumes, and these are images: their overlays"),
            (f"{predict} --look everything", "argument --look: invalid choice: 'everything'"),
            (f"{predict} --weights {good} --features x", "--features: unet has no level 'x'. It has head, and layers"),
            (f"{predict} --weights {good} --contrast 1", "--contrast is of feature maps: give --features as well."),
            (f"{predict} --weights {good} --features head --contrast x", "--contrast: there is no class 'x'; there"),
            (f"{evaluate} --weights {good} --overlap 0.25", "--overlap is of tiles"),
            ("evaluate.py --run nowhere", "error: There is no run folder nowhere."),
            (f"{evaluate} --weights final", "has no final weights yet"),
            (f"{evaluate} --weights {good} --level 2", "--level is for unet_plus_plus"),
            (f"{evaluate} --weights {good} --tile 8x8x8", "tile is (8, 8, 8): give one side in pixels"),
            (f"{evaluate} --watch --one-look", "--one-look is for unet_fine_grained"),
            (f"compare.py --output {run.path}", "exists already and is not empty: choose another --output."),
            ("compare.py --impl keras", "trains all three implementations once"),
        ]
    )  # fmt: skip


def test_a_run_whose_data_is_gone_is_refused(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    save_weights(tmp_path / "run" / "weights" / "best.h5", {"head/bias": np.zeros(1)}, run.network)
    settings = yaml.safe_load((run.path / "experiment.yaml").read_text())
    settings["data"] = {"name": "folder", "directory": "nowhere"}
    (tmp_path / "run" / "experiment.yaml").write_text(yaml.safe_dump(settings))
    message = "nowhere/images does not exist"
    assert_refused([(f"{name} --run {tmp_path}/run", message) for name in ("predict.py", "evaluate.py")])


def test_data_sets_are_refused():
    cases = [
        ("check nowhere", "error: There is no folder nowhere, and no generated data set of this name."),
        ("check tests", "error: tests has none of the layouts that are understood"),
        ("check membranes --config nowhere.yaml", "error: The settings file nowhere.yaml cannot be read"),
        ("check membranes --set data.imagse=3", "error: imagse: unknown; allowed here: "),
        ("check membranes --set data.images=[", "error: --set data.images: '[' is not understood as YAML."),
        ("check membranes --set data.images", "error: --set takes KEY=VALUE"),
        ("check membranes --set images=3", "error: --set images: check takes settings of data, such as"),
        ("show membranes --set augmentation.flip=1", "error: flip: unknown; allowed here: "),
        ("show nowhere", "error: There is no folder nowhere"),
        ("show membranes --cases -1", "argument --cases: '-1' is not a whole number from 1 on"),
        ("show membranes --cases two", "argument --cases: 'two' is not a whole number from 1 on"),
        (
            "show membranes --set augmentation.elastic_scale=3",
            "augmentation.elastic_scale: has no effect, since it",
        ),
        (
            "show membranes --set network.depth=3",
            "--set network.depth: show takes settings of data, preprocessing, ",
        ),
        (
            "check membranes --set preprocessing.crop=true",
            "--set preprocessing.crop: check takes settings of data, ",
        ),
        ("pack membranes OUT --to hdf5 --shards 0", "argument --shards: '0' is not a whole number from 1 on"),
        (
            "pack membranes OUT --to hdf5 --set preprocesing.crop=true",
            "--set preprocesing.crop: pack takes settings ",
        ),
        (
            "pack membranes OUT --to hdf5 --set sampling.pad=true",
            "--set sampling.pad: pack takes settings of data, ",
        ),
        ("pack membranes OUT --to zip", "argument --to: invalid choice: 'zip'"),
        ("pack nowhere OUT --to hdf5", "error: There is no folder nowhere"),
        ("pack membranes OUT --to hdf5 --set preprocessing.wrong=1", "error: wrong: unknown; allowed here: "),
        ("fetch nothing", "argument what: invalid choice: 'nothing'"),
    ]
    assert_refused([(f"data {line}", message) for line, message in cases])
