"""predict.py and evaluate.py: files in, masks and scores out."""

import json
import shutil
import threading

import nibabel as nib
import numpy as np
import pytest
import tifffile
from helpers import AXIAL, command, write_series
from PIL import Image

import evaluate
import predict
import train
from data.errors import UserError
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.prediction.inputs import find_weights
from unet_common.training.run import Run

TINY = ["--set", "network.depth=3", "--set", "network.filters=2", "--set", "data.size=[48, 48]"]
TINY += ["--set", "data.images=5", "--set", "sampling.crop=[32, 32]", "--batch-size", "2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    command(train, "--run", path, "--steps", 6, *TINY)
    return Run.open(path)


def test_training_leaves_figures_and_weights(run):
    for file in ("figures/history.png", "figures/validation.png", "weights/best.h5", "weights/final.h5"):
        assert (run.path / file).stat().st_size > 1000, file
    assert run.state.name == "finished"


def test_validation_images_get_masks_overlays_and_a_table(run, tmp_path, capsys):
    command(predict, "--run", run.path, "--output", tmp_path, "--probabilities")
    (name,) = run.split.validation
    mask = np.asarray(Image.open(tmp_path / "masks" / f"{name}.png"))
    probability = tifffile.imread(tmp_path / "probabilities" / f"{name}.tif")
    assert mask.dtype == np.uint8 and mask.shape == (48, 48) and set(np.unique(mask)) <= {0, 255}
    assert probability.dtype == np.float32
    np.testing.assert_array_equal(mask == 255, probability.reshape(48, 48) >= 0.5)
    assert Image.open(tmp_path / "overlays" / f"{name}.png").size == (48, 48)
    assert (tmp_path / "overview.png").is_file()
    table = (tmp_path / "metrics.md").read_text()
    assert name in table and "v_rand_thinned" in table and "dice" in table
    assert name in capsys.readouterr().out


def test_every_implementation_predicts_the_same(run, tmp_path):
    for name in IMPLEMENTATIONS:
        command(predict, "--run", run.path, "--impl", name, "--output", tmp_path / name, "--probabilities")
    (case,) = run.split.validation
    probabilities = [
        tifffile.imread(tmp_path / name / "probabilities" / f"{case}.tif") for name in IMPLEMENTATIONS
    ]
    for other in probabilities[1:]:
        np.testing.assert_allclose(other, probabilities[0], atol=1e-5)


def test_images_of_awkward_sizes_keep_size_and_format(run, tmp_path):
    images, masks = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    generator = np.random.default_rng(0)

    def pixels(*size):
        return generator.integers(0, 255, size).astype(np.uint8)

    Image.fromarray(pixels(37, 53)).save(images / "odd.png")
    Image.fromarray(pixels(64, 41)).save(images / "photo.jpg")
    tifffile.imwrite(images / "deep.tif", pixels(50, 50).astype(np.uint16) * 100)
    tifffile.imwrite(images / "stack.tif", pixels(3, 39, 45), photometric="minisblack")
    command(
        predict,
        "--run",
        run.path,
        "--input",
        images,
        "--output",
        masks,
        "--tile",
        32,
        "--symmetries",
        "flips",
    )
    assert Image.open(masks / "masks" / "odd.png").size == (53, 37)
    assert Image.open(masks / "masks" / "photo.png").size == (41, 64)  # JPEG would blur a mask
    assert tifffile.imread(masks / "masks" / "deep.tif").shape == (50, 50)
    assert tifffile.imread(masks / "masks" / "stack.tif").shape == (3, 39, 45)
    assert not (masks / "metrics.md").exists()  # nothing is known to compare with


def test_a_file_that_does_not_fit_is_named(run, tmp_path):
    colour = tmp_path / "colour.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(colour)
    with pytest.raises(UserError, match=r"colour\.png: The image has 3 channels"):
        command(predict, "--run", run.path, "--input", colour, "--output", tmp_path / "out")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnot much more")
    with pytest.raises(UserError, match=r"broken\.png: cannot be read as an image"):
        command(predict, "--run", run.path, "--input", broken, "--output", tmp_path / "other")


def test_files_that_cannot_be_predicted_do_not_end_it_for_the_others(run, tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a", "c", "e"):
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(folder / f"{name}.png")
    for name in ("b", "d"):
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(folder / f"{name}.png")
    (folder / "f.png").write_bytes(b"\x89PNG\r\n\x1a\nnot much more")
    (folder / "g.gif").touch(), (folder / "h").symlink_to("nowhere")
    assert command(predict, "--run", run.path, "--input", folder, "--output", out) == 1
    assert sorted(path.name for path in (out / "masks").iterdir()) == ["a.png", "c.png", "e.png"]
    printed, told = capsys.readouterr()
    assert "g.gif: not read: files that end in .gif are not" in printed
    assert "h: not read: a link to nowhere, which does not exist" in printed
    assert "3 of 6 files could not be predicted:" in told
    assert "2 files: The image has 3 channels, but the training images had 1." in told
    assert "f.png: cannot be read as an image" in told
    for name in ("a", "c", "e"):
        (folder / f"{name}.png").unlink()
    with pytest.raises(UserError, match=r"None of the 3 files could be predicted:\n(?s:.*)f\.png"):
        command(predict, "--run", run.path, "--input", folder, "--output", tmp_path / "none")
    assert not (tmp_path / "none/masks").exists()


def test_inputs_whose_masks_would_collide_are_refused(run, tmp_path):
    for name in ("a.png", "a.bmp"):
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / name)
    with pytest.raises(UserError, match="would collide:\n  - a"):
        command(predict, "--run", run.path, "--input", tmp_path, "--output", tmp_path / "out")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="There are no images"):
        command(predict, "--run", run.path, "--input", empty, "--output", tmp_path / "out")


