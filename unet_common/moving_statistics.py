"""The pace at which the moving statistics of batch normalisation forget: one rule for the three APIs, which lack it."""

import tensorflow as tf


def momentum_at(step: tf.Tensor | tf.Variable, momentum: float) -> tf.Tensor:
    """The share of its old value that a moving mean or variance keeps in an update: at most `momentum`.

    It is (1 + step) / (10 + step) until that is more: as `tf.train.ExponentialMovingAverage` has it, given
    `num_updates`. A constant momentum of 0.99 still holds 0.99^60 = 55 % of the initial zeros and ones after 60 steps,
    and of what came later it averages the last hundred steps, in which the weights of a young network have changed
    much. Here the initial values are gone after a few steps, and the average is over a share of the steps so far.

    Args:
        step: steps of training before this one, a scalar; checkpoints hold it, so a resumed training goes on exactly.
        momentum: of a long training, as the layer has it; 0.99 is reached at step 890.

    Returns:
        A scalar, float64.
    """
    step = tf.cast(tf.convert_to_tensor(step), tf.float64)
    return tf.minimum((1 + step) / (10 + step), momentum)
