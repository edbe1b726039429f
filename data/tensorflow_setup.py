"""TensorFlow as this project uses it. Import this module before anything imports TensorFlow.

One place for three things: the environment the old APIs need, silence for the start-up noise and the
deprecation flood that those APIs cause on a new TensorFlow, and GPU memory that grows as needed.
Warnings about anything else still reach the user.
"""

import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# C++ messages below "error".
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# `tf.compat.v1.layers` lives in tf_keras (Keras 2) and refuses to start without this.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

# What TensorFlow 2.21 prints on every start whatever the log level: its logging is not set up yet. CPU features,
# oneDNN's notice, and that a machine without a GPU has no GPU.
_STARTUP_NOISE = re.compile(
    r"I0000 |WARNING: All log messages before absl|E0000 .*failed call to cuInit|To enable the following instr"
)


@contextmanager
def _without_startup_noise() -> Iterator[None]:
    """Hold back what C++ writes to stderr in this block; afterwards show all of it but the noise."""
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines(keepends=True):
                if not _STARTUP_NOISE.match(line):
                    sys.stderr.write(line)


with _without_startup_noise():
    import tensorflow as tf

    for _gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(_gpu, True)
        except RuntimeError:  # the devices were started already, by whoever imported TensorFlow first
            pass
    # Starts the devices and the graph optimizer, with what they have to say.
    with tf.Graph().as_default(), tf.compat.v1.Session() as _session:
        _session.run(tf.constant(0))


def _is_noise(record: logging.LogRecord) -> bool:
    """TensorFlow logs each use of a deprecated v1 symbol, and this project is about those.

    It also counts how often functions of one name are traced; of several models, each traced once, it makes a warning.
    """
    message = record.getMessage()
    return any(
        words in message
        for words in ("is deprecated", "Instructions for updating", "triggered tf.function retracing")
    )


_logger = tf.get_logger()
_logger.setLevel(logging.WARNING)
_logger.addFilter(lambda record: not _is_noise(record))
# `tf.layers` announces on every call that Keras replaces it.
warnings.filterwarnings("ignore", message=".*tf.layers.*is deprecated.*")
warnings.filterwarnings("ignore", message=".*is deprecated and will be removed in a future version.*")
