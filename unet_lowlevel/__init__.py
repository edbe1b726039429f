"""The networks as TensorFlow 1 graphs: every weight and every operation by hand, on `tf.nn` primitives."""

import unet_common.tensorflow_setup  # noqa: F401  (before TensorFlow)
from unet_lowlevel.model import Model
from unet_lowlevel.training import train

__all__ = ["Model", "train"]
