"""Targets brought to the size of logits: deep supervision, valid convolutions."""

import tensorflow as tf

from unet_common.losses.pixels import is_counted


def finest(logits: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
    """The logits of the full resolution, with deep supervision or without."""
    return logits[0] if isinstance(logits, (list, tuple)) else logits


def resolution(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The resolution of logits: 1 if as fine as the targets, 1/2 if half as fine along the axis that is coarsest."""
    return tf.cast(tf.reduce_min(tf.shape(logits)[1:-1] / tf.shape(targets)[1:-1]), logits.dtype)


def shrink_to(targets: tf.Tensor, logits: tf.Tensor, ignoring: bool = False) -> tf.Tensor:
    """Means of the blocks of targets that the pixels of coarser logits stand for.

    ignoring: targets below 0 are ignored. A block is the mean of its others; -1 if there are none.
    """
    if ignoring:
        counted = is_counted(targets)
        share, total = shrink_to(counted, logits), shrink_to(counted * targets, logits)
        return tf.where(share > 0, total / tf.maximum(share, 1e-9), -tf.ones_like(total))
    sides, wanted = tf.unstack(tf.shape(targets)[1:-1]), tf.unstack(tf.shape(logits)[1:-1])
    blocks = [part for side, length in zip(sides, wanted, strict=True) for part in (length, side // length)]
    divided = tf.reshape(targets, [tf.shape(targets)[0], *blocks, targets.shape[-1]])
    within = range(2, 2 + 2 * len(sides), 2)
    return tf.ensure_shape(tf.reduce_mean(divided, list(within)), [None, *logits.shape[1:]])


def crop_to(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The middle of `targets`, as large as `logits`; `targets` itself where the sizes agree."""
    rank = logits.shape.rank
    if targets.shape[1:-1].is_fully_defined() and targets.shape[1:-1] == logits.shape[1:-1]:
        return targets
    size, wanted = tf.shape(targets)[1:-1], tf.shape(logits)[1:-1]
    start = tf.concat([[0], (size - wanted) // 2, [0]], 0)
    cropped = tf.slice(targets, start, tf.concat([[-1], wanted, [-1]], 0))
    return tf.ensure_shape(cropped, [None, *logits.shape[1 : rank - 1], targets.shape[-1]])
