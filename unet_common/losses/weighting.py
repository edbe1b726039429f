"""Numbers for classes, as arguments of losses."""

from typing import Annotated

import tensorflow as tf
from pydantic import Field, NonNegativeFloat

from data.errors import UserError
from unet_common.losses.pixels import Pixels

Weights = Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)]


def weighted_mean(values: tf.Tensor, weights: Weights | None) -> tf.Tensor:
    """Mean of `[foreground classes]`, in which each counts by its weight; without weights, all alike.

    Raises:
        UserError: there are not as many weights as values, or all are 0.
    """
    if weights is None:
        return tf.reduce_mean(values)
    if len(weights) != values.shape[0]:
        raise UserError(
            f"weights: must be one for each class but the background, {values.shape[0]}; got {weights}"
        )
    if not any(weights):
        raise UserError("weights: at least one must be above 0")
    return tf.reduce_sum(tf.constant(weights, values.dtype) * values) / sum(weights)


def of_answers(weights: Weights, pixels: Pixels) -> tf.Tensor:
    """Weights of the background and of each other class, for each of `pixels.answers()`: `[questions, answers]`.

    Raises:
        UserError: there are not as many weights as classes.
    """
    classes = pixels.logits.shape[-1] + (0 if pixels.exclusive else 1)
    if len(weights) != classes:
        raise UserError(
            f"weights: must be one for each class, the background first, {classes}; got {weights}"
        )
    background, *others = weights
    table = [weights] if pixels.exclusive else [(background, weight) for weight in others]
    return tf.constant(table, pixels.logits.dtype)
