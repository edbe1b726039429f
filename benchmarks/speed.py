"""Time of a training step in the three implementations, as ratios within one run of this program.

    python -m benchmarks.speed --network unet --size 256 --batch-size 2

The real training loops run, data pipeline, reports and all, in turns (a b c a b c ...), so that a machine that
slows down slows all three. Reported is the median time of a step after the first twenty.
"""

import argparse
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np

from data.errors import run_command
from unet_common.experiment import experiment_from
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.training.monitor import Monitor
from unet_common.training.run import Run

WARM_UP = 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="unet")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in IMPLEMENTATIONS}
    for _turn in range(arguments.turns):
        for name in IMPLEMENTATIONS:
            times[name].append(step_time(name, arguments))
    reference = np.median(times["lowlevel"])
    for name, values in times.items():
        median = np.median(values)
        spread = f"{min(values) / reference:.2f} to {max(values) / reference:.2f}"
        print(
            f"{name:10s} {median / reference:.2f} of lowlevel ({spread}); {1000 * median:.0f} ms a step here"
        )


def step_time(name: str, arguments: argparse.Namespace) -> float:
    """Median seconds of a step of one short training."""
    settings = {
        "implementation": name,
        "network": arguments.network,
        "sampling": {"crop": [arguments.size] * 2, "validation": 0},
        "training": {
            "steps": arguments.steps,
            "batch_size": arguments.batch_size,
            "validate_every": arguments.steps,
        },
    }
    ends: list[float] = []
    report = Monitor.batch_done

    def timed(monitor: Monitor, loss: float) -> None:
        report(monitor, loss)
        ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as directory, patch.object(Monitor, "batch_done", timed):
        load(name).train(Run.create(Path(directory) / name, experiment_from(settings)))
    return float(np.median(np.diff(ends[WARM_UP:])))


if __name__ == "__main__":
    run_command(main)
