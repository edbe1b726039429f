"""Classes that may overlap, from files of masks to files of masks."""

import json

import numpy as np
import pytest
import tifffile
from helpers import ONE, command
from PIL import Image

import evaluate
import predict
import train
from data.commands.check import examine
from data.commands.pack import pack
from data.commands.show import show
from data.drawing.images import coloured
from data.drawing.layout import classes
from data.drawing.slices import View
from data.errors import UserError
from data.labels.label_maps import class_masks, combine, is_class, largest_class
from data.labels.outputs import Outputs
from data.labels.soft_labels import weights
from data.preprocessing.preprocessor import Prepared, Preprocessor
from data.sampling.augmentation import augment
from data.sampling.sampler import Sampler
from data.settings import Augmentation, Preprocessing, Sampling
from data.source import Case
from data.sources import SOURCES
from data.sources.folder import Folder
from unet_common.evaluation.scores import Scores
from unet_common.experiment import experiment_from, resolve
from unet_common.metrics.pixels import pixel_scores
from unet_common.metrics.surfaces import volume_scores
from unet_common.prediction.predictor import Prediction, with_sets
from unet_common.prediction.sliding_window import probabilities
from unet_common.prediction.writing import save_prediction
from unet_common.training.run import Run

NAMES = ("disc", "line")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def drawing(index, size=(48, 56)):
    """An image of a bright disc and a dark line across it, and the masks [*size, 2]."""
    generator = np.random.default_rng(index)
    y, x = np.indices(size)
    centre = generator.uniform(0.35, 0.65, 2) * size
    disc = np.hypot(y - centre[0], x - centre[1]) < generator.uniform(10, 14)
    line = np.abs(y - centre[0] - (x - centre[1]) * generator.uniform(-0.5, 0.5)) < 2
    image = 100 + 60 * disc - 80 * line + generator.normal(0, 5, size)
    return np.clip(image, 0, 255), np.stack([disc, line], -1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set with a mask for each class."""
    path = tmp_path_factory.mktemp("overlapping")
    for index in range(6):
        image, masks = drawing(index)
        save(path / f"images/{index}.png", image)
        for name, mask in zip(NAMES, np.moveaxis(masks, -1, 0), strict=True):
            save(path / f"masks/{name}/{index}.png", 255 * mask)
    return path


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count, kind", [(2, np.uint8), (8, np.uint8), (9, np.uint16), (32, np.uint32)])
def test_a_label_map_holds_sets_of_classes(count, kind):
    masks = np.random.default_rng(0).random((5, 7, count)) < 0.3
    masks[..., -1] |= ~masks.any(-1)
    masks[0, 0] = False
    label = combine(masks)
    assert label.dtype == kind and label[0, 0] == 0
    np.testing.assert_array_equal(class_masks(label, count, True), masks)
    np.testing.assert_array_equal(is_class(label, 0, True), ~masks.any(-1))
    assert largest_class(label, True) == count and largest_class(np.zeros_like(label), True) == 0


def test_targets():
    masks = np.random.default_rng(0).random((5, 7, 3)) < 0.3
    label = combine(masks)
    target = Outputs(3, multilabel=True, overlapping=True).encode(label)
    assert target.dtype == np.float32
    np.testing.assert_array_equal(target, masks)
    np.testing.assert_array_equal(Outputs(4, True, True).encode(label)[..., 3], 0)
    indices = np.arange(35).reshape(5, 7) % 4
    np.testing.assert_array_equal(
        Outputs(3, multilabel=True).encode(indices), np.stack([indices == k for k in (1, 2, 3)], -1)
    )
    with pytest.raises(UserError, match="class 3, but the network has only the classes 1 to 2: it needs 3"):
        Outputs(2, multilabel=True, overlapping=True).encode(label)
    with pytest.raises(UserError, match="class 3, but the network has only the classes 0 to 2: it needs 4"):
        Outputs(3).encode(indices)


def test_augmentation_resamples_sets_and_swaps_left_and_right():
    masks = np.random.default_rng(0).random((12, 14, 3)) < 0.3
    image, label = np.zeros((12, 14, 1), np.float32), combine(masks)

    def changed(**settings):
        generator = np.random.default_rng(0)
        settings = Augmentation(**settings)
        _, result = augment(image, label, np.zeros(2, int), (12, 14), settings, generator, overlapping=True)
        return class_masks(result, 3, True)

    swapped = changed(flips=1.0, flip_axes=(0,), swap_labels=((1, 3),))
    np.testing.assert_array_equal(swapped, masks[::-1, :, [2, 1, 0]])
    for interpolation in ("nearest", "linear"):
        moved = changed(flips=0.0, rotation=40, label_interpolation=interpolation)
        sets = {tuple(row) for row in masks.reshape(-1, 3)}
        assert {tuple(row) for row in moved.reshape(-1, 3)} <= sets  # no set is made up


def test_what_was_cropped_off_has_no_class():
    prepared = Prepared(np.zeros((2, 2, 1)), None, (1.0, 1.0), (4, 4), (slice(1, 3), slice(1, 3)))
    assert prepared.restore(np.full((2, 2, 2), 0.7), multilabel=True)[0].sum() == 0
    np.testing.assert_array_equal(prepared.restore(np.full((2, 2, 2), 0.7))[0, 0], [1, 0])


def test_probabilities_and_predicted_sets():
    logits = np.random.default_rng(0).standard_normal((5, 7, 3))
    probability = probabilities(logits, multilabel=True)
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logits)), rtol=1e-12)
    label = Outputs(3, multilabel=True).label_map(probability, 0.6)
    np.testing.assert_array_equal(class_masks(label, 3, True), probability >= 0.6)


# --- the data set ----------------------------------------------------------------------------------


def test_a_folder_of_masks_for_each_class(folder):
    source = Folder(directory=folder)
    source.check()
    assert (source.overlapping, source.class_names, source.classes, source.channels) == (True, NAMES, 3, 1)
    case = source.read("3")
    assert case.overlapping and case.label.dtype == np.uint8
    np.testing.assert_array_equal(class_masks(case.label, 2, True), drawing(3)[1])
    found = examine(source)
    shares = np.mean([drawing(index)[1].mean((0, 1)) for index in range(6)], axis=0)
    assert not found.errors and "classes: 3, background included, which may overlap" in found.facts
    assert f"disc (255) {shares[0]:.2%}, line (255) {shares[1]:.2%}" in found.facts[-1]


def test_one_folder_of_masks_is_as_before(tmp_path):
    save(tmp_path / "images/a.png", drawing(0)[0])
    save(tmp_path / "masks/a.png", 255 * drawing(0)[1][..., 0])
    (tmp_path / "masks/old").mkdir()
    source = Folder(directory=tmp_path)
    assert not source.overlapping and source.class_names is None and source.classes == 2


def test_problems_of_masks_for_each_class(tmp_path):
    image, masks = drawing(0)
    for name in ("a", "b", "c", "d"):
        save(tmp_path / f"images/{name}.png", image)
        for number in (0, 1):
            save(tmp_path / f"masks/{NAMES[number]}/{name}.png", 255 * masks[..., number])
        save(tmp_path / f"masks/nothing/{name}.png", 0 * image)
    (tmp_path / "masks/line/b.png").unlink()
    save(tmp_path / "masks/disc/e.png", 255 * masks[..., 0])
    save(tmp_path / "masks/disc/c.png", masks @ [100, 200])
    save(tmp_path / "masks/line/d.png", masks[:9, :, 1])
    with pytest.raises(UserError) as error:
        Folder(directory=tmp_path, label_values=(0, 255)).check()
    message = str(error.value)
    assert "has 6 problem(s)" in message
    for part in (
        "images/b.png: there is no mask of this name in masks/line",
        "disc/e.png: there is no image of this name",
        "disc/c.png: holds the values 0, 44, 100, 200; a mask of one class holds 0 and one other",
        "line/d.png: the mask has the size (9, 56), its image (48, 56)",
        "masks/nothing: all masks are 0 everywhere: there is nothing to learn",
        "data.label_values is for masks that hold all classes",
    ):
        assert part in message


def test_samples_around_a_class(folder):
    source = Folder(directory=folder)
    sampling = Sampling(crop=(16, 16), samples_per_class=(0, 0, 3))
    prepare = Preprocessor(Preprocessing(normalisation="case"))
    sampler = Sampler(source, source.names(), sampling, Augmentation(), prepare, 0, Outputs(2, True, True))
    targets = [sampler.sample(number)[1] for number in range(len(sampler))]
    assert len(targets) == 18 and all(target.shape == (16, 16, 2) for target in targets)
    assert all(target[..., 1].any() for target in targets)
    assert any((target.sum(-1) == 2).any() for target in targets)  # where the line crosses the disc
    with pytest.raises(UserError, match=r"classes 0 to 1, but .* beyond them:\n  - 0 has the class 2\n"):
        Sampler(source, ["0"], sampling, Augmentation(), prepare, 0, Outputs(1, True, True))


@pytest.mark.parametrize("form", ["hdf5", "tfrecord"])
def test_packed_sets_of_classes(folder, form, tmp_path):
    source = Folder(directory=folder)
    pack(source, Preprocessing(), form, tmp_path / "packed", shards=2)
    packed = SOURCES["packed"](directory=tmp_path / "packed")
    assert (packed.overlapping, packed.class_names, packed.classes) == (True, NAMES, 3)
    for name in source.names():
        assert packed.read(name).overlapping
        np.testing.assert_array_equal(packed.read(name).label, source.read(name).label)


def test_the_data_decides_on_sigmoids(folder):
    data = {"name": "folder", "directory": str(folder)}

    def resolved(**network):
        return resolve(experiment_from({"data": data, "network": {"name": "unet", **network}})).network

    assert (resolved().classes, resolved().multilabel) == (2, True)
    with pytest.raises(UserError, match="multilabel is false, but classes of 'folder' may overlap"):
        resolved(multilabel=False)
    with pytest.raises(
        UserError, match=r"classes is 1 .* 'folder' has 2 classes without .* which make 2 and 0"
    ):
        resolved(classes=1)
    discs = {"data": {"name": "discs"}, "network": {"name": "unet"}}
    assert (resolve(experiment_from(discs)).network.classes) == 3
    discs["network"]["multilabel"] = True
    assert resolve(experiment_from(discs)).network.classes == 2
    assert "multilabel" not in experiment_from({}).network.model_fields_set


# --- scores and pictures ---------------------------------------------------------------------------


def test_scores_of_each_class_and_their_means():
    generator = np.random.default_rng(0)
    truth, predicted = (generator.random((6, 7, 2)) < 0.4 for _ in range(2))
    scores = pixel_scores(combine(truth), combine(predicted), 3, overlapping=True)
    both, sums = (truth & predicted).sum((0, 1)), truth.sum((0, 1)) + predicted.sum((0, 1))
    np.testing.assert_allclose(scores.dice[1:], 2 * both / sums)
    np.testing.assert_allclose(scores.iou[1:], both / (sums - both))
    np.testing.assert_allclose(scores.precision[1:], both / predicted.sum((0, 1)))
    np.testing.assert_allclose(scores.recall[1:], both / truth.sum((0, 1)))
    nothing = ~truth.any(-1), ~predicted.any(-1)
    assert scores.dice[0] == pytest.approx(
        2 * (nothing[0] & nothing[1]).sum() / sum(m.sum() for m in nothing)
    )
    means = scores.foreground_means()
    assert means["dice"] == pytest.approx(np.mean(2 * both / sums))
    assert means["pixel_accuracy"] == pytest.approx((truth == predicted).mean())
    assert scores.per_class()["dice_2"] == pytest.approx(2 * both[1] / sums[1])


def test_scores_of_volumes():
    masks = np.zeros((2, 8, 8, 8, 2), bool)
    masks[0, 2:6, 2:6, 2:6, 0] = masks[1, 2:6, 2:6, 2:6, 0] = True
    masks[0, 3:6, 3:6, 3:6, 1] = masks[1, 3:6, 3:6, 2:5, 1] = True
    case = Case("a", np.zeros((8, 8, 8, 1)), combine(masks[0]), overlapping=True)
    row = Scores(membranes=False).add(
        Prediction(case, combine(masks[1]), None, Outputs(2, True, True, names=NAMES))
    )
    assert (row["dice_1"], row["hd95_1"]) == (1, 0)
    assert row["dice_2"] == pytest.approx(2 / 3) and row["hd95_2"] == 1
    assert row["dice"] == pytest.approx(5 / 6) and row["assd"] == pytest.approx(row["assd_2"] / 2)
    with pytest.raises(ValueError, match=r"allowed are 0\.\.1"):
        volume_scores(combine(masks[0]), combine(masks[1]), 2, (1, 1, 1), overlapping=True)


def test_colours_of_sets_are_those_of_their_classes():
    label = np.array([[0, 1, 2, 3]], np.uint8)
    nothing, first, second, both = coloured(label, overlapping=True)[0]
    np.testing.assert_array_equal(nothing, 0)
    np.testing.assert_allclose(both, (first + second) / 2)
    view = View(np.zeros((1, 4, 1), np.uint8), label, overlapping=True)
    assert classes([view]) == [1, 2]
    assert classes([View(view.picture, np.zeros_like(label), overlapping=True)]) == []


def test_pictures_of_the_data_set(folder, tmp_path):
    written = show(Folder(directory=folder), ["0"], tmp_path, Sampling(crop=(32, 32)))
    assert [path.name for path in written] == ["0.png", "augmentation.png"]
    pixels = np.asarray(Image.open(written[0]).convert("RGB")).reshape(-1, 3)
    orange, sky = (
        (np.abs(pixels - np.array(colour)).max(1) < 8).sum() for colour in ((230, 159, 0), (86, 180, 233))
    )
    assert orange > 50 and sky > 50  # an outline of each class


# --- the commands ------------------------------------------------------------------------------------


@ONE
def test_from_masks_to_masks(folder, implementation, tmp_path, capsys):
    settings = ["--batch-size", 4, "--learning-rate", 0.01, "--set", "training.validate_every=20"]
    for setting in (
        "network.depth=3",
        "network.filters=4",
        "network.normalisation=none",
        "sampling.crop=[32, 32]",
    ):
        settings += ["--set", setting]
    settings += ["--data", "folder", "--data-dir", folder, "--loss", "bce + dice[1] + dice[2]"]
    command(train, "--run", tmp_path / "run", "--impl", implementation, "--steps", 60, *settings)
    run = Run.open(tmp_path / "run")
    assert run.network.multilabel and run.network.classes == 2
    (name,) = run.split.validation
    command(predict, "--run", run.path, "--output", tmp_path / "out", "--probabilities")
    found = Folder(directory=tmp_path / "out", images="overlays")
    assert found.class_names == NAMES  # written as they are read
    row = json.loads((tmp_path / "out/metrics.json").read_text())["cases"][0]
    truth, predicted = run.source.read(name).label, found.read(name).label
    scores = pixel_scores(truth, predicted, 3, overlapping=True)
    assert row["dice_1"] == pytest.approx(scores.dice[1]) and row["dice_2"] == pytest.approx(scores.dice[2])
    assert row["dice_1"] > 0.7 and row["dice"] > 0.6
    assert f"{row['dice']:.3f}" in capsys.readouterr().out
    command(evaluate, "--run", run.path)
    save(tmp_path / "new/odd.png", drawing(9, (41, 67))[0])
    command(
        predict, "--run", run.path, "--input", tmp_path / "new", "--output", tmp_path / "more", "--tile", 24
    )
    for class_name in NAMES:
        mask = np.asarray(Image.open(tmp_path / f"more/masks/{class_name}/odd.png"))
        assert mask.shape == (41, 67) and set(np.unique(mask)) <= {0, 255}


def test_labels_that_exclude_each_other_can_be_learned_as_questions(tmp_path):
    settings = ["--data", "discs", "--set", "data.size=[64, 64]", "--set", "data.images=6", "--batch-size", 2]
    settings += ["--set", "network.depth=3", "--set", "network.filters=2", "--set", "sampling.crop=[32, 32]"]
    run = tmp_path / "run"
    command(train, "--run", run, "--steps", 4, "--set", "network.multilabel=true", *settings)
    command(predict, "--run", run, "--output", tmp_path / "out")
    (name,) = Run.open(run).split.validation
    for class_name in ("1", "2"):
        assert np.asarray(Image.open(tmp_path / f"out/masks/{class_name}/{name}.png")).shape == (64, 64)
    row = json.loads((tmp_path / "out/metrics.json").read_text())["cases"][0]
    assert {"dice", "dice_1", "dice_2"} <= row.keys()


def test_a_truth_of_class_numbers_is_compared_as_sets():
    """Class 3 is a set of its own, and not classes 1 and 2 together; of a stack's pages as of an image."""
    case = Case("stack", np.zeros((1, 2, 2, 1), np.float32), np.array([[[0, 1], [2, 3]]]))
    sets = with_sets(case, Outputs(3, multilabel=True, overlapping=True))
    assert sets.overlapping and class_masks(sets.label, 3, True).tolist() == [
        [[[False, False, False], [True, False, False]], [[False, True, False], [False, False, True]]]
    ]
    assert with_sets(sets, Outputs(3, multilabel=True, overlapping=True)) is sets
    assert with_sets(case, Outputs(4)) is case


def test_volumes_get_a_file_for_each_class(tmp_path):
    masks = np.random.default_rng(0).random((3, 4, 5, 2)) < 0.5
    path = tmp_path / "scan.tif"
    case = Case("scan", np.zeros((3, 4, 5, 1), np.float32), None, path)
    outputs = Outputs(2, True, True, names=NAMES, values=(0, 255, 255))
    save_prediction(Prediction(case, combine(masks), None, outputs), tmp_path, False)
    for number, name in enumerate(NAMES):
        with Image.open(tmp_path / f"masks/{name}/scan.tif") as pages:
            pages.seek(1)
            np.testing.assert_array_equal(np.asarray(pages) == 255, masks[1, ..., number])


# --- softened lines ------------------------------------------------------------------------------------


def test_the_kernels_are_those_of_opencv():
    """Numbers of cv2.getGaussianKernel(side, 0)."""
    right = {
        3: [0.5, 0.25],
        7: [0.28125, 0.21875, 0.109375, 0.03125],
        15: [0.154010, 0.143029, 0.114567, 0.079149, 0.047162, 0.024238, 0.010743, 0.004107],
    }
    for side, half in right.items():
        np.testing.assert_allclose(weights(side), [*half[:0:-1], *half], rtol=0, atol=1e-6)
        assert weights(side).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("classes, outputs", [(3, 9), (4, 10)])
def test_a_softened_line(classes, outputs):
    masks = np.zeros((20, 30, classes), bool)
    masks[10, :, 0] = masks[:, 12, 1] = True
    target = Outputs(outputs, True, True, soft=(1, 2)).encode(combine(masks))
    assert target.shape == (20, 30, outputs) and target.dtype == np.float32
    np.testing.assert_array_equal(target[..., :classes], masks)
    for line, profile in ((0, target[:, 15]), (1, target[9])):
        for place, (side, peak) in enumerate(((3, 0.5), (7, 0.28125), (15, 0.15401))):
            softened = profile[:, classes + 3 * line + place]
            assert softened.max() == pytest.approx(peak, abs=1e-5)
            middle, half = int(softened.argmax()), min(side // 2, 7)
            np.testing.assert_allclose(
                softened[middle - half : middle + half + 1],
                weights(side)[side // 2 - half :][: 2 * half + 1],
                atol=1e-6,
            )
            assert softened.sum() == pytest.approx(1, abs=1e-5)
    with pytest.raises(
        UserError, match=f"class {classes}, but the network has only the classes 1 to {classes - 1}"
    ):
        Outputs(outputs - 1, True, True, soft=(1, 2)).encode(
            combine(masks | (np.arange(classes) == classes - 1))
        )


def test_softened_lines_are_trained_and_not_predicted(folder, tmp_path):
    settings = ["--data", "folder", "--data-dir", folder, "--batch-size", 2, "--steps", 4]
    for setting in ("network.depth=2", "network.filters=2", "sampling.crop=[32, 32]", "sampling.soften=[2]"):
        settings += ["--set", setting]
    command(train, "--run", tmp_path / "run", *settings)
    run = Run.open(tmp_path / "run")
    assert (run.network.classes, run.network.auxiliary, run.network.foreground_classes) == (5, 3, 2)
    _, targets = next(iter(run.training_batches(0)))
    assert targets.shape == (2, 32, 32, 5) and 0.1 < targets[..., 4].numpy().max() < 0.9
    _, targets = next(iter(run.validation_batches()))
    assert targets.shape[-1] == 5 and set(np.unique(targets[..., :2])) == {0, 1}
    command(predict, "--run", run.path, "--output", tmp_path / "out", "--probabilities")
    assert sorted(path.name for path in (tmp_path / "out/masks").iterdir()) == list(NAMES)
    assert len(tifffile.imread(next((tmp_path / "out/probabilities").iterdir()))) == 2


def test_softening_that_does_not_fit_is_refused(folder):
    data = {"data": {"name": "folder", "directory": str(folder)}}
    with pytest.raises(UserError, match="soften: 'folder' has the classes 1 to 2"):
        resolve(experiment_from({**data, "sampling": {"soften": [3]}}))
    with pytest.raises(UserError, match="soften is for classes with a sigmoid each"):
        resolve(experiment_from({"data": "discs", "sampling": {"soften": [1]}}))
    with pytest.raises(UserError, match=r"classes is 4 and .* which make 5 and 3"):
        resolve(experiment_from({**data, "network": {"classes": 4}, "sampling": {"soften": [1]}}))
    with pytest.raises(UserError, match="auxiliary: 2 of 2 outputs; it must be fewer, and"):
        experiment_from({"network": {"classes": 2, "auxiliary": 2, "multilabel": True}})
