"""The Lovász extension of the Jaccard index: a loss whose descent is that of the index itself."""

import tensorflow as tf

from unet_common.losses.pixels import Pixels


def lovasz(pixels: Pixels) -> tf.Tensor:
    """Berman et al. 2018 (arXiv:1705.08790): of hinges for sigmoids, of a softmax's errors for exclusive classes.

    Over all pixels of the batch. Of a softmax it is the mean over the classes that occur, as theirs, the background
    being one of them.
    """
    classes = pixels.logits.shape[-1]
    targets = tf.transpose(tf.reshape(pixels.targets, [-1, classes]))
    counted = None if pixels.counted is None else tf.transpose(tf.reshape(pixels.counted, [-1, classes]))
    logits = tf.reshape(pixels.logits, [-1, classes])
    if not pixels.exclusive:
        errors = tf.nn.relu(1 - tf.transpose(logits) * (2 * targets - 1))
        return tf.reduce_mean(_extension(errors, targets, counted))
    values = _extension(tf.abs(targets - tf.transpose(tf.nn.softmax(logits))), targets, counted)
    occurs = tf.cast(tf.reduce_any(targets > 0, 1), values.dtype)
    present = tf.reduce_sum(occurs)  # 0 where no pixel is counted
    return tf.reduce_sum(occurs * values) / (present if counted is None else tf.maximum(present, 1))


def _extension(errors: tf.Tensor, targets: tf.Tensor, counted: tf.Tensor | None) -> tf.Tensor:
    """Errors `[classes, pixels]`, each times what it adds to 1 - Jaccard index if the worst are made first.

    What is not counted is no error: it comes last, where nothing adds anything. Its target is 0.
    """
    if counted is not None:
        errors = errors * counted
    order = tf.argsort(errors, axis=1, direction="DESCENDING", stable=True)
    errors, targets = (tf.gather(values, order, batch_dims=1) for values in (errors, targets))
    size = tf.reduce_sum(targets, 1, keepdims=True)
    # After so many mistakes this much of the intersection is left, and so large is the union: never empty.
    intersection = size - tf.cumsum(targets, 1)
    union = size + tf.cumsum(1 - targets, 1)
    loss = 1 - intersection / union
    added = loss - tf.pad(loss[:, :-1], [[0, 0], [1, 0]])
    return tf.reduce_sum(errors * added, 1)
