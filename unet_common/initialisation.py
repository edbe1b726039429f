"""The rules by which initial weights are drawn. An experiment names one; `unet_common.weights.initial` draws."""

import math
from typing import Literal

Rule = Literal[
    "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "he_fan_out_normal", "pytorch_uniform"
]
"""How a kernel is drawn: its variance is that of the first words, its distribution is the last."""

Initialisation = Literal["he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "per_part"]
"""What an experiment can choose: one rule for all kernels, or one for each part of the network."""

ENCODER = "encoder"
"""The beginning of the names of what belongs to an encoder: `encoder/layer1/...`, `encoder1/...`."""


def rule_of(initialisation: Initialisation, name: str) -> Rule:
    """The rule for the kernel with this canonical name.

    `per_part` is how torchvision draws its encoders and PyTorch, by default, all else: a decoder, a head, and the whole
    of a network without an encoder, such as `hrnet`. It is what pytorch_segmentation_models starts from, which forgets
    the encoder's rule for a VGG in 3D.
    """
    if initialisation != "per_part":
        return initialisation
    return "he_fan_out_normal" if name.startswith(ENCODER) else "pytorch_uniform"


def standard_deviation(rule: Rule, fan_in: int, fan_out: int) -> float:
    """Standard deviation of a kernel's initial weights, whose mean is 0.

    The variance is 2 / `fan_in` by He et al. 2015 (arXiv:1502.01852, section 2.2), which keeps that of activations
    through a rectifier, or 2 / `fan_out`, which keeps that of gradients; and 2 / (`fan_in` + `fan_out`) by Glorot &
    Bengio 2010 (AISTATS 9:249, equation 12). PyTorch's own layers take 1 / (3 `fan_in`): uniform draws within
    1 / sqrt(`fan_in`).

    Args:
        fan_in: values that an output value is a sum of. fan_out: values that an input value is added to.
    """
    law = rule.rpartition("_")[0]
    variances = {
        "he": 2 / fan_in,
        "he_fan_out": 2 / fan_out,
        "glorot": 2 / (fan_in + fan_out),
        "pytorch": 1 / (3 * fan_in),
    }
    return math.sqrt(variances[law])
