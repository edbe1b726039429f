"""Masks of unusual kinds, through the training loops of all three: they learn what the masks show."""

import numpy as np
import pytest
from helpers import assert_equal_courses, first_quickly, train_all
from PIL import Image

from unet_common.evaluation.scores import Scores
from unet_common.prediction.inputs import validation_cases
from unet_common.prediction.predictor import Predictor
from unet_common.prediction.settings import PredictionSettings

SIZE = (32, 32)
SMALL = {"depth": 2, "filters": 4, "normalisation": "none"}
TRAINING = {"steps": 30, "validate_every": 30, "batch_size": 4}
ADAM = {"name": "adam", "learning_rate": 2.0**-6}


def bright_discs(count: int, objects: int = 2) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images in which discs are bright, and the discs numbered from 1."""
    generator = np.random.default_rng(0)
    rows, columns = np.indices(SIZE)
    pairs = []
    for _ in range(count):
        numbers = np.zeros(SIZE, np.uint8)
        for number in range(1, objects + 1):
            row, column = generator.integers(4, 28, 2)
            numbers[(rows - row) ** 2 + (columns - column) ** 2 < 25] = number
        image = np.where(numbers > 0, 200, 60) + generator.normal(0, 10, SIZE)
        pairs.append((np.clip(image, 0, 255).astype(np.uint8), numbers))
    return pairs


def write(folder, image, mask, name):
    for part, pixels in (("images", Image.fromarray(image)), ("masks", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        pixels.save(folder / part / f"{name}.png")


def with_palette(mask: np.ndarray, white_first: bool) -> Image.Image:
    """A mask as Pillow writes it as palette image: 1 is the shape, or, with white as the first colour, 0 is."""
    image = Image.fromarray((mask ^ white_first).astype(np.uint8))
    image.putpalette([255, 255, 255, 0, 0, 0] if white_first else [0, 0, 0, 255, 255, 255])
    return image


def dice(truth, label):
    return 2 * (truth & label).sum() / (truth.sum() + label.sum())


@pytest.mark.parametrize("kinds", [(True,), (True, False)], ids=["white first", "mixed"])
def test_black_and_white_palettes_train_to_what_is_white(tmp_path, kinds):
    pairs = bright_discs(8)
    for number, (image, numbers) in enumerate(pairs):
        mask = with_palette(numbers > 0, kinds[number % len(kinds)])
        write(tmp_path / "data", image, mask, str(number))
    data = {"name": "folder", "directory": str(tmp_path / "data")}
    sampling = {"crop": SIZE, "validation": ["6", "7"]}
    results = train_all(
        tmp_path / "runs", network=SMALL, data=data, sampling=sampling, training=TRAINING, optimizer=ADAM
    )
    for history, _weights, run in results:
        assert history[-1]["validation_dice"] > 0.95, run.experiment.implementation
        predictor = Predictor([run], None, "final")
        for case in validation_cases(run):
            label = predictor(case, PredictionSettings(), True).label
            assert dice(pairs[int(case.name)][1] > 0, label > 0) > 0.95, run.experiment.implementation


VOID = {
    "binary": (lambda numbers, void: np.where(void, 255, numbers > 0), SMALL),
    "softmax": (lambda numbers, void: np.where(void, 255, numbers), SMALL),
    "multilabel": (lambda numbers, void: np.where(void, 255, numbers), {**SMALL, "multilabel": True}),
    "deep supervision": (
        lambda numbers, void: np.where(void, 255, numbers),
        {**SMALL, "depth": 3, "deep_supervision": 1},
    ),
}


@first_quickly("kind", "multilabel", "binary", "softmax", "deep supervision")
def test_void_pixels_are_not_counted(tmp_path, kind):
    """What is in the mask where it is void changes nothing, and the score is that of the other pixels."""
    make, network = VOID[kind]
    generator = np.random.default_rng(1)
    values = {}
    for number, (image, numbers) in enumerate(bright_discs(6)):
        void = generator.random(SIZE) < 0.2
        void[:, :10] = True
        values[str(number)] = make(numbers, void).astype(np.uint8)
        write(tmp_path / "data", image, Image.fromarray(values[str(number)]), str(number))
    data = {"name": "folder", "directory": str(tmp_path / "data"), "ignore": [255]}
    if kind == "binary":
        data["label_values"] = [0, 1]
    results = train_all(
        tmp_path / "runs",
        network=network,
        data=data,
        sampling={"crop": [24, 24], "validation": ["4", "5"]},
        training={**TRAINING, "steps": 8, "validate_every": 4},
        loss="dice + cross_entropy",
    )
    assert_equal_courses(results, loss=1e-9, weights=1e-9)
    for history, _weights, run in results:
        classes = int(max(value[value < 255].max() for value in values.values()))
        assert run.outputs.classes == classes and run.outputs.ignoring
        predictor, scores = Predictor([run], None, "final"), Scores(False)
        hits, sizes = np.zeros((2, classes))
        for case in validation_cases(run):
            prediction = predictor(case, PredictionSettings(), True)
            row = scores.add(prediction)
            truth, counted = values[case.name], values[case.name] != 255
            for index in range(classes):
                true = (truth == index + 1)[counted]
                if run.network.multilabel:
                    found = (prediction.label >> index & 1 == 1)[counted]
                else:
                    found = (prediction.label == index + 1)[counted]
                hits[index] += 2 * (true & found).sum()
                sizes[index] += true.sum() + found.sum()
                if classes > 1 and true.sum() + found.sum():
                    expected = 2 * (true & found).sum() / (true.sum() + found.sum())
                    assert row[f"dice_{index + 1}"] == pytest.approx(expected)
        expected = np.mean([hit / size for hit, size in zip(hits, sizes, strict=True) if size])
        assert history[-1]["validation_dice"] == pytest.approx(expected, abs=1e-6), (
            run.experiment.implementation
        )


def test_a_void_volume_trains(tmp_path):
    import tifffile

    generator = np.random.default_rng(2)
    for number in range(3):
        labels = (generator.random((8, 16, 16)) < 0.3).astype(np.uint8)
        image = (labels * 100 + generator.integers(0, 50, labels.shape)).astype(np.uint8)
        labels[:, :, :5] = 7
        for part, pixels in (("images", image), ("labels", labels)):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "data" / part / f"{number}.tif", pixels, photometric="minisblack")
    results = train_all(
        tmp_path / "runs",
        network={"rank": 3, "depth": 2, "filters": 2},
        data={"name": "volumes", "directory": str(tmp_path / "data"), "ignore": [7]},
        sampling={"crop": [8, 8, 8], "validation": ["2"]},
        augmentation={"rotation": 20, "label_interpolation": "linear"},
        training={"steps": 4, "validate_every": 2, "batch_size": 2},
    )
    assert_equal_courses(results, loss=1e-9, weights=1e-9)
    _images, targets = next(iter(results[0][2].training_batches(0)))
    assert {-1.0, 0.0, 1.0} == set(np.unique(targets.numpy()))
