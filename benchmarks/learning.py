"""Losses and Dice of each network, trained with the same settings: python -m benchmarks.learning [NAME ...]

Each 2D network of the catalogue that knows two classes, with its default hyperparameters, trained on the generated
membranes with the default settings of an experiment, but few steps. By `lowlevel`: the three learn alike. Prints a
table of docs/networks.md. The settings were chosen for none of them; a network that is behind here may need more steps,
another rate, or more data, and not be worse.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.networks import linked
from unet_common.experiment import experiment_from
from unet_common.implementation import load
from unet_common.networks import CATALOGUE
from unet_common.training.history import read_history
from unet_common.training.run import Run

STEPS, BATCH, EVERY = 300, 2, 100


def learn(name: str, folder: Path) -> dict[str, str]:
    """Train one network; its losses, and its Dice on the validation images after the last step and at best."""
    settings = {
        "implementation": "lowlevel",
        "network": name,
        "data": {"size": [384, 384]},  # `unet_original` wants samples that are larger than its output
        "training": {"steps": STEPS, "batch_size": BATCH, "validate_every": EVERY},
    }
    run = Run.create(folder, experiment_from(settings))
    load(run.experiment.implementation).train(run)
    rows = read_history(run.history)
    losses = [row["loss"] for row in rows if row["loss"] is not None]
    dices = [row["validation_dice"] for row in rows if row["validation_dice"] is not None]
    return {
        "network": linked(name),
        "loss of the first 10 steps": f"{sum(losses[:10]) / 10:.3f}",
        "of the last 10": f"{sum(losses[-10:]) / 10:.3f}",
        f"Dice after {STEPS} steps": f"{dices[-1]:.3f}",
        "best": f"{max(dices):.3f}",
    }


if __name__ == "__main__":
    names = sys.argv[1:] or [
        name for name in CATALOGUE if "binary" in CATALOGUE[name].tasks and 2 in CATALOGUE[name].ranks()
    ]
    for position, name in enumerate(names):
        with tempfile.TemporaryDirectory() as folder:
            row = learn(name, Path(folder) / "run")
        if position == 0:
            print(f"| {' | '.join(row)} |\n|---{'|---:' * (len(row) - 1)}|")
        print(f"| {' | '.join(row.values())} |", flush=True)
