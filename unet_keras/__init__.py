"""The networks with Keras 3."""

import unet_common.tensorflow_setup  # noqa: F401  (before TensorFlow)
from unet_keras.model import Model
from unet_keras.training import train

__all__ = ["Model", "train"]
