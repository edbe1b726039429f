"""The parts that the three implementations share besides data."""

import data.tensorflow_setup  # noqa: F401  (before anything imports TensorFlow)
