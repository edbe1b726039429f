"""Losses that measure how much prediction and truth overlap: sums over the whole batch, then a ratio.

They are means over the classes but the background, unless they say, or are told, otherwise. `smooth` is added to both
sides of a ratio, which it defines for a class that is neither there nor predicted: its loss is 0 then. Beside it the
size of a small object must be large: a missed one of n pixels costs n / (n + smooth).
"""

import tensorflow as tf

from unet_common.loss_terms import Weights
from unet_common.losses.pixels import Pixels
from unet_common.losses.weighting import weighted_mean


def dice(
    pixels: Pixels,
    *,
    squared: bool,
    smooth: float,
    weights: Weights | None,
    background: bool,
    per_sample: bool,
) -> tf.Tensor:
    """The loss 1 - soft Dice (Milletari et al. 2016, V-Net, section 3); there, the denominator is of squares.

    background: a class like the others; of sigmoids each has one of its own, what it is not.
    per_sample: a Dice for each sample of the batch, of which this is the mean, and not one of all its pixels.
    """
    targets, predicted = pixels.answers() if background else pixels.foreground()
    axes = pixels.axes[1:] if per_sample else pixels.axes
    return 1 - weighted_mean(soft_dice(targets, predicted, axes, squared, smooth), weights)


def soft_dice(
    targets: tf.Tensor, predicted: tf.Tensor, axes: list[int], squared: bool, smooth: float
) -> tf.Tensor:
    """Dice of values from 0 to 1, a number for each class."""
    total = targets**2 + predicted**2 if squared else targets + predicted
    overlap = tf.reduce_sum(targets * predicted, axes)
    return (2 * overlap + smooth) / (tf.reduce_sum(total, axes) + smooth)


def jaccard(pixels: Pixels, *, smooth: float, weights: Weights | None) -> tf.Tensor:
    """The loss 1 - soft Jaccard index (intersection over union)."""
    targets, predicted = pixels.foreground()
    overlap, total = (tf.reduce_sum(part, pixels.axes) for part in (targets * predicted, targets + predicted))
    return 1 - weighted_mean((overlap + smooth) / (total - overlap + smooth), weights)


def generalised_dice(pixels: Pixels) -> tf.Tensor:
    """Sudre et al. 2017 (arXiv:1707.03237): all classes in one ratio, each divided by its squared size.

    The background is one of them. A class that is not there, whose weight would be infinite, counts as much as
    the rarest that is.
    """
    targets, predicted = pixels.answers()
    size = tf.reduce_sum(targets, pixels.axes)
    weights = 1 / tf.maximum(size, 1) ** 2
    rarest = tf.reduce_max(tf.where(size > 0, weights, tf.zeros_like(weights)), -1, keepdims=True)
    weights = tf.where(size > 0, weights, rarest + tf.zeros_like(weights))
    overlap, total = (tf.reduce_sum(part, pixels.axes) for part in (targets * predicted, targets + predicted))
    overlap, total = (tf.reduce_sum(weights * part, -1) for part in (overlap, total))
    # Where nothing is counted, nothing overlaps and there is nothing to divide by.
    ratios = 2 * overlap / total if pixels.counted is None else tf.math.divide_no_nan(2 * overlap, total)
    return 1 - tf.reduce_mean(ratios)


def hardness_weighted_dice(
    pixels: Pixels, *, hardness: float, smooth: float, weights: Weights | None
) -> tf.Tensor:
    """Dice in which a pixel counts by its error (Wang et al. 2019, arXiv:1906.03906; lambda = 0.6).

    The gradient goes through the weights as well, as in the authors' program (KCL-BMEIS/VS_Seg). Theirs is the mean of
    foreground and background, and of the images of a batch.
    """
    targets, predicted = pixels.foreground()
    counts = hardness * tf.abs(predicted - targets) + (1 - hardness)
    overlap = tf.reduce_sum(counts * targets * predicted, pixels.axes)
    total = tf.reduce_sum(counts * (targets + predicted), pixels.axes)
    return 1 - weighted_mean((2 * overlap + smooth) / (total + smooth), weights)


def tversky(
    pixels: Pixels,
    *,
    alpha: float,
    beta: float,
    smooth: float,
    weights: Weights | None,
) -> tf.Tensor:
    """Salehi et al. 2017 (arXiv:1706.05721): false positives count alpha, false negatives beta."""
    return 1 - weighted_mean(_tversky_index(pixels, alpha, beta, smooth), weights)


def focal_tversky(
    pixels: Pixels,
    *,
    alpha: float,
    beta: float,
    gamma: float,
    smooth: float,
    weights: Weights | None,
) -> tf.Tensor:
    """Abraham & Khan 2018 (arXiv:1810.07842): (1 - Tversky index)^(1 / gamma). Their alpha is Salehi's beta."""
    away = 1 - _tversky_index(pixels, alpha, beta, smooth)
    # Below the smallest distance the power's tangent, infinitely steep at 0, is replaced by a chord.
    smallest = 1e-6
    return weighted_mean(away * tf.maximum(away, smallest) ** (1 / gamma - 1), weights)


def _tversky_index(pixels: Pixels, alpha: float, beta: float, smooth: float) -> tf.Tensor:
    targets, predicted = pixels.foreground()
    hit, false, missed = (
        tf.reduce_sum(part, pixels.axes)
        for part in (targets * predicted, (1 - targets) * predicted, targets * (1 - predicted))
    )
    return (hit + smooth) / (hit + alpha * false + beta * missed + smooth)
