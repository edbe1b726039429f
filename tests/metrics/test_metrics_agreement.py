"""Our scores and those of SimpleITK and scikit-learn, programs of other people, on the same masks."""

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter

from unet_common.metrics import surfaces
from unet_common.metrics.pixels import pixel_scores
from unet_common.metrics.surfaces import surface_scores, volume_scores


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
        expected = {
            "dice": theirs.GetDiceCoefficient(index),
            "iou": theirs.GetJaccardCoefficient(index),
            "precision": 1 - theirs.GetFalseDiscoveryRate(index),
            "recall": 1 - theirs.GetFalseNegativeError(index),
        }
        for name, value in expected.items():
            assert ours[f"{name}_{index}"] == pytest.approx(value, abs=1e-12), name
        # Theirs is the difference as a share of the mean of the two volumes, ours of the true one.
        error = volumes[f"volume_error_{index}"]
        assert 2 * error / (2 + error) == pytest.approx(theirs.GetVolumeSimilarity(index), abs=1e-12) != 0


def test_overlaps_as_scikit_learn_counts_them():
    theirs = pytest.importorskip("sklearn.metrics")
    truth, prediction = (part.ravel() for part in labels(3))
    scores = pixel_scores(truth, prediction, 3)
    np.testing.assert_array_equal(scores.confusion, theirs.confusion_matrix(truth, prediction))
    for name, function in (
        ("dice", theirs.f1_score),
        ("iou", theirs.jaccard_score),
        ("precision", theirs.precision_score),
        ("recall", theirs.recall_score),
    ):
        expected = function(truth, prediction, average=None)
        np.testing.assert_allclose(getattr(scores, name), expected, rtol=1e-12, err_msg=name)
        assert scores.foreground_means()[name] == pytest.approx(expected[1:].mean(), rel=1e-12)
    assert scores.pixel_accuracy == pytest.approx(theirs.accuracy_score(truth, prediction), rel=1e-12)


def border_distances(mask, other, spacing):
    """From each voxel of the border of a mask to the nearest of the other's, as ITK computes them."""
    border, to = (SimpleITK.LabelContour(itk(one, spacing), fullyConnected=False) for one in (mask, other))
    distance = SimpleITK.SignedMaurerDistanceMap(to, squaredDistance=False, useImageSpacing=True)
    return np.abs(SimpleITK.GetArrayFromImage(distance))[SimpleITK.GetArrayFromImage(border) > 0]


def ellipsoid(radii, centre, spacing):
    """A mask in a volume of 44 mm a side; radii and centre in mm."""
    axes = [np.arange(0, 44, step) for step in spacing]
    grid = np.meshgrid(*axes, indexing="ij")
    return sum(((x - c) / r) ** 2 for x, c, r in zip(grid, centre, radii, strict=True)) <= 1


# Radii and centres that lie nowhere special among the voxels.
SHAPES = {
    "one ball in another": [((12, 12, 12), (21.3, 20.6, 21.9)), ((16, 16, 16), (21.3, 20.6, 21.9))],
    "shifted": [((14, 10, 12), (21.3, 20.6, 21.9)), ((14, 10, 12), (23.1, 19.7, 23.0))],
    "another form": [((14, 10, 12), (21.3, 20.6, 21.9)), ((12, 13, 10), (22.1, 21.7, 20.0))],
}


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.9, 2.0), (0.5, 0.5, 3.0)])
@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_distances_of_surfaces(spacing, shapes, monkeypatch):
    """ITK counts voxels of the border, we elements of the surface: both agree up to a voxel's diagonal.

    An element lies at a corner of eight voxels, some of which are inside and some outside. So one of them is a voxel
    of the border, and its middle is half a diagonal away; as every voxel of the border has such a corner, the converse
    is true. Replacing elements by voxels thus moves both ends of a distance by at most half a diagonal each, and
    changes the largest distance by at most a diagonal.

    Means and percentiles also depend on what counts how much, an area here and a voxel there, which no bound covers in
    general. On smooth surfaces that is alike: measured, HD95 differ by up to 0.7 diagonals (flat voxels, where a
    percentile jumps from slice to slice; 0.23 otherwise), the means by up to 0.19.
    """
    truth, prediction = (ellipsoid(*shape, spacing) for shape in shapes)
    there, back = (border_distances(*masks, spacing) for masks in ((truth, prediction), (prediction, truth)))
    diagonal = np.linalg.norm(spacing)
    scores = surface_scores(truth, prediction, spacing)
    assert scores.assd == pytest.approx((there.mean() + back.mean()) / 2, abs=diagonal / 4)
    robust = max(np.percentile(there, 95), np.percentile(back, 95))
    assert scores.hd95 == pytest.approx(robust, abs=diagonal)

    monkeypatch.setattr(surfaces, "PERCENTILE", 100)
    largest = surface_scores(truth, prediction, spacing).hd95
    assert largest == pytest.approx(max(there.max(), back.max()), abs=diagonal)
    # This filter takes all voxels of a mask, not its border; the farthest one is the same, as it is outside the other.
    theirs = SimpleITK.HausdorffDistanceImageFilter()
    theirs.Execute(itk(truth, spacing), itk(prediction, spacing))
    assert largest == pytest.approx(theirs.GetHausdorffDistance(), abs=diagonal)
