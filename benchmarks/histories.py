"""The three implementations on one seed: their loss curves on top of each other, and the difference.

    python -m benchmarks.histories --output docs/figures/comparison.png
    python -m benchmarks.histories --runs runs/a runs/b runs/c --output docs/figures/comparison_isbi2012.png

Without --runs, trains each on the embedded data in float64, where nothing but the last digits can differ.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from data.errors import run_command
from unet_common.experiment import experiment_from
from unet_common.figures.history import comparison_figure
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.training.history import Row, read_history
from unet_common.training.run import Run

# Momentum and rate are numbers that float32 holds exactly: `tf.train` rounds its constants to float32.
SETTINGS = {
    "network": {"depth": 4, "filters": 8, "dropout": 0.25},
    "optimizer": {"name": "sgd", "learning_rate": 2.0**-4, "momentum": 0.875},
    "training": {"steps": 200, "validate_every": 50},
    "precision": "float64",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", type=Path, nargs="+", metavar="DIR", help="finished runs, instead of new ones"
    )
    parser.add_argument("--output", type=Path, default=Path("comparison.png"), metavar="FILE")
    parser.add_argument("--title", default="One seed, three implementations")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        runs = [Run.open(path) for path in arguments.runs or []] or train_all(Path(directory))
        histories: dict[str, list[Row]] = {
            run.experiment.implementation: read_history(run.history) for run in runs
        }
    comparison_figure(histories, arguments.output, arguments.title)
    first, *others = histories
    for other in others:
        difference = np.abs(losses(histories[first]) - losses(histories[other]))
        print(
            f"{first} and {other}: first loss differs by {difference[0]:.1e}, all by at most {difference.max():.1e}"
        )


def train_all(directory: Path) -> list[Run]:
    """Train one run of each implementation."""
    runs = []
    for name in IMPLEMENTATIONS:
        runs.append(Run.create(directory / name, experiment_from({"implementation": name, **SETTINGS})))
        load(name).train(runs[-1])
    return runs


def losses(history: list[dict]) -> np.ndarray:
    """The training loss of every step."""
    return np.array([row["loss"] for row in history if row["loss"] is not None])


if __name__ == "__main__":
    run_command(main)
