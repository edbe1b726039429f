"""Pixels that are not counted: no loss and no score depends on them, and the others are judged as if alone."""

import numpy as np
import pytest
import tensorflow as tf

from data.labels.label_maps import to_classes
from data.labels.outputs import IGNORED, Outputs
from data.preprocessing.regions import Regions
from data.source import Case
from unet_common import losses
from unet_common.evaluation.scores import Scores
from unet_common.losses.pixels import Pixels
from unet_common.metrics.pixels import pixel_scores
from unet_common.prediction.predictor import Prediction

# Outputs of the network, and whether each is a sigmoid of its own.
TASKS = {"binary": (1, False), "multiclass": (3, False), "multilabel": (2, True)}
TERMS = {name: name for name in losses.TERMS} | {
    "weighted_cross_entropy": "weighted_cross_entropy(weights=[1, 2{}])",
    "boundary_weighted_cross_entropy": "boundary_weighted_cross_entropy(sigma=2)",
    "top_k_cross_entropy": "top_k_cross_entropy(share=0.3)",
}
# What they make of a pixel depends on its neighbours.
OF_NEIGHBOURS = {"border_dice", "border_cross_entropy", "boundary_weighted_cross_entropy"}
CASES = [
    (term, task)
    for term in TERMS
    for task in TASKS
    if not (term in ("bce", "reweighted_bce") and task == "multiclass")
]


def expression_of(term, task):
    return TERMS[term].format("" if task == "binary" else ", 0.5")


def outputs_of(task):
    count, multilabel = TASKS[task]
    return Outputs(count, multilabel, ignoring=True)


