"""Scores of a run's best weights on its validation images: python evaluate.py --run runs/x.

With --watch, beside a training in another process: again after every improvement, until the training ends.
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
    from unet_common.report import evaluate, follow
    from unet_common.run import Run, newest_run

    run = Run.open(arguments.run) if arguments.run else newest_run()
    implementation = arguments.impl or run.experiment.implementation
    if arguments.watch:
        follow(run, implementation, inference_of(arguments))
    else:
        evaluate(run, implementation, arguments.weights, inference_of(arguments))


if __name__ == "__main__":
    run_command(main)
