"""Surface scores: against cases that can be counted by hand, and against the package of the definition's authors."""

from dataclasses import astuple

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from unet_common.metrics.surfaces import _areas, _elements, surface_scores, volume_scores

RANDOM = [
    pytest.param((20, 18, 22), (1.0, 1.0, 1.0), id="3d"),
    pytest.param((24, 20, 12), (0.7, 1.3, 3.0), id="3d, oblong"),
    pytest.param((40, 36), (1.0, 1.0), id="2d"),
    pytest.param((40, 30), (0.5, 2.0), id="2d, oblong"),
]


def blobs(size, seed):
    """Two overlapping random masks that touch the borders."""
    generator = np.random.default_rng(seed)
    field = gaussian_filter(generator.standard_normal(size), 2.5)
    change = gaussian_filter(generator.standard_normal(size), 2.5)
    return field > 0.02, field + 0.4 * change > 0.02


@pytest.mark.parametrize("size, spacing", RANDOM)
@pytest.mark.parametrize("seed", range(3))
def test_agreement_with_the_package_of_the_authors(size, spacing, seed, monkeypatch):
    # It was written for a NumPy and a SciPy that still had these names.
    monkeypatch.setattr(np, "Inf", np.inf, raising=False)
    package = pytest.importorskip("surface_distance")
    truth, prediction = blobs(size, seed)
    theirs = package.compute_surface_distances(truth, prediction, spacing)
    ours = surface_scores(truth, prediction, spacing, tolerance=1.5)
    assert ours.assd == pytest.approx(np.mean(package.compute_average_surface_distance(theirs)), rel=1e-6)
    assert ours.hd95 == pytest.approx(package.compute_robust_hausdorff(theirs, 95), rel=1e-12)
    assert ours.surface_dice == pytest.approx(
        package.compute_surface_dice_at_tolerance(theirs, 1.5), rel=1e-6
    )
    assert ours.assd > 0 and 0 < ours.surface_dice < 1


@pytest.mark.parametrize("size, spacing", RANDOM)
@pytest.mark.parametrize("seed", range(3))
def test_agreement_with_medpy_between_border_voxels(size, spacing, seed):
    medpy = pytest.importorskip("medpy.metric.binary")
    truth, prediction = blobs(size, seed)
    ours = surface_scores(truth, prediction, spacing)
    assert ours.assd_border == pytest.approx(medpy.assd(prediction, truth, spacing), rel=1e-12)
    assert ours.hd95_border == pytest.approx(medpy.hd95(prediction, truth, spacing), rel=1e-12)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.3, 5.0), (1.0, 1.0), (0.7, 5.0)])
def test_the_area_of_every_cell_is_that_of_the_authors_tables(spacing):
    tables = pytest.importorskip("surface_distance.lookup_tables")
    if len(spacing) == 3:
        bits, theirs = (
            tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL,
            tables.create_table_neighbour_code_to_surface_area(spacing),
        )
    else:
        bits, theirs = (
            tables.ENCODE_NEIGHBOURHOOD_2D_KERNEL,
            tables.create_table_neighbour_code_to_contour_length(spacing),
        )
    # They number the voxels of a cell in another order.
    our_bits = 2 ** np.arange(bits.size).reshape(bits.shape)
    our_codes = [int(our_bits[code & bits > 0].sum()) for code in range(len(theirs))]
    np.testing.assert_allclose(_areas(spacing)[our_codes], theirs, rtol=1e-12)


@pytest.mark.parametrize("size, spacing", RANDOM)
def test_agreement_with_distances_between_border_voxels(size, spacing):
    """The unweighted definition of the simpler packages, here by nearest neighbours; that by area is near it."""
    truth, prediction = blobs(size, 0)
    sides = []
    for mask in (truth, prediction):
        padded = np.pad(mask, 1)
        inner = np.ones_like(mask)
        for axis in range(mask.ndim):
            for shift in (-1, 1):
                inner &= np.roll(padded, shift, axis)[(slice(1, -1),) * mask.ndim]
        sides.append(np.argwhere(mask & ~inner) * spacing)
    there, back = (cKDTree(a).query(b)[0] for a, b in (sides, sides[::-1]))
    scores = surface_scores(truth, prediction, spacing)
    assert scores.assd_border == pytest.approx(np.mean([*there, *back]), rel=1e-12)
    assert scores.hd95_border == pytest.approx(np.percentile([*there, *back], 95), rel=1e-12)
    longest = np.linalg.norm(spacing)
    assert abs(scores.assd - (there.mean() + back.mean()) / 2) < 0.5 * longest
    assert abs(scores.hd95 - max(np.percentile(there, 95), np.percentile(back, 95))) < longest