def data_set(folder):
    """Images and masks of one's own."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
        for name in "ab":
            Image.fromarray(np.full((32, 32), 255 * (part == "masks"), np.uint8)).save(
                folder / part / f"{name}.png"
            )
    return {path: path.read_bytes() for path in folder.rglob("*.png")}


@pytest.mark.parametrize("output", ["my", "my/images", "my/masks", "my/new", "my/images/new", "my/../my/x"])
def test_no_file_of_a_data_set_is_overwritten_and_none_added(run, tmp_path, output):
    before = data_set(tmp_path / "my")
    with pytest.raises(UserError, match="Choose another --output"):
        command(predict, "--run", run.path, "--input", tmp_path / "my/images", "--output", tmp_path / output)
    assert {path: path.read_bytes() for path in (tmp_path / "my").rglob("*") if path.is_file()} == before


def test_no_file_that_is_not_of_this_prediction_is_overwritten(run, tmp_path):
    data_set(tmp_path / "my")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"is not empty, and has no prediction\.json"):
        command(predict, "--run", run.path, "--input", tmp_path / "my/images", "--output", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_results_of_two_predictions_do_not_mix(run, tmp_path):
    data_set(tmp_path / "my")
    flags = ["--run", run.path, "--input", tmp_path / "my/images", "--output", tmp_path / "out"]
    command(predict, *flags)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.png")}
    for more, told in (
        (["--threshold", 0.3], "settings.threshold: 0.5 there, 0.3 here"),
        (["--input", tmp_path / "my/masks"], "input: .*images there, .*masks here"),
        (["--weights", "final"], "weights.best: .* there, None here"),
        (["--impl", "keras"], "implementation: lowlevel there, keras here"),
        (["--values", "classes"], "settings.values: data there, classes here"),
    ):
        with pytest.raises(UserError, match=f"(?s)holds another prediction.*{told}"):
            command(predict, *flags, *more)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.png")} == before
    command(predict, *flags)  # the same again
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "my/images/c.png")
    command(predict, *flags)  # and of one more
    assert len(list((tmp_path / "out/masks").iterdir())) == 3
    (tmp_path / "my/images/a.png").unlink()
    with pytest.raises(UserError, match="cases: others there than here"):
        command(predict, *flags)


def test_a_second_prediction_gets_a_folder_of_its_own(run, tmp_path):
    copy = shutil.copytree(run.path, tmp_path / "run")
    command(predict, "--run", copy)
    command(predict, "--run", copy)
    command(predict, "--run", copy, "--threshold", 0.3)
    shutil.move(copy, tmp_path / "moved")  # the same run
    command(predict, "--run", tmp_path / "moved", "--threshold", 0.3)
    assert sorted(path.name for path in (tmp_path / "moved").glob("predictions*")) == [
        "predictions",
        "predictions_2",
    ]
    thresholds = [
        json.loads((tmp_path / "moved" / name / "prediction.json").read_text())["settings"]["threshold"]
        for name in ("predictions", "predictions_2")
    ]
    assert thresholds == [0.5, 0.3]


def test_weights_that_do_not_exist_yet(run, tmp_path):
    with pytest.raises(UserError, match=r"There is no weights file nowhere\.h5"):
        command(predict, "--run", run.path, "--weights", "nowhere.h5", "--output", tmp_path)
    unfinished = Run(tmp_path / "unfinished", run.experiment, run.split, run.statistics)
    with pytest.raises(UserError, match=r"has no best weights yet.*--resume"):
        find_weights(unfinished, "best")


def test_settings_of_prediction_are_checked(run, tmp_path):
    with pytest.raises(UserError, match=r"overlap: should be less than 1; got 1\.5"):
        command(predict, "--run", run.path, "--overlap", 1.5, "--output", tmp_path)


def test_evaluate_writes_the_table_into_the_run(run, capsys):
    command(evaluate, "--run", run.path)
    assert "**mean**" in capsys.readouterr().out
    assert (run.path / "metrics.json").is_file()


def test_watch_follows_until_the_training_has_ended(run, tmp_path, capsys):
    run.state.write("running")
    watching = threading.Thread(target=lambda: command(evaluate, "--run", run.path, "--watch"))
    watching.start()
    run.state.write("finished")
    watching.join(timeout=60)
    assert not watching.is_alive()
    output = capsys.readouterr().out
    assert "**mean**" in output and "The training has ended: finished." in output


def test_prediction_with_fewer_columns(run, tmp_path):
    settings = [*TINY, "--network", "unet_plus_plus", "--impl", "keras", "--steps", 2]
    command(train, "--run", tmp_path / "run", *settings)
    for level in (1, 2):
        command(predict, "--run", tmp_path / "run", "--output", tmp_path / f"{level}", "--level", level)
        assert len(list((tmp_path / f"{level}" / "masks").iterdir())) == 1
    with pytest.raises(UserError, match="level is 3; with depth 3 there are 2"):
        command(predict, "--run", tmp_path / "run", "--level", 3)
    with pytest.raises(UserError, match=r"--level is for unet_plus_plus, .* this is unet\."):
        command(evaluate, "--run", run.path, "--level", 1)


def test_prediction_in_two_looks_and_in_one(run, tmp_path):
    discs = ["--data", "discs", "--set", "data.size=[64, 64]", "--set", "data.images=4"]
    network = [
        "--network",
        "unet_fine_grained",
        "--set",
        "network.encoder=vgg16",
        "--set",
        "network.filters=4",
    ]
    settings = [*discs, *network, "--set", "sampling.crop=[64, 64]", "--impl", "highlevel", "--steps", 2]
    command(train, "--run", tmp_path / "run", *settings)
    command(predict, "--run", tmp_path / "run", "--probabilities")
    assert (
        len(list((tmp_path / "run" / "predictions" / "masks").rglob("*.png"))) == 2
    )  # one image, two classes
    command(evaluate, "--run", tmp_path / "run", "--one-look")
    assert (tmp_path / "run" / "metrics.md").is_file()
    with pytest.raises(UserError, match=r"--one-look is for unet_fine_grained, .* this is unet\."):
        command(evaluate, "--run", run.path, "--one-look")


@pytest.fixture(scope="module")
def slices():
    """[slices, rows, columns], of awkward sizes."""
    return np.random.default_rng(5).integers(0, 255, (3, 37, 45)).astype(np.uint8)


def masks_of(run, path, out, *flags):
    """The mask of one input, of 0 and 1."""
    command(predict, "--run", run.path, "--input", path, "--output", out, *flags)
    (mask,) = (out / "masks").iterdir()
    return (tifffile.imread(mask) if mask.suffix == ".tif" else np.asarray(nib.load(mask).dataobj)) // 255


@pytest.fixture(scope="module")
def expected(run, slices, tmp_path_factory):
    """The mask of the slices as a TIFF stack."""
    folder = tmp_path_factory.mktemp("stack")
    tifffile.imwrite(folder / "a.tif", slices, photometric="minisblack")
    mask = masks_of(run, folder / "a.tif", folder / "out")
    assert 0 < mask.mean() < 1
    return mask


# The order in which a file has the axes slice, row and column; its orientation; the plane of the slices.
SERIES_OF_SLICES = [
    ((2, 1, 0), "LPS", "axial"),  # as DICOM and most of NIfTI
    ((2, 1, 0), "RAS", "axial"),
    ((2, 1, 0), "ASR", "sagittal"),
    ((2, 1, 0), "RSA", "coronal"),
    ((0, 2, 1), "SLP", "axial"),  # slices first
    ((2, 0, 1), "LSP", "axial"),  # slices in the middle
]


@pytest.mark.parametrize("order, codes, plane", SERIES_OF_SLICES)
def test_volumes_are_sliced_as_they_were_acquired(
    run, slices, expected, tmp_path, capsys, order, codes, plane
):
    """By the axis with the longest voxels, rows and columns as stored: what a TIFF stack of the slices gives."""
    stored = slices.transpose(order)
    spacing = np.array([5, 0.7, 0.7])[list(order)]
    turned = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(codes), stored.shape)
    affine = np.linalg.inv(turned) @ np.diag([*spacing, 1])
    assert nib.aff2axcodes(affine) == tuple(codes)
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "a.nii.gz")
    mask = masks_of(run, tmp_path / "a.nii.gz", tmp_path / "out", "--probabilities")
    np.testing.assert_array_equal(mask, expected.transpose(order))
    number = ("first", "second", "third")[order.index(0)]
    told = f"Predicted slice by slice, {plane}, across the {number} axis of the file (--slices takes others): a\n"
    assert told in capsys.readouterr().out
    written = nib.load(tmp_path / "out/probabilities/a.nii.gz")
    np.testing.assert_array_equal(written.get_fdata().reshape(stored.shape) >= 0.5, mask == 1)
    np.testing.assert_allclose(written.affine, affine)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("orientation", [AXIAL, [0, 1, 0, 0, 0, -1], [0.8, 0.6, 0, 0, 0, -1]])
def test_a_dicom_series_is_sliced_along_its_normal(
    run, slices, expected, tmp_path, implementation, orientation
):
    """Its pixels are longer than its slices are apart: a series is what its files are."""
    pixels = slices.astype(np.int16)
    series = write_series(tmp_path / "in", pixels, orientation, step=0.4)
    mask = masks_of(run, series, tmp_path / "out", "--impl", implementation)
    np.testing.assert_array_equal(mask.transpose(2, 1, 0), expected)


def test_the_slices_of_a_cube_are_those_that_the_header_names_or_the_user(run, tmp_path):
    cube = np.random.default_rng(6).integers(0, 255, (40, 40, 40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", cube, photometric="minisblack")
    expected = masks_of(run, tmp_path / "a.tif", tmp_path / "tif")
    for name, order, dim_info, flags in (
        ("third", (2, 1, 0), None, ()),
        ("named", (0, 2, 1), 0, ()),
        ("asked", (0, 2, 1), None, ("--slices", "sagittal")),
        ("against", (2, 0, 1), 2, ("--slices", "coronal")),
    ):
        image = nib.Nifti1Image(cube.transpose(order), np.eye(4))
        image.header.set_dim_info(slice=dim_info)
        nib.save(image, tmp_path / f"{name}.nii")
        mask = masks_of(run, tmp_path / f"{name}.nii", tmp_path / name, *flags)
        np.testing.assert_array_equal(mask, expected.transpose(order), err_msg=name)
    with pytest.raises(UserError, match=r"a\.tif: --slices is for volumes that tell where they lie"):
        masks_of(run, tmp_path / "a.tif", tmp_path / "b", "--slices", "axial")


def test_a_single_slice_is_one(run, slices, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", slices[0])
    expected = masks_of(run, tmp_path / "a.tif", tmp_path / "tif")
    nib.save(nib.Nifti1Image(slices[:1].transpose(2, 1, 0), np.diag([3, 3, 1, 1])), tmp_path / "a.nii")
    mask = masks_of(run, tmp_path / "a.nii", tmp_path / "nii")
    np.testing.assert_array_equal(mask[..., 0].T, expected)
