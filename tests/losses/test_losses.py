"""Losses against NumPy: values from their definitions, gradients from finite differences; and how they are written."""

import inspect
import re
from itertools import product

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from helpers import RANKS, ROOT, SIZES, central_differences, images

from data.errors import UserError
from data.labels.label_maps import is_class
from data.labels.outputs import Outputs
from unet_common import losses
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.loss_terms import ARGUMENTS, SMOOTH
from unet_common.networks import CATALOGUE
from unet_common.prediction.sliding_window import probabilities

# Outputs, and whether each is a sigmoid of its own.
TASKS = {"binary": (1, False), "multiclass": (3, False), "multilabel": (3, True)}
ALL_TASKS = pytest.mark.parametrize("task", TASKS)


def labelled(task, rank=2, size=None):
    """Targets and logits of two images."""
    classes, multilabel = TASKS[task]
    generator = np.random.default_rng(classes + multilabel)
    size = size or SIZES[rank]
    if task == "multiclass":
        targets = np.eye(classes)[generator.integers(0, classes, (2, *size))]
    else:
        targets = generator.integers(0, 2, (2, *size, classes)).astype(float)
    return targets, 2 * generator.standard_normal(targets.shape)


def empty(task, targets):
    """Targets that are background everywhere."""
    nothing = np.zeros_like(targets)
    if task == "multiclass":
        nothing[..., 0] = 1
    return nothing


def value_of(expression, task, targets, logits, precision="float64"):
    function = losses.loss(expression, TASKS[task][1])
    return function(tf.constant(targets, precision), tf.constant(logits, precision))


# --- definitions -------------------------------------------------------------------------------


class Definition:
    """What a loss is computed from, for well-behaved logits: `self.t` and `self.p` are those of all classes."""

    def __init__(self, task, targets, logits):
        if task == "multiclass":
            p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
            self.questions = [[(targets[..., c], p[..., c]) for c in range(p.shape[-1])]]
            self.foreground = self.questions[0][1:]
        else:
            p = 1 / (1 + np.exp(-logits))
            self.foreground = [(targets[..., c], p[..., c]) for c in range(p.shape[-1])]
            self.questions = [[(1 - t, 1 - q), (t, q)] for t, q in self.foreground]
        self.task, self.targets, self.logits, self.t, self.p = task, targets, logits, targets, p

    def pixels(self, f, weights=None):
        """Mean over questions and pixels of the sum over answers of weight * t * f(p)."""
        return np.mean([
            sum((weights[k] if weights else 1) * t * f(p) for k, (t, p) in enumerate(answers))
            for answers in self.questions
        ])  # fmt: skip

    def overlap(self, f, weights=None):
        """1 - mean over the foreground classes of f(t, p)."""
        return 1 - np.average([f(t, p) for t, p in self.foreground], weights=weights)


def dice_of(t, p, power=1, w=1.0):
    return (2 * (w * t * p).sum() + 1) / ((w * t**power).sum() + (w * p**power).sum() + 1)


def tversky_of(t, p, alpha, beta):
    hit, false, missed = (t * p).sum(), ((1 - t) * p).sum(), (t * (1 - p)).sum()
    return (hit + 1) / (hit + alpha * false + beta * missed + 1)


def border_of(x):
    """Of pixels [batch, *size], neighbour by neighbour."""
    largest = []
    for values in (x, 1 - x):
        padded = np.pad(values, [(0, 0)] + [(1, 1)] * (x.ndim - 1), constant_values=-np.inf)
        shifts = product(range(3), repeat=x.ndim - 1)
        windows = [padded[(slice(None), *(slice(s, s + n) for s, n in zip(shift, x.shape[1:], strict=True)))]
                   for shift in shifts]  # fmt: skip
        largest.append(np.max(windows, axis=0))
    return largest[0] * largest[1]


def generalised_dice_of(answers):
    sizes = [t.sum() for t, _ in answers]
    weights = [1 / max(size, min(filter(None, sizes))) ** 2 for size in sizes]
    above = sum(w * (t * p).sum() for w, (t, p) in zip(weights, answers, strict=True))
    below = sum(w * (t + p).sum() for w, (t, p) in zip(weights, answers, strict=True))
    return 1 - 2 * above / below


def lovasz_of(errors, truth):
    """The extension of the Jaccard loss as a function of sets: of the pixels that are predicted wrongly."""

    def jaccard_loss(wrong):
        foreground = set(np.flatnonzero(truth))
        return len(wrong) / len(foreground | wrong) if wrong else 0

    order, wrong, total = np.argsort(-errors.ravel()), set(), 0
    for place in order:
        more = wrong | {int(place)}
        total += errors.flat[place] * (jaccard_loss(more) - jaccard_loss(wrong))
        wrong = more
    return total


def samples(t, p):
    """Dice of each sample, the mean."""
    return np.mean([dice_of(one, other) for one, other in zip(t, p, strict=True)])


