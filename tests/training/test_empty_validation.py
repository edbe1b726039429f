"""Validation images without any foreground: they tell nothing, in all three implementations alike."""

import math

import numpy as np
import pytest
from helpers import assert_equal_courses, train_all
from PIL import Image

from unet_common.evaluation.report import report_training
from unet_common.prediction.inputs import find_weights

SIZE = (16, 16)


@pytest.fixture
def data(tmp_path):
    """Images of noise; the training images have a bright square, the validation image has none."""
    generator = np.random.default_rng(0)
    for name in ("a", "b", "empty"):
        mask = np.zeros(SIZE, np.uint8)
        if name != "empty":
            mask[4:10, 5:12] = 255
        image = np.clip(60 + mask / 2 + generator.normal(0, 10, SIZE), 0, 255).astype(np.uint8)
        for folder, pixels in (("images", image), ("masks", mask)):
            (tmp_path / "data" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "data" / folder / f"{name}.png")
    return {"name": "folder", "directory": str(tmp_path / "data")}


@pytest.mark.parametrize("classes", [1, 2], ids=["sigmoid", "softmax"])
def test_validation_without_foreground_neither_chooses_weights_nor_stops_early(
    tmp_path, data, classes, capsys
):
    results = train_all(
        tmp_path / "runs",
        network={"depth": 2, "filters": 2, "normalisation": "none", "classes": classes},
        data=data,
        sampling={"crop": SIZE, "validation": ["empty"]},
        training={"steps": 8, "validate_every": 2, "batch_size": 2, "early_stopping": 1},
        schedule={"name": "plateau", "patience": 1},
        loss="dice + cross_entropy",
    )
    assert_equal_courses(results, loss=1e-9, weights=1e-9)
    for history, _weights, run in results:
        validations = [row for row in history if row["validation_dice"] is not None]
        assert [row["step"] for row in validations] == [2, 4, 6, 8]
        assert all(math.isnan(row["validation_dice"]) for row in validations)
        assert len({row["learning_rate"] for row in history if row["learning_rate"]}) == 1
        assert not run.best_weights.is_file() and find_weights(run, "best") == run.final_weights
        report_training(run)
        assert "No validation image has foreground" in capsys.readouterr().out
        assert (run.figures / "validation.png").is_file()
