"""Everything that needs a GPU, in one go: python -m benchmarks.gpu

The tests that compare the three on a device (their networks, and the loss curves of their trainings), then the
measurements whose numbers are other ones there, each in a process of its own. Goes on after a failure. Prints a table
of what passed, and what the measurements said; 1 is returned if anything failed. `--device CPU:0` tries the command out
on a machine without a GPU.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from comparison.source import ROOT


@dataclass(frozen=True)
class Task:
    """A command of Python: its arguments, and whether its last line is all that matters of what it says."""

    title: str
    arguments: tuple[str, ...]
    one_line: bool = False


def tasks(device: str) -> list[Task]:
    """Tests and measurements in their order. Tests with the fixture `device` have its name in theirs."""
    on_device = ("-m", "pytest", "-q", "-n", "0", "-m", "slow or not slow", "-k", device)
    return [
        Task("networks of the three", (*on_device, "tests/test_consistency.py"), True),
        Task("trainings of the three", (*on_device, "tests/test_training_consistency.py"), True),
        Task("time of a step in each API", ("-m", "benchmarks.speed")),
        Task("memory of the reversible network", ("-m", "benchmarks.memory")),
        Task("depthwise convolution of volumes", ("-m", "benchmarks.depthwise")),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="GPU:0", help="what the tests run on (default: GPU:0)")
    device = parser.parse_args().device
    present = [one.name.removeprefix("/physical_device:") for one in tf.config.list_physical_devices()]
    if device not in present:
        print(
            f"TensorFlow sees no {device}, only {', '.join(present)}. docs/training.md tells what a GPU needs."
        )
        return 1
    rows, reports = [], []
    for task in tasks(device):
        print(f"{task.title} ...", file=sys.stderr, flush=True)
        start = time.monotonic()
        done = subprocess.run([sys.executable, *task.arguments], cwd=ROOT, capture_output=True, text=True)
        said = done.stdout.strip() if done.returncode == 0 else f"{done.stdout}\n{done.stderr}".strip()
        last = said.splitlines()[-1] if said else ""
        result = "passed" if done.returncode == 0 else f"failed with {done.returncode}"
        rows.append(
            (task.title, result, last if task.one_line else "below", f"{(time.monotonic() - start) / 60:.1f}")
        )
        if done.returncode or not task.one_line:
            reports.append(f"## {task.title}\n\n{said}")
    print(table(rows), *reports, sep="\n\n")
    return int(any(result != "passed" for _title, result, _said, _minutes in rows))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in Markdown."""
    head = ("what", "", "said", "minutes")
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---", "---", "---", "---:"), *rows))


if __name__ == "__main__":
    sys.exit(main())
