"""Doubts about a prediction that are told, and copies of an image that are refused."""

import nibabel as nib
import numpy as np
import pytest
from helpers import command
from PIL import Image

import predict
import train
from data.errors import UserError
from unet_common.prediction.symmetries import mirrored_axes
from unet_common.training.run import Run

TINY = ["--set", "network.depth=2", "--set", "network.filters=2", "--batch-size", 1, "--steps", 1]
IMAGES = [*TINY, "--set", "data.images=3", "--set", "data.size=[32,32]", "--set", "sampling.crop=[16,16]"]
VOLUMES = [*TINY, "--data", "blobs3d", "--set", "data.images=3", "--set", "data.size=[16,16,16]"]
VOLUMES += ["--set", "sampling.crop=[8,8,8]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    command(train, "--run", path, *IMAGES)
    return Run.open(path)


def test_images_of_another_depth_are_told_each_with_both_ranges(run, tmp_path, capsys):
    case = run.source.read(run.split.training[0])
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = case.image[..., 0].astype(np.uint8)
    Image.fromarray(pixels).save(folder / "same.png")
    Image.fromarray(pixels.astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray((pixels // 64).astype(np.uint8)).save(folder / "dark.png")
    capsys.readouterr()
    command(predict, "--run", run.path, "--input", folder, "--output", tmp_path / "out")
    printed = capsys.readouterr().out
    low, high = run.statistics.minimum[0], run.statistics.maximum[0]
    for name, scaled in (("deep", pixels * 257.0), ("dark", pixels // 64)):
        told = next(line for line in printed.splitlines() if line.endswith(f": {name}"))
        assert f"here {scaled.min():.4g} to {scaled.max():.4g}" in told
        assert f"there {low:.4g} to {high:.4g}" in told
    assert "same" not in printed


def test_the_statistics_of_before_have_no_range(run):
    old = run.statistics.model_copy(update={"minimum": None, "maximum": None})
    assert str(old).startswith("mean ")
    assert type(old).model_validate_json(old.model_dump_json(exclude_none=True)) == old


@pytest.mark.parametrize("normalisation, told", [("instance", True), ("batch", False)])
def test_tiles_that_are_not_the_whole_are_told(normalisation, told, tmp_path, capsys):
    command(train, "--run", tmp_path / "run", *IMAGES, "--set", f"network.normalisation={normalisation}")
    command(predict, "--run", tmp_path / "run")
    assert "Predicted in tiles" not in capsys.readouterr().out
    command(predict, "--run", tmp_path / "run", "--tile", 16)
    assert ("Predicted in tiles, which is not what the whole would give" in capsys.readouterr().out) == told


@pytest.mark.parametrize(
    "augmentation, kind, refusal",
    [
        ({"flips": 0}, "flips", "this training mirrored no axis"),
        ({"flips": 0}, "all", "this training mirrored no axis"),
        ({"flip_axes": []}, "flips", "this training mirrored no axis"),
        ({"flip_axes": [1]}, "all", "mirrored only the axes 1"),
        ({"swap_labels": [[1, 2]]}, "all", "mirrored only the axes 1, 2"),
        ({"swap_labels": [[1, 2]]}, "flips", None),
        ({"flip_axes": [0, 1, 2]}, "all", "these voxels are 1 x 1 x 3 mm"),
        ({}, "all", "these voxels are 1 x 1 x 3 mm"),
        ({}, "flips", None),
    ],
)
def test_copies_that_look_unlike_the_training_are_refused(augmentation, kind, refusal, tmp_path):
    settings = [
        item for key, value in augmentation.items() for item in ("--set", f"augmentation.{key}={value}")
    ]
    command(train, "--run", tmp_path / "run", *VOLUMES, *settings)
    volume = nib.Nifti1Image(
        np.random.default_rng(0).random((8, 8, 8)).astype(np.float32), np.diag([1, 1, 3, 1])
    )
    nib.save(volume, tmp_path / "a.nii")
    flags = ["--run", tmp_path / "run", "--input", tmp_path / "a.nii", "--symmetries", kind]
    if refusal is None:
        command(predict, *flags)
    else:
        with pytest.raises(UserError, match=refusal):
            command(predict, *flags)


def test_no_axis_is_mirrored_that_training_did_not_mirror(run):
    def axes(**augmentation):
        changed = run.experiment.augmentation.model_copy(update=augmentation)
        return mirrored_axes(
            Run(
                run.path,
                run.experiment.model_copy(update={"augmentation": changed}),
                run.split,
                run.statistics,
            )
        )

    assert axes() == (0, 1)
    assert axes(flips=0.0) == ()
    assert axes(flip_axes=(1,)) == (1,)
    assert axes(swap_labels=((1, 2),)) == (1,)
