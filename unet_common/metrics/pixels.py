"""Scores of pixels: a confusion matrix, and IoU, Dice, precision, recall, specificity and accuracy from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.labels.label_maps import is_class


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels by (true class, predicted class).

    Matrices of several images can be added: scores of the sum are scores over all their pixels.

    Args:
        truth: [*size] class indices, integer or bool.
        prediction: [*size] class indices.
        classes: number of label values, background included (2 for a binary problem).

    Returns:
        [classes, classes] int64; row = truth, column = prediction.

    Raises:
        ValueError: other shapes, or a label outside 0..classes-1.
    """
    truth, prediction = _same_shape(truth, prediction)
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"{name} has labels {labels.min()}..{labels.max()}, allowed are 0..{classes - 1}"
            )
    pairs = truth.ravel().astype(np.int64) * classes + prediction.ravel().astype(np.int64)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True)
class PixelScores:
    """Scores of each class, and their means over the foreground (every class but 0).

    A score whose denominator is zero says nothing and is nan: all but the specificity for a class that is in neither
    map, precision of a class that was never predicted, recall of a class that is not there, specificity of one that is
    everywhere.
    Means leave nan out, and are nan if nothing is left.
    """

    confusion: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union (Jaccard index), [classes]: TP / (TP + FP + FN)."""
        return _ratio(self._right, self._true + self._predicted - self._right)

    @property
    def dice(self) -> np.ndarray:
        """Dice coefficient (F1 score), [classes]: 2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * self._right, self._true + self._predicted)

    @property
    def precision(self) -> np.ndarray:
        """The part of the predicted pixels that is right, [classes]: TP / (TP + FP)."""
        return _ratio(self._right, self._predicted)

    @property
    def recall(self) -> np.ndarray:
        """The part of the true pixels that was found, [classes]: TP / (TP + FN)."""
        return _ratio(self._right, self._true)

    @property
    def specificity(self) -> np.ndarray:
        """The part of the pixels of other classes that was not taken for this one, [classes]: TN / (TN + FP)."""
        return _ratio(self._all - self._true - self._predicted + self._right, self._all - self._true)

    @property
    def pixel_accuracy(self) -> float:
        """The part of all pixels, background included, that is right."""
        return float(_ratio(self._right.sum(), self.confusion.sum()))

    @property
    def sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of each class in the truth and in the prediction, both [classes]."""
        return self._true, self._predicted

    def foreground_means(self) -> dict[str, float]:
        """One number for each score, for tables: means over the foreground, and the accuracy."""
        means = {name: _mean(getattr(self, name)[1:]) for name in _PIXEL_SCORES}
        return {**means, "pixel_accuracy": self.pixel_accuracy}

    def per_class(self) -> dict[str, float]:
        """Each score of each foreground class, as `dice_1`, `dice_2`, ..., for tables."""
        return {
            f"{name}_{index}": float(getattr(self, name)[index])
            for index in range(1, len(self.confusion))
            for name in _PIXEL_SCORES
        }

    @property
    def _right(self) -> np.ndarray:
        return np.diag(self.confusion)

    @property
    def _all(self) -> np.ndarray:
        """The number of all pixels, for each class."""
        return np.full(len(self.confusion), self.confusion.sum())

    @property
    def _true(self) -> np.ndarray:
        return self.confusion.sum(axis=1)

    @property
    def _predicted(self) -> np.ndarray:
        return self.confusion.sum(axis=0)


_PIXEL_SCORES = ("dice", "iou", "precision", "recall", "specificity")


class OverlappingScores(PixelScores):
    """Scores of classes that may overlap: `confusion` is a matrix [2, 2] for each, [classes, 2, 2].

    Class 0 is the background: the pixels that are of no other class.
    """

    @property
    def pixel_accuracy(self) -> float:
        """The part of the pixels that is right, the mean over the classes but the background."""
        return float(_ratio(np.trace(self.confusion[1:].sum(axis=0)), self.confusion[1:].sum()))

    @property
    def _right(self) -> np.ndarray:
        return self.confusion[:, 1, 1]

    @property
    def _all(self) -> np.ndarray:
        return self.confusion.sum(axis=(1, 2))

    @property
    def _true(self) -> np.ndarray:
        return self.confusion[:, 1].sum(axis=-1)

    @property
    def _predicted(self) -> np.ndarray:
        return self.confusion[:, :, 1].sum(axis=-1)


def pixel_scores(
    truth: np.ndarray, prediction: np.ndarray, classes: int, overlapping: bool = False
) -> PixelScores:
    """Scores of one predicted label map; arguments and errors as in `confusion_matrix`.

    overlapping: the label maps hold sets of classes (see `data.labels.label_maps`).
    """
    if not overlapping:
        return PixelScores(confusion_matrix(truth, prediction, classes))
    matrices = [
        confusion_matrix(is_class(truth, number, True), is_class(prediction, number, True), 2)
        for number in range(classes)
    ]
    return OverlappingScores(np.stack(matrices))


def _same_shape(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {prediction.shape}")
    return truth, prediction


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, nan where the denominator is zero."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)


def _mean(values: Sequence[float]) -> float:
    """The mean of the values that are not nan; nan if none is left."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else float("nan")
