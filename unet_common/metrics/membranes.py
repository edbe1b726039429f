"""Scores of the cells behind membranes, as the ISBI 2012 challenge has them.

They do not ask whether a pixel of membrane is right but whether cells were split or merged: Arganda-Carreras et al.
2015, "Crowdsourcing the creation of image segmentation algorithms for connectomics", Frontiers in Neuroanatomy 9:142,
doi 10.3389/fnana.2015.00142.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from skimage.metrics import adapted_rand_error, variation_of_information

from unet_common.metrics.cells import connected_cells, thin_borders
from unet_common.metrics.pixels import _mean, _same_shape


@dataclass(frozen=True)
class SplitMergeScore:
    """A score of a segmentation, 1 is perfect, with the two kinds of error apart.

    `split` falls when a true cell is cut into pieces, `merge` when true cells are joined; `score`
    is their harmonic mean (alpha = 0.5 in the paper).
    """

    score: float
    split: float
    merge: float


def rand_scores(truth_segments: np.ndarray, predicted_segments: np.ndarray) -> SplitMergeScore:
    """Foreground-restricted Rand score V_rand (Arganda-Carreras et al. 2015).

    With p_ij the part of the pixels in predicted segment i and true segment j, s_i and t_j its
    sums over j and over i:

        V_rand = sum p_ij^2 / (alpha sum s_i^2 + (1 - alpha) sum t_j^2),   alpha = 0.5
        split  = sum p_ij^2 / sum t_j^2        merge = sum p_ij^2 / sum s_i^2

    Which pixels count, as in the evaluation script of the challenge (Fiji, Trainable Segmentation,
    class RandError):

    - Pixels that the truth gives to no cell (label 0) are left out: "foreground-restricted".
    - Pixels of a true cell that the prediction gives to no cell are each a segment of their own, of
      one pixel. They are the wrongly predicted membrane; thinned borders leave few.

    `skimage.metrics.adapted_rand_error` is 1 - V_rand with two differences: it takes all
    predicted pixels of label 0 as one segment, and it counts pairs of different pixels, n(n-1),
    where the challenge has n^2. Without predicted 0 the two agree to about 1/n.

    Args:
        truth_segments: [*size] labels, 0 is outside of all cells.
        predicted_segments: [*size] labels, 0 is border.

    Returns:
        All three are nan if the truth has no cell.

    Raises:
        ValueError: other shapes.
    """
    overlaps = _Overlaps.of(truth_segments, predicted_segments)
    if overlaps.pixels == 0:
        return SplitMergeScore(np.nan, np.nan, np.nan)
    lonely = overlaps.unassigned * (1 / overlaps.pixels) ** 2  # each is a segment of one pixel
    both = np.sum(overlaps.joint**2) + lonely
    predicted = np.sum(overlaps.predicted**2) + lonely
    true = np.sum(overlaps.true**2)
    return SplitMergeScore(
        score=float(2 * both / (predicted + true)),
        split=float(both / true),
        merge=float(both / predicted),
    )


def information_scores(truth_segments: np.ndarray, predicted_segments: np.ndarray) -> SplitMergeScore:
    """Foreground-restricted information score V_info (Arganda-Carreras et al. 2015).

    With S the predicted and T the true segment of a random pixel, I their mutual information and
    H the entropy:

        V_info = I(S;T) / ((1 - alpha) H(S) + alpha H(T)),   alpha = 0.5
        split  = I(S;T) / H(S)        merge = I(S;T) / H(T)

    The pixels that count are those of `rand_scores`. A part whose entropy is zero is 1: a
    prediction of one segment splits nothing, a truth of one segment cannot be merged.

    Args, Returns, Raises: as `rand_scores`.
    """
    overlaps = _Overlaps.of(truth_segments, predicted_segments)
    if overlaps.pixels == 0:
        return SplitMergeScore(np.nan, np.nan, np.nan)
    lonely = overlaps.unassigned / overlaps.pixels * np.log(overlaps.pixels)
    entropy_predicted = _entropy(overlaps.predicted) + lonely
    entropy_true = _entropy(overlaps.true)
    entropy_both = _entropy(overlaps.joint) + lonely
    # Rounding can make it -1e-17 where it is 0.
    information = max(entropy_predicted + entropy_true - entropy_both, 0.0)

    def part(of: float) -> float:
        return float(information / of) if of > 0 else 1.0

    return SplitMergeScore(
        score=part((entropy_predicted + entropy_true) / 2),
        split=part(entropy_predicted),
        merge=part(entropy_true),
    )


# The challenge takes 0.0, 0.1, ..., 1.0; the two ends make everything cell or everything membrane.
THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))

# Seeds of fewer pixels are specks: hardly a cell of the ISBI slices is smaller.
_MINIMUM_SEED = 20

# The scores for each way from probabilities to cells; see `membrane_curve`.
_CELLS = ("", "_thinned", "_watershed")


def membrane_curve(
    truth_membrane: np.ndarray,
    membrane_probability: np.ndarray,
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, np.ndarray]:
    """The scores of one slice at every threshold.

    True cells are the 4-connected components of what is not membrane. Predicted cells come in
    three ways; the name of the score tells which:

    - `v_rand`, `v_info`: 4-connected components of probability < threshold;
    - `v_rand_thinned`, `v_info_thinned`: these, grown at equal speed until a border of one pixel
      is left. This is what the challenge ranks by;
    - `v_rand_watershed`, `v_info_watershed`: these without specks, grown along the probability map
      up to its ridges: what one would hand to a biologist.

    Each with `_split` and `_merge`. From scikit-image, for thinned cells without any border pixel
    (it knows no border): `adapted_rand_error` (0 is perfect), and the variation of information in
    bits, `voi_split` = H(S|T) and `voi_merge` = H(T|S).

    Args:
        truth_membrane: [height, width] bool, True where there is membrane.
        membrane_probability: [height, width] in 0..1.
        thresholds: in 0..1.

    Returns:
        For every score its values, [len(thresholds)] float64.

    Raises:
        ValueError: other shapes.
    """
    truth_membrane, membrane_probability = _same_shape(truth_membrane, membrane_probability)
    true_cells = connected_cells(truth_membrane.astype(np.float32), 0.5)
    rows = [_membrane_row(true_cells, membrane_probability, value) for value in thresholds]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _membrane_row(true_cells: np.ndarray, probability: np.ndarray, threshold: float) -> dict:
    plain = connected_cells(probability, threshold)
    seeds = connected_cells(probability, threshold, _MINIMUM_SEED)
    predictions = (plain, thin_borders(plain), thin_borders(seeds, relief=probability))
    row = {}
    for cells, predicted_cells in zip(_CELLS, predictions, strict=True):
        for name, scores in (("v_rand", rand_scores), ("v_info", information_scores)):
            result = scores(true_cells, predicted_cells)
            row[name + cells] = result.score
            row[f"{name}{cells}_split"] = result.split
            row[f"{name}{cells}_merge"] = result.merge
    without_border = thin_borders(plain, line=False)
    if true_cells.any():
        row["adapted_rand_error"] = adapted_rand_error(true_cells, without_border)[0]
        splits, merges = variation_of_information(true_cells, without_border, ignore_labels=[0])
    else:
        row["adapted_rand_error"] = splits = merges = np.nan
    return {**row, "voi_split": splits, "voi_merge": merges}


@dataclass(frozen=True)
class MembraneScores:
    """Scores of a set of slices, each at the threshold that is best for the whole set."""

    per_slice: list[dict[str, float]]
    mean: dict[str, float]
    thresholds: dict[str, float]  # of each score that is optimised


def best_membrane_scores(
    curves: Sequence[dict[str, np.ndarray]], thresholds: Sequence[float] = THRESHOLDS
) -> MembraneScores:
    """Choose the thresholds: for each score the one with the best mean over all slices.

    As in the challenge, V_rand and V_info each have a threshold of their own, and so has each of
    the three ways to make cells. Splits and merges are given at the threshold of their score, the
    values of scikit-image at that of `v_rand_thinned`.

    Note that the threshold is chosen on the slices that are scored; for an honest number on new
    slices, choose it on others and read it from their `membrane_curve`.

    Args:
        curves: of each slice, from `membrane_curve`.
        thresholds: those of the curves.
    """
    chosen = {}  # index of the threshold, for each score
    for cells in _CELLS:
        for name in (f"v_rand{cells}", f"v_info{cells}"):
            means = [_mean(values) for values in zip(*(curve[name] for curve in curves), strict=True)]
            best = 0 if np.all(np.isnan(means)) else int(np.nanargmax(means))
            chosen.update({name: best, f"{name}_split": best, f"{name}_merge": best})
    for name in ("adapted_rand_error", "voi_split", "voi_merge"):
        chosen[name] = chosen["v_rand_thinned"]
    per_slice = [{name: float(curve[name][at]) for name, at in chosen.items()} for curve in curves]
    return MembraneScores(
        per_slice=per_slice,
        mean={name: _mean([scores[name] for scores in per_slice]) for name in chosen},
        thresholds={
            name: float(thresholds[at])
            for name, at in chosen.items()
            if name.removesuffix("_thinned").removesuffix("_watershed") in ("v_rand", "v_info")
        },
    )


def membrane_scores(
    truth_membrane: np.ndarray,
    membrane_probability: np.ndarray,
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, float]:
    """Scores of one slice at its own best thresholds; see `membrane_curve` for the names."""
    curve = membrane_curve(truth_membrane, membrane_probability, thresholds)
    return best_membrane_scores([curve], thresholds).mean


@dataclass(frozen=True)
class _Overlaps:
    """Parts of the pixels in true cells: by pair of segments, by predicted and by true segment."""

    joint: np.ndarray  # of each pair that occurs, predicted border excluded
    predicted: np.ndarray  # of each predicted segment, border excluded
    true: np.ndarray
    unassigned: int  # pixels of true cells that are predicted border
    pixels: int  # pixels of true cells

    @classmethod
    def of(cls, truth_segments: np.ndarray, predicted_segments: np.ndarray) -> "_Overlaps":
        truth_segments, predicted_segments = _same_shape(truth_segments, predicted_segments)
        inside = truth_segments > 0
        truth, prediction = truth_segments[inside], predicted_segments[inside]
        pixels = truth.size
        assigned = prediction > 0
        pairs = (truth[assigned], prediction[assigned])
        size = (truth_segments.max(initial=0) + 1, predicted_segments.max(initial=0) + 1)
        table = coo_array((np.ones(len(pairs[0])), pairs), shape=size)
        table.sum_duplicates()  # now the number of pixels of each pair that occurs
        return cls(
            joint=table.data / max(pixels, 1),
            predicted=np.bincount(prediction[assigned]) / max(pixels, 1),
            true=np.bincount(truth) / max(pixels, 1),
            unassigned=int(pixels - assigned.sum()),
            pixels=pixels,
        )


def _entropy(parts: np.ndarray) -> float:
    """The entropy -sum p log p in nats, with 0 log 0 = 0."""
    parts = parts[parts > 0]
    return float(-np.sum(parts * np.log(parts)))