def border_cross_entropy(d, border):
    """By the Laplacian: 26 (or 8) times a pixel, less its neighbours."""
    kernel = -np.ones((1, *(3,) * (d.t.ndim - 2)))
    kernel.flat[kernel.size // 2] += kernel.size
    classes = [scipy.ndimage.convolve(d.t[..., c], kernel, mode="nearest") != 0 for c in range(d.t.shape[-1])]
    edges = [np.any(classes, axis=0)] if d.task == "multiclass" else classes
    return -np.mean(
        [
            (1 + border * edge) * sum(t * np.log(p) for t, p in answers)
            for edge, answers in zip(edges, d.questions, strict=True)
        ]
    )


def lovasz(d):
    classes = range(d.targets.shape[-1])
    if d.task == "multiclass":
        return np.mean([lovasz_of(np.abs(d.t[..., c] - d.p[..., c]), d.t[..., c]) for c in classes])
    hinges = np.maximum(1 - d.logits * (2 * d.targets - 1), 0)
    return np.mean([lovasz_of(hinges[..., c], d.targets[..., c]) for c in classes])


def top_k(d, share):
    pixels = [-sum(t * np.log(p) for t, p in answers).ravel() for answers in d.questions]
    return np.mean([np.sort(values)[-int(np.ceil(share * values.size)) :] for values in pixels])


WEIGHTS = {"binary": [1, 4], "multiclass": [0.5, 1, 4], "multilabel": [0.5, 1, 4, 2]}  # the background first
DEFINITIONS = {
    "cross_entropy": lambda d: -d.pixels(np.log),
    "bce": lambda d: -d.pixels(np.log),
    "weighted_cross_entropy": lambda d: -d.pixels(np.log, WEIGHTS[d.task]) if d.task != "multilabel" else -np.mean(
        [0.5 * (1 - t) * np.log(1 - p) + w * t * np.log(p)
         for w, (t, p) in zip(WEIGHTS["multilabel"][1:], d.foreground, strict=True)]
    ),
    "reweighted_bce": lambda d: -d.pixels(np.log, [0.01, 0.99]),
    "reweighted_bce(alpha=0.7)": lambda d: -d.pixels(np.log, [1 - 0.7, 0.7]),
    "focal": lambda d: -d.pixels(lambda p: (1 - p) ** 2 * np.log(p), [0.75, 0.25, 0.25]),
    "focal(gamma=0.5, alpha=0.6)": lambda d: -d.pixels(lambda p: (1 - p) ** 0.5 * np.log(p), [0.4, 0.6, 0.6]),
    "top_k_cross_entropy": lambda d: top_k(d, 0.1),
    "top_k_cross_entropy(share=0.3)": lambda d: top_k(d, 0.3),
    "mse": lambda d: np.mean((d.t - d.p) ** 2),
    "border_cross_entropy": lambda d: border_cross_entropy(d, 5),
    "border_cross_entropy(border=0.5)": lambda d: border_cross_entropy(d, 0.5),
    "dice": lambda d: d.overlap(dice_of),
    "dice(background=true)": lambda d: 1 - np.mean([dice_of(t, p) for answers in d.questions for t, p in answers]),
    "dice(per_sample=true)": lambda d: 1 - np.mean([samples(t, p) for t, p in d.foreground]),
    "dice(background=true, per_sample=true)": lambda d: 1 - np.mean(
        [samples(t, p) for answers in d.questions for t, p in answers]
    ),
    "dice(squared=true)": lambda d: d.overlap(lambda t, p: dice_of(t, p, 2)),
    "jaccard": lambda d: d.overlap(lambda t, p: ((t * p).sum() + 1) / ((t + p - t * p).sum() + 1)),
    "generalised_dice": lambda d: np.mean([generalised_dice_of(answers) for answers in d.questions]),
    "hardness_weighted_dice": lambda d: d.overlap(lambda t, p: dice_of(t, p, w=0.6 * np.abs(p - t) + 0.4)),
    "tversky": lambda d: d.overlap(lambda t, p: tversky_of(t, p, 0.3, 0.7)),
    "tversky(alpha=0.9, beta=0.2)": lambda d: d.overlap(lambda t, p: tversky_of(t, p, 0.9, 0.2)),
    "focal_tversky": lambda d: np.mean([(1 - tversky_of(t, p, 0.3, 0.7)) ** 0.75 for t, p in d.foreground]),
    "border_dice": lambda d: d.overlap(lambda t, p: dice_of(border_of(t), border_of(p))),
    "lovasz": lovasz,
}  # fmt: skip


def written(term, task):
    """With the argument that has no default."""
    return f"{term}(weights={WEIGHTS[task]})" if term == "weighted_cross_entropy" else term


def terms_of(task, names):
    return [written(name, task) for name in names if task != "multiclass" or "bce" not in name]


CASES = [
    pytest.param(term, task, id=f"{term}-{task}")
    for task in TASKS
    for term in terms_of(task, [*DEFINITIONS, "boundary_weighted_cross_entropy"])
]


def test_every_loss_has_a_definition_here():
    assert {name.split("(")[0] for name in DEFINITIONS} | {
        "boundary_weighted_cross_entropy"
    } == losses.TERMS.keys()


def test_functions_take_the_arguments_that_the_parser_allows():
    assert list(losses.TERMS) == list(ARGUMENTS)
    for name, function in losses.TERMS.items():
        _pixels, *arguments = inspect.signature(function).parameters.values()
        assert [argument.name for argument in arguments] == list(ARGUMENTS[name].model_fields), name
        assert all(argument.kind is argument.KEYWORD_ONLY for argument in arguments), name
        # A default here would be a second one, which nobody reads.
        assert all(argument.default is argument.empty for argument in arguments), name


@RANKS
@pytest.mark.parametrize("term, task", [case for case in CASES if "boundary" not in case.values[0]])
def test_losses_follow_their_definitions(term, task, rank):
    targets, logits = labelled(task, rank)
    definition = DEFINITIONS[term if term in DEFINITIONS else term.split("(")[0]]
    expected = definition(Definition(task, targets, logits))
    assert float(value_of(term, task, targets, logits)) == pytest.approx(expected, abs=1e-12)
    assert float(value_of(term, task, targets, logits, "float32")) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("term, task", CASES)
def test_gradients_of_losses_by_finite_differences(term, task):
    targets, logits = labelled(task, size=(4, 5))
    function = tf.function(losses.loss(term, TASKS[task][1]))  # in a graph; the test above runs eagerly
    point = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(tf.constant(targets), point)
    expected = central_differences(lambda x: float(function(tf.constant(targets), tf.constant(x))), logits)
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(tape.gradient(value, point), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("term, task", CASES)
def test_losses_are_finite_at_saturated_logits_and_without_foreground(term, task, precision):
    targets, logits = labelled(task)
    for truth, sign in product((targets, empty(task, targets)), (1, -1)):
        point = tf.constant(sign * 1e4 * np.sign(logits), precision)
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = losses.loss(term, TASKS[task][1])(tf.constant(truth, precision), point)
        assert np.isfinite(value) and value >= 0
        assert np.isfinite(tape.gradient(value, point)).all()


@pytest.mark.parametrize("term, task", CASES)
def test_a_perfect_prediction_costs_nothing_even_of_an_empty_mask(term, task):
    targets, _ = labelled(task)
    for truth in (targets, empty(task, targets)):
        point = tf.constant(1e4 * (2 * truth - 1))
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = losses.loss(term, TASKS[task][1])(tf.constant(truth), point)
        assert float(value) == pytest.approx(0, abs=1e-12)
        assert np.isfinite(tape.gradient(value, point)).all()


@pytest.mark.parametrize("task", TASKS)
def test_the_worst_prediction_of_an_empty_mask_can_be_mended(task):
    """At least one of the losses that are meant for rare classes pulls when there is nothing to overlap with."""
    targets, logits = labelled(task)
    for term in ("dice", "generalised_dice", "tversky", "focal_tversky", "lovasz"):
        point = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = losses.loss(term, TASKS[task][1])(tf.constant(empty(task, targets)), point)
        gradient = tape.gradient(value, point).numpy()
        after = losses.loss(term, TASKS[task][1])(tf.constant(empty(task, targets)), point - 10 * gradient)
        assert float(after) < float(value), term


# --- published numbers -------------------------------------------------------------------------

TRUTH = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1.0]).reshape(1, 3, 3, 1)
PREDICTED = np.array([0.9, 0.2, 0.05, 0.4, 0.6, 0.7, 0.1, 0.3, 0.8]).reshape(1, 3, 3, 1)


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("dice(squared=true)", 1 - 0.920750),
        ("bce", 0.271478),
        ("reweighted_bce", 0.132946),
        ("reweighted_bce(alpha=0.999)", 0.132895),
        ("focal(alpha=0.99)", 0.013757),
        ("9*focal", 0.123908),  # a sum there
        ("border_dice(squared=true)", 1 - 0.945198),
        ("dice(squared=true) + bce", 0.350728),
        ("dice(squared=true) + 10*reweighted_bce", 1.408715),
        ("dice(squared=true) + 10*reweighted_bce + 100*focal(alpha=0.99)", 2.784420),
    ],
)
def test_values_of_an_earlier_keras_program(expression, expected):
    """What https://github.com/AmberzzZZ/unet_vnet_keras gives for 3 x 3 pixels, where its formulas are the same."""
    logits = np.log(PREDICTED / (1 - PREDICTED))
    assert float(value_of(expression, "binary", TRUTH, logits)) == pytest.approx(expected, abs=1e-5)


