"""Scores against cases worked out by hand, and against scikit-image where definitions coincide."""

import numpy as np
import pytest
from skimage import measure
from skimage.metrics import adapted_rand_error, variation_of_information

from unet_common.metrics.cells import connected_cells, segments_from_membranes, thin_borders
from unet_common.metrics.membranes import (
    THRESHOLDS,
    best_membrane_scores,
    information_scores,
    membrane_curve,
    membrane_scores,
    rand_scores,
)
from unet_common.metrics.pixels import confusion_matrix, pixel_scores

# --- pixels -----------------------------------------------------------------------------------


def test_confusion_matrix_by_hand():
    truth = np.array([[0, 0, 1], [1, 1, 2]])
    prediction = np.array([[0, 1, 1], [1, 0, 0]])
    expected = [[1, 1, 0], [1, 2, 0], [1, 0, 0]]
    np.testing.assert_array_equal(confusion_matrix(truth, prediction, 3), expected)


def test_pixel_scores_by_hand():
    # Of class 1: right 2, predicted 3, true 4.
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    prediction = np.array([0, 0, 0, 1, 1, 1, 0, 0])
    means = pixel_scores(truth, prediction, 2).foreground_means()
    assert means == pytest.approx(
        {
            "dice": 4 / 7,
            "iou": 2 / 5,
            "precision": 2 / 3,
            "recall": 1 / 2,
            "specificity": 3 / 4,
            "pixel_accuracy": 5 / 8,
        }
    )


def test_scores_without_meaning_are_nan_and_left_out_of_means():
    # Class 2 was missed, class 3 was made up, class 4 is in neither.
    scores = pixel_scores(np.array([0, 1, 1, 2]), np.array([0, 1, 1, 3]), 5)
    np.testing.assert_array_equal(scores.dice, [1, 1, 0, 0, np.nan])
    np.testing.assert_array_equal(scores.iou, [1, 1, 0, 0, np.nan])
    np.testing.assert_array_equal(scores.precision, [1, 1, np.nan, 0, np.nan])
    np.testing.assert_array_equal(scores.recall, [1, 1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(scores.specificity, [1, 1, 1, 3 / 4, 1])
    means = scores.foreground_means()
    assert means["dice"] == pytest.approx(1 / 3)
    assert means["recall"] == means["precision"] == pytest.approx(1 / 2)
    assert scores.per_class()["recall_2"] == 0
    assert np.isnan(scores.per_class()["dice_4"])


def test_nothing_but_background_has_no_foreground_score():
    means = pixel_scores(np.zeros((4, 4), int), np.zeros((4, 4), bool), 2).foreground_means()
    assert means.pop("pixel_accuracy") == means.pop("specificity") == 1
    assert all(np.isnan(value) for value in means.values())


def test_matrices_add_up_to_scores_over_all_pixels():
    generator = np.random.default_rng(0)
    truth, prediction = generator.integers(0, 3, (2, 40))
    parts = sum(confusion_matrix(truth[part], prediction[part], 3) for part in (slice(9), slice(9, 40)))
    np.testing.assert_array_equal(parts, confusion_matrix(truth, prediction, 3))


def test_refused_label_maps():
    with pytest.raises(ValueError, match=r"truth has labels 0..255, allowed are 0..1"):
        confusion_matrix(np.array([0, 255]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match=r"prediction has labels -1..1"):
        confusion_matrix(np.array([0, 1]), np.array([-1, 1]), 2)
    with pytest.raises(ValueError, match=r"truth has shape \(2,\), prediction \(1,\)"):
        confusion_matrix(np.array([0, 1]), np.array([0]), 2)


# --- cells ------------------------------------------------------------------------------------


def test_rand_score_by_hand():
    # p: 1/2, 1/4, 1/4 -> 6/16; predicted 3/4, 1/4 -> 10/16; true 1/2, 1/2 -> 8/16.
    result = rand_scores(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 7]))
    assert result.split == pytest.approx(6 / 8)
    assert result.merge == pytest.approx(6 / 10)
    assert result.score == pytest.approx(6 / 9)


def test_information_score_by_hand():
    # In bits: H(S) = 2 - 3/4 log2(3), H(T) = 1, H(S,T) = 3/2.
    predicted = 2 - 0.75 * np.log2(3)
    information = predicted + 1 - 1.5
    result = information_scores(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 7]))
    assert result.split == pytest.approx(information / predicted)
    assert result.merge == pytest.approx(information)
    assert result.score == pytest.approx(information / ((predicted + 1) / 2))


def test_membrane_of_the_truth_is_left_out_and_predicted_membrane_is_single_pixels():
    truth, prediction = np.array([0, 1, 1, 1, 1]), np.array([1, 1, 1, 1, 0])
    rand = rand_scores(truth, prediction)
    # 3 pixels of 4 in one segment, 1 alone: (3/4)^2 + (1/4)^2 = 10/16.
    assert rand.split == pytest.approx(10 / 16)
    assert rand.merge == pytest.approx(1)
    assert rand.score == pytest.approx(10 / 13)
    assert rand == rand_scores(truth, np.array([7, 1, 1, 1, 2]))
    assert information_scores(truth, prediction) == information_scores(truth, np.array([7, 1, 1, 1, 2]))


