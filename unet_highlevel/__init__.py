"""The networks with `tf.layers` and the Estimator."""

import unet_common  # noqa: F401  (first: it sets TensorFlow up)
from data.errors import UserError

try:
    from unet_highlevel import estimator_compat  # noqa: F401  (other versions are for people to mend)
except ImportError as error:
    raise UserError(str(error)) from None

from unet_highlevel.model import Model
from unet_highlevel.training import train

__all__ = ["Model", "train"]
