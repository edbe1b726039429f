"""Every network at its real size: the exact numbers of weights of its paper or of the program it was first in.

`COUNTS` of `expected/NAME.py` lists hyperparameters, all values and how many of them are trained. Of each network
the first is tested always, and in `lowlevel` also the next two; the others, which take minutes, with `-m slow`.
Nothing is computed: the graphs are built and not run, and Keras, which draws weights when a layer is made, is given
zeros.
"""

from importlib import import_module
from math import prod

import keras
import pytest
import tensorflow as tf

from unet_common.graph_model import canonical_variables
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE

v1 = tf.compat.v1

# Whose graphs are so large that only `lowlevel`, which builds them fastest, is tested always.
LARGE = ("hrnet",)


def cases():
    for name in CATALOGUE:
        for index, row in enumerate(getattr(import_module(f"expected.{name}"), "COUNTS", [])):
            always = ["lowlevel"] * (index < 3) if index or name in LARGE else IMPLEMENTATIONS
            for implementation in IMPLEMENTATIONS:
                marks = [] if implementation in always else [pytest.mark.slow]
                yield pytest.param(
                    implementation, name, *row, marks=marks, id=f"{name}-{index}-{implementation}"
                )


def graph_counts(package, network):
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(0)
        images = v1.placeholder(tf.float32, [None, *[None] * network.rank, network.channels])
        import_module(f"{package.__name__}.model").build(images, network, True)
        trainable = v1.trainable_variables()
    variables = canonical_variables(graph).values()
    return sum(prod(v.shape) for v in variables), sum(prod(v.shape) for v in trainable)


def keras_counts(package, network):
    model = package.Model(network).keras_model
    trainable = sum(prod(v.shape) for v in model.trainable_variables)
    keras.utils.clear_session()
    return model.count_params(), trainable


@pytest.mark.parametrize("implementation, name, hyperparameters, count, trainable", cases())
def test_counts(implementation, name, hyperparameters, count, trainable, monkeypatch):
    network, package = CATALOGUE[name](**hyperparameters), load(implementation)
    if implementation == "keras":
        monkeypatch.setattr("unet_keras.model.initialise", lambda model, randomness: None)
        monkeypatch.setattr(
            "keras.initializers.GlorotUniform.__call__", lambda self, shape, dtype: tf.zeros(shape, dtype)
        )
        counted = keras_counts(package, network)
    else:
        counted = graph_counts(package, network)
    assert counted == (count, trainable)
