"""predict.py and evaluate.py on volumes: NIfTI and DICOM in, NIfTI out; ensembles; --watch."""

import json
import math
import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import tifffile
from helpers import command, write_series

import evaluate
import predict
import train
from data.errors import UserError
from data.formats.geometry import Geometry
from data.source import Case
from unet_common.evaluation import watch as watching
from unet_common.evaluation.report import report_scores
from unet_common.evaluation.scores import Scores
from unet_common.evaluation.tables import for_json
from unet_common.evaluation.watch import Watch, follow
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.prediction.predictor import Prediction
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import predict_probabilities, predict_slabs
from unet_common.training import checkpoints
from unet_common.training.cross_validation import newest, open_runs
from unet_common.training.run import Run

TINY = ["--data", "blobs3d", "--batch-size", "1", "--set", "network.depth=2", "--set", "network.filters=2"]
TINY += ["--set", "data.images=5", "--set", "data.size=[20,18,16]", "--set", "sampling.crop=[8,8,8]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    command(train, "--run", path, "--steps", 3, *TINY)
    return Run.open(path)


def test_the_data_decides_on_rank_channels_and_classes(run):
    assert (run.network.rank, run.network.channels, run.network.classes) == (3, 1, 3)
    assert run.experiment.preprocessing.normalisation == "case"


def test_validation_volumes_get_masks_and_scores_in_mm(run, tmp_path, capsys):
    command(predict, "--run", run.path, "--output", tmp_path, "--probabilities", "--figures")
    (name,) = run.split.validation
    mask = nib.load(tmp_path / "masks" / f"{name}.nii.gz")
    assert mask.shape == (20, 18, 16) and mask.get_data_dtype().kind == "u"
    np.testing.assert_allclose(mask.affine, run.source.read(name).geometry.affine)
    probability = nib.load(tmp_path / "probabilities" / f"{name}.nii.gz").get_fdata()
    assert probability.shape == (20, 18, 16, 3)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), probability.argmax(-1))
    metrics = json.loads((tmp_path / "metrics.json").read_text())["cases"][0]
    assert {"dice", "hd95", "assd", "surface_dice", "volume_error", "dice_1", "hd95_2"} <= metrics.keys()
    assert "hd95" in capsys.readouterr().out and (tmp_path / "overview.png").is_file()
    assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 10_000


def test_distances_without_a_spacing_are_said_to_be_in_voxels(run, tmp_path, capsys):
    label = run.source.read(run.split.validation[0]).label
    for geometry in (None, Geometry(np.diag([1.0, 1, 1.5, 1]), label.shape)):
        scores, case = Scores(membranes=False), Case("a", label[..., None], label, None, geometry)
        scores.add(Prediction(case, label, None, run.outputs))
        report_scores(scores, [run], tmp_path, {})
        assert ("Distances are in voxels, not in mm, of a" in capsys.readouterr().out) == (geometry is None)


def test_a_dicom_series_and_a_nifti_file_of_the_same_voxels_give_the_same_mask(run, tmp_path):
    values = np.random.default_rng(0).integers(0, 900, (9, 12, 11)).astype(np.int16)
    series = write_series(tmp_path / "in" / "series", values)
    from data.formats.dicom import read_dicom

    voxels, affine = read_dicom(series)
    nib.save(nib.Nifti1Image(voxels.astype(np.int16), affine), tmp_path / "in" / "file.nii.gz")
    flipped = nib.Nifti1Image(voxels.astype(np.int16), affine).as_reoriented(
        np.array([[2, 1], [0, -1], [1, 1]])
    )
    nib.save(flipped, tmp_path / "in" / "turned.nii")
    command(predict, "--run", run.path, "--input", tmp_path / "in", "--output", tmp_path / "out", "--tile", 8)
    masks = {
        name: nib.load(tmp_path / "out/masks" / name)
        for name in ("series.nii.gz", "file.nii.gz", "turned.nii")
    }
    first = masks["series.nii.gz"]
    for name, mask in masks.items():
        same = nib.as_closest_canonical(mask)
        np.testing.assert_array_equal(same.dataobj, nib.as_closest_canonical(first).dataobj, err_msg=name)
        np.testing.assert_allclose(same.affine, nib.as_closest_canonical(first).affine, atol=1e-5)
    assert masks["file.nii.gz"].get_data_dtype() == np.int16  # the input's integer type
    np.testing.assert_allclose(masks["turned.nii"].affine, flipped.affine, atol=1e-6)
    one = tmp_path / "one"
    command(predict, "--run", run.path, "--input", series, "--output", one, "--tile", "8x8x8")
    assert (one / "masks" / "series.nii.gz").is_file()