def test_a_shifted_plate():
    """Two plates, 2 voxels thick and 1 apart: of each, one face is 1 voxel from the other plate and one is 3."""
    truth, prediction = np.zeros((40, 40, 12), bool), np.zeros((40, 40, 12), bool)
    truth[2:-2, 2:-2, 2:4], prediction[2:-2, 2:-2, 5:7] = True, True
    for step in (1.0, 2.5):
        scores = surface_scores(truth, prediction, (1.0, 1.0, step), tolerance=0.9 * step)
        assert scores.assd == pytest.approx(2 * step, rel=0.05) and scores.hd95 == 3 * step
        assert scores.surface_dice == 0 and scores.volume_error == 0
        assert surface_scores(truth, prediction, (1, 1, step), tolerance=3 * step).surface_dice == 1
        half = surface_scores(truth, prediction, (1, 1, step), tolerance=step).surface_dice
        assert half == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 1.0, 3.0)])
@pytest.mark.parametrize("axis", range(3))
def test_shifted_cubes(axis, spacing):
    """Along the shift, faces are as far from the other cube as the cubes were shifted; no element is farther."""
    truth, step = np.zeros((16, 16, 16), bool), 2
    truth[4:12, 4:12, 4:12] = True
    prediction = np.roll(truth, step, axis)
    shift = step * spacing[axis]
    scores = surface_scores(truth, prediction, spacing, tolerance=shift)
    assert scores.hd95 == pytest.approx(shift) and scores.surface_dice == 1 and scores.volume_error == 0
    below = surface_scores(truth, prediction, spacing, tolerance=0.99 * shift)
    assert 0 < below.surface_dice < 1 and 0 < scores.assd < shift


def test_squares_counted_by_hand():
    """A single pixel and its neighbour: each contour has 4 corners of length sqrt(1 + 9) / 2; 2 are shared."""
    truth, prediction = np.zeros((5, 5), bool), np.zeros((5, 5), bool)
    truth[2, 2], prediction[2, 3] = True, True
    assert _elements(truth, (1.0, 3.0)).sum() == pytest.approx(2 * np.sqrt(10))
    scores = surface_scores(truth, prediction, (1.0, 3.0), tolerance=2.9)
    assert (scores.assd, scores.hd95, scores.surface_dice) == pytest.approx((1.5, 3.0, 0.5))


def test_small_errors_are_larger_between_border_voxels():
    generator = np.random.default_rng(0)
    field, change = (gaussian_filter(generator.standard_normal((40, 40, 40)), 4) for _ in range(2))
    for share, least, most in ((0.1, 0.4, 0.6), (0.5, 0.8, 0.9)):
        scores = surface_scores(field > 0.01, field + share * change > 0.01, (1, 1, 1))
        assert least < scores.assd / scores.assd_border < most


def test_the_border_of_the_volume_is_no_matter():
    truth, prediction = blobs((12, 14, 10), 4)
    assert truth[0].any() and truth[:, -1].any()
    room = [np.pad(mask, 3) for mask in (truth, prediction)]
    assert surface_scores(truth, prediction, (1, 2, 3)) == surface_scores(*room, (1, 2, 3))


def test_perfect_and_swapped_masks():
    truth, prediction = blobs((20, 18, 22), 1)
    same = surface_scores(truth, truth, (1, 2, 3))
    assert (same.assd, same.hd95, same.surface_dice, same.volume_error) == (0, 0, 1, 0)
    one, other = surface_scores(truth, prediction, (1, 2, 3)), surface_scores(prediction, truth, (1, 2, 3))
    assert one.assd == pytest.approx(other.assd) and one.hd95 == other.hd95
    assert one.surface_dice == pytest.approx(other.surface_dice)


def test_axes_and_spacing_belong_together():
    truth, prediction = blobs((20, 14, 22), 2)
    spacing = (0.7, 1.3, 3.0)
    expected = surface_scores(truth, prediction, spacing)
    for order in ((1, 0, 2), (2, 1, 0), (1, 2, 0)):
        turned = surface_scores(
            truth.transpose(order), prediction.transpose(order), tuple(spacing[axis] for axis in order)
        )
        assert turned.assd == pytest.approx(expected.assd) and turned.hd95 == pytest.approx(expected.hd95)


