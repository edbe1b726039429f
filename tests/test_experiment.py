"""Settings: from YAML and flags to one validated object, with errors that name the key."""

import argparse
import math
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
import yaml
from helpers import command
from PIL import Image

import predict
import train
from data.errors import UserError
from data.sources.detect import source_at
from data.validation import assignment, read_yaml
from unet_common.cli import add_experiment_flags, experiment_of
from unet_common.experiment import (
    Experiment,
    check_beginning,
    experiment_from,
    load_experiment,
    resolve,
    save_experiment,
)
from unet_common.schedule import Schedule, moving_average
from unet_common.training.cross_validation import newest
from unet_common.training.history import History, read_history
from unet_common.training.monitor import Monitor
from unet_common.training.run import Run, complete
from unet_common.weights.interchange import load_weights, save_weights

CONFIGS = Path(__file__).parent.parent / "configs"


def from_flags(*words):
    parser = argparse.ArgumentParser()
    add_experiment_flags(parser)
    return experiment_of(parser.parse_args(list(words)))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"training": {"steps": "abc"}}, "training.steps: should be a valid integer"),
        ({"network": {"dept": 3}}, "network.dept: unknown; allowed here: activation, "),
        ({"network": "resnet"}, "network.name: must be one of unet, "),
        ({"network": [1]}, "network: must be a name or a group of settings, got [1]"),
        ({"data": {"foo": 1}}, "data.foo: unknown; allowed here: directory, images, name, seed, size"),
        ({"lose": "dice"}, "lose: unknown; allowed here: augmentation, data, implementation"),
        ({"loss": "dise"}, "loss: 'dise' in 'dise' is not understood. Allowed is a sum"),
        (
            {"loss": "bce", "network": {"classes": 3}},
            "and the 3 of this network exclude each other; use cross",
        ),
        ({"sampling": {"crop": [100, 128]}}, "Nearest good sizes: 96x128 or 112x128"),
        ({"training": {"steps": 1, "epochs": 2}}, "training: give steps or epochs, not both"),
        ({"preprocessing": {"clip": [9, 1]}}, "preprocessing.clip: 9 is not below 1"),
        ({"seed": True}, "seed: should be a number; got true"),
        ({"optimizer": {"learning_rate": True}}, "optimizer.learning_rate: should be a number; got true"),
        ({"augmentation": {"flip_axes": [True]}}, "augmentation.flip_axes: should be a number; got [true]"),
        (
            {"augmentation": {"noise": True}},
            "augmentation.noise: should be a number, or {amount: ..., probability: ...}",
        ),
        ({"loss": "focal(gamma=true)"}, "loss: focal: gamma: should be a number; got true"),
        (
            {"augmentation": {"rotation": 500}},
            "augmentation.rotation: should be less than or equal to 180; got 500",
        ),
        ({"precision": "float16"}, "precision: should be 'float32' or 'float64'; got 'float16'"),
        ({"seed": -1}, "seed: should be greater than or equal to 0; got -1"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(settings, message):
    with pytest.raises(UserError) as error:
        experiment_from(settings)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_several_mistakes_are_told_at_once():
    with pytest.raises(
        UserError, match=r"3 mistakes:\n  - network\.dept.*\n  - data\.images.*\n  - data\.foo"
    ):
        experiment_from({"network": {"dept": 3}, "data": {"foo": 1, "images": 0}})


def test_yaml_round_trip(tmp_path):
    experiment = experiment_from(
        {
            "implementation": "keras",
            "network": {"name": "unet", "depth": 3, "padding": "valid", "classes": 4},
            "data": {"name": "isbi2012", "directory": "somewhere", "foreground": "cell"},
            "sampling": {"crop": [44, 52], "validation": ["1", "2"]},
            "schedule": {"name": "cosine", "warmup": 3},
            "training": {"epochs": 2.5},
            "precision": "float64",
        }
    )
    save_experiment(tmp_path / "experiment.yaml", experiment)
    assert load_experiment(tmp_path / "experiment.yaml") == experiment
    assert yaml.safe_load((tmp_path / "experiment.yaml").read_text())["format_version"] == 1


def test_files_that_are_no_settings(tmp_path):
    path = tmp_path / "x.yaml"
    with pytest.raises(UserError, match=r"x\.yaml cannot be read: No such file"):
        load_experiment(path)
    path.write_text("a: [1")
    with pytest.raises(UserError, match=r"x\.yaml is not YAML"):
        load_experiment(path)
    path.write_text("format_version: 99\nseed: 1")
    with pytest.raises(UserError, match="has format version 99, this program reads 1"):
        load_experiment(path)


def test_flags_override_the_file(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("training: {epochs: 3, batch_size: 8}\nnetwork: {depth: 3}\nseed: 5\n")
    experiment = from_flags(
        "--config", str(path), "--steps", "7", "--impl", "keras", "--set", "network.filters=8"
    )
    assert experiment.training.steps == 7 and experiment.training.epochs is None
    assert experiment.training.batch_size == 8 and experiment.seed == 5
    assert (experiment.network.depth, experiment.network.filters) == (3, 8)
    assert experiment.implementation == "keras"
    assert from_flags() == Experiment()


def test_another_data_set_forgets_the_settings_of_the_first(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("data: {name: isbi2012, foreground: cell}")
    assert from_flags("--config", str(path), "--data", "membranes").data.name == "membranes"


def test_set_takes_key_and_value():
    with pytest.raises(UserError, match=r"--set takes KEY=VALUE, such as network\.depth=4; got 'depth'"):
        from_flags("--set", "depth")


def test_the_data_decides_channels_and_classes(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    mask = np.arange(32 * 32).reshape(32, 32) % 3
    for name in "ab":
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "images" / f"{name}.png")
        tifffile.imwrite(tmp_path / "masks" / f"{name}.tif", mask.astype(np.uint8))
    folder = {"name": "folder", "directory": str(tmp_path)}
    network = resolve(experiment_from({"data": folder})).network
    assert (network.channels, network.classes) == (3, 3)
    assert resolve(Experiment()).network.classes == 1  # two label values make a sigmoid
    with pytest.raises(
        UserError, match=r"network\.channels is 1, but the inputs made of 'folder' have 3 values"
    ):
        resolve(experiment_from({"data": folder, "network": {"channels": 1}}))
    with pytest.raises(UserError, match=r"network\.classes is 2, but the labels of 'folder' have 3 values"):
        resolve(experiment_from({"data": folder, "network": {"classes": 2}}))


@pytest.mark.parametrize(
    "settings, step, validations, expected",
    [
        ({"name": "constant"}, 50, [], 1.0),
        ({"name": "constant", "warmup": 4}, 0, [], 0.25),
        ({"name": "constant", "warmup": 4}, 4, [], 1.0),
        ({"name": "step", "every": 10, "factor": 0.5}, 29, [], 0.25),
        ({"name": "cosine"}, 50, [], 0.5),
        ({"name": "cosine", "final": 0.1}, 100, [], 0.1),
        ({"name": "cosine", "warmup": 20}, 60, [], 0.5),
        ({"name": "polynomial", "power": 2}, 50, [], 0.25),
        ({"name": "plateau", "patience": 2, "factor": 0.5}, 0, [0.1, 0.2, 0.2, 0.1], 0.5),
        ({"name": "plateau", "patience": 2, "factor": 0.5}, 0, [0.1, 0.2, 0.2, 0.3, 0.3], 1.0),
        ({"name": "plateau", "patience": 1, "factor": 0.5}, 0, [0.3, 0.2, 0.2], 0.25),
        # The rates of a warm-up are low, and so may its Dice stand still: the rate after it is the full one.
        ({"name": "plateau", "patience": 1, "factor": 0.5, "warmup": 50}, 50, [0.3, 0.3, 0.3, 0.3, 0.3], 1.0),
        ({"name": "plateau", "patience": 1, "factor": 0.5, "warmup": 50}, 70, [0.9] * 5 + [0.3, 0.3], 0.5),
        ({"name": "plateau", "patience": 1, "factor": 0.5}, 0, [math.nan, math.nan, 0.2, math.nan], 1.0),
    ],
)
def test_schedules(settings, step, validations, expected):
    validations = [(10 * number, dice) for number, dice in enumerate(validations, 1)]
    assert Schedule(**settings).rate(1.0, step, 100, validations) == pytest.approx(expected)


def test_the_moving_average_of_the_dice():
    assert moving_average([0.5, 0.7, 0.3], 0.0) == [0.5, 0.7, 0.3]
    assert moving_average([0.5, 0.7, 0.3], 0.75) == pytest.approx([0.5, 0.55, 0.4875])
    assert moving_average([], 0.75) == []
    for settings, told in (
        (
            {"dice_average": 0.9},
            "training.dice_average has no effect: it belongs to training.early_stopping and to",
        ),
        ({"dice_average": 1.0}, "training.dice_average: should be less than 1"),
    ):
        with pytest.raises(UserError, match=told):
            check_beginning(experiment_from({"training": settings}))
    check_beginning(experiment_from({"training": {"dice_average": 0.9, "early_stopping": 3}}))
    check_beginning(experiment_from({"training": {"dice_average": 0.9}, "schedule": {"name": "plateau"}}))


def test_a_moving_average_judges_in_place_of_single_validations(tmp_path):
    """A single good one is no progress while the average falls, and no end of it while the average rises."""
    settings = {"data": {"images": 3, "size": [16, 16]}, "sampling": {"crop": [16, 16]}}
    settings["schedule"] = {"name": "plateau", "patience": 1, "factor": 0.5}
    dice = [0.5, 0.9, 0.7, 0.8]
    for average, stop, rate in ((0.0, True, 0.25), (0.8, False, 1.0)):
        settings["training"] = {"steps": 9, "validate_every": 1, "early_stopping": 2, "dice_average": average}
        run = Run.create(tmp_path / str(average), experiment_from(settings))
        with Monitor(run, 0) as monitor:
            for value in dice:
                monitor.batch_done(0.5)
                monitor.record_validation(0.5, value, value)
            assert monitor.should_stop == stop
            assert monitor.learning_rate() == pytest.approx(1e-3 * rate)
        with Monitor(run, 4) as resumed:  # it goes on from the history
            assert resumed.should_stop == stop and resumed.learning_rate() == pytest.approx(1e-3 * rate)


def test_a_history_of_before_is_read_and_goes_on(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(
        "step,epoch,loss,learning_rate,validation_loss,validation_dice\n1,0.5,2.0,0.001,,\n1,0.5,,,1.5,0.25\n"
    )
    assert [row["validation_iou"] for row in read_history(path)] == [None, None]
    history = History(path, last_step=1)
    history.append(step=2, epoch=1.0, validation_loss=0.5, validation_dice=0.5, validation_iou=1 / 3)
    history.close()
    assert [row["validation_iou"] for row in read_history(path)] == [None, None, 1 / 3]
    assert [row["validation_dice"] for row in read_history(path)] == [None, 0.25, 0.5]


def test_history_forgets_what_was_lost(tmp_path):
    path = tmp_path / "history.csv"
    history = History(path)
    for step in (1, 2, 3):
        history.append(step=step, epoch=step / 2, loss=1 / 3, learning_rate=0.1)
    history.append(step=3, epoch=1.5, validation_loss=0.5, validation_dice=0.7)
    history.close()
    path.write_text(path.read_text() + "4,2.0,0.1")  # killed while writing
    assert [row["step"] for row in read_history(path)] == [1, 2, 3, 3]
    assert read_history(path)[0]["loss"] == 1 / 3  # to the last digit
    again = History(path, last_step=2)
    again.append(step=3, epoch=1.5, loss=0.5, learning_rate=0.1)
    again.close()
    assert [row["loss"] for row in read_history(path)] == [1 / 3, 1 / 3, 0.5]
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="is not a history of this program"):
        read_history(path)


def test_run_folders_that_do_not_serve(tmp_path):
    with pytest.raises(UserError, match="There is no run folder"):
        Run.open(tmp_path / "missing")
    with pytest.raises(UserError, match=r"is not a run: it has no experiment\.yaml"):
        Run.open(tmp_path)
    with pytest.raises(UserError, match=r"There is no run in .*Train one first"):
        newest(tmp_path)
    experiment = experiment_from({"data": {"images": 4, "size": [32, 32]}, "sampling": {"crop": [32, 32]}})
    run = Run.create(tmp_path / "run", experiment)
    assert Run.open(run.path) == run and run.state.name == "not started" and run.state.process_lives()
    assert newest(tmp_path) == run.path
    with pytest.raises(UserError, match="exists already: continue it with --resume"):
        Run.create(run.path, experiment)
    assert Run.resume(run.path / "experiment.yaml", {}) == run  # it was stopped before its first checkpoint
    with pytest.raises(UserError, match="A resumed run keeps its settings; loss, seed cannot change"):
        Run.resume(run.path, {"seed": 1, "loss": "dice"})
    text = (run.path / "experiment.yaml").read_text()
    (run.path / "experiment.yaml").write_text(text.replace("format_version: 1", "format_version: 7"))
    with pytest.raises(UserError, match="has format version 7, this program reads 1"):
        Run.open(run.path)


def test_images_smaller_than_the_crop_are_named_before_anything_is_written(tmp_path):
    experiment = experiment_from({"data": {"images": 4, "size": [64, 64]}})
    with pytest.raises(UserError, match="images are smaller than the training crop of 128 x 128"):
        Run.create(tmp_path / "run", experiment)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "network, size, crop",
    [
        ({"name": "unet"}, (40, 44), [32, 32]),
        ({"name": "unet"}, (20, 130), [16, 128]),
        ({"name": "unet", "depth": 7}, (17, 30), None),
        ({"name": "unet", "padding": "valid"}, (100, 300), None),
        ({"name": "unet", "filters": 2}, (33, 50, 17), [32, 48, 16]),
        ({"name": "unet", "filters": 2}, (32, 32, 5), None),
        ({"name": "vnet", "filters": 2}, (40, 33, 17), [32, 32, 16]),
        ({"name": "vnet", "filters": 2}, (32, 32, 5), None),
    ],
)
def test_what_is_advised_for_small_images_is_accepted(network, size, crop, tmp_path):
    images(tmp_path / "data", size)
    data = {"name": "volumes" if len(size) == 3 else "folder", "directory": tmp_path / "data"}
    settings = {"network": network, "data": data, "augmentation": {"rotation": 30}}
    with pytest.raises(UserError, match="3 of 3 images are smaller than the training crop") as error:
        Run.create(tmp_path / "run", experiment_from(settings))
    told = str(error.value)
    advised = [yaml.safe_load(text) for text in re.findall(r"sampling\.crop=(\[.*?\])", told)]
    assert advised == ([crop] if crop else []) and "--set sampling.pad=true" in told
    assert crop or "no crop within" in told
    for number, sampling in enumerate([{"pad": True}, *({"crop": crop} for crop in advised)]):
        experiment = experiment_from({**settings, "sampling": sampling})
        run = Run.create(tmp_path / f"run{number}", experiment)
        image, target = run.sampler.sample(0)
        assert image.shape[:-1] == target.shape[:-1] == run.experiment.sampling.crop
        assert run.network.output_size(run.experiment.sampling.crop)


def images(folder, size):
    """Four images or volumes of this size with labels."""
    for part in ("images", "masks" if len(size) == 2 else "labels"):
        (folder / part).mkdir(parents=True)
        for name in "abcd":
            values = np.random.default_rng(0).integers(0, 2, size).astype(np.uint8)
            if len(size) == 2:
                Image.fromarray(values * 255).save(folder / part / f"{name}.png")
            else:
                nib.save(nib.Nifti1Image(values, np.eye(4)), folder / part / f"{name}.nii")


POINT = "a comma begins the next setting here. Write numbers with a decimal point, such as 0.001"


@pytest.mark.parametrize(
    "setting, message",
    [
        ("optimizer={learning_rate: 0,001}", f"^optimizer.learning_rate: {POINT}$"),
        ("optimizer={learning_rate: 0,5, name: sgd}", f"^optimizer.learning_rate: {POINT}$"),
        ("network={dropout: 0,5}", f"^network.dropout: {POINT}$"),
        ("augmentation={noise: {amount: 0,5}}", f"^augmentation.noise.amount: {POINT}$"),
        ("optimizer={1: 2}", "^optimizer.1: the names of settings are words$"),
        ("optimizer.learning_rate=0,001", "; got '0,001': write a decimal point, 0.001$"),
        ("sampling.validation=0,2", "; got '0,2': write a decimal point, 0.2$"),
        ("network.dropout=,5", "',5' is not understood as YAML: write a decimal point, 0.5.$"),
    ],
)
def test_a_decimal_comma(setting, message):
    with pytest.raises(UserError, match=message):
        from_flags("--set", setting)


def test_cases_whose_names_are_numbers():
    for given, names in (("[1, 2]", ("1", "2")), ("[1, b, 2.5]", ("1", "b", "2.5")), ('["001"]', ("001",))):
        assert from_flags("--set", f"sampling.validation={given}").sampling.validation == names
    with pytest.raises(UserError, match=r"sampling.validation.1: should be a valid string"):
        from_flags("--set", "sampling.validation=[a, [b]]")


def test_weight_files_that_do_not_serve(tmp_path):
    network = Experiment().network
    path = tmp_path / "weights.h5"
    with pytest.raises(UserError, match="There is no weights file"):
        load_weights(path, network)
    path.write_text("text")
    with pytest.raises(UserError, match="cannot be read as HDF5"):
        load_weights(path, network)
    save_weights(path, {"head/bias": np.zeros(1)}, network)
    other = network.model_copy(update={"depth": 3, "filters": 8})
    with pytest.raises(
        UserError, match="another network:\n  - depth: 5 in the file, 3 here\n  - filters: 16"
    ):
        load_weights(path, other)


def test_weights_are_replaced_only_as_a_whole(tmp_path, monkeypatch):
    network = Experiment().network
    path = tmp_path / "weights.h5"
    save_weights(path, {"head/bias": np.ones(1)}, network)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(path, {"head/bias": np.zeros(1)}, network)
    assert load_weights(path, network)["head/bias"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["weights.h5"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_configurations_that_come_along_are_valid(path):
    experiment = load_experiment(path)
    crop = experiment.sampling.crop
    assert experiment.network.output_size(crop) == crop


def test_what_the_data_decided_is_open_for_another_data_set(tmp_path):
    """A run's experiment.yaml pins what the user has set, and nothing else, when it configures another training."""
    settings = {"data": {"name": "membranes", "size": [128, 128], "images": 4}, "network": {"depth": 2}}
    run = Run.create(tmp_path / "run", experiment_from(settings))
    assert (run.network.classes, run.network.rank, run.experiment.sampling.crop) == (1, 2, (128, 128))
    written = yaml.safe_load((run.path / "experiment.yaml").read_text())
    assert written["network"]["classes"] is None and written["sampling"]["crop"] is None
    assert written["network"]["depth"] == 2 and written["preprocessing"]["normalisation"] is None
    assert written["decided_by_data"]["network"]["channels"] == 1
    assert Run.open(run.path) == run

    parser = argparse.ArgumentParser()
    add_experiment_flags(parser)
    flags = [
        "--config",
        str(run.path / "experiment.yaml"),
        "--data",
        "blobs3d",
        "--set",
        "data.size=[20, 24, 16]",
    ]
    other = resolve(experiment_of(parser.parse_args(flags)))
    assert (other.network.classes, other.network.rank, other.network.depth) == (3, 3, 2)
    assert other.sampling.crop == (48, 48, 48) and other.preprocessing.normalisation == "case"

    pinned = experiment_from({**settings, "network": {"depth": 2, "classes": 2}})
    assert "network" in resolve(pinned).decided_by_data
    assert "classes" not in resolve(pinned).decided_by_data["network"]


def test_a_setting_that_has_no_effect_is_refused():
    """Each setting that belongs to another is refused where that one is off, and accepted where it is on."""
    cases = {
        "optimizer.momentum": ("0.5", "optimizer.name=sgd"),
        "optimizer.nesterov": ("true", "optimizer.name=sgd"),
        "schedule.factor": ("0.5", "schedule.name=step"),
        "schedule.every": ("7", "schedule.name=step"),
        "schedule.power": ("2", "schedule.name=polynomial"),
        "schedule.final": ("0.5", "schedule.name=cosine"),
        "schedule.patience": ("9", "schedule.name=plateau"),
        "sampling.folds": ("3", "sampling.fold=0"),
        "augmentation.shift_axes": ("[0]", "augmentation.shift=3"),
        "augmentation.elastic_scale": ("9", "augmentation.elastic=3"),
        "augmentation.label_interpolation": ("linear", "augmentation.scaling=0.1"),
        "augmentation.flip_or_shift": ("true", "augmentation.shift=3"),
        "augmentation.noise.probability": ("0.5", "augmentation.noise.amount=1"),
        "network.groups": ("4", "network.normalisation=group"),
    }
    for key, (value, owner) in cases.items():
        with pytest.raises(UserError, match=f"^{key}: has no effect, since it belongs to ") as error:
            check_beginning(from_flags("--set", f"{key}={value}"))
        assert "\n" not in str(error.value)
        check_beginning(from_flags("--set", f"{key}={value}", "--set", owner))
    for off in ("flips=0", "flips=false"):
        with pytest.raises(
            UserError, match=r"flip_axes: has no effect, since it belongs to augmentation\.flips"
        ):
            check_beginning(from_flags("--set", "augmentation.flip_axes=[0]", "--set", f"augmentation.{off}"))
    with pytest.raises(
        UserError, match=r"validation: has no effect, since it belongs to sampling\.fold=null"
    ):
        check_beginning(from_flags("--set", "sampling.validation=0.5", "--fold", "0"))
    for network in ("unet_backboned", "unet_branch2", "unet_fine_grained"):
        for encoder, name in (("resnet50", "centre_filters"), ("vgg16", "last_filters")):
            flags = ["--network", network, "--set", f"network.encoder={encoder}"]
            with pytest.raises(UserError, match=f"^network.{name}: has no effect"):
                check_beginning(from_flags(*flags, "--set", f"network.{name}=8"))
        flags = [
            "--network",
            network,
            "--set",
            "network.encoder=resnet34",
            "--set",
            "network.decoder_blocks=4",
        ]
        with pytest.raises(UserError, match=r"last_filters: .* belongs to network\.decoder_blocks=5"):
            check_beginning(from_flags(*flags, "--set", "network.last_filters=8"))
    check_beginning(Experiment())


def test_a_flag_makes_settings_of_the_file_idle_and_they_are_left_out(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(
        "augmentation: {elastic: {amount: 2}, elastic_scale: 9, flip_axes: [0]}\nsampling: {validation: 0.5}\n"
    )
    config = ("--config", str(path))
    flags = ("--set", "augmentation.elastic.amount=0", "--set", "augmentation.flips=false")
    experiment = from_flags(*config, *flags, "--fold", "1")
    check_beginning(experiment)
    assert experiment.augmentation.elastic_scale == 20 and experiment.augmentation.flip_axes is None
    assert from_flags(*config, "--fold", "all").sampling.validation == 0.2
    kept = from_flags(*config)
    assert kept.augmentation.elastic_scale == 9 and kept.sampling.validation == 0.5
    path.write_text("augmentation: {elastic_scale: 9}")  # the file's own mistake is told
    with pytest.raises(UserError, match="elastic_scale: has no effect"):
        check_beginning(from_flags(*config, "--fold", "1"))


def test_a_run_with_idle_settings_can_be_opened(tmp_path):
    """Runs of before may have them, and they do no harm."""
    experiment = resolve(experiment_from({"optimizer": {"momentum": 0.5}, "data": {"images": 2}}))
    save_experiment(tmp_path / "x.yaml", experiment)
    assert load_experiment(tmp_path / "x.yaml") == experiment


@pytest.mark.parametrize(
    "flags, message",
    [
        ("--steps 3 --epochs 2", "Give --steps or --epochs, not both."),
        ("--steps 3 --set training.epochs=2", "Give --steps or --epochs, not both."),
        ("--seed 1 --set seed=2", "seed is given twice, as 1 and as 2"),
        ("--fold all --set sampling.fold=1", "sampling.fold is given twice, as all and as 1"),
        ("--loss 0*dice+bce", "loss: dice has the weight 0 in '0*dice+bce'"),
        ("--steps 9 --set schedule.warmup=10", "schedule.warmup is 10 steps, but the training has only 9"),
        (
            "--set sampling.validation=0 --set training.early_stopping=3",
            "training.early_stopping: the validation decides, but sampling.validation keeps no image for it",
        ),
        (
            "--set sampling.validation=[] --set schedule.name=plateau",
            "schedule.name=plateau: the validation decides, but sampling.validation keeps no image for it",
        ),
        ("--set augmentation.flip_axes=[5]", "flip_axes is [5]: the images of 'membranes' have the axes 0 to 1"),
        ("--set augmentation.flip_axes=[0,0]", "each of which may be there once"),
        ("--set augmentation.shift=3 --set augmentation.shift_axes=[2]", "shift_axes is [2]: the images"),
        ("--set sampling.samples_per_class=[1,1,1]", "has 3 numbers: the first is for the background, and 'membranes'"),
        ("--set augmentation.swap_labels=[[0,1]]", "'membranes' has the class 1, each of which may be in one pair"),
        ("--data blobs3d --set augmentation.swap_labels=[[1,3]]", "'blobs3d' has the classes 1 to 2"),
        ("--data blobs3d --set augmentation.swap_labels=[[1,1]]", "each of which may be in one pair"),
        (
            "--data blobs3d --set augmentation.swap_labels=[[1,2]] --set augmentation.flip_axes=[1]",
            "swap_labels has no effect: labels change places when axis 0 is mirrored",
        ),
    ],
)  # fmt: skip
def test_contradictions_are_refused_before_the_training(flags, message):
    with pytest.raises(UserError) as error:
        complete(from_flags(*flags.split()))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_warmup_longer_than_the_epochs_is_refused_and_leaves_no_run(tmp_path):
    settings = {"data": {"images": 3}, "training": {"epochs": 2}, "schedule": {"warmup": 5}}
    with pytest.raises(UserError, match=r"schedule\.warmup is 5 steps, but the training has only 1"):
        Run.create(tmp_path / "run", experiment_from(settings))
    assert not (tmp_path / "run").exists()


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    for text, told in (
        (
            "seed: 1\nloss: dice\nseed: 2\n",
            r"x\.yaml: the setting 'seed' is there twice, in the lines 1 and 3",
        ),
        ("network:\n  depth: 3\n  depth: 4\n", "the setting 'depth' is there twice, in the lines 2 and 3"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=told):
            read_yaml(path)
    with pytest.raises(UserError, match="--set optimizer: the setting 'momentum' is there twice"):
        assignment("optimizer={momentum: 0.5, momentum: 0.9}")
    path.write_text("seed: 2024-13-45\n")
    with pytest.raises(UserError, match=r"x\.yaml is not YAML"):
        read_yaml(path)
    path.write_text("a: {seed: 1}\nb: {seed: 1}\n")  # in two groups
    assert read_yaml(path) == {"a": {"seed": 1}, "b": {"seed": 1}}


def test_the_home_folder_may_be_written_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = {"data": {"name": "folder", "directory": "~/data"}, "initial_weights": "~/w.h5"}
    experiment = experiment_from(settings)
    assert experiment.data.directory == tmp_path / "data" and experiment.initial_weights == tmp_path / "w.h5"
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match=f"{tmp_path}/data has none of the layouts"):
        command(train, "--data-dir=~/data")
    with pytest.raises(UserError, match=f"{tmp_path}/data has none of the layouts"):
        source_at("~/data")
    with pytest.raises(UserError, match=f"There is no run folder {tmp_path}/run"):
        command(predict, "--run=~/run")
    with pytest.raises(UserError, match=f"The settings file {tmp_path}/x.yaml cannot be read"):
        command(train, "--config=~/x.yaml")
