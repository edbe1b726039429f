"""Train a network: python train.py --impl lowlevel|highlevel|keras.

Without other flags: the U-Net on the embedded data. Everything about the training is written to a run
folder, from which evaluate.py and predict.py read it and --resume continues it.
"""

import argparse
from pathlib import Path

from unet_common.cli import add_experiment_flags, experiment_of, given_settings, run_command


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_experiment_flags(parser)
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="where to write the run (default: runs/TIME_...)"
    )
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="continue a run; only its length may change"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from unet_common.implementation import load
    from unet_common.report import report_training
    from unet_common.run import Run, new_run_path

    if arguments.resume:
        run = Run.resume(arguments.resume, given_settings(arguments))
    else:
        experiment = experiment_of(arguments)
        run = Run.create(arguments.run or new_run_path(experiment), experiment)
    print(f"Run folder: {run.path}")
    load(run.experiment.implementation).train(run)
    report_training(run)


if __name__ == "__main__":
    run_command(main)
