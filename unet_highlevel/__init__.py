"""The networks with `tf.layers` and the Estimator."""

import unet_common.tensorflow_setup  # noqa: F401  (before TensorFlow)
from unet_highlevel.model import Model
from unet_highlevel.training import train

__all__ = ["Model", "train"]
