"""Memory of a reversible network: python -m benchmarks.memory [--implementation NAME] [--blocks N] [--side N]

MiB of resident memory that steps of training (SGD) need at most, the graph and its optimization included, and seconds
of a step, of `reversible_unet` with recomputed and with kept activations: by the blocks of each sequence, and by the
side of the volume. Each is measured in a process of its own. Linux only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from unet_common.implementation import IMPLEMENTATIONS

WIDTHS, STEPS = (16, 32, 64), 3
ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


def measure(implementation: str, blocks: int, side: int, recompute: bool) -> tuple[float, float]:
    """MiB and seconds of a step, in this process."""
    from comparison.steps import build, one_batch
    from unet_common.experiment import experiment_from
    from unet_common.training.run import Run

    settings = {
        "implementation": implementation,
        "network": {
            "name": "reversible_unet",
            "widths": WIDTHS,
            "groups": 8,
            "encoder_blocks": blocks,
            "decoder_blocks": blocks,
            "recompute": recompute,
        },
        "data": {"name": "blobs3d", "images": 2, "size": [side] * 3},
        "sampling": {"crop": [side] * 3, "validation": 0.5},
        "loss": "dice",
        "optimizer": {"name": "sgd", "learning_rate": 1e-6},
        "training": {"steps": 1, "batch_size": 1},
    }
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", experiment_from(settings))
        batch = one_batch(run)
        before, seconds = resident("VmRSS"), []
        step = build(run, batch)
        for _ in range(STEPS):
            start = time.perf_counter()
            step.run()
            seconds.append(time.perf_counter() - start)
    # TensorFlow's allocator keeps what it once had: the process is as large as the allocator ever was.
    return resident("VmHWM") - before, median(seconds)


def resident(what: str) -> float:
    """MiB of this process: now (VmRSS) or at most (VmHWM)."""
    return int(re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def in_a_process(*arguments: object) -> tuple[float, float]:
    """`measure` in a process of its own, which has one heap."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", "--measure", json.dumps(arguments)],
        env={**os.environ, **ALLOCATION},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return tuple(json.loads(answer.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--implementation", nargs="+", default=IMPLEMENTATIONS, choices=IMPLEMENTATIONS)
    parser.add_argument("--blocks", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--side", nargs="+", type=int, default=[48])
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    print(
        "| implementation | side | blocks | recomputed, MiB | kept, MiB | ratio | recomputed, s | kept, s | ratio |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in arguments.implementation:
        for side in arguments.side:
            for blocks in arguments.blocks:
                (peak, seconds), (kept, of_kept) = (
                    in_a_process(name, blocks, side, recompute) for recompute in (True, False)
                )
                print(
                    f"| {name} | {side} | {blocks} | {peak:.0f} | {kept:.0f} | {peak / kept:.2f} | "
                    f"{seconds:.2f} | {of_kept:.2f} | {seconds / of_kept:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
