"""Losses: plain TensorFlow operations on (targets, logits) that work in a graph and eagerly.

Targets and logits are `[batch, *size, classes]`. One class means binary segmentation (sigmoid), more
mean mutually exclusive classes (softmax). Targets lie in [0, 1]. Where a network with valid convolutions
returns less than it was given, the targets are cropped to the middle.
"""

import re
from collections.abc import Callable

import tensorflow as tf

from data.errors import UserError

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# Added to numerator and denominator of the overlap losses: defines them for an empty class, and is
# negligible beside the thousands of pixels of a usual one.
SMOOTH = 1.0


def probabilities(logits: tf.Tensor) -> tf.Tensor:
    """Sigmoid of one class, softmax of more. Shape as `logits`."""
    return tf.sigmoid(logits) if logits.shape[-1] == 1 else tf.nn.softmax(logits)


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of a pixel, computed from logits so that it is finite wherever they are."""
    if logits.shape[-1] == 1:
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits))
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits))


def dice(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """1 - soft Dice, the mean over foreground classes; sums run over the whole batch.

    Milletari et al. 2016 (V-Net), section 3, without their squares in the denominator.
    """
    overlap, total = _overlap_and_total(targets, logits)
    return 1 - tf.reduce_mean((2 * overlap + SMOOTH) / (total + SMOOTH))


def jaccard(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """1 - soft Jaccard index (intersection over union), the mean over foreground classes."""
    overlap, total = _overlap_and_total(targets, logits)
    return 1 - tf.reduce_mean((overlap + SMOOTH) / (total - overlap + SMOOTH))


def _overlap_and_total(targets: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sum of the products and sum of the sums of targets and probabilities: `[foreground classes]`."""
    predicted = probabilities(logits)
    if logits.shape[-1] > 1:  # class 0 is the background
        targets, predicted = targets[..., 1:], predicted[..., 1:]
    axes = list(range(logits.shape.rank - 1))
    return tf.reduce_sum(targets * predicted, axes), tf.reduce_sum(targets + predicted, axes)


TERMS: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "bce": cross_entropy,
    "dice": dice,
    "jaccard": jaccard,
}


def parse(expression: str) -> list[tuple[float, str]]:
    """Terms of a sum such as `dice + 0.5*bce`: [(weight, name), ...].

    Raises:
        UserError: the expression or a name in it is not understood.
    """
    terms = []
    for part in expression.split("+"):
        match = re.fullmatch(r"\s*(?:([0-9.]+(?:[eE]-?[0-9]+)?)\s*\*)?\s*([a-z_]+)\s*", part)
        if match is None or match[2] not in TERMS:
            raise UserError(
                f"loss: '{part.strip()}' in '{expression}' is not understood. Allowed is a sum such as "
                f"'dice + 0.5*bce' of: {', '.join(TERMS)}."
            )
        try:
            terms.append((float(match[1] or 1), match[2]))
        except ValueError:
            raise UserError(f"loss: '{match[1]}' in '{expression}' is not a number.") from None
    return terms


def loss(expression: str) -> Loss:
    """The function (targets, logits) -> scalar that `expression`, a weighted sum of terms, stands for.

    Logits may be a list, of deep supervision: the finest first, then ever coarser ones, which are compared
    with the mean of the targets of the pixels they stand for. As in nnU-Net (Isensee et al. 2021, Nature
    Methods 18:203, section "Training"), each counts half of the one before, and the weights add up to 1.
    """
    terms = parse(expression)

    def total(targets: tf.Tensor, logits: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
        if isinstance(logits, (list, tuple)):
            shares = [0.5**i for i in range(len(logits))]
            parts = [
                share / sum(shares) * total(shrink_to(targets, level), level)
                for share, level in zip(shares, logits, strict=True)
            ]
            return tf.add_n(parts)
        targets = crop_to(targets, logits)
        return tf.add_n([weight * TERMS[name](targets, logits) for weight, name in terms])

    return total


def finest(logits: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
    """The logits of the full resolution, with deep supervision or without."""
    return logits[0] if isinstance(logits, (list, tuple)) else logits


def shrink_to(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Means of the blocks of targets that the pixels of coarser logits stand for."""
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


def confusion(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Pixels of each foreground class that are true positive, false positive, false negative.

    Returns:
        `[foreground classes, 3]` in float64, to be summed over batches: `pooled_dice` makes
        of the sum the score that is watched during training.
    """
    targets = crop_to(targets, logits)
    if logits.shape[-1] == 1:
        predicted, true = logits > 0, targets > 0.5
    else:
        classes = tf.range(1, logits.shape[-1], dtype=tf.int64)
        # Not `==`, which in a TensorFlow 1 graph asks whether two tensors are the same object.
        predicted = tf.equal(tf.argmax(logits, -1)[..., tf.newaxis], classes)
        true = tf.equal(tf.argmax(targets, -1)[..., tf.newaxis], classes)
    axes = list(range(logits.shape.rank - 1))

    def count(condition: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(condition, tf.float64), axes)

    return tf.stack([count(predicted & true), count(predicted & ~true), count(~predicted & true)], -1)


def pooled_dice(counts: tf.Tensor) -> tf.Tensor:
    """Mean Dice of the foreground classes from `confusion` counts summed over a whole validation set.

    A class that is neither there nor predicted has no Dice and is left out; if that is all of them, 0.
    """
    hit, false, missed = tf.unstack(counts, axis=-1)
    total = 2 * hit + false + missed  # whole numbers: 0 or at least 1
    occurs = tf.minimum(total, 1)
    return tf.reduce_sum(2 * hit / tf.maximum(total, 1)) / tf.maximum(tf.reduce_sum(occurs), 1)