def test_a_network_that_learned_from_stacks_sees_stacks(tmp_path, capsys):
    """NIfTI is turned by where it lies, TIFF is not: a network that never saw one gets its slices as pages."""
    generator = np.random.default_rng(3)
    for name in "abc":
        for part, high in (("images", 255), ("labels", 2)):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            voxels = generator.integers(0, high, (10, 12, 14)).astype(np.uint8)
            tifffile.imwrite(tmp_path / "data" / part / f"{name}.tif", voxels, photometric="minisblack")
    flags = ["--data", "volumes", "--data-dir", tmp_path / "data", "--batch-size", 1]
    for setting in ("network.depth=2", "network.filters=2", "sampling.crop=[8, 8, 8]"):
        flags += ["--set", setting]
    command(train, "--run", tmp_path / "run", "--steps", 3, *flags)
    stack = tifffile.imread(tmp_path / "data/images/a.tif")
    nib.save(nib.Nifti1Image(stack.transpose(2, 1, 0), np.diag([-1, 1, 3, 1])), tmp_path / "a.nii")
    for name, out in (("a.nii", "nifti"), ("data/images/a.tif", "tiff")):
        command(predict, "--run", tmp_path / "run", "--input", tmp_path / name, "--output", tmp_path / out)
    assert "Predicted slice by slice" not in capsys.readouterr().out  # it sees the whole
    expected = tifffile.imread(tmp_path / "tiff/masks/a.tif")
    assert 0 < expected.mean() < 1
    mask = np.asarray(nib.load(tmp_path / "nifti/masks/a.nii").dataobj)
    np.testing.assert_array_equal(mask, expected.transpose(2, 1, 0))


def test_a_stack_is_refused_by_a_network_that_learned_how_volumes_lie(run, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16, 16), np.uint8), photometric="minisblack")
    with pytest.raises(UserError, match=r"a\.tif: This does not tell where its voxels lie"):
        command(predict, "--run", run.path, "--input", tmp_path / "a.tif", "--output", tmp_path / "out")


def test_inputs_that_do_not_fit_are_named(run, tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8, 3), np.float32), np.eye(4)), tmp_path / "four.nii")
    with pytest.raises(
        UserError, match=r"four\.nii: The image has 3 channels, but the training images had 1"
    ):
        command(predict, "--run", run.path, "--input", tmp_path / "four.nii", "--output", tmp_path / "out")
    with pytest.raises(UserError, match=r"--slices is for networks of images; unet in .* sees whole volumes"):
        command(predict, "--run", run.path, "--slices", "axial")
    folder = tmp_path / "masks"
    folder.mkdir()
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4)), folder / "a.nii")
    with pytest.raises(UserError, match="would be overwritten"):
        command(predict, "--run", run.path, "--input", folder, "--output", tmp_path)


@pytest.mark.parametrize("place", ["study/series", "archive/study/series"])
def test_a_series_further_down_is_named(run, tmp_path, place):
    write_series(tmp_path / "patient" / place)
    with pytest.raises(UserError, match=rf"patient: holds no DICOM files itself(.|\n)*- .*patient/{place}"):
        command(predict, "--run", run.path, "--input", tmp_path / "patient", "--output", tmp_path / "out")


def test_a_crop_larger_than_the_volume_gets_a_size_that_the_network_takes(tmp_path):
    blobs = ["--data", "blobs3d", "--set", "data.size=[34,33,21]", "--set", "sampling.crop=[48,48,48]"]
    levels = [
        "--set",
        "network.depth=4",
        "--set",
        "network.filters=2",
        "--set",
        "data.images=3",
        "--steps",
        1,
    ]
    with pytest.raises(UserError, match=r"--set 'sampling\.crop=\[32, 32, 16\]'"):
        command(train, "--run", tmp_path / "a", *blobs, *levels)
    command(train, "--run", tmp_path / "b", *blobs, *levels, "--set", "sampling.crop=[32, 32, 16]")
    deep = [*levels, "--set", "network.depth=6"]
    with pytest.raises(UserError, match="no crop within 34 x 33 x 21 is accepted by this network"):
        command(train, "--run", tmp_path / "c", *blobs, *deep, "--set", "sampling.crop=[64, 64, 64]")


def test_resampled_and_cropped_volumes_come_back_in_their_own_voxels(tmp_path):
    settings = ["--set", "preprocessing.spacing=[1.5,1.5,1.5]", "--set", "preprocessing.crop=true"]
    command(train, "--run", tmp_path / "run", "--steps", 2, *TINY, *settings)
    run = Run.open(tmp_path / "run")
    command(predict, "--run", run.path, "--output", tmp_path / "out")
    mask = nib.load(tmp_path / "out" / "masks" / f"{run.split.validation[0]}.nii.gz")
    assert mask.shape == (20, 18, 16)


