"""Distances between surfaces: scores of volumes (and images) in millimetres.

Definitions are those of Nikolov et al. 2018, "Deep learning to achieve clinically applicable segmentation of head
and neck anatomy", arXiv:1809.04430, section "Performance metrics": surfaces are made of elements with an area, and
every mean, percentile and share is one of area. Counting voxels of the border instead weighs slanted parts of a
surface less, and parts along the short axis of oblong voxels more. It is what most packages do, and gives other
numbers, for small errors two or three times as large: a surface lies between two voxels, and a border voxel on one
side of it. So the two distances are also measured in that way, as MedPy (`medpy.metric.binary`, connectivity 1) does.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import binary_erosion, correlate, distance_transform_edt
from skimage.measure import marching_cubes

from data.labels.label_maps import is_class, largest_class

# Of the robust Hausdorff distance: the largest distance but for a twentieth of the surface.
PERCENTILE = 95


@dataclass(frozen=True)
class SurfaceScores:
    """Scores of one class. Lengths in mm.

    Two empty masks agree, and there is nothing to judge: all scores are nan. If only one is empty, distances are
    infinite and the surface Dice is 0. The border of the volume closes a mask that touches it.

    assd: average symmetric surface distance, the mean of the two directions' averages (not the average over both
        surfaces together, in which the larger one weighs more).
    hd95: robust Hausdorff distance, the larger one of the two directions' 95th percentiles.
    assd_border: the mean way from the voxels of either border to the nearest voxel of the other, of all voxels of both
        together, as MedPy (from version 0.5) and MONAI have it. A voxel of the mask is of its border if a neighbour
        across a face is not in the mask.
    hd95_border: the 95th percentile of these ways, of both directions together, as MedPy has it; MONAI takes the larger
        one of the two directions' percentiles.
    surface_dice: the share of both surfaces that lies within a tolerance of the other.
    volume_error: (predicted - true) / true volume; infinite where the truth is empty and the prediction is not, so
        that an invented object is not left out of means.
    """

    assd: float
    hd95: float
    assd_border: float
    hd95_border: float
    surface_dice: float
    volume_error: float


def surface_scores(
    truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...], tolerance: float = 1.0
) -> SurfaceScores:
    """Compare two masks.

    Args:
        truth, prediction: [*size] bool, two or three axes.
        spacing: distance between neighbouring voxels along each axis in mm.
        tolerance: of the surface Dice in mm: a distance up to this is no error.

    Raises:
        ValueError: masks of other shapes or not bool, a spacing of another number of axes or not positive, or a
            negative tolerance.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.dtype != bool or prediction.dtype != bool:  # as bool, any probability above 0 would be inside
        raise ValueError(f"masks are bool, not {truth.dtype} and {prediction.dtype}")
    if truth.shape != prediction.shape or truth.ndim != len(spacing) or truth.ndim not in (2, 3):
        raise ValueError(f"masks {truth.shape} and {prediction.shape} with the spacing {spacing}")
    if not (np.all(np.isfinite(spacing)) and min(spacing) > 0 and tolerance >= 0):
        raise ValueError(f"spacing {spacing} must be positive, and tolerance {tolerance} not negative")
    true_volume, predicted_volume = np.count_nonzero(truth), np.count_nonzero(prediction)
    if not true_volume and not predicted_volume:
        return SurfaceScores(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
    if not true_volume or not predicted_volume:
        return SurfaceScores(np.inf, np.inf, np.inf, np.inf, 0.0, np.inf if not true_volume else -1.0)

    box = _box(truth | prediction)
    of_truth, of_prediction = (
        _elements(mask[box], tuple(map(float, spacing))) for mask in (truth, prediction)
    )
    # At each element of a surface: its area, and the way to the other surface.
    sides = [
        (area[area > 0], distance_transform_edt(other == 0, sampling=spacing)[area > 0])
        for area, other in ((of_truth, of_prediction), (of_prediction, of_truth))
    ]
    ways = _between_borders(truth[box], prediction[box], spacing)
    total = sum(area.sum() for area, _distance in sides)
    return SurfaceScores(
        assd=float(np.mean([np.average(distance, weights=area) for area, distance in sides])),
        hd95=float(max(_percentile(distance, area) for area, distance in sides)),
        assd_border=float(ways.mean()),
        hd95_border=float(np.percentile(ways, PERCENTILE)),
        surface_dice=float(sum(area[distance <= tolerance].sum() for area, distance in sides) / total),
        volume_error=(int(predicted_volume) - int(true_volume)) / int(true_volume),
    )


def volume_scores(
    truth: np.ndarray,
    prediction: np.ndarray,
    classes: int,
    spacing: tuple[float, ...],
    tolerance: float = 1.0,
    overlapping: bool = False,
) -> tuple[dict[str, float], dict[str, float]]:
    """Scores of label maps [*size] with `classes` values, background included, for tables.

    overlapping: the label maps hold sets of classes (see `data.labels.label_maps`).

    Returns:
        Means over the foreground classes that have a score (of volume errors the mean of their sizes), under the names
        of `SurfaceScores`; and the scores of each class, as `assd_1`, ... An infinite distance stays infinite in the
        mean.

    Raises:
        ValueError: as `surface_scores`, or a label outside 0..classes-1.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    for labels in (truth, prediction):
        if labels.size and not 0 <= labels.min() <= largest_class(labels, overlapping) < classes:
            raise ValueError(f"labels {labels.min()}..{labels.max()}, allowed are 0..{classes - 1}")
    scores = {
        index: surface_scores(
            is_class(truth, index, overlapping), is_class(prediction, index, overlapping), spacing, tolerance
        )
        for index in range(1, classes)
    }
    means, per_class = {}, {}
    for name in SurfaceScores.__dataclass_fields__:
        values = np.array([getattr(score, name) for score in scores.values()])
        sizes = np.abs(values[~np.isnan(values)])
        means[name] = float(sizes.mean()) if sizes.size else np.nan
        per_class.update({f"{name}_{index}": float(getattr(score, name)) for index, score in scores.items()})
    return means, per_class


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around a mask."""
    found = np.nonzero(mask)
    return tuple(slice(int(along.min()), int(along.max()) + 1) for along in found)


def _between_borders(truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """The way from each voxel of either border to the other border, [voxels of both]."""
    borders = [mask & ~binary_erosion(mask) for mask in (truth, prediction)]
    away = [distance_transform_edt(~border, sampling=spacing) for border in borders]
    return np.concatenate([away[1][borders[0]], away[0][borders[1]]])


def _elements(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """The area of the surface in the cell around each corner of the voxels, [*size + 1]; 0 off the surface."""
    # Each cell has the centres of 2 x 2 (x 2) voxels for corners; which of them are inside makes its code.
    weights = 2 ** np.arange(2**mask.ndim).reshape((2,) * mask.ndim)
    padded = np.pad(mask, 1).astype(np.int32)
    codes = correlate(padded, weights, mode="constant")[(slice(1, None),) * mask.ndim]
    return _areas(spacing)[codes]


@lru_cache(maxsize=8)
def _areas(spacing: tuple[float, ...]) -> np.ndarray:
    """The area of the surface in a cell for each code, by marching cubes (Lorensen & Cline 1987); mm^2.

    Of an image, the length of the contour: that of the area of a wall 1 mm high. A mask and its complement have
    the same surface, which marching cubes do not grant for the ambiguous cells: the smaller of the two parts is
    taken for the inside.
    """
    rank = len(spacing)
    areas = np.zeros(2**2**rank)
    for code in range(1, len(areas) - 1):
        inside = np.array([code >> bit & 1 for bit in range(2**rank)]).reshape((2,) * rank)
        if inside.sum() > inside.size / 2:
            inside = 1 - inside
        cell = inside if rank == 3 else np.stack([inside, inside], axis=-1)
        corners, triangles, *_ = marching_cubes(cell.astype(float), 0.5, method="lorensen")
        first, second, third = np.moveaxis((corners * np.append(spacing, 1.0)[:3])[triangles], 1, 0)
        areas[code] = np.linalg.norm(np.cross(second - first, third - first), axis=1).sum() / 2
    return areas


def _percentile(distances: np.ndarray, areas: np.ndarray) -> float:
    """The distance that PERCENTILE of the area do not exceed."""
    order = np.argsort(distances)
    share = np.cumsum(areas[order]) / areas.sum()
    at = int(np.searchsorted(share, PERCENTILE / 100))
    return distances[order][min(at, len(distances) - 1)]