def test_value_of_an_earlier_keras_program_for_two_classes():
    truth = np.concatenate([TRUTH, 1 - TRUTH], -1)
    predicted = np.concatenate([PREDICTED, 1 - PREDICTED], -1)
    disc = "dice(squared=true)[1] + 10*reweighted_bce[1]"
    protrusion = "(dice(squared=true) + 10*reweighted_bce + 100*focal(alpha=0.99))[2]"
    expression = f"{disc} + {protrusion}"
    value = value_of(expression, "multilabel", truth, np.log(predicted / (1 - predicted)))
    assert float(value) == pytest.approx(4.234538, abs=1e-5)


# --- the weight map of the U-Net paper ----------------------------------------------------------


def weight_map(cells, w0, sigma):
    """Equation 2 for cells as a list of masks, pixel by pixel."""
    extra = np.zeros(cells[0].shape)
    for pixel in np.argwhere(~np.any(cells, axis=0)):
        distances = sorted(np.sqrt(((np.argwhere(cell) - pixel) ** 2).sum(1)).min() for cell in cells)
        if len(distances) > 1:
            extra[tuple(pixel)] = w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return extra


def some_cells():
    """Three cells; the last two touch at a corner."""
    cells = np.zeros((3, 12, 14), bool)
    cells[0, 1:5, 1:4] = cells[1, 1:7, 6:9] = cells[2, 7:10, 9:13] = True
    return cells


