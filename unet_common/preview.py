"""The picture that TensorBoard shows of a validation: image, truth and prediction side by side."""

import tensorflow as tf

from unet_common.losses import crop_to, probabilities


def preview(images: tf.Tensor, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Grey picture `[1, height, 3 * width, 1]` in [0, 1] of the first case of a batch, of volumes the middle slice.

    Plain TensorFlow operations, for graphs and for eager use.
    """
    panels = [crop_to(images, logits)[:1, ..., :1], crop_to(targets, logits)[:1], probabilities(logits)[:1]]
    if logits.shape.rank == 5:
        panels = [panel[:, :, :, tf.shape(panel)[3] // 2] for panel in panels]
    image, truth, prediction = panels
    image = (image - tf.reduce_min(image)) / (tf.reduce_max(image) - tf.reduce_min(image) + 1e-6)
    return tf.concat([image, _as_grey(truth), _as_grey(prediction)], 2)


def _as_grey(classes: tf.Tensor) -> tf.Tensor:
    """One class as it is; of more the index of the largest, from black to white."""
    if classes.shape[-1] == 1:
        return classes
    index = tf.cast(tf.argmax(classes, -1), classes.dtype)
    return (index / (classes.shape[-1] - 1))[..., tf.newaxis]
