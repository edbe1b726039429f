"""Scores of a run's best weights on its validation images: python evaluate.py --run runs/x.

With --watch, beside a training in another process: every checkpoint until the training ends, the best one kept.
"""

import argparse

from unet_common.cli import add_prediction_flags, prediction_settings_of, run_command


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
    from unet_common.evaluation.report import evaluate
    from unet_common.evaluation.watch import follow_all
    from unet_common.training.cross_validation import newest, open_runs

    path = arguments.run or newest()
    settings = prediction_settings_of(arguments)
    if arguments.watch:
        follow_all(path, arguments.impl, settings)
    else:
        evaluate(open_runs(path), arguments.impl, arguments.weights, settings, path)


if __name__ == "__main__":
    run_command(main)