@pytest.mark.parametrize("w0, sigma", [(10, 5), (3, 1.5)])
def test_gaps_between_cells_count_more(w0, sigma):
    cells = some_cells()
    targets = cells.any(0)[np.newaxis, ..., np.newaxis].astype(float)
    logits = np.random.default_rng(0).standard_normal(targets.shape)
    counts = 1 + weight_map(list(cells), w0, sigma)
    assert counts.max() > 1.1
    p = 1 / (1 + np.exp(-logits[0, ..., 0]))
    expected = np.mean(counts * -np.log(np.where(cells.any(0), p, 1 - p)))
    written = f"boundary_weighted_cross_entropy(w0={w0}, sigma={sigma})"
    # Beyond 6 sigma the weight is taken for 0.
    assert float(value_of(written, "binary", targets, logits)) == pytest.approx(expected, rel=1e-7)
    swapped = value_of(written[:-1] + ", cells=0)", "binary", 1 - targets, -logits)
    assert float(swapped) == pytest.approx(expected, rel=1e-7)


def test_gaps_between_cells_of_exclusive_and_of_overlapping_classes():
    cells = some_cells()
    labels = np.zeros(cells.shape[1:], int)
    for number, cell in zip((1, 2, 2), cells, strict=True):
        labels[cell] = number
    targets = np.eye(3)[labels][np.newaxis]
    logits = np.random.default_rng(0).standard_normal(targets.shape)
    d = Definition("multiclass", targets, logits)
    cross_entropy = -sum(t * np.log(p) for t, p in d.questions[0])[0]
    weights = np.array([0.5, 1, 4])[labels]
    expected = np.mean((weights + weight_map(list(cells), 10, 5)) * cross_entropy)
    value = value_of("boundary_weighted_cross_entropy(weights=[0.5, 1, 4])", "multiclass", targets, logits)
    assert float(value) == pytest.approx(expected, rel=1e-7)
    # Class 2 has two cells, class 1 only one and so no gaps.
    d = Definition("multilabel", targets[..., 1:], logits[..., 1:])
    entropies = [-sum(t * np.log(p) for t, p in answers)[0] for answers in d.questions]
    expected = np.mean([entropies[0], (1 + weight_map(list(cells[1:]), 10, 5)) * entropies[1]])
    value = value_of("boundary_weighted_cross_entropy", "multilabel", targets[..., 1:], logits[..., 1:])
    assert float(value) == pytest.approx(expected, rel=1e-7)


def test_gaps_are_those_between_the_cells_of_the_crop():
    """A sample knows nothing of what lies beside it: docs/losses.md says so."""
    term = losses.loss("boundary_weighted_cross_entropy(w0=10, sigma=3)")
    plain = losses.loss("cross_entropy")
    targets = np.zeros((1, 12, 16, 1))
    targets[:, 2:10, 2:6] = targets[:, 2:10, 8:12] = 1
    logits = np.random.default_rng(0).standard_normal(targets.shape)

    def both(part):
        pair = tf.constant(targets[:, part]), tf.constant(logits[:, part])
        return float(term(*pair)), float(plain(*pair))

    weighted, unweighted = both(np.s_[:])
    assert weighted > 1.3 * unweighted
    # The gap without its second cell is a gap no more.
    pair = tf.constant(targets[:, :, :8]), tf.constant(logits[:, :, :8])
    assert float(term(*pair)) == pytest.approx(float(plain(*pair)), rel=1e-12)
    # One cell whose parts are connected outside of the crop is two cells.
    targets[:, 9, 2:12] = 1
    weighted, unweighted = both(np.s_[:])
    assert weighted == pytest.approx(unweighted, rel=1e-12)
    weighted, unweighted = both(np.s_[:9])
    assert weighted > 1.3 * unweighted


# --- objects of few pixels, and none ---------------------------------------------------------------

