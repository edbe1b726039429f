"""The beginning of a training: what it says of the data, the network, the device and its length."""

import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from helpers import ONE, ROOT, command
from PIL import Image

import train
from data.errors import UserError
from data.sources import SOURCES
from unet_common.experiment import experiment_from
from unet_common.implementation import load
from unet_common.training.beginning import device, lines_on_known_data
from unet_common.training.run import Run

SMALL = [
    "--set",
    "network.depth=2",
    "--set",
    "network.filters=2",
    "--set",
    "sampling.crop=[16,16]",
    "--steps",
    2,
]
SMALL += ["--batch-size", 3]


def image_folder(folder, names="abcdef", images="images", masks="masks"):
    """Images of 20 x 24; the third class is on the first of them alone."""
    for index, name in enumerate(names):
        mask = np.zeros((20, 24), np.uint8)
        mask[:5], mask[-1:] = 1, 2 if index == 0 else 0
        for part, pixels in ((images, mask + 100), (masks, mask)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / part / f"{name}.png")
    return folder


def test_a_class_that_only_the_training_has_is_told(tmp_path):
    """What judges nothing cannot say that nothing was found: also where the foreground is missing altogether."""
    settings = {"sampling": {"crop": [16, 16], "validation": ["d"]}, "network": {"depth": 2, "filters": 2}}
    data = {"name": "folder", "directory": image_folder(tmp_path / "mine", "abcd")}
    lacking = "warning: no image for validation has a pixel of {}: how well it is found will not be known"
    run = Run.create(tmp_path / "one", experiment_from({**settings, "data": data}))
    assert lacking.format("class 2") in run.found and lacking.format("class 1") not in run.found
    assert not any(line.startswith("warning: no image for training") for line in run.found)
    Image.fromarray(np.zeros((20, 24), np.uint8)).save(tmp_path / "mine" / "masks" / "d.png")
    run = Run.create(tmp_path / "two", experiment_from({**settings, "data": data}))
    assert {lacking.format("class 1"), lacking.format("class 2")} <= set(run.found)
    settings["sampling"]["validation"] = 0
    run = Run.create(tmp_path / "three", experiment_from({**settings, "data": data}))
    assert not any(line.startswith("warning: no image for validation") for line in run.found)


@ONE
def test_it_begins_with_what_it_found(implementation, tmp_path, capsys):
    folder = image_folder(tmp_path / "mine")
    (folder / "images" / "notes.gif").write_bytes(b"GIF89a")
    flags = [*SMALL, "--impl", implementation, "--data-dir", folder, "--set", "sampling.validation=[a, b]"]
    command(train, "--run", tmp_path / "run", *flags)
    told = capsys.readouterr().out.splitlines()
    beginning = told[: next(index for index, line in enumerate(told) if line.startswith("Finished"))]
    run = Run.open(tmp_path / "run")
    model = load(implementation).Model(run.network)
    counted = sum(value.size for name, value in model.weights().items() if "/moving_" not in name)
    assert beginning[:9] == [
        f"{folder} has the layout of --data folder",
        f"Run folder: {tmp_path / 'run'}",
        f"data set: folder in {folder}",
        "images: 4 for training, 2 for validation, 0 without label; of those for training:",
        "size: 20 x 24",
        "channels: 1   grey values: 100 to 101",
        "classes: 3, background included",
        "shares of all pixels: background (0) 75.00%, class 1 (1) 25.00%, class 2 (2) 0.00%",
        "warning: no image for training has a pixel of class 2",
    ]
    assert beginning[9] == "Not read:" and "notes.gif" in beginning[10]
    assert beginning[-3:] == [
        f"network: unet with {counted:,} trainable parameters ({implementation})",
        f"device: {device()}",
        "training: 2 steps, each a batch of 3 crops of 16 x 16: 1.5 epochs of 4 crops",
    ]

    command(train, "--resume", tmp_path / "run", "--steps", 4)
    told = capsys.readouterr().out.splitlines()
    assert told[:4] == [
        f"Run folder: {tmp_path / 'run'}",
        f"data set: folder in {folder}",
        "images: 4 for training, 2 for validation",
        "channels: 1   classes: background, class 1, class 2",
    ]
    assert (
        told[4].startswith("network: unet with") and "training: 4 steps, of which 2 are made, each" in told[6]
    )