def test_labels_alone_are_those_of_the_probabilities(run, tmp_path):
    """What is written slab by slab is what the whole array of probabilities gives."""
    from unet_common.prediction.predictor import Predictor

    predictor, case = Predictor([run]), run.source.read(run.split.validation[0])
    settings = PredictionSettings(tile=8, symmetries="flips")
    alone, whole = predictor(case, settings), predictor(case, settings, probabilities=True)
    assert alone.probability is None and whole.probability.shape == (20, 18, 16, 3)
    np.testing.assert_array_equal(alone.label, whole.label)


def test_slabs_cover_the_volume_in_order():
    class Halving:
        rank, classes, stride, context, multilabel = 3, 2, (2, 2, 2), (2, 2, 2), False

        def output_size(self, size):
            return size

        def padding_for(self, size):
            return [(0, side % 2) for side in size]

        def crop_after(self, size):
            return tuple(slice(0, side) for side in size)

    def logits(images):
        return np.concatenate([images, -images], -1)

    image = np.random.default_rng(0).standard_normal((37, 12, 10, 1)).astype(np.float32)
    slabs = list(predict_slabs(logits, image, Halving(), PredictionSettings(tile=8)))
    assert [rows.start for rows, _ in slabs] == [0, *(rows.stop for rows, _ in slabs[:-1])]
    assert slabs[-1][0].stop == 37 and max(len(slab) for _, slab in slabs) <= 8
    whole = predict_probabilities(logits, image, Halving())
    np.testing.assert_allclose(np.concatenate([slab for _, slab in slabs]), whole, atol=1e-6)