# What is left of the overlap, and of everything, of a class whose probabilities add up to p.
ABSENT = {
    "dice": lambda p, smooth: p / (p + smooth),
    "jaccard": lambda p, smooth: p / (p + smooth),
    "tversky": lambda p, smooth: 0.3 * p / (0.3 * p + smooth),
    "focal_tversky": lambda p, smooth: (0.3 * p / (0.3 * p + smooth)) ** 0.75,
}


@pytest.mark.parametrize("smooth", [1.0, 1e-2, 1e-5])
@pytest.mark.parametrize("term", ABSENT)
def test_a_class_that_a_batch_lacks(term, smooth):
    """It costs nothing if it is not predicted, and nearly as much as can be if more than `smooth` pixels are."""
    targets, logits = labelled("multiclass")
    targets = np.eye(3)[np.where(targets.argmax(-1) == 2, 0, targets.argmax(-1))]
    p = Definition("multiclass", targets, logits).p[..., 2].sum()
    value = float(value_of(f"{term}(smooth={smooth})[2]", "multiclass", targets, logits))
    assert value == pytest.approx(ABSENT[term](p, smooth), abs=1e-12)
    # Of the mean over the classes it is a part like any other.
    both = float(value_of(f"{term}(smooth={smooth})", "multiclass", targets, logits))
    first = float(value_of(f"{term}(smooth={smooth})[1]", "multiclass", targets, logits))
    assert both == pytest.approx((first + value) / 2, abs=1e-12)


@pytest.mark.parametrize(
    "term", ["dice", "jaccard", "tversky(beta=1)", "border_dice", "hardness_weighted_dice"]
)
@pytest.mark.parametrize("smooth", [1.0, 1e-5])
def test_a_missed_pixel_costs_what_the_smoothing_leaves(term, smooth):
    targets = np.zeros((1, 8, 8, 1))
    targets[0, 4, 4] = 1
    logits = np.full(targets.shape, -1e4)
    name, given = term.rstrip(")").partition("(")[::2]
    pixels = 9 if name == "border_dice" else 1
    value = float(value_of(f"{name}({given}{', ' * bool(given)}smooth={smooth})", "binary", targets, logits))
    assert value == pytest.approx(pixels / (pixels + smooth), abs=1e-12)


def test_lovasz_of_a_class_that_a_batch_lacks():
    """Of a softmax it is left out; of a sigmoid the worst pixel counts."""
    targets, logits = labelled("multiclass")
    targets = np.eye(3)[np.where(targets.argmax(-1) == 2, 0, targets.argmax(-1))]
    d = Definition("multiclass", targets, logits)
    expected = np.mean([lovasz_of(np.abs(d.t[..., c] - d.p[..., c]), d.t[..., c]) for c in (0, 1)])
    assert float(value_of("lovasz", "multiclass", targets, logits)) == pytest.approx(expected, abs=1e-12)
    nothing = np.zeros((*logits.shape[:-1], 1))
    value = float(value_of("lovasz", "binary", nothing, logits[..., :1]))
    assert value == pytest.approx(max(0, 1 + logits[..., 0].max()), abs=1e-12)


# --- relations -----------------------------------------------------------------------------------


def test_cross_entropy_of_a_confident_mistake_grows_with_the_logit():
    value = losses.loss("bce")(tf.ones([1, 2, 2, 1]), tf.fill([1, 2, 2, 1], -1e4))
    assert float(value) == 1e4  # a clipped probability would stop at some twenty


def test_a_softmax_of_two_is_a_sigmoid_of_their_difference():
    targets, logits = labelled("multiclass")
    targets, logits = np.stack([1 - targets[..., 1], targets[..., 1]], -1), logits[..., :2]
    one, difference = targets[..., 1:], logits[..., 1:] - logits[..., :1]
    for term in terms_of("multiclass", DEFINITIONS):
        term = f"{term.split('(')[0]}(weights=[1, 4])" if "weighted_cross" in term else term
        if term != "lovasz":  # has another definition for each of them
            two = value_of(term, "multiclass", targets, logits)
            assert float(two) == pytest.approx(float(value_of(term, "binary", one, difference)), abs=1e-12), (
                term
            )


def test_a_loss_of_one_class_compares_it_with_all_others():
    targets, logits = labelled("multiclass")
    p = Definition("multiclass", targets, logits).p
    for term, number in product(("bce", "focal", "dice", "lovasz", "top_k_cross_entropy"), range(3)):
        one = slice(number, number + 1)
        expected = value_of(term, "binary", targets[..., one], np.log(p[..., one] / (1 - p[..., one])))
        value = value_of(f"{term}[{number}]", "multiclass", targets, logits)
        assert float(value) == pytest.approx(float(expected), abs=1e-12), term
    targets, logits = labelled("multilabel")
    expected = value_of("dice + 2*focal", "binary", targets[..., 1:2], logits[..., 1:2])
    value = value_of("dice[2] + 2*focal[2]", "multilabel", targets, logits)
    assert float(value) == pytest.approx(float(expected), abs=1e-12)
    parts = [float(value_of(f"dice[{number}]", "multilabel", targets, logits)) for number in (1, 3)]
    assert float(value_of("dice[1, 3]", "multilabel", targets, logits)) == pytest.approx(
        np.mean(parts), abs=1e-12
    )


