"""Scores of a run's best weights on its validation images: python evaluate.py --run runs/x.

With --watch, beside a training in another process: every checkpoint until the training ends, the best one kept.
"""

import argparse

from unet_common.cli import add_inference_flags, inference_of, run_command


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--watch", action="store_true", help="follow a training in another process")
    add_inference_flags(parser)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from unet_common.cross_validation import newest, open_runs
    from unet_common.prediction import check_prediction, validation_cases

    path = arguments.run or newest()
    runs, inference = open_runs(path), inference_of(arguments)
    check_prediction(runs, None if arguments.watch else arguments.weights, inference)
    for run in runs:
        validation_cases(run)  # refuses a run that has none, or whose data is gone
    # From here on nobody waits for a refusal: this imports what draws and scores, and then TensorFlow.
    from unet_common.report import evaluate
    from unet_common.watching import follow_all

    if arguments.watch:
        follow_all(path, arguments.impl, inference)
    else:
        evaluate(runs, arguments.impl, arguments.weights, inference, path)


if __name__ == "__main__":
    run_command(main)