def test_a_log_has_it_before_the_training(tmp_path):
    line = [
        sys.executable,
        "train.py",
        "--run",
        str(tmp_path / "run"),
        "--set",
        "data.images=3",
        *map(str, SMALL),
    ]
    log = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    places = [log.index(word) for word in ("Run folder", "data set", "network: ", "step 2/2", "Finished")]
    assert places == sorted(places)


def test_it_reads_nothing_again_for_that(tmp_path, monkeypatch):
    source = SOURCES["membranes"]
    read, reads = source.read, Counter()
    monkeypatch.setattr(source, "read", lambda self, name: reads.update([name]) or read(self, name))
    settings = {"data": {"images": 5, "size": [16, 16]}, "sampling": {"crop": [16, 16]}}
    run = Run.create(tmp_path / "run", experiment_from(settings))
    assert run.found[0] == "data set: membranes (generated)"
    # For the statistics, and into memory; of those for validation only to see which classes they have.
    once = dict.fromkeys(run.split.training, 2) | dict.fromkeys(run.split.validation, 1)
    assert reads == once
    assert lines_on_known_data(Run.open(run.path))[1] == "images: 4 for training, 1 for validation"
    assert reads == once


def test_each_fold_begins_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("unet_common.evaluation.report.report_training", lambda run: None)
    flags = [*SMALL, "--fold", "all", "--set", "sampling.folds=2", "--set", "data.images=3"]
    command(train, "--run", tmp_path / "run", *flags)
    told = capsys.readouterr().out
    assert "images: 1 for training, 2 for validation" in told and "images: 2 for training, 1 for" in told
    assert told.count("shares of all pixels") == told.count("trainable parameters") == 2


def test_a_batch_that_is_larger_than_the_data_set_is_said(tmp_path, capsys):
    command(train, "--run", tmp_path / "run", *SMALL, "--set", "data.images=3", "--batch-size", 16)
    told = capsys.readouterr().out
    assert "a batch of 16 is larger than the 2 image(s) for training: it holds several crops of each" in told
    assert "2 steps, each a batch of 16 crops of 16 x 16: 16 epochs of 2 crops" in told


def test_the_layout_is_found_out(tmp_path, capsys):
    folder = image_folder(tmp_path / "mine", images="img", masks="seg")
    (tmp_path / "my.yaml").write_text(f"data: {{directory: {folder}}}\n")
    for flags in (["--data-dir", folder], ["--config", tmp_path / "my.yaml"]):
        command(train, "--run", tmp_path / str(len(flags[0])), *SMALL, *flags)
        told = capsys.readouterr().out
        assert (
            f"{folder} has the layout of --data folder --set data.images=img --set data.masks=seg\n" in told
        )
    with pytest.raises(UserError, match="the membranes are generated"):
        command(train, "--data", "membranes", "--data-dir", folder)
    (tmp_path / "my.yaml").write_text("data: membranes\n")
    with pytest.raises(UserError, match="the membranes are generated"):
        command(train, "--config", tmp_path / "my.yaml", "--data-dir", folder)
    with pytest.raises(UserError, match="has none of the layouts that are understood"):
        command(train, "--data-dir", tmp_path)


def test_the_device(monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert device() == "CPU, 3 thread(s)"
    cards = [SimpleNamespace(name=f"/physical_device:GPU:{number}") for number in (0, 1)]
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "NVIDIA H100"}
    )
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: cards[:1])
    assert device() == "NVIDIA H100 (GPU)"
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: cards)
    assert device() == "NVIDIA H100, the first of 2 GPUs"
