"""Costs of each network of the catalogue: python -m benchmarks.networks [NAME ...]

Parameters, the time of a prediction and of a step of training (SGD), and the peak memory of such steps, in each
implementation: with one image of 256 x 256 pixels, or one volume of 48 x 48 x 48 voxels for networks that take no
images. Times are ratios to those of `unet` in `lowlevel`, with the same image or volume, measured in turns with it (a b
c d a b c d ...), so that a machine that slows down slows all. Memory is that of a process of its own, less what it has
before anything is built. Prints the tables of docs/networks.md.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from comparison.cost import memory
from comparison.steps import build, one_batch
from unet_common.experiment import experiment_from
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE
from unet_common.training.run import Run

# By the number of axes: generated data, and the side of its images.
DATA, SIDES, TURNS = {2: "membranes", 3: "blobs3d"}, {2: 256, 3: 48}, 5
REFERENCE = ("unet", "lowlevel")


def compare(name: str, folder: Path) -> list[dict[str, str]]:
    """A row for each implementation of a network with its default hyperparameters."""
    keys = [REFERENCE, *((name, implementation) for implementation in IMPLEMENTATIONS)]
    rank = CATALOGUE[name].ranks()[0]
    runs = [prepared(*key, rank, folder / f"{number}") for number, key in enumerate(keys)]
    prediction: list[Callable[[], object]] = []
    training: list[Callable[[], object]] = []
    models = []
    for run in runs:
        batch = one_batch(run)
        models.append(load(run.experiment.implementation).Model(run.network))
        prediction.append(partial(models[-1].predict, batch[0]))
        training.append(build(run, batch).run)
    of_prediction, of_training = in_turns(prediction), in_turns(training)
    peaks = [memory([run])[0] for run in runs[1:]]
    parameters = sum(value.size for value in models[1].weights().values())
    print(
        f"{name}: unet in lowlevel took {median(of_prediction[0]):.3f} and {median(of_training[0]):.3f} s",
        file=sys.stderr,
    )
    return [
        {
            "network": linked(name) if number == 1 else "",
            "parameters": f"{parameters:,}" if number == 1 else "",
            "implementation": implementation,
            "prediction": ratio(of_prediction[number], of_prediction[0]),
            "step": ratio(of_training[number], of_training[0]),
            "peak memory": growth(peaks[number - 1]),
        }
        for number, implementation in enumerate(IMPLEMENTATIONS, 1)
    ]


def prepared(name: str, implementation: str, rank: int, folder: Path) -> Run:
    """A run that is never trained, whose only sample has the side above, or the next that the network accepts."""
    padding = CATALOGUE[name].model_validate({"rank": rank}).padding_for((SIDES[rank],) * rank)
    size = [SIDES[rank] + before + after for before, after in padding]
    settings = {
        "implementation": implementation,
        "network": name,
        "data": {"name": DATA[rank], "images": 2, "size": size},
        "sampling": {"crop": size, "validation": 0.5},
        "loss": "dice",
        "optimizer": {"name": "sgd", "learning_rate": 1e-6},
        "training": {"steps": 1, "batch_size": 1},
    }
    return Run.create(folder, experiment_from(settings))


def in_turns(calls: list[Callable[[], object]]) -> list[list[float]]:
    """Seconds of each call, every turn; the first, which builds and plans, is left out."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(TURNS + 1):
        for call, of_call in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            if turn:
                of_call.append(time.perf_counter() - start)
    return times


def growth(peak: tuple[int, int] | None) -> str:
    """The memory that was added to what a process had before, from `comparison.cost.memory`."""
    return "not known" if peak is None else f"{(peak[1] - peak[0]) / 2**30:.2f} GiB"


def linked(name: str) -> str:
    """A network's name with its source, as in docs/networks.md."""
    return f"[`{name}`](../unet_common/networks/{name}.py)"


def ratio(times: list[float], reference: list[float]) -> str:
    """The median ratio to the reference's time of the same turn, and the smallest and largest."""
    ratios = sorted(here / there for here, there in zip(times, reference, strict=True))
    return f"{median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"


if __name__ == "__main__":
    for position, name in enumerate(sys.argv[1:] or CATALOGUE):
        with tempfile.TemporaryDirectory() as folder:
            rows = compare(name, Path(folder))
        if position == 0:
            print(f"| {' | '.join(rows[0])} |\n|---|---:|---|{'---:|' * 3}")
        for row in rows:
            print(f"| {' | '.join(row.values())} |", flush=True)
