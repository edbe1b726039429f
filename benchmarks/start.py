"""Processor time of what a command answers without training or predicting: python -m benchmarks.start

Help, lists and refusals, each in a process of its own: user and system time of the whole process, the least and the
median of several. Where Python may not keep its bytecode (`PYTHONDONTWRITEBYTECODE`), it compiles our files anew each
time, which adds some 0.05 s.
"""

import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TURNS = 7

LINES = (
    "train.py --help",
    "predict.py --help",
    "evaluate.py --help",
    "compare.py --help",
    "-m data --help",
    "-m data check --help",
    "-m data show --help",
    "-m data pack --help",
    "-m data fetch --help",
    "train.py --list-networks",
    "train.py --list-networks --json",
    "train.py --nonsense",
    "train.py --config nowhere.yaml",
    "train.py --set network.dept=3",
    "train.py --set network.depth=99",
    "train.py --loss nonsense",
    "train.py --data folder --data-dir nowhere",
    "train.py --data decathlon --data-dir nowhere",
    "train.py --weights nowhere.h5",
    "train.py --resume nowhere",
    "predict.py --run nowhere",
    "evaluate.py --run nowhere",
    "compare.py --loss nonsense",
    "compare.py --data folder --data-dir nowhere",
    "-m data check nowhere",
    "-m data show membranes --set augmentation.flip=1",
)


def main() -> None:
    for line in LINES:
        seconds = [processor_time(line) for _turn in range(TURNS)]
        print(f"{min(seconds):.2f} {statistics.median(seconds):.2f} s  python {line}", flush=True)


def processor_time(line: str) -> float:
    """Seconds of user and system time that Python takes for a command line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *line.split()], cwd=ROOT, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 2):
        raise RuntimeError(f"{line} ended with status {done.returncode}: {done.stderr.decode()}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
