"""Losses that are a mean over pixels: cross-entropies and their weighted forms, and the squared error.

Cross-entropies are computed from logits: a probability that rounds to 0 would have no logarithm.
"""

import tensorflow as tf

from unet_common.loss_terms import Weights
from unet_common.losses.pixels import Pixels
from unet_common.losses.weighting import of_outcomes


def of_pixels(pixels: Pixels) -> tf.Tensor:
    """Cross-entropy of each pixel: `[batch, *size, questions]`, for a softmax one, for sigmoids one a class."""
    if pixels.exclusive:
        values = tf.nn.softmax_cross_entropy_with_logits(labels=pixels.targets, logits=pixels.logits)
        return values[..., tf.newaxis]
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=pixels.targets, logits=pixels.logits)


def cross_entropy(pixels: Pixels) -> tf.Tensor:
    """Mean cross-entropy of a pixel: of the softmax, or of the sigmoids of all classes."""
    return pixels.mean(of_pixels(pixels))


def bce(pixels: Pixels) -> tf.Tensor:
    """Binary cross-entropy: `cross_entropy` where each class is a question of its own."""
    return cross_entropy(pixels)


def weighted_cross_entropy(pixels: Pixels, *, weights: Weights) -> tf.Tensor:
    """Cross-entropy in which a pixel counts by the weight of its class; the first weight is the background's.

    As in Ronneberger et al. 2015, equation 1, it is not divided by the sum of the weights.
    """
    targets, log_p = pixels.log_probabilities()
    return -pixels.mean(tf.reduce_sum(of_outcomes(weights, pixels) * targets * log_p, -1))


def reweighted_bce(pixels: Pixels, *, alpha: float) -> tf.Tensor:
    """Binary cross-entropy for rare foreground, which counts alpha, while background counts 1 - alpha."""
    targets, log_p = pixels.log_probabilities()
    return -pixels.mean(tf.reduce_sum([1 - alpha, alpha] * targets * log_p, -1))


def focal(pixels: Pixels, *, gamma: float, alpha: float) -> tf.Tensor:
    """Lin et al. 2017 (arXiv:1708.02002), equation 5: -alpha (1 - p)^gamma log p of the right answer's p.

    What is predicted well counts little. alpha is the weight of the foreground, whatever its class, and 1 - alpha
    that of the background. The mean over pixels, not the sum, as the other terms of a sum are means, too.
    """
    targets, log_p = pixels.log_probabilities()
    weights = tf.constant([1 - alpha] + [alpha] * (targets.shape[-1] - 1), targets.dtype)
    # (1 - p)^gamma by its logarithm: a power below 1 would have an infinite slope at 0.
    return -pixels.mean(
        tf.reduce_sum(weights * targets * tf.exp(gamma * pixels.log_complement()) * log_p, -1)
    )


def mse(pixels: Pixels) -> tf.Tensor:
    """Mean squared error of the probabilities, over pixels and logits: of a softmax the background's, too.

    Beside a cross-entropy it says little of what is far off, where its slope is 0.
    """
    if not pixels.exclusive:
        return pixels.mean((pixels.targets - tf.sigmoid(pixels.logits)) ** 2)
    errors = (pixels.targets - tf.nn.softmax(pixels.logits)) ** 2
    return pixels.mean(tf.reduce_mean(errors, -1, keepdims=True))


def top_k_cross_entropy(pixels: Pixels, *, share: float) -> tf.Tensor:
    """Mean cross-entropy of the worst `share` of a batch's pixels (Wu et al. 2016, arXiv:1605.06885)."""
    values, counted = of_pixels(pixels), pixels.counted_questions
    values = tf.transpose(tf.reshape(values, [-1, values.shape[-1]]))
    if counted is not None:
        return _mean_of_worst(values, tf.transpose(tf.reshape(counted, [-1, counted.shape[-1]])), share)
    count = tf.cast(tf.shape(values)[1], tf.float64)
    worst = tf.math.top_k(values, tf.cast(tf.math.ceil(share * count), tf.int32), sorted=False).values
    return tf.reduce_mean(worst)


def _mean_of_worst(values: tf.Tensor, counted: tf.Tensor, share: float) -> tf.Tensor:
    """Mean of the largest `share` of the counted values `[questions, pixels]`, which may differ in number."""
    ordered = tf.sort(
        counted * values, axis=1, direction="DESCENDING"
    )  # none is below 0: ignored ones come last
    numbers = tf.math.ceil(share * tf.cast(tf.reduce_sum(counted, 1, keepdims=True), tf.float64))
    worst = tf.cast(tf.cast(tf.range(tf.shape(values)[1]), tf.float64) < numbers, values.dtype)
    return tf.reduce_sum(worst * ordered) / tf.maximum(tf.reduce_sum(worst), 1)
