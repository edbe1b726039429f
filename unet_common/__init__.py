"""What the three implementations share besides data."""

import unet_common.tensorflow_setup  # noqa: F401  (before anything imports TensorFlow)
