"""Scores of a run's best weights on its validation images: python evaluate.py --run runs/x.

With --watch, beside a training in another process: every checkpoint until the training ends, the best one kept.
"""

import argparse

from data.errors import run_command
from unet_common.cli import add_prediction_flags, prediction_settings_of


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--watch", action="store_true", help="follow a training in another process")
    add_prediction_flags(parser)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from unet_common.prediction.inputs import check_effects, check_prediction, validation_cases
    from unet_common.training.cross_validation import newest, open_runs

    path = arguments.run or newest()
    runs, settings = open_runs(path), prediction_settings_of(arguments)
    check_prediction(runs, None if arguments.watch else arguments.weights, settings)
    check_effects(runs, settings)
    for run in runs:
        validation_cases(run)  # refuses a run that has none, or whose data is gone
    # From here on nobody waits for a refusal: this imports what draws and scores, and then TensorFlow.
    from unet_common.evaluation.report import evaluate
    from unet_common.evaluation.watch import follow_all

    if arguments.watch:
        follow_all(path, arguments.impl, settings)
    else:
        evaluate(runs, arguments.impl, arguments.weights, settings, path)


if __name__ == "__main__":
    run_command(main)
