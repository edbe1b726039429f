"""The picture that TensorBoard shows of a validation: image, truth and prediction side by side."""

import tensorflow as tf

from unet_common.losses import crop_to, probabilities


def preview(images: tf.Tensor, targets: tf.Tensor, logits: tf.Tensor, multilabel: bool = False) -> tf.Tensor:
    """Grey picture `[1, height, 3 * width, 1]` in [0, 1] of the first case of a batch, of volumes the middle slice.

    Plain TensorFlow operations, for graphs and for eager use.
    """
    images, targets = crop_to(images, logits)[..., :1], crop_to(targets, logits)
    panels = [panel[:1] for panel in (images, targets, probabilities(logits, multilabel))]
    if logits.shape.rank == 5:
        panels = [panel[:, :, :, tf.shape(panel)[3] // 2] for panel in panels]
    image, truth, prediction = panels
    image = (image - tf.reduce_min(image)) / (tf.reduce_max(image) - tf.reduce_min(image) + 1e-6)
    return tf.concat([image, _as_grey(truth, multilabel), _as_grey(prediction, multilabel)], 2)


def _as_grey(classes: tf.Tensor, multilabel: bool) -> tf.Tensor:
    """A picture of grey: one class as it is, or the largest of those that overlap; of others the index, up to white."""
    if multilabel or classes.shape[-1] == 1:
        return tf.reduce_max(classes, -1, keepdims=True)
    index = tf.cast(tf.argmax(classes, -1), classes.dtype)
    return (index / (classes.shape[-1] - 1))[..., tf.newaxis]
