"""The networks for volumes, each trained for the same time: python -m benchmarks.hippocampus --data-dir DIR [ROW ...]

Trains every row that is named, or all, on the hippocampus volumes with configs/hippocampus.yaml and the row's flags
below, one after another, goes on with what was begun before, and prints the table of docs/results.md of the rows that
are complete. A row has as many steps as fit into a quarter of an hour of one processor core, validations left out;
--pace measures that, and trains nothing. The rows of a comparison have the same steps and settings but for the one that
is compared, and each has two seeds.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.networks import growth
from comparison.cost import memory, sizes
from comparison.source import ROOT
from comparison.steps import build, one_batch
from unet_common.cli import add_experiment_flags, experiment_of
from unet_common.metrics.pixels import pixel_scores
from unet_common.prediction.inputs import validation_cases
from unet_common.prediction.predictor import Predictor
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.run import Run
from unet_common.weights.interchange import load_weights

BUDGET = 15 * 60
"""Seconds of the steps of a training."""

WARM_UP, TIMED = 3, 10
"""Steps by which the pace is measured."""

NETWORKS = {
    "unet": (1100, "--set network.filters=16"),
    "unet_3d": (1150, "--network unet_3d --set network.filters=8"),
    "vnet": (780, "--network vnet --set network.filters=8 --set network.depth=4"),
    "vnet_3d": (
        2200,
        "--network vnet_3d --set network.filters=8 --set network.depth=4 --set network.kernel_size=3",
    ),
    "vnet_3d_depthwise": (1350, "--network vnet_3d_depthwise --set network.depth=4"),
    "vnet_3d_bottleneck": (740, "--network vnet_3d_bottleneck"),
    "unet_25d": (550, "--network unet_25d --set network.depth=4 --set network.in_plane_levels=1"),
    "no_new_net": (1050, "--network no_new_net --set network.widths=[16,32,64,128] --set network.groups=8"),
    "reversible_unet": (
        600,
        "--network reversible_unet --set network.widths=[32,64,128,256] --set network.groups=8",
    ),
    "medpatchnet": (
        1500,
        "--network medpatchnet --set network.filters=8 --set network.patch_size=[80,96,80] "
        "--set sampling.crop=[80,96,80] --batch-size 1",
    ),
}
"""Steps that fit into `BUDGET`, by the pace that was measured, and flags of train.py for each network."""

ANISOTROPIC = {
    "5_slices": (650, "--network unet_25d --set preprocessing.spacing=[1,1,7] --set sampling.crop=[32,48,5]"),
    "12_slices": (
        360,
        "--network unet_25d --set preprocessing.spacing=[1,1,3] --set sampling.crop=[32,48,12]",
    ),
    "24_slices": (
        190,
        "--network unet_25d --set preprocessing.spacing=[1,1,1.5] --set sampling.crop=[32,48,24]",
    ),
}
"""The same for volumes of so many slices, which are resampled for that; a third of the time, to see that it works."""

COMPARISONS = {
    "kept": ("reversible_unet", "--set network.recompute=false"),
    "dilated": ("no_new_net", "--set network.dilated_levels=2"),
    "dice": ("unet", "--loss dice"),
    "cross_entropy": ("unet", "--loss cross_entropy"),
    "worst_tenth": ("unet", "--loss 'top_k_cross_entropy(share=0.1)'"),
}
"""A row of `NETWORKS`, and the flags in which another row differs from it."""

SEEDS = (0, 1)

COMPARED = [row for row in NETWORKS if any(row == compared for compared, _flags in COMPARISONS.values())]


def flags_of(row: str) -> str:
    """All flags of train.py but for the places of data and run. A row is `NAME` or `NAME_seed1`."""
    name, _, seed = row.partition("_seed")
    network, difference = COMPARISONS.get(name, (name, ""))
    steps, flags = {**NETWORKS, **ANISOTROPIC}[network]
    return f"--config configs/hippocampus.yaml {flags} {difference} --steps {steps} --seed {seed or 0}"


def rows() -> list[str]:
    """All rows: every network, the comparisons, and these with the second seed."""
    again = [f"{name}_seed{seed}" for seed in SEEDS[1:] for name in [*COMPARED, *COMPARISONS]]
    return [*NETWORKS, *ANISOTROPIC, *COMPARISONS, *again]


def train(row: str, directory: Path, path: Path) -> None:
    """Train a row with train.py, or go on with it, unless it is complete."""
    if is_complete(path):
        return
    begun = (path / "experiment.yaml").is_file()
    flags = f"--resume {path}" if begun else f"{flags_of(row)} --data-dir {directory} --run {path}"
    subprocess.run([sys.executable, "train.py", *shlex.split(flags)], cwd=ROOT, check=True)


def is_complete(path: Path) -> bool:
    """True if the training has come to its end."""
    return (path / "experiment.yaml").is_file() and Run.open(path).state.name == "finished"


def pace(row: str, directory: Path) -> float:
    """Seconds of processor time of one step, with the samples that it needs."""
    parser = argparse.ArgumentParser()
    add_experiment_flags(parser)
    arguments = parser.parse_args(shlex.split(f"{flags_of(row)} --data-dir {directory}"))
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", experiment_of(arguments))
        step = build(run, one_batch(run))
        seconds = []
        for _batch in run.training_batches(0).take(WARM_UP + TIMED):
            start = time.process_time()
            step.run()
            seconds.append(time.process_time() - start)
    return median(seconds[WARM_UP:])


def scored(row: str, path: Path) -> dict[str, str]:
    """The table's row of a training: what it was, and what it gave."""
    run = Run.open(path)
    predictor, settings = Predictor([run]), PredictionSettings()
    dices = []
    for case in validation_cases(run):
        assert case.label is not None
        scores = pixel_scores(case.label, predictor(case, settings).label, 3, True).per_class()
        dices.append([scores["dice_1"], scores["dice_2"]])
    anterior, posterior = np.nanmean(dices, axis=0)
    trained, _moving = sizes(load_weights(run.final_weights, run.network))
    return {
        "training": row,
        "parameters": f"{trained:,}",
        "steps": f"{run.steps:,}",
        "Dice anterior": f"{anterior:.3f}",
        "Dice posterior": f"{posterior:.3f}",
        "peak memory": growth(memory([run])[0]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"any of {', '.join(rows())} (default: all)")
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder of Task04_Hippocampus")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/networks"), help="the folder of the trainings"
    )
    parser.add_argument("--pace", action="store_true", help="tell how many steps fit, and train nothing")
    arguments = parser.parse_args()
    chosen = arguments.rows or rows()
    if unknown := set(chosen) - set(rows()):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if arguments.pace:
        for row in chosen:
            seconds = pace(row, arguments.data_dir)
            print(f"{row}: {seconds:.2f} s a step, {BUDGET / seconds:.0f} steps", flush=True)
        return
    for row in chosen:
        train(row, arguments.data_dir.absolute(), (arguments.runs / row).absolute())
    complete = [row for row in rows() if is_complete(arguments.runs / row)]
    print_table([scored(row, arguments.runs / row) for row in complete])


def print_table(table: Sequence[dict[str, str]]) -> None:
    """Print rows in Markdown."""
    for number, row in enumerate(table):
        if number == 0:
            print(f"| {' | '.join(row)} |\n|---{'|---:' * (len(row) - 1)}|")
        print(f"| {' | '.join(row.values())} |")


if __name__ == "__main__":
    main()
