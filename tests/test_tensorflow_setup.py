"""What TensorFlow has to say reaches the user, but for its noise."""

import logging
import os

import pytest
import tensorflow as tf

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