@pytest.mark.parametrize(
    "term", ["dice", "jaccard", "tversky", "focal_tversky", "hardness_weighted_dice", "border_dice"]
)
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_weights_of_classes(term, task):
    targets, logits = labelled(task)
    foreground = range(1, 3 if task == "multiclass" else 4)
    weights = [1, 4, 2.5][: len(foreground)]
    parts = [float(value_of(f"{term}[{number}]", task, targets, logits)) for number in foreground]
    value = value_of(f"{term}(weights={weights})", task, targets, logits)
    assert float(value) == pytest.approx(np.average(parts, weights=weights), abs=1e-12)


@ALL_TASKS
def test_lovasz_of_a_decided_prediction_is_the_jaccard_loss(task):
    targets, logits = labelled(task)
    if task == "multiclass":
        decided = np.eye(3)[logits.argmax(-1)]
        logits = 100 * decided
    else:
        decided = (logits > 0).astype(float)
        logits = 2 * decided - 1  # hinges are 0 or 2
    both, either = ((f(targets, decided)).sum((0, 1, 2)) for f in (np.minimum, np.maximum))
    expected = np.mean(1 - both / either) * (1 if task == "multiclass" else 2)
    assert float(value_of("lovasz", task, targets, logits)) == pytest.approx(expected, abs=1e-12)


def test_deep_supervision_counts_a_level_by_its_resolution():
    targets = np.random.default_rng(0).integers(0, 2, (2, 4, 8, 1)).astype(float)
    means = tf.constant(targets.reshape(2, 2, 2, 4, 2, 1).mean((2, 4)))
    targets = tf.constant(targets)
    fine, other, coarse = (
        tf.fill(size, tf.constant(logit, tf.float64))
        for size, logit in (((2, 4, 8, 1), 0.5), ((2, 4, 8, 1), 2), ((2, 2, 4, 1), -1))
    )
    for expression in ("cross_entropy", "dice + 2*focal + lovasz + boundary_weighted_cross_entropy"):
        term = losses.loss(expression)
        of_fine, of_other, of_coarse = term(targets, fine), term(targets, other), term(means, coarse)
        two, three = term(targets, [fine, coarse]), term(targets, [fine, other, coarse])
        assert float(two) == pytest.approx(float(of_fine + of_coarse / 2) / 1.5, abs=1e-14)
        assert float(three) == pytest.approx(float(of_fine + of_other + of_coarse / 2) / 2.5, abs=1e-14)
    assert losses.finest([fine, coarse]) is fine and losses.finest(fine) is fine


# --- expressions ---------------------------------------------------------------------------------


def test_a_weighted_sum_of_losses():
    targets, logits = labelled("binary")
    d = Definition("binary", targets, logits)
    parts = [DEFINITIONS[term](d) for term in ("dice", "bce", "jaccard")]
    expected = parts[0] + 0.5 * parts[1] + 0.2 * parts[2]
    for expression in (
        "dice + 0.5*bce + 2e-1*jaccard",
        " dice+(0.5*bce+.2*jaccard) ",
        "0.5 * (2*dice + bce + 0.4*jaccard)",
    ):
        assert float(value_of(expression, "binary", targets, logits)) == pytest.approx(expected, abs=1e-12)


def test_parsed_terms():
    first, second = losses.parse("dice(weights=[1, 2]) + 3*focal(gamma=1, alpha=1e-1)[2, 3]")
    assert (first.weight, first.name, first.classes) == (1, "dice", ())
    assert dict(first.arguments) == {
        "squared": False,
        "smooth": SMOOTH,
        "weights": (1.0, 2.0),
        "background": False,
        "per_sample": False,
    }
    assert (second.weight, second.name, second.classes) == (3, "focal", (2, 3))
    assert dict(second.arguments) == {"gamma": 1.0, "alpha": 0.1}


def test_the_documentation_has_every_loss_and_expressions_that_work():
    text = (ROOT / "docs/losses.md").read_text()
    for name in losses.TERMS:
        assert f"\n| `{name}" in text, name
    expressions = re.findall(r'--loss "(.*)"', text)
    assert len(expressions) >= 4
    for expression in expressions:
        losses.check(expression, 3, multilabel=True)


