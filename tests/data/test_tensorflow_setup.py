"""What TensorFlow has to say reaches the user, but for its noise."""

import logging
import os
import subprocess
import sys

import pytest
import tensorflow as tf
from helpers import ROOT

from data import tensorflow_setup


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("From train.py:1: softmax (from tensorflow) is deprecated and will be removed.", False),
        ("Instructions for updating:\nUse something else.", False),
        ("5 out of the last 5 calls to <function predict> triggered tf.function retracing.", False),
        ("It seems that global step has not been increased.", True),
    ],
)
def test_warnings(message, shown):
    record = logging.makeLogRecord({"msg": message, "levelno": logging.WARNING})
    assert bool(tf.get_logger().filter(record)) is shown


def test_what_is_written_at_the_start(capfd):
    with tensorflow_setup._without_startup_noise():
        os.write(2, b"I0000 00:00:1 cpu_feature_guard.cc] This binary is optimized\nOut of disk space.\n")
    assert capfd.readouterr().err == "Out of disk space.\n"


# In a process of its own: in this one TensorFlow is set up.
FIRST = """
import logging, os, warnings
logger = logging.getLogger("tensorflow")
print(os.environ["TF_USE_LEGACY_KERAS"], logger.level == logging.WARNING, len(logger.filters),
      any("tf.layers" in rule[1].pattern for rule in warnings.filters if rule[1]))
"""


@pytest.mark.parametrize("first", ["import unet_keras", "import data; import keras"])
def test_it_is_set_up_whichever_module_imports_it(first):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", first + FIRST],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("1 True 1 True\n", "")


def test_it_is_set_up_once():
    assert sum(isinstance(finder, tensorflow_setup._Finder) for finder in sys.meta_path) == 1
    assert len(logging.getLogger("tensorflow").filters) == 1


def test_a_program_that_has_imported_it_before_us_gets_the_same():
    done = subprocess.run(
        [sys.executable, "-c", "import tensorflow, data" + FIRST],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "1 True 1 True\n"
