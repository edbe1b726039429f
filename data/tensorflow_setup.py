"""TensorFlow as this project uses it, from the moment that somebody imports it.

One place for four things: the environment the old APIs need, silence for the start-up noise and the
deprecation flood that those APIs cause on a new TensorFlow, GPU memory that grows as needed, and Keras's settings,
whatever the user's own are. Warnings about anything else still reach the user.

TensorFlow takes seconds to import, and a help page or a misspelt setting needs none of it. So this module, which
`data` imports first of all, imports nothing: it waits in Python's import system for `import tensorflow`, whoever says
it, Keras included.
"""

import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

from data.errors import UserError

# C++ messages below "error".
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# `tf.compat.v1.layers` lives in tf_keras (Keras 2) and refuses to start without this.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# Keras 3 computes with what this says, or else the user's keras.json, at its import: later it is for others to read.
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "tensorflow"

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


def _is_noise(record: logging.LogRecord) -> bool:
    """True for TensorFlow's log of the use of a deprecated v1 symbol: this project is about those.

    It also counts how often functions of one name are traced; of several models, each traced once, it makes a warning.
    """
    message = record.getMessage()
    return any(
        words in message
        for words in ("is deprecated", "Instructions for updating", "triggered tf.function retracing")
    )


def _set_up() -> None:
    """Do what needs TensorFlow itself: called once, as soon as it is there."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # the devices were started already, by whoever imported TensorFlow first
            pass
    # Starts the devices and the graph optimizer, with what they have to say.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.run(tf.constant(0))
    logger = tf.get_logger()
    logger.setLevel(logging.WARNING)
    logger.addFilter(lambda record: not _is_noise(record))
    # `tf.layers` announces on every call that Keras replaces it.
    warnings.filterwarnings("ignore", message=".*tf.layers.*is deprecated.*")
    warnings.filterwarnings("ignore", message=".*is deprecated and will be removed in a future version.*")


@contextmanager
def keras_settings(precision: str) -> Iterator[None]:
    """A block in which Keras has the settings of this project, and what is made computes in `precision`.

    Keras knows them for the whole process only, with defaults from the user's keras.json and environment; afterwards
    they are as before.

    Raises:
        UserError: Keras was imported with another backend, before anything of this project.
    """
    from keras import config

    if config.backend() != "tensorflow":
        raise UserError(
            f"Keras computes with {config.backend()} in this process, and unet_keras needs TensorFlow: import "
            "unet_keras before keras, or set the environment variable KERAS_BACKEND to tensorflow."
        )
    settings = {
        "dtype_policy": precision,  # of layers
        "floatx": precision,  # of inputs, optimizers and metrics
        "image_data_format": "channels_last",
        "max_steps_per_epoch": None,  # the training's end is ours
    }
    before = {name: getattr(config, name)() for name in settings}
    try:
        for name, value in settings.items():
            getattr(config, f"set_{name}")(value)
        yield
    finally:
        for name, value in before.items():
            getattr(config, f"set_{name}")(value)


class _Loader(SourceFileLoader):
    """Python's own loader of a package, with the set-up behind it."""

    def exec_module(self, module: ModuleType) -> None:
        with _without_startup_noise():
            super().exec_module(module)
            _set_up()


class _Finder(MetaPathFinder):
    """A finder that gives `import tensorflow` that loader, and leaves every other import to Python."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


if "tensorflow" in sys.modules:  # in a program that was there before us
    with _without_startup_noise():
        _set_up()
else:
    sys.meta_path.insert(0, _Finder())
