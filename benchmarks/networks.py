"""What each network of the catalogue costs: python -m benchmarks.networks [NAME ...]

Parameters, the time of a prediction and of a gradient of one 256 x 256 image, and the peak memory of that gradient, in
each implementation. Times are ratios to those of `unet` in `lowlevel`, measured in turns with it (a b c d a b c d ...)
so that a machine that slows down slows all. Memory is measured in a process of its own for each row.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.volumes import PeakMemory
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE, Network

SIDE, TURNS = 256, 7
LOSS = "dice"
ROOT = Path(__file__).parent.parent


def compare(name: str) -> list[dict[str, str]]:
    """A row for each implementation of a network with its default hyperparameters."""
    network = CATALOGUE[name]()
    models = {"reference": load("lowlevel").Model(CATALOGUE["unet"]())}
    models |= {implementation: load(implementation).Model(network) for implementation in IMPLEMENTATIONS}
    forward, training = {}, {}
    for key, model in models.items():
        images, targets = batch(model.network)
        forward[key] = lambda model=model, images=images: model.predict(images)
        training[key] = lambda model=model, images=images, targets=targets: model.loss_and_gradients(
            images, targets, LOSS
        )
    forward_times, training_times = in_turns(forward), in_turns(training)
    weights = models["lowlevel"].weights()
    rows = []
    for implementation in IMPLEMENTATIONS:
        rows.append(
            {
                "network": name,
                "implementation": implementation,
                "parameters": f"{sum(value.size for value in weights.values()):,}",
                "prediction": ratio(forward_times, implementation),
                "gradient": ratio(training_times, implementation),
                "peak memory": f"{peak_memory(name, implementation):.2f} GiB",
            }
        )
    reference = median(forward_times["reference"]), median(training_times["reference"])
    print(f"{name}: unet in lowlevel took {1000 * reference[0]:.0f} and {1000 * reference[1]:.0f} ms")
    return rows


def batch(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """One image of about 256 x 256 pixels, of the next size that the network accepts, and its targets."""
    padding = network.padding_for((SIDE,) * network.rank)
    size = [SIDE + before + after for before, after in padding]
    generator = np.random.default_rng(0)
    images = generator.standard_normal((1, *size, network.channels)).astype(np.float32)
    targets = generator.integers(0, 2, (1, *size, network.classes)).astype(np.float32)
    return images, targets


def in_turns(calls: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each call, every turn; the first, which builds and plans, is left out."""
    times: dict[str, list[float]] = {key: [] for key in calls}
    for _ in range(TURNS + 1):
        for key, call in calls.items():
            start = time.perf_counter()
            call()
            times[key].append(time.perf_counter() - start)
    return {key: values[1:] for key, values in times.items()}


def ratio(times: dict[str, list[float]], key: str) -> str:
    """The median ratio to the reference's time of the same turn, and the smallest and largest."""
    ratios = sorted(here / there for here, there in zip(times[key], times["reference"], strict=True))
    return f"{median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"


def peak_memory(name: str, implementation: str) -> float:
    """GiB by which a process grows that builds the network and computes a gradient twice."""
    code = f"from benchmarks.networks import grow; grow({name!r}, {implementation!r})"
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout
    return float(output.split()[-1]) / 2**30


def grow(name: str, implementation: str) -> None:
    """Print the bytes of `peak_memory`."""
    images, targets = batch(CATALOGUE[name]())
    package = load(implementation)
    with PeakMemory() as memory:
        model = package.Model(CATALOGUE[name]())
        for _ in range(2):
            model.loss_and_gradients(images, targets, LOSS)
    print(memory.peak)


if __name__ == "__main__":
    rows = [row for name in sys.argv[1:] or CATALOGUE for row in compare(name)]
    for cells in (rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows)):
        print(f"| {' | '.join(cells)} |")