def test_lengths_are_millimetres():
    truth, prediction = blobs((20, 18, 22), 3)
    one, twice = (
        surface_scores(truth, prediction, (1, 1, 1), 1),
        surface_scores(truth, prediction, (2, 2, 2), 2),
    )
    assert twice.assd == pytest.approx(2 * one.assd) and twice.hd95 == pytest.approx(2 * one.hd95)
    assert twice.surface_dice == pytest.approx(one.surface_dice)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 1.0, 2.0)])
def test_the_area_of_a_ball(spacing):
    size = tuple(int(48 / step) for step in spacing)
    places = (np.indices(size).T * spacing - 23.5).T
    ball = np.linalg.norm(places, axis=0) < 20
    # The triangles of binary cells zigzag about the true surface: 9 to 18 % more area, more in oblong voxels.
    assert 1.0 < _elements(ball, spacing).sum() / (4 * np.pi * 20**2) < 1.2


def test_areas_of_single_cells():
    areas = _areas((1.0, 1.0, 1.0))
    assert areas[0] == areas[255] == 0
    assert areas[0b1111] == areas[0b11110000] == pytest.approx(1)  # a plane through the cell
    assert areas[1] == pytest.approx(np.sqrt(3) / 8)  # a corner cut off at the middles of its edges
    lengths = _areas((1.0, 2.0))
    assert lengths[1] == pytest.approx(np.sqrt(5) / 2)
    assert lengths[0b0011] == pytest.approx(2) and lengths[0b0101] == pytest.approx(1)
    assert lengths[0b1001] == pytest.approx(np.sqrt(5))


def test_empty_masks():
    mask, empty = np.zeros((6, 6, 6), bool), np.zeros((6, 6, 6), bool)
    mask[2:4, 2:4, 2:4] = True
    nothing = surface_scores(empty, empty, (1, 1, 1))
    assert np.isnan(astuple(nothing)).all()
    missed = surface_scores(mask, empty, (1, 1, 1))
    assert astuple(missed) == (np.inf, np.inf, np.inf, np.inf, 0, -1)
    invented = surface_scores(empty, mask, (1, 1, 1))
    assert (invented.assd, invented.surface_dice, invented.volume_error) == (np.inf, 0, np.inf)


def test_a_single_voxel_and_a_full_volume():
    single = np.zeros((3, 3, 3), bool)
    single[1, 1, 1] = True
    assert surface_scores(single, single, (1, 1, 1)).assd == 0
    full = np.ones((3, 3, 3), bool)
    scores = surface_scores(full, single, (1, 1, 1))
    assert 0 < scores.assd <= scores.hd95 <= np.sqrt(3) + 1e-9


def test_scores_of_classes_and_their_means():
    truth, prediction = np.zeros((8, 8, 8), int), np.zeros((8, 8, 8), int)
    truth[1:4], prediction[1:4], truth[5:7], prediction[5:8] = 1, 1, 2, 2
    means, per_class = volume_scores(truth, prediction, 4, (1, 1, 1))
    assert per_class["assd_1"] == 0 and per_class["assd_2"] > 0 and np.isnan(per_class["assd_3"])
    assert means["assd"] == pytest.approx(per_class["assd_2"] / 2)
    assert per_class["volume_error_2"] == 0.5 and means["volume_error"] == 0.25
    prediction[prediction == 2] = 0
    means, per_class = volume_scores(truth, prediction, 4, (1, 1, 1))
    assert means["assd"] == per_class["hd95_2"] == np.inf and means["surface_dice"] == 0.5


def test_arguments_that_make_no_sense():
    mask, labels = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), int)
    with pytest.raises(ValueError, match="with the spacing"):
        surface_scores(mask, mask, (1, 1))
    with pytest.raises(ValueError, match="with the spacing"):
        surface_scores(mask, mask[1:], (1, 1, 1))
    for spacing, tolerance in (((1, 1, 0), 1), ((1, 1, np.nan), 1), ((1, 1, 1), -1)):
        with pytest.raises(ValueError, match="must be positive"):
            surface_scores(mask, mask, spacing, tolerance)
    with pytest.raises(ValueError, match="bool"):
        surface_scores(mask, mask.astype(float), (1, 1, 1))
    with pytest.raises(ValueError, match=r"allowed are 0\.\.1"):
        volume_scores(labels, labels + 2, 2, (1, 1, 1))
