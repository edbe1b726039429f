"""Dice after trainings with different smoothing of the overlap losses: python -m benchmarks.smoothing [DATA ...]

Of the default data, and of spots: objects of four pixels, hardly brighter than the noise around them, which two thirds
of the images lack. By `lowlevel`, with the weights of the last step. Prints the table of docs/losses.md.
"""

import sys
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image

from unet_common.experiment import experiment_from
from unet_common.implementation import load
from unet_common.training.history import read_history
from unet_common.training.run import Run

SMOOTH = (1.0, 0.1, 1e-3, 1e-5)
SEEDS = (0, 1, 2)
LOSSES = ("dice(smooth={}) + cross_entropy", "dice(smooth={})")


def membranes(_folder: Path) -> dict[str, Any]:
    """The settings of a training on the default data."""
    return {"network": {"filters": 8}, "training": {"steps": 200, "batch_size": 2}}


def spots(folder: Path) -> dict[str, Any]:
    """Write images of spots; the settings of a training on them."""
    generator = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(120):
        mask = np.zeros((32, 32), np.uint8)
        for _spot in range(2 if number % 3 == 0 else 0):
            row, column = generator.integers(2, 28, 2)
            mask[row : row + 2, column : column + 2] = 255
        image = np.clip(100 + 70 * (mask > 0) + generator.normal(0, 25, mask.shape), 0, 255)
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    return {
        "data": {"name": "folder", "directory": str(folder)},
        "sampling": {"crop": [32, 32]},
        "network": {"depth": 2, "filters": 8},
        "training": {"steps": 500, "batch_size": 4, "validate_every": 500},
        "schedule": {"name": "cosine"},
    }


DATA = {"membranes": membranes, "spots": spots}


def score(data: str, loss: str, seed: int) -> float:
    """The Dice of all validation pixels together after the last step of a training."""
    with tempfile.TemporaryDirectory() as folder:
        settings = DATA[data](Path(folder) / "data")
        run = Run.create(Path(folder) / "run", experiment_from({**settings, "loss": loss, "seed": seed}))
        load(run.experiment.implementation).train(run)
        return read_history(run.history)[-1]["validation_dice"]


def main() -> None:
    print("| data | loss |" + "".join(f" smooth={smooth:g} |" for smooth in SMOOTH))
    print("|---|---|" + "---:|" * len(SMOOTH), flush=True)
    for data in sys.argv[1:] or DATA:
        for loss in LOSSES:
            dice = {smooth: [score(data, loss.format(smooth), seed) for seed in SEEDS] for smooth in SMOOTH}
            cells = [
                f"{fmean(values):.3f} ({min(values):.3f} to {max(values):.3f})" for values in dice.values()
            ]
            print(f"| {data} | `{loss.format('...')}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
