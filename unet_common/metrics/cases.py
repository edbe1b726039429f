"""Decisions about whole cases: is there anything of a class in an image, and was that said of the right ones?"""

from collections.abc import Sequence

import numpy as np


def decisions(truth: np.ndarray, predicted: np.ndarray, least: int = 1) -> Sequence[dict[str, float]]:
    """Scores of the answers to "does this case have the class?", for each class.

    A case has a class that at least `least` of its pixels are of; of fewer, truth and prediction alike say no.

    Args:
        truth: pixels of each class in each case, [cases, classes].
        predicted: the same of the predictions.

    Returns:
        For each class `cases_with` and `cases`, both numbers; `recall`, the part of the cases with the class that was
        found; `precision`, the part of those said to have it that have it; `specificity`, the part of the cases
        without it of which that was said. What has a denominator of zero is nan.
    """
    there, said = np.asarray(truth) >= least, np.asarray(predicted) >= least
    return [
        {
            "cases_with": int(has.sum()),
            "cases": len(has),
            "recall": _share(says[has]),
            "precision": _share(has[says]),
            "specificity": _share(~says[~has]),
        }
        for has, says in zip(there.T, said.T, strict=True)
    ]


def _share(answers: np.ndarray) -> float:
    """The part of the answers that is yes; nan if there is none."""
    return float(answers.mean()) if answers.size else float("nan")