@pytest.mark.slow
def test_five_folds_and_their_ensemble(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command(train, "--run", "runs/cv", "--fold", "all", "--steps", 2, *TINY)
    runs = open_runs(newest())
    assert [run.experiment.sampling.fold for run in runs] == [0, 1, 2, 3, 4]
    kept = [name for run in runs for name in run.split.validation]
    assert sorted(kept) == runs[0].source.names()  # each case is kept exactly once
    capsys.readouterr()  # what the trainings said
    command(evaluate)
    told = capsys.readouterr().out
    assert all(name in told for name in kept)
    metrics = json.loads((tmp_path / "runs/cv/metrics.json").read_text())
    cases = metrics["cases"]
    assert [case["case"] for case in cases] == kept and metrics["class_names"] == ["front", "back"]
    folds = metrics["folds"]["rows"]  # of one case each
    assert [row["dice_2"] for row in folds] == [case["dice_2"] for case in cases]
    deviation = np.std([case["dice"] for case in cases], ddof=1)
    assert metrics["folds"]["std"]["dice"] == pytest.approx(deviation)
    for table in (told, (tmp_path / "runs/cv/metrics.md").read_text()):
        assert "| fold " in table and "dice back" in table and f"| {deviation:.3f} " in table

    nib.save(nib.Nifti1Image(np.ones((9, 8, 8), np.int16), np.eye(4)), tmp_path / "in.nii.gz")
    command(predict, "--input", "in.nii.gz", "--output", "together", "--probabilities")
    members = []
    for index in range(5):
        command(
            predict,
            "--run",
            f"runs/cv/fold{index}",
            "--input",
            "in.nii.gz",
            "--output",
            f"o{index}",
            "--probabilities",
        )
        members.append(nib.load(f"o{index}/probabilities/in.nii.gz").get_fdata())
    mean = nib.load("together/probabilities/in.nii.gz").get_fdata()
    np.testing.assert_allclose(mean, np.mean(members, axis=0), atol=1e-6)

    shutil.rmtree("runs/cv/fold4")  # as if it had been interrupted before the last fold
    command(train, "--resume", "runs/cv")
    assert Run.open(tmp_path / "runs/cv/fold4").state.name == "finished"
    with pytest.raises(UserError, match="A cross-validation keeps its settings"):
        command(train, "--resume", "runs/cv", "--steps", 5)


@pytest.fixture
def two_folds(tmp_path):
    """A cross-validation of which only the first fold has begun, and what begins the second."""

    def begin(fold):
        folds = ["--set", "sampling.folds=2", "--set", "sampling.workers=1"]
        command(train, "--run", tmp_path / f"fold{fold}", "--fold", fold, "--steps", 1, *folds, *TINY)

    begin(0)
    return tmp_path, lambda: begin(1)


def test_watch_waits_for_folds_that_have_not_begun(two_folds, monkeypatch):
    path, begin_the_second = two_folds
    waits = []

    def sleep(_seconds):
        waits.append(len(waits))
        if len(waits) == 3:
            begin_the_second()

    monkeypatch.setattr(watching.time, "sleep", sleep)
    command(evaluate, "--run", path, "--watch")
    assert waits == [0, 1, 2]
    for fold in (0, 1):
        assert (path / f"fold{fold}" / "evaluation/best.h5").is_file()


def test_watch_does_not_wait_for_a_training_that_is_gone(two_folds, monkeypatch):
    """After a fold, or before the first step: nobody goes on."""
    path, _ = two_folds
    run = Run.open(path / "fold0")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    waits = []
    monkeypatch.setattr(watching.time, "sleep", waits.append)
    assert run.state.process_lives()
    for state in ("finished", "not started"):
        (run.path / "state.txt").write_text(f"{state}\n{gone.pid}\n")
        assert not run.state.process_lives()
        command(evaluate, "--run", path, "--watch")
        assert (run.path / "evaluation/best.h5").is_file() and not (path / "fold1").exists()
    assert len(waits) == 2  # once after each, before the look at the process
    (run.path / "state.txt").unlink()  # as if it had been written by hand
    assert not run.state.process_lives() and run.state.name == "not started"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_watch_takes_every_checkpoint_and_keeps_the_best(tmp_path, implementation, capsys):
    path = tmp_path / "run"
    length = ["--steps", 6, "--set", "training.validate_every=2", "--set", "training.keep=3"]
    length += ["--set", "sampling.samples_per_class=[1,1,1]"]  # also: the saved settings can be read again
    command(train, "--run", path, "--impl", implementation, *length, *TINY)
    run = Run.open(path)
    follow(run, None, PredictionSettings())
    told = capsys.readouterr().out
    watch = Watch(run, None, PredictionSettings())
    steps = [row["step"] for row in watch.rows]
    assert steps == [checkpoints.step_of(path) for path in checkpoints.saved_checkpoints(run.checkpoints)]
    assert 6 in steps and len(steps) >= 3 and "The training has ended: finished." in told
    assert watch.best["dice"] == max(row["dice"] for row in watch.rows)
    assert (path / "evaluation/best.h5").is_file() and (path / "evaluation/best_metrics.md").is_file()
    assert json.loads((path / "evaluation/best.json").read_text()) == for_json(watch.best)
    command(evaluate, "--run", path, "--weights", path / "evaluation/best.h5")
    scores = json.loads((path / "metrics.json").read_text())
    assert scores["mean"]["dice"] == pytest.approx(watch.best["dice"], abs=1e-9)

    # Started again, it has nothing left to do, and a better one of the past stays the best.
    watch.rows[0] |= {"dice": 0.999, "hd95": math.inf, "assd": math.nan}
    (path / "evaluation/checkpoints.json").write_text(json.dumps(for_json(watch.rows[:1]), allow_nan=False))
    kept = Watch(run, None, PredictionSettings()).rows[0]
    assert kept["hd95"] == math.inf and math.isnan(kept["assd"])  # infinite is not the same as not defined
    before = (path / "evaluation/best.h5").read_bytes()
    follow(run, None, PredictionSettings())
    assert f"Going on after 1 checkpoints; the best is step {steps[0]}." in capsys.readouterr().out
    assert (path / "evaluation/best.h5").read_bytes() == before


def test_watch_survives_checkpoints_that_rotate_away(tmp_path, capsys):
    path = tmp_path / "run"
    command(train, "--run", path, "--steps", 4, "--set", "training.validate_every=2", *TINY)
    run = Run.open(path)
    first, *_rest = checkpoints.saved_checkpoints(run.checkpoints)
    for file in run.checkpoints.glob(f"{first.rsplit('/', 1)[-1]}.*"):
        file.unlink()
    follow(run, None, PredictionSettings())
    assert "was replaced by newer ones" in capsys.readouterr().out
    assert [row["step"] for row in Watch(run, None, PredictionSettings()).rows] == [4]


def test_tables_say_what_they_were_made_with(run, capsys):
    for tolerance in (1.0, 5.0):
        command(evaluate, "--run", run.path, "--tolerance", tolerance, "--tile", 8)
        metrics = json.loads((run.path / "metrics.json").read_text())
        assert metrics["surface_dice_tolerance"] == tolerance
        made_with = metrics["made_with"]
        assert (made_with["settings"]["tolerance"], made_with["settings"]["tile"]) == (tolerance, 8)
        assert made_with["cases"] == run.split.validation and list(made_with["weights"]) == ["best"]
    near, far = (Scores(False, PredictionSettings(tolerance=tolerance)) for tolerance in (0.1, 5.0))
    case = run.source.read(run.split.validation[0])
    shifted = np.roll(case.label, 1, axis=0)
    assert near.add(Prediction(case, shifted, None, run.outputs))["surface_dice"] < 0.9
    assert far.add(Prediction(case, shifted, None, run.outputs))["surface_dice"] == 1
