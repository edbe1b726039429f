"""What the commands say and leave behind: curves, tables and pictures."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.source import Case
from unet_common import figures
from unet_common.figures import history_figure
from unet_common.history import read_history
from unet_common.prediction import Inference, Prediction, Predictor, validation_cases
from unet_common.run import Run
from unet_common.saving import save_prediction
from unet_common.scoring import Scores
from unet_common.tables import Row, markdown_table, write_tables

# Cases in the overview picture.
MOST_SHOWN = 4

# What the terminal shows of a case's scores; the files have all of them.
SHOWN_SCORES = (
    "case", "dice", "iou", "precision", "recall", "v_rand_thinned", "v_info_thinned", "hd95", "assd", "surface_dice"
)  # fmt: skip


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
        looks = Looks()
        for prediction in predict_all([run], None, "best", Inference(), first=MOST_SHOWN):
            looks.add(prediction, None)
        looks.overview(run.figures / "validation.png", run.path.name)
    print(f"Figures: {run.figures}/")
    if state == "interrupted":
        print(f"Go on with: python train.py --resume {run.path}")
    print(f"Next: python predict.py --run {run.path}")


def report_predictions(
    predictions: Iterable[Prediction], run: Run, output: Path, probabilities: bool, pictures: bool
) -> None:
    """Write everything that belongs to `predictions` to the folder `output`, each as it comes."""
    scores, looks = Scores(run.source.foreground_is_membrane), Looks()
    values: set[int] = set()
    for prediction in predictions:
        save_prediction(prediction, output, probabilities)
        looks.add(prediction, scores.add(prediction), output / "figures" if pictures else None)
        values.update(np.unique(prediction.label).tolist())
    looks.overview(output / "overview.png", run.path.name)
    written = [f"Masks: {output / 'masks'}/", f"overview: {output / 'overview.png'}"]
    if (output / "overlays").is_dir():
        written.insert(1, f"overlays: {output / 'overlays'}/")
    print("   ".join(written))
    if len(values) == 1:
        print(
            f"Warning: every pixel was predicted as class {values.pop()}. Was the network trained long enough, and "
            "do these images look like its training images (same contrast, same scale)?"
        )
    report_scores(scores, output)


def evaluate(
    runs: Sequence[Run], implementation: str | None, weights: str, inference: Inference, output: Path
) -> None:
    """Print the scores of the validation cases and write them to `output`."""
    scores = Scores(runs[0].source.foreground_is_membrane)
    for prediction in predict_all(runs, implementation, weights, inference):
        scores.add(prediction)
    report_scores(scores, output)


def predict_all(
    runs: Sequence[Run],
    implementation: str | None,
    weights: str,
    inference: Inference,
    probabilities: bool = False,
    first: int | None = None,
) -> Iterator[Prediction]:
    """The validation cases of each run, predicted by that run, which was not trained on them."""
    for run in runs:
        cases = validation_cases(run)
        predictor = Predictor([run], implementation, weights)
        count = min(len(run.split.validation), first or len(run.split.validation))
        yield from predict_each(predictor, cases, count, inference, probabilities)


def predict_each(
    predictor: Predictor, cases: Iterable[Case], count: int, inference: Inference, probabilities: bool
) -> Iterator[Prediction]:
    """The first `count` cases, one by one, with a bar of progress."""
    for case in tqdm(islice(cases, count), total=count, desc="predict", unit="case", disable=None):
        yield predictor(case, inference, probabilities)


def report_scores(scores: Scores, directory: Path) -> list[Row]:
    """Print the table of scores and write it as Markdown, CSV and JSON; nothing if no truth is known."""
    rows, thresholds = scores.result()
    if rows:
        write_tables(rows, directory / "metrics", thresholds=thresholds)
        print(markdown_table([{name: row[name] for name in SHOWN_SCORES if name in row} for row in rows]))
        print(f"All scores: {directory / 'metrics.md'}, .csv, .json")
    return rows


class Looks:
    """Collects what pictures of predictions need, and nothing else of them: volumes are large."""

    def __init__(self):
        self._images: list[figures.Shown] = []

    def add(self, prediction: Prediction, row: Row | None, directory: Path | None = None) -> None:
        """Keep a case for the overview; draw its own picture if there is a directory for it."""
        case, label = prediction.case, prediction.label
        if label.ndim == 2 or len(self._images) < MOST_SHOWN:
            middle = len(label) // 2
            arrays = (case.image, label, prediction.probability, case.label)
            if label.ndim == 3:
                arrays = [None if array is None else array[middle] for array in arrays]
            image, predicted, probability, truth = arrays
            if probability is None:
                probability = np.eye(max(2, prediction.classes), dtype=np.float32)[predicted]
            if len(self._images) < MOST_SHOWN:
                self._images.append(figures.Shown(case.name, image, predicted, probability, truth))

    def overview(self, path: Path, title: str) -> None:
        """A picture of a few cases."""
        if self._images:
            figures.overlay_figure(self._images, path, title)