def test_perfect_and_degenerate_segmentations():
    cells = np.array([[1, 1, 0, 4], [3, 0, 4, 4]])
    for scores in (rand_scores, information_scores):
        perfect = scores(cells, cells * 10)
        assert (perfect.score, perfect.split, perfect.merge) == pytest.approx((1, 1, 1))
        assert np.isnan(scores(np.zeros_like(cells), cells).score)
        assert scores(np.ones_like(cells), np.ones_like(cells)).score == 1
    merged = information_scores(np.array([1, 2]), np.array([1, 1]))
    assert (merged.score, merged.split, merged.merge) == (0, 1, 0)
    shattered = rand_scores(np.ones(10, int), np.zeros(10, int))
    assert (shattered.split, shattered.merge) == pytest.approx((0.1, 1))


def test_agreement_with_scikit_image_where_there_is_no_border():
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 6, (64, 64))
    predicted = np.where(generator.random((64, 64)) < 0.7, truth, 0) // 2 + 1
    error, precision, recall = adapted_rand_error(truth, predicted)
    rand = rand_scores(truth, predicted)
    assert rand.score == pytest.approx(1 - error, abs=1e-3)
    # scikit-image calls precision what divides by the truth's pairs.
    assert (rand.split, rand.merge) == pytest.approx((precision, recall), abs=1e-3)

    inside = truth > 0
    entropy_true = measure.shannon_entropy(truth[inside], base=2)
    entropy_predicted = measure.shannon_entropy(predicted[inside], base=2)
    splits, merges = variation_of_information(truth, predicted, ignore_labels=[0])
    information = entropy_true - merges
    result = information_scores(truth, predicted)
    assert information == pytest.approx(entropy_predicted - splits)
    assert result.merge == pytest.approx(information / entropy_true)
    assert result.split == pytest.approx(information / entropy_predicted)


# --- cells from membranes -----------------------------------------------------------------------


def test_cells_that_touch_at_a_corner_are_two():
    assert connected_cells(np.eye(5), 0.5).max() == 2
    assert connected_cells(np.eye(5), 0.5, minimum_size=11).max() == 0


def test_small_seeds_are_dropped_and_numbers_stay_dense():
    probability = np.array([[0, 1, 0, 0, 1, 0, 0, 0]], float)
    np.testing.assert_array_equal(
        connected_cells(probability, 0.5, minimum_size=2), [[0, 0, 1, 1, 0, 2, 2, 2]]
    )


def test_thinning_leaves_one_pixel_half_way_or_on_the_ridge():
    probability = np.array([[0, 0, 0.6, 0.7, 0.8, 0.9, 0.6, 0, 0]] * 3)
    half_way = thin_borders(connected_cells(probability, 0.5))
    np.testing.assert_array_equal(half_way[1], [1, 1, 1, 1, 0, 2, 2, 2, 2])
    ridge = segments_from_membranes(probability, 0.5, borders="thin")
    np.testing.assert_array_equal(ridge[1], [1, 1, 1, 1, 1, 0, 2, 2, 2])
    thick = segments_from_membranes(probability, 0.5, borders="thick")
    np.testing.assert_array_equal(thick[1], [1, 1, 0, 0, 0, 0, 0, 2, 2])
    none = segments_from_membranes(probability, 0.5, borders="none")
    assert none.min() == 1 and none.max() == 2


def wall(width, gap=None, size=41):
    """A membrane of `width` pixels between two cells, with a weaker spot if `gap` is given."""
    probability = np.zeros((size, size))
    middle = size // 2
    probability[:, middle - width // 2 : middle + width // 2 + 1] = 0.95
    if gap is not None:
        probability[middle] *= gap / 0.95
    return probability


def test_thick_membranes_cost_nothing_after_thinning():
    scores = membrane_scores(wall(1) > 0.5, wall(9))
    # By hand: 40 of 41 columns count; 16 in either cell, 8 are pixels on their own.
    pixels = 40 * 41
    both = 2 * (16 / 40) ** 2 + 8 * 41 / pixels**2
    assert scores["v_rand"] == pytest.approx(both / (both / 2 + 0.5 / 2))
    assert scores["v_rand_thinned"] == scores["v_rand_watershed"] == pytest.approx(1)
    assert scores["v_info_thinned"] == pytest.approx(1)
    assert scores["adapted_rand_error"] == pytest.approx(0, abs=1e-12)


def test_a_gap_merges_cells_above_its_probability():
    curve = membrane_curve(wall(1) > 0.5, wall(3, gap=0.35))
    merged = np.array(THRESHOLDS) > 0.35
    np.testing.assert_allclose(curve["v_rand_thinned"][~merged], 1)
    assert (curve["v_rand_merge"][merged] < 0.52).all()
    np.testing.assert_allclose(curve["v_rand_thinned"][merged], 2 / 3, atol=0.01)


def test_the_threshold_is_chosen_for_all_slices_together():
    curves = [
        {**membrane_curve(wall(1) > 0.5, wall(1)), "v_rand": np.array(values)}
        for values in ([0.9, 0.6, 0.5], [0.1, 0.7, 0.5])
    ]
    best = best_membrane_scores(curves, (0.1, 0.2, 0.3))
    assert best.thresholds["v_rand"] == 0.2
    assert [scores["v_rand"] for scores in best.per_slice] == [0.6, 0.7]
    assert best.mean["v_rand"] == pytest.approx(0.65)


def test_a_slice_without_cells_has_no_score():
    scores = membrane_scores(np.ones((8, 8), bool), np.full((8, 8), 0.2))
    assert all(np.isnan(value) for value in scores.values())