def example(task, size=(12, 16), seed=0):
    """Label maps of which a part is ignored, their targets, logits, and what is counted [2, *size]."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2 if task == "binary" else 3, (2, *size))
    values = np.where(generator.random((2, *size)) < 0.3, 255, labels)
    values[..., -6:] = 255
    maps = to_classes(values, tuple(range(labels.max() + 1)), (255,))
    targets = np.stack([outputs_of(task).encode(label) for label in maps]).astype(float)
    return maps, targets, 2 * generator.standard_normal(targets.shape), values != 255


def value_and_gradient(expression, task, targets, logits, ignoring=True):
    function = losses.loss(expression, TASKS[task][1], ignoring)
    targets, logits = (tf.constant(values, tf.float64) for values in (targets, logits))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = function(targets, logits)
    return float(value), tape.gradient(value, logits).numpy()


def test_every_loss_is_tried():
    assert set(TERMS) == set(losses.TERMS)


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize(("term", "task"), CASES)
def test_no_loss_depends_on_the_logits_of_ignored_pixels(term, task, rank):
    size = (12, 16) if rank == 2 else (6, 8, 10)
    _maps, targets, logits, counted = example(task, size)
    other = np.where(counted[..., None], logits, 30 * np.random.default_rng(1).standard_normal(logits.shape))
    expression = expression_of(term, task)
    value, gradient = value_and_gradient(expression, task, targets, logits)
    assert np.isfinite(value)
    assert value == pytest.approx(value_and_gradient(expression, task, targets, other)[0], rel=1e-12)
    assert np.all(gradient[~counted] == 0)
    assert np.any(gradient[counted] != 0)


@pytest.mark.parametrize(("term", "task"), [case for case in CASES if case[0] not in OF_NEIGHBOURS])
def test_the_others_are_judged_as_if_there_were_no_more(term, task):
    _maps, targets, logits, counted = example(task)
    alone = targets[counted][None, None], logits[counted][None, None]  # a batch of one image of one row
    expression = expression_of(term, task)
    with_ignored, gradient = value_and_gradient(expression, task, targets, logits)
    value, of_alone = value_and_gradient(expression, task, *alone, ignoring=False)
    assert with_ignored == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(gradient[counted], of_alone[0, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("term", "task"), CASES)
def test_without_ignored_pixels_the_losses_are_what_they_are(term, task):
    generator = np.random.default_rng(3)
    label = generator.integers(0, 2 if task == "binary" else 3, (12, 16)).astype(np.uint8)
    targets = outputs_of(task).encode(label)[None]
    logits = generator.standard_normal(targets.shape)
    values = [
        value_and_gradient(expression_of(term, task), task, targets, logits, ignoring)
        for ignoring in (False, True)
    ]
    assert values[1][0] == pytest.approx(values[0][0], rel=1e-12)
    np.testing.assert_allclose(values[1][1], values[0][1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("term", "task"), CASES)
def test_where_nothing_is_counted_there_is_nothing_to_learn(term, task):
    targets = np.full((1, 8, 8, TASKS[task][0]), IGNORED)
    logits = np.random.default_rng(4).standard_normal(targets.shape)
    value, gradient = value_and_gradient(expression_of(term, task), task, targets, logits)
    assert np.isfinite(value)
    assert not gradient.any()


@pytest.mark.parametrize("task", TASKS)
def test_single_classes_and_sums(task):
    _maps, targets, logits, counted = example(task)
    alone = targets[counted][None, None], logits[counted][None, None]
    expression = "dice[1] + 0.5*focal[1] + cross_entropy"
    value, gradient = value_and_gradient(expression, task, targets, logits)
    assert value == pytest.approx(value_and_gradient(expression, task, *alone, ignoring=False)[0], rel=1e-12)
    assert np.all(gradient[~counted] == 0)


@pytest.mark.parametrize("task", TASKS)
def test_coarser_levels_of_deep_supervision_take_the_mean_of_what_is_counted(task):
    _maps, targets, logits, counted = example(task)
    coarse = np.random.default_rng(5).standard_normal((2, 6, 8, targets.shape[-1]))
    shrunk = losses.shrink_to(tf.constant(targets), tf.constant(coarse), ignoring=True).numpy()
    for image, row, column in np.ndindex(2, 6, 8):
        block = (image, slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2))
        inside = counted[block]
        expected = targets[block][inside].mean(0) if inside.any() else IGNORED
        np.testing.assert_allclose(shrunk[image, row, column], expected, rtol=0, atol=1e-15)
    function = losses.loss("dice + cross_entropy", TASKS[task][1], ignoring=True)
    with tf.GradientTape() as tape:
        levels = [tf.constant(logits), tf.constant(coarse)]
        tape.watch(levels)
        value = function(tf.constant(targets), levels)
    fine, of_coarse = tape.gradient(value, levels)
    assert np.all(fine.numpy()[~counted] == 0)
    known_blocks = counted.reshape(2, 6, 2, 8, 2).any((2, 4))
    assert np.all(of_coarse.numpy()[~known_blocks] == 0)
    assert np.any(of_coarse.numpy()[known_blocks] != 0)


def test_a_border_beside_ignored_pixels_is_not_judged():
    targets = np.zeros((1, 5, 8, 1))
    targets[:, :, 3:6] = 1
    targets[:, :, 6:] = IGNORED
    logits = tf.constant(np.where(targets > 0, 9.0, -9.0))
    pixels = Pixels.of(tf.constant(targets), logits, False, True)
    # The left border is at the columns 2 and 3, and the right one is not known.
    value = losses.TERMS["border_dice"](pixels, squared=False, smooth=1.0, weights=None)
    assert float(value) < 1e-3


@pytest.mark.parametrize("task", TASKS)
def test_the_score_of_a_training_leaves_them_out(task):
    _maps, targets, logits, counted = example(task)
    outputs = outputs_of(task)
    counts = losses.confusion(tf.constant(targets), tf.constant(logits), outputs)
    alone = (tf.constant(values[counted][None, None]) for values in (targets, logits))
    np.testing.assert_array_equal(counts, losses.confusion(*alone, outputs))


@pytest.mark.parametrize("task", TASKS)
def test_targets_of_ignored_pixels(task):
    maps, targets, _logits, counted = example(task)
    assert np.all(targets[~counted] == IGNORED)
    plain = Outputs(*TASKS[task])
    np.testing.assert_array_equal(
        targets[counted], plain.encode(np.where(counted, maps, 0).astype(np.uint8))[counted]
    )


def test_soft_labels_of_ignored_pixels():
    label = np.zeros((9, 9), np.uint8)
    label[4], label[:, 6:] = 1, 255
    targets = Outputs(4, True, soft=(1,), ignoring=True).encode(label)
    assert np.all(targets[:, 6:] == IGNORED)
    assert np.all(targets[:, :6] >= 0)


def test_a_region_of_interest_has_ignored_pixels_of_its_own():
    label = np.zeros((32, 32), np.uint8)
    label[8:20, 8:20], label[12:16, 12:16] = 1, 255
    outputs = Outputs(2, True, region=Regions(margin=2), ignoring=True)
    _image, target = outputs.example(np.ones((32, 32, 1), np.float32), label)
    np.testing.assert_array_equal(target[..., 0] == IGNORED, label == 255)
    enlarged = (target[..., 1] == IGNORED).sum()
    assert enlarged > 2 * (label == 255).sum()  # the same pixels, of the region in the size of the image
    assert set(np.unique(target)) == {IGNORED, 0, 1}


@pytest.mark.parametrize("rank", [2, 3])
def test_tables_leave_them_out(rank):
    generator = np.random.default_rng(6)
    size = (14, 18) if rank == 2 else (8, 10, 12)
    truth, label = generator.integers(0, 3, (2, *size)).astype(np.uint8)
    ignored = generator.random(size) < 0.25
    case = Case("a", np.zeros((*size, 1), np.float32), np.where(ignored, np.uint8(0), truth))
    rows = []
    for guess in (label, np.where(ignored, np.uint8(2), label)):
        rows.append(Scores(False).add(Prediction(case, guess, None, Outputs(3, ignoring=True), ignored)))
    assert rows[0] == rows[1]
    expected = pixel_scores(truth[~ignored], label[~ignored], 3)
    for name, value in (expected.foreground_means() | expected.per_class()).items():
        assert rows[0][name] == value
