"""Predict masks with a trained network: python predict.py.

Without flags: the newest run, on the images it kept for validation. Writes masks, overlays and, where the truth
is known, a table of scores. The status is 1 if some of the files could not be predicted.
"""

import argparse
from pathlib import Path

from data.errors import run_command
from data.files import at_home
from unet_common.cli import add_prediction_flags, prediction_settings_of


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--input",
        type=at_home,
        metavar="PATH",
        help="an image, a volume, a DICOM folder, or a folder of them (default: validation images)",
    )
    add("--output", type=at_home, metavar="DIR", help="default: predictions/ in the run folder")
    add("--probabilities", action="store_true", help="write the probabilities, too (float32)")
    add(
        "--figures",
        action="store_true",
        help="draw a picture of every volume, and the worst and best of them",
    )
    add(
        "--look",
        nargs="?",
        const="auto",
        choices=("auto", "window", "page"),
        help="turn the slices of every volume, in a window, or in a page look/NAME.html where there is no display",
    )
    add(
        "--attention",
        action="store_true",
        help="of unet_25d: draw the attention maps beside a slice of every volume",
    )
    add(
        "--features",
        metavar="LEVEL",
        help="draw the feature maps of a level, such as decoder1, beside every image; an unknown level lists all",
    )
    add(
        "--contrast",
        nargs="+",
        metavar="CLASS",
        help="the class, or two, that these maps tell from all else, or from each other, by name or number",
    )
    add(
        "--values",
        choices=("data", "classes"),
        help="numbers in masks: those of the data set's labels (default), or 0, 1, 2, ... for the classes",
    )
    add_prediction_flags(parser)
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    from unet_common.prediction.folder import claim, record
    from unet_common.prediction.inputs import check_effects, check_prediction, input_files, validation_cases
    from unet_common.prediction.predictor import Predictor
    from unet_common.training.cross_validation import newest, open_runs

    path = arguments.run or newest()
    runs, settings = open_runs(path), prediction_settings_of(arguments)
    check_prediction(runs, arguments.weights, settings)
    files: dict[str, Path] = {}
    if arguments.input:
        files = input_files(arguments.input)
    else:
        for run in runs:
            validation_cases(run)  # refuses a run that has none, or whose data is gone
    check_effects(runs, settings, files.values(), arguments.figures, bool(arguments.look))
    names = files or [name for run in runs for name in run.split.validation]
    about = record(
        runs,
        arguments.impl,
        arguments.weights,
        settings,
        arguments.input,
        names,
        probabilities=arguments.probabilities,
        figures=arguments.figures,
    )
    data = [runs[0].source.directory, arguments.input]
    output = claim(arguments.output, path, about, data)
    # From here on nobody waits for a refusal: this imports what draws and scores, and then TensorFlow.
    from data.drawing.viewer import viewer
    from unet_common.evaluation.report import predict_all, predict_files, report_predictions
    from unet_common.evaluation.shortfall import report_failures, report_unread

    look, failures = viewer(arguments.look), list[str]()
    if arguments.input:
        predictor = Predictor(runs, arguments.impl, arguments.weights, settings.level)
        predictions = predict_files(predictor, files, settings, arguments.probabilities, failures)
    else:
        predictions = predict_all(runs, arguments.impl, arguments.weights, settings, arguments.probabilities)
    report_predictions(
        predictions, runs, output, settings, about, arguments.probabilities, arguments.figures, look
    )
    if arguments.input:
        report_unread(arguments.input, files.values())
    return report_failures(failures, len(files)) if failures else 0


if __name__ == "__main__":
    run_command(main)
