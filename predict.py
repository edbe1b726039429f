"""Predict masks with a trained network: python predict.py.

Without flags: the newest run, on the images it kept for validation. Writes masks, overlays and, where the truth
is known, a table of scores.
"""

import argparse
from pathlib import Path

from unet_common.cli import add_inference_flags, inference_of, run_command


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--input", type=Path, metavar="PATH", help="an image or a folder of them (default: validation images)"
    )
    add("--output", type=Path, metavar="DIR", help="default: predictions/ in the run folder")
    add("--probabilities", action="store_true", help="write the probabilities, too (float32 TIFF)")
    add_inference_flags(parser)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from unet_common import prediction
    from unet_common.report import report_predictions
    from unet_common.run import Run, newest_run

    run = Run.open(arguments.run) if arguments.run else newest_run()
    output = arguments.output or run.path / "predictions"
    if arguments.input:
        files, cases = prediction.input_cases(arguments.input)
        count = len(files)
    else:
        cases, count = prediction.validation_cases(run), len(run.split.validation)
    weights = prediction.find_weights(run, arguments.weights)
    implementation = arguments.impl or run.experiment.implementation
    predictions = prediction.predict_cases(
        run, implementation, weights, cases, count, inference_of(arguments)
    )
    report_predictions(run, predictions, output, arguments.probabilities)


if __name__ == "__main__":
    run_command(main)
