"""Losses that measure how much prediction and truth overlap: sums over the whole batch, then a ratio.

They are means over the classes but the background, unless they say otherwise.
"""

import tensorflow as tf

from unet_common.loss_terms import Weights
from unet_common.losses.pixels import Pixels
from unet_common.losses.weighting import weighted_mean

# Added to numerator and denominator of the overlap losses: defines them for an empty class, and is
# negligible beside the thousands of pixels of a usual one.
SMOOTH = 1.0


def dice(pixels: Pixels, *, squared: bool, weights: Weights | None) -> tf.Tensor:
    """The loss 1 - soft Dice (Milletari et al. 2016, V-Net, section 3); there, the denominator is of squares."""
    return 1 - weighted_mean(soft_dice(*pixels.foreground(), pixels.axes, squared), weights)


def soft_dice(targets: tf.Tensor, predicted: tf.Tensor, axes: list[int], squared: bool) -> tf.Tensor:
    """Dice of values from 0 to 1, a number for each class."""
    total = targets**2 + predicted**2 if squared else targets + predicted
    overlap = tf.reduce_sum(targets * predicted, axes)
    return (2 * overlap + SMOOTH) / (tf.reduce_sum(total, axes) + SMOOTH)


def jaccard(pixels: Pixels, *, weights: Weights | None) -> tf.Tensor:
    """The loss 1 - soft Jaccard index (intersection over union)."""
    targets, predicted = pixels.foreground()
    overlap, total = (tf.reduce_sum(part, pixels.axes) for part in (targets * predicted, targets + predicted))
    return 1 - weighted_mean((overlap + SMOOTH) / (total - overlap + SMOOTH), weights)


def generalised_dice(pixels: Pixels) -> tf.Tensor:
    """Sudre et al. 2017 (arXiv:1707.03237): all classes in one ratio, each divided by its squared size.

    The background is one of them. A class that is not there, whose weight would be infinite, counts as much as
    the rarest that is.
    """
    targets, log_p = pixels.log_probabilities()
    predicted = tf.exp(log_p)
    size = tf.reduce_sum(targets, pixels.axes)
    weights = 1 / tf.maximum(size, 1) ** 2
    rarest = tf.reduce_max(tf.where(size > 0, weights, tf.zeros_like(weights)), -1, keepdims=True)
    weights = tf.where(size > 0, weights, rarest + tf.zeros_like(weights))
    overlap, total = (tf.reduce_sum(part, pixels.axes) for part in (targets * predicted, targets + predicted))
    ratios = 2 * tf.reduce_sum(weights * overlap, -1) / tf.reduce_sum(weights * total, -1)
    return 1 - tf.reduce_mean(ratios)


def hardness_weighted_dice(pixels: Pixels, *, hardness: float, weights: Weights | None) -> tf.Tensor:
    """Dice in which a pixel counts by its error (Wang et al. 2019, arXiv:1906.03906; lambda = 0.6)."""
    targets, predicted = pixels.foreground()
    counts = hardness * tf.abs(predicted - targets) + (1 - hardness)
    overlap = tf.reduce_sum(counts * targets * predicted, pixels.axes)
    total = tf.reduce_sum(counts * (targets + predicted), pixels.axes)
    return 1 - weighted_mean((2 * overlap + SMOOTH) / (total + SMOOTH), weights)


def tversky(
    pixels: Pixels,
    *,
    alpha: float,
    beta: float,
    weights: Weights | None,
) -> tf.Tensor:
    """Salehi et al. 2017 (arXiv:1706.05721): false positives count alpha, false negatives beta."""
    return 1 - weighted_mean(_tversky_index(pixels, alpha, beta), weights)


def focal_tversky(
    pixels: Pixels,
    *,
    alpha: float,
    beta: float,
    gamma: float,
    weights: Weights | None,
) -> tf.Tensor:
    """Abraham & Khan 2018 (arXiv:1810.07842): (1 - Tversky index)^(1 / gamma). Their alpha is Salehi's beta."""
    away = 1 - _tversky_index(pixels, alpha, beta)
    # Below the smallest distance the power's tangent, infinitely steep at 0, is replaced by a chord.
    smallest = 1e-6
    return weighted_mean(away * tf.maximum(away, smallest) ** (1 / gamma - 1), weights)


def _tversky_index(pixels: Pixels, alpha: float, beta: float) -> tf.Tensor:
    targets, predicted = pixels.foreground()
    hit, false, missed = (
        tf.reduce_sum(part, pixels.axes)
        for part in (targets * predicted, (1 - targets) * predicted, targets * (1 - predicted))
    )
    return (hit + SMOOTH) / (hit + alpha * false + beta * missed + SMOOTH)
