"""Scores of predictions, case by case, as rows of tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unet_common.evaluation.tables import Row
from unet_common.metrics.cases import decisions
from unet_common.metrics.membranes import best_membrane_scores, membrane_curve
from unet_common.metrics.pixels import pixel_scores
from unet_common.metrics.surfaces import volume_scores
from unet_common.prediction.predictor import Prediction
from unet_common.prediction.settings import PredictionSettings


class Scores:
    """A collection of the scores of cases with a known truth, which keeps nothing else of them."""

    def __init__(self, membranes: bool, settings: PredictionSettings | None = None):
        """
        Args:
            membranes: the foreground is membrane between cells, which the scores of ISBI 2012 judge.
            settings: of the predictions, and of their scores; without them the defaults.
        """
        self._membranes, self.settings = membranes, settings or PredictionSettings()
        self._sizes: list[tuple[np.ndarray, np.ndarray]] = []  # pixels of each class, truth and prediction
        self._rows: list[dict[str, Any]] = []
        self.without_spacing: list[str] = []  # volumes whose distances are in voxels
        self._curves: list[dict[str, np.ndarray]] = []

    def add(self, prediction: Prediction) -> Row | None:
        """The scores of a case; None if its truth is not known.

        Ignored pixels are left out. To surfaces they are background in truth and prediction alike, as a surface needs
        to end somewhere.
        """
        case, label, outputs = prediction.case, prediction.judged_label, prediction.outputs
        if case.label is None:
            return None
        values, overlapping = outputs.classes + 1, outputs.overlapping
        truth = np.asarray(case.label if values > 2 else case.label > 0, label.dtype)
        counted = ... if prediction.ignored is None else ~prediction.ignored
        scores = pixel_scores(truth[counted], label[counted], values, overlapping)
        means, per_class = scores.foreground_means(), scores.per_class()
        self._sizes.append(scores.sizes)
        if label.ndim == 3:
            self.without_spacing += [] if case.geometry else [case.name]
            of_surfaces = volume_scores(
                truth, label, values, case.spacing, self.settings.tolerance, overlapping
            )
            means, per_class = means | of_surfaces[0], per_class | of_surfaces[1]
        row: dict[str, Any] = {"case": case.name, **means, **(per_class if values > 2 else {})}
        self._rows.append(row)
        if self._membranes and label.ndim == 2:
            self._curves.append(membrane_curve(case.label > 0, _foreground(prediction)))
        return row

    @property
    def decisions(self) -> Sequence[Row]:
        """Scores of what was said of whole cases, for each class but the background; none if there is no case."""
        if not self._sizes:
            return []
        truth, predicted = (np.stack(sizes)[:, 1:] for sizes in zip(*self._sizes, strict=True))
        rows = decisions(truth, predicted, self.settings.least_size)
        return [{"class": number, **row} for number, row in enumerate(rows, 1)]

    def result(self) -> tuple[Sequence[Row], dict[str, float]]:
        """A row for each case, and the thresholds that were chosen for all of them together."""
        if not self._curves:
            return self._rows, {}
        best = best_membrane_scores(self._curves)
        for row, scores in zip(self._rows, best.per_slice, strict=True):
            row.update(
                {name: value for name, value in scores.items() if not name.endswith(("_split", "_merge"))}
            )
        return self._rows, best.thresholds


def _foreground(prediction: Prediction) -> np.ndarray:
    """The probability that a pixel is not background, [*size]; of classes that may overlap that of the likeliest."""
    probability, outputs = prediction.probability, prediction.outputs
    assert probability is not None  # images keep it
    if outputs.multilabel or outputs.count == 1:
        return probability.max(axis=-1)
    return probability[..., 1:].sum(axis=-1)
