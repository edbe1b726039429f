"""Targets brought to the size of logits: deep supervision, attention maps, valid convolutions."""

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
    means = tf.reduce_mean(*_blocks(targets, tf.shape(logits)[1:-1]))
    return tf.ensure_shape(means, [None, *logits.shape[1:]])


def largest_in(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The largest of each block of targets that a pixel of coarser logits stands for; the last may be cut short.

    Targets that are ignored are below 0, and so is the largest only if all of a block are ignored.
    """
    size, wanted = tf.shape(targets)[1:-1], tf.shape(logits)[1:-1]
    beyond = -(-size // wanted) * wanted - size
    after = tf.concat([[0], beyond, [0]], 0)
    full = tf.pad(targets, tf.stack([tf.zeros_like(after), after], 1), constant_values=-1)
    full = tf.ensure_shape(full, [*[None] * (targets.shape.rank - 1), targets.shape[-1]])
    return tf.ensure_shape(tf.reduce_max(*_blocks(full, wanted)), [None, *logits.shape[1:]])


def _blocks(values: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, list[int]]:
    """Each axis of `[batch, *size, channels]` as two, `wanted` blocks and within them; and the axes within."""
    sides, lengths = tf.unstack(tf.shape(values)[1:-1]), tf.unstack(wanted)
    blocks = [part for side, length in zip(sides, lengths, strict=True) for part in (length, side // length)]
    divided = tf.reshape(values, [tf.shape(values)[0], *blocks, values.shape[-1]])
    return divided, list(range(2, 2 + 2 * len(sides), 2))


def crop_to(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The middle of `targets`, as large as `logits`; `targets` itself where the sizes agree."""
    rank = logits.shape.rank
    if targets.shape[1:-1].is_fully_defined() and targets.shape[1:-1] == logits.shape[1:-1]:
        return targets
    size, wanted = tf.shape(targets)[1:-1], tf.shape(logits)[1:-1]
    start = tf.concat([[0], (size - wanted) // 2, [0]], 0)
    cropped = tf.slice(targets, start, tf.concat([[-1], wanted, [-1]], 0))
    return tf.ensure_shape(cropped, [None, *logits.shape[1 : rank - 1], targets.shape[-1]])
