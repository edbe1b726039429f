"""The rules by which initial weights are drawn. An experiment names one; `unet_common.weights.initial` draws."""

import math
from typing import Literal

Initialisation = Literal["he_normal", "he_uniform", "glorot_normal", "glorot_uniform"]


def standard_deviation(rule: Initialisation, fan_in: int, fan_out: int) -> float:
    """Standard deviation of a kernel's initial weights, whose mean is 0.

    The variance is 2 / `fan_in` by He et al. 2015 (arXiv:1502.01852, section 2.2), which keeps that of activations
    through a rectifier, and 2 / (`fan_in` + `fan_out`) by Glorot & Bengio 2010 (AISTATS 9:249, equation 12).

    Args:
        fan_in: values that an output value is a sum of. fan_out: values that an input value is added to.
    """
    return math.sqrt(2 / fan_in if rule.startswith("he_") else 2 / (fan_in + fan_out))
