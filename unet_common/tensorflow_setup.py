"""TensorFlow as this project uses it. Import this module before anything imports TensorFlow.

One place for three things: the environment the old APIs need, silence for the start-up noise and the
deprecation flood that those APIs cause on a new TensorFlow, and GPU memory that grows as needed.
Warnings about anything else still reach the user.
"""

import logging
import os
import warnings

# C++ messages below "error": CPU features, missing CUDA libraries, oneDNN's notice.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# `tf.compat.v1.layers` lives in tf_keras (Keras 2) and refuses to start without this.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf


def _is_noise(record: logging.LogRecord) -> bool:
    """TensorFlow logs each use of a deprecated v1 symbol, and this project is about those."""
    message = record.getMessage()
    return "is deprecated" in message or "Instructions for updating" in message


_logger = tf.get_logger()
_logger.setLevel(logging.WARNING)
_logger.addFilter(lambda record: not _is_noise(record))
# `tf.layers` announces on every call that Keras replaces it.
warnings.filterwarnings("ignore", message=".*tf.layers.*is deprecated.*")
warnings.filterwarnings("ignore", message=".*is deprecated and will be removed in a future version.*")

for _gpu in tf.config.list_physical_devices("GPU"):
    try:
        tf.config.experimental.set_memory_growth(_gpu, True)
    except RuntimeError:  # the devices were started already, by whoever imported TensorFlow first
        pass
