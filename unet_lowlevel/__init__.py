"""The networks as TensorFlow 1 graphs: every weight and every operation by hand, on `tf.nn` primitives."""

import unet_common  # noqa: F401  (first: it sets TensorFlow up)
from unet_lowlevel.model import Model
from unet_lowlevel.training import train

__all__ = ["Model", "train"]