@pytest.mark.parametrize(
    "expression, message",
    [
        ("dice + fokal", r"'fokal' in 'dice \+ fokal' is not .* of: cross_entropy, bce, .*focal\(gamma=2.0, alpha"),
        ("", "'' in '' is not understood"),
        ("dice - bce", "'dice - bce' in 'dice - bce' is not understood"),
        ("-1*dice", r"'-1 \* dice' in .* is not understood"),
        ("1.2.3*dice", r"'1.2.3\*dice' in '1.2.3\*dice' is not understood"),
        ("1e999*dice", "a weight in '1e999.dice' is not a finite number"),
        ("focal(2)", "is not understood"),
        ("dice()()", "is not understood"),
        ("dice(**{})", "is not understood"),
        ("__import__('os').getcwd()", "is not understood"),
        ("dice(squared=__import__('os').getcwd())", "is not understood"),
        ("(" * 1000, "is not understood"),
        ("focal(gama=2)", r"focal: gama: unknown; allowed here: alpha, gamma; it is written focal\(gamma=2.0, al"),
        ("focal(gamma=-1)", "focal: gamma: should be greater than or equal to 0; got -1"),
        ("tversky(alpha=[1])", "tversky: alpha: should be a valid number"),
        ("lovasz(gamma=1)", "lovasz: gamma: unknown; .*it takes no arguments"),
        ("weighted_cross_entropy", r"weighted_cross_entropy: weights: field required; it is written .*weights=\[...\]"),
        ("dice[1:3]", "is not understood"),
        ("dice[-1]", r"\[-1\] in 'dice\[-1\]' must be class numbers, such as \[1\] or \[1, 2\]"),
        ("dice[1.5]", r"\[1.5\] in 'dice\[1.5\]' must be class numbers"),
        ("dice[1][2]", "is not understood"),
    ],
)  # fmt: skip
def test_a_loss_that_is_not_understood_is_refused(expression, message):
    with pytest.raises(UserError, match=f"^loss: .*{message}"):
        losses.parse(expression)


@pytest.mark.parametrize(
    "expression, task, message",
    [
        ("dice + bce", "multiclass", "bce: is for one class or .* the 3 of this network .*; use cross_entropy or"),
        ("reweighted_bce", "multiclass", r"bce: .*use weighted_cross_entropy\(weights=\[...\]\) or .*bce\[1\]"),
        ("dice[3]", "multiclass", "dice: there is no class 3: the network has the classes 0 to 2"),
        ("dice[0]", "multilabel", "dice: there is no class 0: the network has the classes 1 to 3"),
        ("focal[2]", "binary", "focal: there is no class 2: the network has only class 1"),
        ("dice(weights=[1, 2, 3])", "multiclass", "dice: weights: must be one for each class but .*, 2; got"),
        ("dice(weights=[1], background=true)", "binary", "dice: weights: must be one for each class, .*, 2; got"),
        ("dice(weights=[0, 0], background=true)", "binary", "dice: weights: at least one must be above 0"),
        ("dice(weights=[1, 2, 3], background=true)", "multilabel", "dice: weights: .* these classes may overlap"),
        ("dice(weights=[0])", "binary", "dice: weights: at least one must be above 0"),
        ("weighted_cross_entropy(weights=[1, 2])", "multilabel", "must be one for each class, .*, 4; got"),
        ("boundary_weighted_cross_entropy(cells=2)", "multilabel", "cells: must be a class, 0 to 1; got 2"),
    ],
)  # fmt: skip
def test_a_loss_that_does_not_fit_the_network_is_refused(expression, task, message):
    classes, multilabel = TASKS[task]
    with pytest.raises(UserError, match=f"^loss: .*{message}"):
        losses.check(expression, classes, multilabel)


# --- the three implementations -------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_the_three_implementations_agree_on_every_loss(task):
    classes, multilabel = TASKS[task]
    settings = {"depth": 2, "filters": 2, "convolutions": 1, "normalisation": "none"}
    network = CATALOGUE["unet"](**settings, classes=classes, multilabel=multilabel)
    models = [load(name).Model(network, precision="float64") for name in IMPLEMENTATIONS]
    size = (6, 8)
    targets, _ = labelled(task, size=size)
    everything = " + ".join(terms_of(task, losses.TERMS))
    first, *others = (model.loss_and_gradients(images(2, 1, size), targets, everything) for model in models)
    largest = max(np.abs(gradient).max() for gradient in first[1].values())
    for value, gradients in others:
        assert value == pytest.approx(first[0], abs=1e-12)
        for weight, gradient in gradients.items():
            assert np.abs(gradient).max() > 0
            np.testing.assert_allclose(
                gradient, first[1][weight], rtol=0, atol=1e-10 * largest, err_msg=weight
            )


# --- sizes and scores ----------------------------------------------------------------------------


