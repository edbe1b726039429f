"""The reports of the commands: curves, tables and pictures."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.drawing.viewer import Look
from data.errors import UserError
from data.labels.label_maps import first_few
from data.source import Case, unlabelled
from unet_common.evaluation.scores import Scores
from unet_common.evaluation.tables import (
    FOLDS,
    Row,
    decision_table,
    fold_rows,
    fold_table,
    markdown_table,
    notes,
    write_tables,
)
from unet_common.figures.heat_maps import heat_map_figure
from unet_common.figures.history import history_figure
from unet_common.figures.overlays import ShownImage, overlay_figure
from unet_common.figures.volumes import ShownVolume, contact_sheet, orthogonal_figure
from unet_common.prediction.folder import record
from unet_common.prediction.inputs import validation_cases
from unet_common.prediction.predictor import Prediction, Predictor
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.writing import CLASSES, save_classes, save_prediction
from unet_common.training.cross_validation import fold_of_cases
from unet_common.training.history import read_history
from unet_common.training.run import Run

# Cases in the overview picture.
MAX_SHOWN = 4

# What the terminal shows of a case's scores; the files have all of them.
SHOWN_SCORES = (
    "case", "dice", "iou", "precision", "recall", "v_rand_thinned", "v_info_thinned", "hd95", "assd", "surface_dice"
)  # fmt: skip

# The same of a fold's means, beside the Dice of each class.
SHOWN_FOLDS = ("fold", "dice", "v_rand_thinned", "v_info_thinned", "hd95", "assd", "surface_dice")


def report_training(run: Run) -> None:
    """Draw the curves and pictures of the validation cases; say how it went and what to do next."""
    rows = read_history(run.history)
    history_figure(rows, run.figures / "history.png", title=run.path.name)
    state, patience = run.state.name, run.experiment.training.early_stopping
    reason = f": no better Dice in {patience} validations" if state == "stopped early" else ""
    print(f"{state.capitalize()} after step {rows[-1]['step'] if rows else 0} of {run.steps}{reason}.")
    validations = [row for row in rows if row["validation_dice"] is not None]
    known = [row for row in validations if not np.isnan(row["validation_dice"])]
    if known:
        best = max(known, key=lambda row: row["validation_dice"])
        print(f"Best validation Dice {best['validation_dice']:.4f} at step {best['step']}.")
    elif validations:
        print(
            "No validation image has foreground, so there is no Dice; the final weights stand for the best."
        )
    if validations:
        gallery, scores = (
            Gallery(run.about.class_names),
            Scores(run.about.foreground_is_membrane, PredictionSettings()),
        )
        for prediction in predict_all([run], None, "best", PredictionSettings(), first=MAX_SHOWN):
            gallery.add(prediction, scores.add(prediction))
        gallery.overview(run.figures / "validation.png", run.path.name)
    print(f"Figures: {run.figures}/")
    if state == "interrupted":
        print(f"Go on with: python train.py --resume {run.path}")
    if state == "stopped early" and patience:
        longer = f"--set training.early_stopping={2 * patience}"
        print(f"Go on with more patience: python train.py --resume {run.path} {longer}")
    print(f"Next: python predict.py --run {run.path}")


def report_predictions(
    predictions: Iterable[Prediction],
    runs: Sequence[Run],
    output: Path,
    settings: PredictionSettings,
    made_with: Mapping[str, Any],
    probabilities: bool,
    pictures: bool,
    look: Callable[[Look, Path], None] | None = None,
) -> None:
    """Write everything that belongs to `predictions` to the folder `output`, each as it comes.

    Args:
        runs: that predicted; several if they are the folds of a cross-validation.
        made_with: as of `unet_common.prediction.folder.record`.
        look: shows a volume, or writes a page for that to a path.
    """
    run = runs[0]
    scores = Scores(run.about.foreground_is_membrane, settings)
    gallery = Gallery(run.about.class_names)
    values: set[int] = set()
    outputs = None
    remarks: dict[str, list[str]] = {}
    for prediction in predictions:
        outputs = prediction.outputs
        save_prediction(prediction, output, probabilities)
        for inside in prediction.inside:
            path = output / inside.kind / f"{prediction.case.name}.png"
            heat_map_figure(inside, path, prediction.case.name)
        if look and prediction.case.image.ndim == 4:
            look(look_at(prediction, run.about.class_names), output / "look" / f"{prediction.case.name}.html")
        gallery.add(prediction, scores.add(prediction), output / "figures" if pictures else None)
        values.update(np.unique(prediction.label).tolist())
        for remark in prediction.remarks:
            remarks.setdefault(remark, []).append(prediction.case.name)
    if outputs is None:
        return  # nothing could be predicted
    gallery.overview(output / "overview.png", run.path.name)
    classes = save_classes(outputs, output)
    written = [f"Masks: {output / 'masks'}/", f"overview: {output / 'overview.png'}"]
    for folder in ("overlays", "figures", "attention", "features", "look"):
        if (output / folder).is_dir():
            written.insert(1, f"{folder}: {output / folder}/")
    print("   ".join(written))
    print(f"Numbers in masks: {', '.join(f'{one.value} {one.name}' for one in classes)} ({output / CLASSES})")
    for remark, names in remarks.items():
        print(f"{remark}: {first_few(names)}")
    if len(values) == 1:
        value = values.pop()
        what = "the same classes" if run.network.multilabel and value else f"class {value}"
        print(
            f"Warning: every pixel was predicted as {what}. Was the network trained long enough, and "
            "do these images look like its training images (same contrast, same scale)?"
        )
    report_scores(scores, runs, output, made_with)


def evaluate(
    runs: Sequence[Run], implementation: str | None, weights: str, settings: PredictionSettings, output: Path
) -> None:
    """Print the scores of the validation cases and write them to `output`."""
    scores = Scores(runs[0].about.foreground_is_membrane, settings)
    for prediction in predict_all(runs, implementation, weights, settings):
        scores.add(prediction)
    names = [name for run in runs for name in run.split.validation]
    made_with = record(runs, implementation, weights, settings, None, names)
    report_scores(scores, runs, output, made_with)


def predict_all(
    runs: Sequence[Run],
    implementation: str | None,
    weights: str,
    settings: PredictionSettings,
    probabilities: bool = False,
    first: int | None = None,
) -> Iterator[Prediction]:
    """The validation cases of each run, predicted by that run, which was not trained on them."""
    for run in runs:
        cases = validation_cases(run)
        predictor = Predictor([run], implementation, weights, settings.level)
        count = min(len(run.split.validation), first or len(run.split.validation))
        yield from predict_each(predictor, cases, count, settings, probabilities)


def predict_each(
    predictor: Predictor, cases: Iterable[Case], count: int, settings: PredictionSettings, probabilities: bool
) -> Iterator[Prediction]:
    """The first `count` cases, one by one, with a bar of progress."""
    predictor.check_level(settings.features)
    for case in tqdm(islice(cases, count), total=count, desc="predict", unit="case", disable=None):
        yield predictor(case, settings, probabilities)


def predict_files(
    predictor: Predictor,
    files: Mapping[str, Path],
    settings: PredictionSettings,
    probabilities: bool,
    failures: list[str],
) -> Iterator[Prediction]:
    """The predictions of files by their names, with a bar of progress; what is wrong with others goes to `failures`."""
    predictor.check_level(settings.features)
    for name, path in tqdm(files.items(), desc="predict", unit="case", disable=None):
        try:
            prediction = predictor(unlabelled(name, path), settings, probabilities)
        except UserError as error:
            failures.append(str(error))
        else:
            yield prediction


def report_scores(
    scores: Scores, runs: Sequence[Run], directory: Path, made_with: Mapping[str, Any]
) -> Sequence[Row]:
    """Print the table of scores and write it as Markdown, CSV and JSON; nothing if no truth is known.

    The cases of a cross-validation get a second table, with a row for each fold; cases that lack a class one more, of
    what was said of whole cases. JSON has `made_with`, a `record`.
    """
    rows, thresholds = scores.result()
    settings = scores.settings
    if rows:
        class_names = runs[0].about.class_names
        folds = fold_rows(rows, fold_of_cases(runs)) if len(runs) > 1 else []
        more = {"thresholds": thresholds, "made_with": made_with}
        of_cases = scores.decisions
        write_tables(rows, directory / "metrics", class_names, folds, of_cases, settings, **more)
        shown_rows = [{name: row[name] for name in SHOWN_SCORES if name in row} for row in rows]
        print(f"{markdown_table(shown_rows)}\n{notes(shown_rows, settings.tolerance)}\n")
        if folds:
            shown = [name for name in folds[0] if name in SHOWN_FOLDS or name.startswith("dice_")]
            brief = [{name: row.get(name) for name in shown} for row in folds]
            print(f"{FOLDS}\n\n{fold_table(brief, class_names=class_names)}")
        if said := decision_table(of_cases, settings.least_size, class_names):
            print(said)
        if scores.without_spacing:
            names = first_few(scores.without_spacing)
            print(f"Distances are in voxels, not in mm, of {names}: no spacing is known of them.")
        print(f"All scores: {directory / 'metrics.md'}, .csv, .json")
    return rows


def look_at(prediction: Prediction, class_names: tuple[str, ...] | None = None) -> Look:
    """A predicted volume, with the truth where it is known, for a viewer."""
    case, labels = prediction.case, {"prediction": prediction.judged_label}
    if case.label is not None:
        labels["truth"] = shown_truth(prediction)
    affine = None if case.geometry is None else case.geometry.affine
    return Look(
        case.name, case.image, labels, case.spacing, affine, prediction.outputs.overlapping, class_names
    )


def shown_truth(prediction: Prediction) -> np.ndarray:
    """The label of a case whose truth is known, with the classes of the prediction: one is all but the background."""
    label = prediction.case.label
    assert label is not None
    return label if prediction.outputs.predicted > 1 else label > 0


class Gallery:
    """A collection of what pictures of predictions need, and nothing else of them: volumes are large."""

    def __init__(self, class_names: tuple[str, ...] | None = None):
        self._class_names = class_names
        self._images: list[ShownImage] = []
        self._volumes: list[ShownVolume] = []

    def add(self, prediction: Prediction, row: Row | None, directory: Path | None = None) -> None:
        """Keep a case for the overview; draw a volume's own picture if there is a directory for it."""
        case, label = prediction.case, prediction.judged_label
        if case.geometry is not None or prediction.probability is None:
            truth = None if case.label is None else shown_truth(prediction)
            volume = ShownVolume.of(replace(case, label=truth), label, row, self._class_names)
            self._volumes.append(volume)
            if directory:
                orthogonal_figure(volume, directory / f"{case.name}.png")
        elif len(self._images) < MAX_SHOWN:
            page = len(label) // 2 if label.ndim == 3 else ...  # of a stack of pages the middle one
            truth = None if case.label is None else case.label[page]
            shown = case.image[page], label[page], prediction.probability[page], truth
            kind = prediction.outputs.overlapping, prediction.outputs.several
            self._images.append(ShownImage(case.name, *shown, *kind))

    def overview(self, path: Path, title: str) -> None:
        """Draw the first images; of volumes the worst and the best."""
        if self._volumes:
            contact_sheet(self._volumes, path, title)
        elif self._images:
            overlay_figure(self._images, path, title)
