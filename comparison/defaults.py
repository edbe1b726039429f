"""Defaults that differ: what each API says for itself, and what this project does about it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from comparison import demonstrations
from unet_common.implementation import IMPLEMENTATIONS

v1 = tf.compat.v1


@dataclass(frozen=True)
class Default:
    """A row of the table.

    key: functions `KEY_lowlevel`, `KEY_highlevel` and `KEY_keras` in `demonstrations` show it, where they exist.
    question: what the numbers are. answer: what to make of them, and what this project does.
    nothing: words for an implementation whose API has no such thing.
    agree: the three give the same, and it is the reader who may have expected something else.
    """

    key: str
    topic: str
    question: str
    answer: str
    nothing: dict[str, str]
    agree: bool = False


@dataclass(frozen=True)
class ShownDefault:
    """A default with its results: by implementation the reference of the function that ran, and what it returned."""

    default: Default
    references: dict[str, str]
    values: dict[str, np.ndarray]
    texts: dict[str, str]


TF_LAYERS_USES = "`tf.layers` has none of its own, and uses that of `tf.nn`."
BY_HAND = "`tf.nn` has no optimizers: `unet_lowlevel/optimizers.py` writes the rule down."

DEFAULTS = (
    Default(
        "twins",
        "Initialisers",
        "The difference of two kernels that one initialiser has drawn, after one seed was set.",
        "In a graph each operation has a seed of its own, which depends on the order in which the graph was "
        "built. An initialiser of Keras that is given a seed draws the same numbers for each layer of a "
        "shape. Here every draw is a function of the experiment's seed and the weight's name.",
        {},
    ),
    Default(
        "equality",
        "The meaning of ==",
        "Is [0, 1] == 0?",
        "Between tensors of a TensorFlow 1 graph, `==` asks whether they are the same object; eagerly it "
        "compares values. `tf.equal` means the same in both, and is what the losses here use.",
        {"highlevel": "The same graph, and the same answer."},
    ),
    Default(
        "transposed",
        "Padding, transposed convolution",
        "The shape of 4 × 4 pixels after a kernel of 3 and a stride of 2.",
        "`tf.nn.conv2d_transpose` pads `SAME` unless told otherwise, though `tf.nn.convolution` pads `VALID`, and has "
        "to be told the output's shape, too; the other two pad `valid`. Here the padding is always written out.",
        {},
    ),
    Default(
        "stride",
        "Padding, with a stride",
        "1, 2, 3, 4 summed in windows of 3 with a stride of 2 and padding `same`.",
        "The three agree: one zero is added, and it is added after the image. Who expects the windows 0 + 1 "
        "+ 2 and 2 + 3 + 4, as PyTorch has them with a padding of 1, gets 1 + 2 + 3 and 3 + 4 + 0. Where it "
        "matters, the networks here pad first and convolve with `valid`.",
        {},
        agree=True,
    ),
    Default(
        "resize",
        "Grids of resizing",
        "0, 1 enlarged to four pixels.",
        "TensorFlow 1 begins its grid at the first pixel and repeats the last; Keras lays the borders of "
        "both images on each other (half-pixel centres). Here `unet_common/resizing.py` has both usual "
        "grids, for all three.",
        {"highlevel": "`tf.layers` has no layer that resizes."},
    ),
    Default(
        "slope",
        "Slope of the leaky ReLU",
        "What becomes of -1; in Keras by the layer, and by the function.",
        "0.2 in `tf.nn`. Keras's layer has 0.3, and its function of nearly the same name 0.2. Here the "
        "slope is written out: 0.01.",
        {"highlevel": TF_LAYERS_USES},
    ),
    Default(
        "dropout",
        "Dropout's argument",
        "The share of zeros among 10,000 values for the argument 0.1.",
        "In `v1.nn` the second argument is the share that is *kept*. In the layers of the other two it is the share "
        "that is dropped, and only with `training=True`. Here the rate is what is dropped, in all three.",
        {},
    ),
    Default(
        "mode",
        "Batch normalisation: which mode?",
        "The values 4 and 6, normalised by a layer that was just made and told nothing.",
        "`fused_batch_norm` trains unless told otherwise, and normalises by the batch. The layers of the "
        "other two are in inference mode, with a moving mean of 0 and a variance of 1. Here the mode is "
        "handed to every layer.",
        {},
    ),
    Default(
        "update",
        "Batch normalisation: who updates?",
        "The moving mean after one batch of mean 5 in training mode.",
        "`fused_batch_norm` returns the batch's mean and keeps nothing. `tf.layers` has put an update into "
        "`UPDATE_OPS`, which nobody has run. Keras has updated: momentum 0.99 is the share of the *old* "
        "mean (PyTorch's 0.1 is that of the new).",
        {},
    ),
    Default(
        "variance",
        "Batch normalisation: which variance?",
        "The variance that is kept of a batch of 0 and 2.",
        "The fused kernel, which `tf.layers` uses by default, keeps sum / (N - 1); Keras 3 keeps sum / N, "
        "by which it also normalises. Here all three keep sum / N, hence `fused=False`.",
        {},
    ),
    Default(
        "digits",
        "Batch normalisation: digits of the momentum",
        "In float64: how far the moving mean is from 0.01, after one batch of mean 1.",
        "`tf.layers` takes one minus the momentum through float32, if it is a number. Here it is a tensor, float64, as "
        "it rises with the step of the training.",
        {},
    ),
    Default(
        "frozen",
        "Batch normalisation: frozen",
        "4 and 6, normalised in training mode by a layer that is not trainable.",
        "In `tf.layers` `trainable=False` is about variables only. In Keras it also puts the layer into "
        "inference mode. Here a frozen part is told both.",
        {"lowlevel": "A function has no state to freeze."},
    ),
    Default(
        "adam",
        "Adam's epsilon",
        "The first step, of rate 1, for a gradient of 1e-8.",
        "1e-8 in `tf.train`, 1e-7 in Keras: ten times the step where gradients are small. Here it is 1e-7 "
        "in all three.",
        {"lowlevel": BY_HAND},
    ),
    Default(
        "decays",
        "Digits of Adam's decays",
        "In float64, without an epsilon: how far the first step, of rate 1, is from 1.",
        "Keras computes the correction of the first steps, 1 - 0.999 to the power of the step, from a decay "
        "that it takes through float32, and everything else from the exact one. `tf.train` rounds its "
        "decays, too, but everywhere alike, so that the first step is right. Proofs over many steps use "
        "other rules, whose constants float32 holds exactly.",
        {},
    ),
    Default(
        "rmsprop",
        "RMSprop's start",
        "The first step, of rate 1, for a gradient of 0.001.",
        "`tf.train` starts its mean square at one, Keras at zero: the first step differs by a factor of 3 for a "
        "gradient of 1, 2,100 for this one, 3,000 for smaller ones, where Keras's epsilon is all that is left below "
        "the root, and hardly at all for one of 10. Here all three start at zero.",
        {"lowlevel": BY_HAND},
    ),
    Default(
        "momentum",
        "Momentum under a schedule",
        "Where a weight arrives after two steps with gradient 1, of rates 1 and 0.1, and momentum 0.9.",
        "`tf.train` collects gradients in the velocity and multiplies by the rate of today; Keras collects "
        "gradients times the rate of their day. The same only while the rate is constant. Here all three "
        "follow `tf.train`.",
        {"lowlevel": BY_HAND},
    ),
    Default(
        "l2",
        "Factor of L2",
        "The penalty of the weights 3 and 4.",
        "`tf.nn.l2_loss` is half of the sum of squares, Keras's `L2(1.0)` all of it. Here it is all of it.",
        {"highlevel": "`tf.layers` takes any function as `kernel_regularizer`, and has none of its own."},
    ),
)


def shown() -> list[ShownDefault]:
    """Run every demonstration."""
    rows = []
    for default in DEFAULTS:
        functions = {
            name: function
            for name in IMPLEMENTATIONS
            if (function := getattr(demonstrations, f"{default.key}_{name}", None))
        }
        values = {name: run(function, graph=name != "keras") for name, function in functions.items()}
        references = {name: f"comparison/demonstrations.py:{default.key}_{name}" for name in functions}
        rows.append(
            ShownDefault(default, references, values, {name: text(value) for name, value in values.items()})
        )
    return rows


def run(function: Callable, graph: bool) -> np.ndarray:
    """What a demonstration returns; in a graph of its own, evaluated in a session."""
    if not graph:
        return np.asarray(function())
    with tf.Graph().as_default(), v1.Session() as session:
        value = function()
        session.run(v1.global_variables_initializer())
        return np.asarray(session.run(value))


def text(value: np.ndarray) -> str:
    """For the table: few digits, without brackets around a single number."""
    if value.dtype == bool:
        return ", ".join(str(item) for item in np.ravel(value).tolist())
    return ", ".join(f"{item:.3g}" for item in np.ravel(value).tolist())


def differ(one: ShownDefault) -> bool:
    """Whether not all implementations returned the same, up to rounding of float32."""
    first, *others = one.values.values()
    return any(
        first.shape != other.shape or not np.allclose(first, other, rtol=1e-3, atol=1e-12) for other in others
    )
