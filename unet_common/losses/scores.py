"""The scores that are watched during training."""

import tensorflow as tf

from data.labels.outputs import Outputs
from unet_common.losses.pixels import probabilities
from unet_common.losses.sizes import crop_to


def confusion(targets: tf.Tensor, logits: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """Pixels of each judged output that are true positive, false positive, false negative.

    Returns:
        `[judged outputs, 3]` in float64, to be summed over batches: `pooled_dice` and `pooled_iou` make
        of the sum the scores that are watched during training.
    """
    judged = slice(outputs.count - outputs.auxiliary)
    targets, logits = crop_to(targets, logits)[..., judged], logits[..., judged]
    # Of equal digits, and decided on as in predictions: see `Outputs.label_map`.
    probability = probabilities(tf.cast(logits, tf.float32), outputs.multilabel)
    if outputs.multilabel or outputs.count == 1:
        predicted, true = probability >= 0.5, targets > 0.5
    else:
        classes = tf.range(1, logits.shape[-1], dtype=tf.int64)
        # Not `==`, which in a TensorFlow 1 graph asks whether two tensors are the same object.
        predicted = tf.equal(tf.argmax(probability, -1)[..., tf.newaxis], classes)
        true = tf.equal(tf.argmax(targets, -1)[..., tf.newaxis], classes)
    if outputs.ignoring:
        counted = targets[..., -outputs.judged :] >= 0  # of a softmax alike in all classes
        predicted, true = predicted & counted, true & counted
    axes = list(range(logits.shape.rank - 1))

    def count(condition: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(condition, tf.float64), axes)

    return tf.stack([count(predicted & true), count(predicted & ~true), count(~predicted & true)], -1)


def pooled_dice(counts: tf.Tensor) -> tf.Tensor:
    """Mean Dice of the foreground classes from `confusion` counts summed over a whole validation set.

    A class that is neither there nor predicted has no Dice and is left out; one that is predicted and not there has 0.
    If no class is there, the set says nothing about how well any is found: the result is nan.
    """
    return _pooled(counts, weight_of_hits=2)


def pooled_iou(counts: tf.Tensor) -> tf.Tensor:
    """Mean intersection over union of the foreground classes, of the same counts and classes as `pooled_dice`."""
    return _pooled(counts, weight_of_hits=1)


def _pooled(counts: tf.Tensor, weight_of_hits: int) -> tf.Tensor:
    """The mean over classes of w TP / (w TP + FP + FN): Dice of w = 2, intersection over union of 1."""
    hit, false, missed = tf.unstack(counts, axis=-1)
    total = weight_of_hits * hit + false + missed  # whole numbers: 0 or at least 1
    occurs = tf.minimum(total, 1)
    mean = tf.reduce_sum(weight_of_hits * hit / tf.maximum(total, 1)) / tf.maximum(tf.reduce_sum(occurs), 1)
    return tf.where(tf.reduce_sum(hit + missed) > 0, mean, float("nan"))
