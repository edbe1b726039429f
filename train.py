"""Train a network: python train.py --impl lowlevel|highlevel|keras.

Without other flags: the U-Net on the embedded data. Everything about the training is written to a run
folder, from which evaluate.py and predict.py read it and --resume continues it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from data.errors import UserError, run_command
from data.files import at_home
from unet_common.cli import add_experiment_flags, experiment_of, given_settings

if TYPE_CHECKING:
    from unet_common.training.run import Run


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_experiment_flags(parser)
    parser.add_argument(
        "--run", type=at_home, metavar="DIR", help="where to write the run (default: runs/TIME_...)"
    )
    parser.add_argument(
        "--resume", type=at_home, metavar="DIR", help="continue a run; only its length may change"
    )
    parser.add_argument("--list-networks", action="store_true", help="show the catalogue, and train nothing")
    parser.add_argument("--json", action="store_true", help="with --list-networks: for programs")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.list_networks:
        from unet_common.networks import CATALOGUE
        from unet_common.networks.listing import listing

        print(listing(CATALOGUE.values(), arguments.json))
        return
    if arguments.resume:
        resume(arguments)
        return
    experiment = experiment_of(arguments)
    from unet_common.training.cross_validation import train_folds
    from unet_common.training.folder import new_run_path
    from unet_common.training.run import Run

    path = arguments.run or new_run_path(experiment)
    if arguments.fold == "all":
        train_folds(path, experiment, train)
    else:
        train(Run.create(path, experiment))


def resume(arguments: argparse.Namespace) -> None:
    """Go on with a run, or with the folds of a cross-validation."""
    from unet_common.training.cross_validation import is_cross_validation, resume_folds
    from unet_common.training.run import Run

    others = [f"--{name}" for name in ("config", "run") if getattr(arguments, name)]
    others += ["--fold"] if arguments.fold else []
    if others:
        raise UserError(
            f"--resume goes on with a run as it is, in its own folder: leave out {', '.join(others)}. Another training "
            f"is a new run, perhaps from these weights: --weights {arguments.resume / 'weights' / 'best.h5'}"
        )
    if is_cross_validation(arguments.resume):
        resume_folds(arguments.resume, given_settings(arguments), train)
    else:
        train(Run.resume(arguments.resume, given_settings(arguments)))


def train(run: Run) -> None:
    """Say what a run is made of, train it with the package of its implementation, and report how it went."""
    from unet_common.training.beginning import lines_on_known_data

    print(f"Run folder: {run.path}", *(run.found or lines_on_known_data(run)), sep="\n", flush=True)
    # From here on nobody waits for an answer: this imports TensorFlow.
    from unet_common.evaluation.report import report_training
    from unet_common.implementation import load

    load(run.experiment.implementation).train(run)
    report_training(run)


if __name__ == "__main__":
    run_command(main)
