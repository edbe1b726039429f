"""Numbers for classes, as arguments of losses."""

import tensorflow as tf

from unet_common.loss_terms import Weights
from unet_common.losses.pixels import Pixels


def weighted_mean(values: tf.Tensor, weights: Weights | None) -> tf.Tensor:
    """Mean of `[..., classes]`, in which each class counts by its weight; without weights, all alike."""
    if weights is None:
        return tf.reduce_mean(values)
    return tf.reduce_mean(tf.reduce_sum(tf.constant(weights, values.dtype) * values, -1) / sum(weights))


def of_outcomes(weights: Weights, pixels: Pixels) -> tf.Tensor:
    """Weights of the background and of each other class, `[questions, answers]` as in `pixels.log_probabilities()`."""
    background, *others = weights
    table = [weights] if pixels.exclusive else [(background, weight) for weight in others]
    return tf.constant(table, pixels.logits.dtype)
