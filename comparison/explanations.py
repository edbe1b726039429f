"""Why two implementations differ, in words, by rules on what differs and how much.

The rules are those of docs/developing.md, "Where the APIs had to be told something". What none of them explains is
called unexplained: the page shows no difference without a word about it.
"""

from typing import Literal

from unet_common.experiment import Experiment

Kind = Literal["initial", "output", "gradient", "trained"]

EQUAL = "Equal to the last bit."
ROUNDING = (
    "Rounding: the same numbers are added in another order, by differently composed operations. A float64 "
    "has 16 decimal digits."
)
NOISE = (
    "Noise: in exact arithmetic these values would be zero, and what is compared is nothing but rounding. "
    "So it is with the bias of a convolution before a batch normalisation, which subtracts it again."
)
GROWN = (
    "Accumulated rounding: each step starts from weights that differ in their last digits, and adds its own."
)
UNEXPLAINED = (
    "Unexplained: larger than rounding, and no rule here knows why. Has one of the three been changed? "
    "`python -m pytest tests/test_consistency.py` tells more."
)

# As shares of the largest value: what is rounding in float64, and what becomes of it in a few steps of training.
ROUNDED, ACCUMULATED = 1e-12, 1e-9


def reason(kind: Kind, relative: float, overall: float, noise: bool = False) -> str:
    """The known reason for a difference in float64.

    Args:
        kind: what is compared: initial weights, outputs, gradients, or weights after some steps of training.
        relative: largest difference, as a share of the largest value.
        overall: as a share of the largest value of all weights, outputs or gradients: what is small may be the
            difference of two large sums, and has their rounding.
        noise: the values are so much smaller than others of their kind that they mean zero.
    """
    if relative == 0:
        return EQUAL
    if kind == "initial":  # drawn, not computed: there is nothing to round
        return UNEXPLAINED
    if noise:
        return NOISE
    if overall <= ROUNDED:
        return ROUNDING
    if kind == "trained" and relative <= ACCUMULATED:
        return GROWN
    return UNEXPLAINED


def is_explained(text: str) -> bool:
    """Whether `reason` knew one."""
    return text != UNEXPLAINED


def reason_of_curves(experiment: Experiment, largest: float) -> str:
    """Why the losses of three trainings move apart, by at most `largest`."""
    if largest == 0:
        return "There is no difference at any step."
    if experiment.precision == "float32":
        text = (
            "In float32 every implementation rounds the seventh digit in its own way. Where such a digit "
            "decides about a pooling's winner or about the sign of a rectifier's input, a gradient changes "
            "by more; from there the three go on with slightly different weights."
        )
        if experiment.optimizer.name in ("adam", "rmsprop"):
            text += (
                " A rule that divides gradients by their size, as this one does, makes full steps of those that "
                "are nearly zero, too, in a direction that rounding decides: the deeper the network, the sooner."
            )
        return text
    if experiment.optimizer.name == "adam":
        return (
            "The decays of Adam are rounded to float32 by `tf.train`, and in part by Keras, even in "
            "float64: see *Digits of Adam's decays* in the part Defaults."
        )
    return (
        "`tf.train` rounds the constants of its optimizers to float32, even in float64: 0.9 becomes "
        "0.8999999762. Where float32 holds them exactly, nothing but accumulated rounding is left."
    )
