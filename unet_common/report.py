"""What the commands say and leave behind: curves, tables and pictures."""

import time
from collections.abc import Iterable
from pathlib import Path

from unet_common.figures import history_figure
from unet_common.history import read_history
from unet_common.prediction import (
    Inference,
    Prediction,
    find_weights,
    overview,
    predict_cases,
    save_prediction,
    score,
    validation_cases,
    warn_of_one_class,
)
from unet_common.run import Run
from unet_common.tables import markdown_table, write_tables

# Seconds between two looks of --watch.
WATCH_EVERY = 2.0

# What the terminal shows of a case's scores; the files have all of them.
SHOWN_SCORES = ("case", "dice", "iou", "precision", "recall", "v_rand_thinned", "v_info_thinned")


def report_training(run: Run) -> None:
    """Draw the curves and pictures of the validation cases; say how it went and what to do next."""
    rows = read_history(run.history)
    history_figure(rows, run.figures / "history.png", title=run.path.name)
    state = run.state()
    print(f"{state.capitalize()} after step {rows[-1]['step'] if rows else 0} of {run.steps}.")
    validations = [row for row in rows if row["validation_dice"] is not None]
    if validations:
        best = max(validations, key=lambda row: row["validation_dice"])
        print(f"Best validation Dice {best['validation_dice']:.4f} at step {best['step']}.")
    if run.best_weights.is_file():
        predictions = list(_validation_predictions(run, run.experiment.implementation, "best", Inference()))
        overview(predictions, run.figures / "validation.png", run.path.name)
    print(f"Figures: {run.figures}/")
    if state == "interrupted":
        print(f"Go on with: python train.py --resume {run.path}")
    print(f"Next: python predict.py --run {run.path}")


def report_predictions(
    run: Run, predictions: Iterable[Prediction], output: Path, probabilities: bool
) -> None:
    """Write everything that belongs to `predictions` to the folder `output`."""
    done = []
    for prediction in predictions:
        save_prediction(prediction, output, probabilities)
        done.append(prediction)
    overview(done, output / "overview.png", run.path.name)
    print(
        f"Masks: {output / 'masks'}/   overlays: {output / 'overlays'}/   overview: {output / 'overview.png'}"
    )
    warning = warn_of_one_class(done)
    if warning:
        print(warning)
    _report_scores(run, done, output)


def evaluate(run: Run, implementation: str, weights: str, inference: Inference) -> None:
    """Print the scores of the validation cases and write them to the run folder."""
    _report_scores(run, list(_validation_predictions(run, implementation, weights, inference)), run.path)


def follow(run: Run, implementation: str, inference: Inference) -> None:
    """Evaluate whenever a training in another process has better weights, until it has ended."""
    seen = None
    while True:
        state = run.state()  # before the look at the weights: the last ones are not missed
        modified = run.best_weights.stat().st_mtime_ns if run.best_weights.is_file() else None
        if modified != seen:
            seen = modified
            evaluate(run, implementation, "best", inference)
        elif state not in ("running", "not started"):
            print(f"The training has ended: {state}.")
            return
        else:
            time.sleep(WATCH_EVERY)


def _validation_predictions(
    run: Run, implementation: str, weights: str, inference: Inference
) -> Iterable[Prediction]:
    cases, count = validation_cases(run), len(run.split.validation)
    return predict_cases(run, implementation, find_weights(run, weights), cases, count, inference)


def _report_scores(run: Run, predictions: list[Prediction], directory: Path) -> None:
    rows, thresholds = score(predictions, run.source.foreground_is_membrane)
    if not rows:
        return
    write_tables(rows, directory / "metrics", thresholds=thresholds)
    print(markdown_table([{name: row[name] for name in SHOWN_SCORES if name in row} for row in rows]))
    print(f"All scores: {directory / 'metrics.md'}, .csv, .json")
