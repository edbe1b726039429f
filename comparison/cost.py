"""What each API costs: time, memory, operations, lines. The three take turns, so that a slow minute slows all."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from comparison.chart import Axis, linear_axis
from comparison.concepts import Concept
from comparison.memory import STATUS
from comparison.source import ROOT, cut, lines_of_program
from comparison.steps import Batch, Step, build
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.training.run import Run
from unet_common.weights.interchange import Weights, load_weights

# Timed steps of each implementation, after some that are not.
ROUNDS, WARM_UP = 20, 3

# A process that only measures its memory does not take longer, in seconds.
MEMORY_TIMEOUT = 900


@dataclass(frozen=True)
class Measured:
    """Of one implementation.

    seconds: of each timed step. images: per second. memory: (bytes before, at most), None where nobody tells.
    """

    step: Step
    seconds: np.ndarray
    images: float
    memory: tuple[int, int] | None

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        return tuple(np.percentile(self.seconds, (25, 75)).tolist())


@dataclass(frozen=True)
class Cost:
    """Of all three; what is a dictionary is by implementation.

    lines: of code for each concept. program: lines of code of all that trains the network, each counted once.
    trained, moving: numbers of weights.
    """

    measured: dict[str, Measured]
    batch: tuple[int, ...]
    lines: list[tuple[str, dict[str, int]]]
    program: dict[str, int]
    trained: int
    moving: int

    def axis(self, start: float, end: float) -> Axis:
        """Of the milliseconds of all timed steps, between two places of a drawing."""
        seconds = np.concatenate([one.seconds for one in self.measured.values()])
        return linear_axis(1000 * seconds, start, end, from_zero=False)

    @property
    def overlap(self) -> bool:
        """Whether the middle halves of all three have steps as fast as each other's: no API is clearly faster."""
        quartiles = [one.quartiles for one in self.measured.values()]
        return max(low for low, _high in quartiles) <= min(high for _low, high in quartiles)

    @property
    def max_lines(self) -> int:
        """Of a single concept."""
        return max(count for _title, of_concept in self.lines for count in of_concept.values())


def cost(runs: Sequence[Run], batch: Batch, concepts: Sequence[Concept]) -> Cost:
    """Build a step of each, and let them take turns: A B C A B C."""
    steps = {run.experiment.implementation: build(run, batch) for run in runs}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(WARM_UP + ROUNDS):
        for name, step in steps.items():
            start = perf_counter()
            step.run()
            if turn >= WARM_UP:
                seconds[name].append(perf_counter() - start)
    measured = {}
    for (name, step), of_process in zip(steps.items(), memory(runs), strict=True):
        times = np.array(seconds[name])
        measured[name] = Measured(step, times, len(batch[0]) / float(np.median(times)), of_process)
    trained, moving = sizes(load_weights(runs[0].final_weights, runs[0].network))
    program = {name: lines_of_program(name, runs[0].network.name) for name in IMPLEMENTATIONS}
    return Cost(measured, batch[0].shape, lines_of_code(concepts), program, trained, moving)


def memory(runs: Sequence[Run]) -> list[tuple[int, int] | None]:
    """Bytes before and at most, in a process for each run that makes some steps; None where nobody tells."""
    if not STATUS.is_file():
        return [None] * len(runs)
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    processes = [  # together: they do not share memory, and nobody looks at the time
        subprocess.Popen(
            [sys.executable, "-m", "comparison.memory", str(run.path)],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
        for run in runs
    ]
    try:
        told = [
            json.loads(process.communicate(timeout=MEMORY_TIMEOUT)[0].splitlines()[-1])
            for process in processes
        ]
    finally:
        for process in processes:
            process.kill()
    return [(answer["before"], answer["peak"]) for answer in told]


def sizes(weights: Weights) -> tuple[int, int]:
    """Numbers of values that are trained, and of moving statistics."""
    moving = sum(value.size for name, value in weights.items() if "/moving_" in name)
    return sum(value.size for value in weights.values()) - moving, moving


def lines_of_code(concepts: Sequence[Concept]) -> list[tuple[str, dict[str, int]]]:
    """Lines that the reader must write for each concept, without comments and docstrings; shared ones do not count.

    Nor do lines that say what several machines would need: the trainings here do without.
    """
    return [
        (concept.title, {name: _lines(concept, name) for name in IMPLEMENTATIONS})
        for concept in concepts
        if concept.key != "machines"
    ]


def _lines(concept: Concept, name: str) -> int:
    references: Mapping[str, None] = dict.fromkeys(
        reference for row in concept.rows for reference in row.cells[name].references
    )
    return sum(cut(reference).code_lines for reference in references)