@pytest.mark.parametrize("size, smaller", [((9, 8), (4, 4)), ((4, 5, 6), (2, 5, 3))])
@pytest.mark.parametrize("known", [True, False], ids=["static", "dynamic"])
def test_targets_are_cropped_to_the_middle(size, smaller, known):
    targets = images(len(size), channels=2, size=size)
    logits = np.zeros((2, *smaller, 2))
    signature = None if known else [tf.TensorSpec([None, *[None] * len(size), 2], tf.float64)] * 2
    cropped = tf.function(losses.crop_to, input_signature=signature)(
        tf.constant(targets), tf.constant(logits)
    )
    starts = [(side - length) // 2 for side, length in zip(size, smaller, strict=True)]
    middle = tuple(slice(start, start + length) for start, length in zip(starts, smaller, strict=True))
    np.testing.assert_array_equal(cropped, targets[(slice(None), *middle)])


def test_targets_of_the_right_size_are_left_alone():
    targets = tf.zeros([1, 4, 4, 1])
    assert losses.crop_to(targets, tf.ones([1, 4, 4, 1])) is targets


def test_confusion_of_one_class():
    targets = np.array([1, 1, 1, 0, 0, 0, 0]).reshape(1, 1, 7, 1)
    logits = np.array([2, 1, -1, 3, -1, -0.1, -2]).reshape(1, 1, 7, 1)
    counts = losses.confusion(tf.constant(targets, tf.float32), tf.constant(logits, tf.float32), Outputs(1))
    np.testing.assert_array_equal(counts, [[2, 1, 1]])  # hits, false alarms, misses
    assert float(losses.pooled_dice(counts)) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    "outputs", [Outputs(1), Outputs(2, True, overlapping=True), Outputs(2), Outputs(3)], ids=repr
)
def test_a_tie_is_judged_in_training_as_masks_decide_it(outputs, precision):
    """Foreground from a probability of 0.5 on, of a sigmoid; of a softmax the first of the likeliest classes."""
    # A logit a little below 0 still has the probability 0.5 where numbers have few digits.
    values = np.array([0.0, -0.0, -1e-12, -0.1, 0.1])
    logits = tf.constant(
        np.stack(np.meshgrid(*[values] * outputs.count), -1).reshape(1, -1, 1, outputs.count), precision
    )
    everywhere = tf.ones_like(logits) if outputs.multilabel or outputs.count == 1 else None
    label = outputs.label_map(probabilities(logits.numpy().astype(np.float32), outputs.multilabel))[0]
    for number in range(1, outputs.classes + 1):
        targets = (
            everywhere
            if everywhere is not None
            else tf.one_hot(tf.fill([1, len(label), 1], number), outputs.count)
        )
        hits = losses.confusion(targets, logits, outputs)[number - 1, 0]
        assert hits == np.count_nonzero(is_class(label, number, outputs.multilabel)), number


def test_confusion_of_overlapping_classes():
    truth, predicted = np.array([[1, 1], [1, 0], [0, 1], [0, 0]]), np.array([[1, 0], [1, 1], [1, 1], [0, 0]])
    targets, logits = truth.reshape(1, 4, 1, 2), (2.0 * predicted - 1).reshape(1, 4, 1, 2)
    counts = losses.confusion(
        tf.constant(targets, tf.float64), tf.constant(logits), Outputs(2, multilabel=True)
    )
    np.testing.assert_array_equal(counts, [[2, 1, 0], [1, 1, 1]])
    # Three soft copies, which are always wrong, are not judged.
    targets, logits = (
        np.concatenate([values, np.ones((1, 4, 1, 3)) * sign], -1)
        for values, sign in ((targets, 1), (logits, -1))
    )
    counts = losses.confusion(
        tf.constant(targets), tf.constant(logits), Outputs(5, multilabel=True, soft=(2,))
    )
    np.testing.assert_array_equal(counts, [[2, 1, 0], [1, 1, 1]])


def test_confusion_of_three_classes():
    truth, predicted = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 1, 2, 2])
    targets, logits = (np.eye(3)[labels].reshape(1, 6, 1, 3) for labels in (truth, predicted))
    counts = losses.confusion(tf.constant(targets), tf.constant(logits), Outputs(3))
    np.testing.assert_array_equal(counts, [[2, 1, 1], [1, 1, 0]])
    assert float(losses.pooled_dice(counts)) == pytest.approx((4 / 6 + 2 / 3) / 2)


@pytest.mark.parametrize(
    "counts, dice, iou",
    [
        ([[3, 0, 0]], 1, 1),
        ([[0, 2, 5]], 0, 0),
        ([[1, 1, 3]], 2 / 6, 1 / 5),
        ([[0, 0, 0]], np.nan, np.nan),  # nothing there, nothing found: no score
        ([[0, 7, 0]], np.nan, np.nan),  # what is found says nothing about how well anything is found
        ([[0, 7, 0], [0, 0, 0]], np.nan, np.nan),
        ([[4, 2, 2], [0, 0, 0]], 2 / 3, 1 / 2),  # a class that does not occur is left out of the mean
        ([[4, 2, 2], [0, 1, 0]], 1 / 3, 1 / 4),  # one that is wrongly found is not
    ],
)
def test_pooled_scores(counts, dice, iou):
    counts = tf.constant(counts, tf.float64)
    assert float(losses.pooled_dice(counts)) == pytest.approx(dice, nan_ok=True)
    assert float(losses.pooled_iou(counts)) == pytest.approx(iou, nan_ok=True)
