"""Datasets, augmentation and pipelines: what all three implementations read."""

import data.tensorflow_setup  # noqa: F401  (before anything imports TensorFlow)
