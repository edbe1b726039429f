"""Dice after trainings with different smoothing of the overlap losses: python -m benchmarks.smoothing

Of the default data, and of objects of some ten pixels that a quarter of the images lacks: discs with protrusions in
images of 64 x 64 pixels. By `lowlevel`, with the weights of the last step. Prints the table of docs/losses.md.
"""

import tempfile
from pathlib import Path
from statistics import fmean

from unet_common.evaluation.report import predict_all
from unet_common.evaluation.scores import Scores
from unet_common.experiment import experiment_from
from unet_common.implementation import load
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.run import Run

SMOOTH = (1.0, 0.1, 1e-3, 1e-5)
SEEDS = (0, 1, 2)

# What is trained on: settings, and the score of a case that is looked at.
DATA = {
    "membranes": ({"data": {"name": "membranes"}, "training": {"steps": 200, "batch_size": 2}}, "dice"),
    "protrusions": (
        {
            "data": {"name": "discs", "size": [64, 64], "images": 120},
            "sampling": {"crop": [64, 64]},
            "training": {"steps": 400, "batch_size": 4, "validate_every": 400},
            "schedule": {"name": "cosine", "warmup": 50},
        },
        "dice_2",
    ),
}
LOSSES = ("dice(smooth={}) + cross_entropy", "dice(smooth={})")


def score(data: str, loss: str, seed: int, folder: Path) -> float:
    """The mean Dice of the validation cases after a training; a case without the class that got none has none."""
    settings, column = DATA[data]
    network = {"name": "unet", "filters": 8}
    run = Run.create(folder, experiment_from({**settings, "network": network, "loss": loss, "seed": seed}))
    load(run.experiment.implementation).train(run)
    scores = Scores(membranes=False)
    for prediction in predict_all([run], None, "final", PredictionSettings()):
        scores.add(prediction)
    values = [row[column] for row in scores.result()[0]]
    return fmean(value for value in values if value == value)


def main() -> None:
    print("| data | loss |" + "".join(f" smooth={smooth:g} |" for smooth in SMOOTH))
    print("|---|---|" + "---:|" * len(SMOOTH), flush=True)
    for data in DATA:
        for loss in LOSSES:
            cells = []
            for smooth in SMOOTH:
                with tempfile.TemporaryDirectory() as folder:
                    dice = [
                        score(data, loss.format(smooth), seed, Path(folder) / str(seed)) for seed in SEEDS
                    ]
                cells.append(f"{fmean(dice):.3f} ({min(dice):.3f} to {max(dice):.3f})")
            print(f"| {data} | `{loss.format('...')}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
