"""Our scores and those of SimpleITK, a program of other people, on the same masks."""

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter

from unet_common.metrics import pixel_scores
from unet_common.surfaces import surface_scores, volume_scores


def labels(seed, size=(20, 24, 16)):
    """Two similar label volumes with three classes."""
    generator = np.random.default_rng(seed)
    field = gaussian_filter(generator.standard_normal(size), 3)
    other = field + gaussian_filter(generator.standard_normal(size), 1.5) / 3
    bounds = np.quantile(field, [0.5, 0.8])
    return np.digitize(field, bounds), np.digitize(other, bounds)


def itk(array, spacing=None):
    """Axes the other way round, as ITK counts them."""
    image = SimpleITK.GetImageFromArray(np.asarray(array, np.uint8))
    if spacing:
        image.SetSpacing(spacing[::-1])
    return image


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_and_volumes(seed):
    truth, prediction = labels(seed)
    theirs = SimpleITK.LabelOverlapMeasuresImageFilter()
    theirs.Execute(itk(prediction), itk(truth))
    ours = pixel_scores(truth, prediction, 3).per_class()
    volumes = volume_scores(truth, prediction, 3, (1.0, 1.0, 1.0), 1.0)[1]
    for index in (1, 2):
        assert ours[f"dice_{index}"] == pytest.approx(theirs.GetDiceCoefficient(index), abs=1e-12)
        assert ours[f"iou_{index}"] == pytest.approx(theirs.GetJaccardCoefficient(index), abs=1e-12)
        assert ours[f"recall_{index}"] == pytest.approx(1 - theirs.GetFalseNegativeError(index), abs=1e-12)
        # Theirs is the difference as a share of the mean of the two volumes, ours of the true one.
        error = volumes[f"volume_error_{index}"]
        assert abs(2 * error / (2 + error)) == pytest.approx(
            abs(theirs.GetVolumeSimilarity(index)), abs=1e-12
        )


def border_distances(mask, other, spacing):
    """From each voxel of the border of a mask to the nearest of the other's, as ITK computes them."""
    border, to = (SimpleITK.LabelContour(itk(one, spacing), fullyConnected=False) for one in (mask, other))
    distance = SimpleITK.SignedMaurerDistanceMap(to, squaredDistance=False, useImageSpacing=True)
    return np.abs(SimpleITK.GetArrayFromImage(distance))[SimpleITK.GetArrayFromImage(border) > 0]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.9, 2.0)])
@pytest.mark.parametrize("radii", [(7, 7, 7), (9, 6, 5)])
def test_distances_of_surfaces(spacing, radii):
    """ITK counts voxels of the border, whose middles lie up to half a voxel's diagonal inside of our surface.

    So do both masks' middles on the same side of their surfaces: a distance between them differs by less than that.
    """
    grid = np.indices((32, 32, 32)) - 15.5
    truth = sum((axis / radius) ** 2 for axis, radius in zip(grid, radii, strict=True)) < 1
    prediction = np.roll(truth, (2, -1, 1), (0, 1, 2))
    there, back = (border_distances(*masks, spacing) for masks in ((truth, prediction), (prediction, truth)))
    scores = surface_scores(truth, prediction, spacing)
    half_diagonal = np.linalg.norm(spacing) / 2
    assert scores.assd == pytest.approx((there.mean() + back.mean()) / 2, abs=half_diagonal / 2)
    robust = max(np.percentile(there, 95), np.percentile(back, 95))
    assert scores.hd95 == pytest.approx(robust, abs=half_diagonal)
