"""The networks with Keras 3."""

import unet_common  # noqa: F401  (first: it sets TensorFlow up)
from unet_keras.model import Model
from unet_keras.training import train

__all__ = ["Model", "train"]
