"""The networks with `tf.layers` and the Estimator."""

import unet_common  # noqa: F401  (first: it sets TensorFlow up)
from unet_highlevel.model import Model
from unet_highlevel.training import train

__all__ = ["Model", "train"]
