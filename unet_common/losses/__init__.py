"""Losses: plain TensorFlow operations on (targets, logits) that work in a graph and eagerly, in all three packages.

Targets and logits are `[batch, *size, classes]`, targets lie in [0, 1], or below where they are ignored. One class
means binary segmentation (sigmoid), more mean mutually exclusive classes (softmax), or with `multilabel` classes that
may overlap, with a sigmoid each. Where a network with valid convolutions returns less than it was given, the targets
are cropped to the middle.
"""

from unet_common.loss_parser import Term, check, parse
from unet_common.losses.expression import TERMS, loss
from unet_common.losses.pixels import Pixels, probabilities
from unet_common.losses.scores import confusion, pooled_dice, pooled_iou
from unet_common.losses.sizes import crop_to, finest, shrink_to

__all__ = [
    "TERMS",
    "Pixels",
    "Term",
    "check",
    "confusion",
    "crop_to",
    "finest",
    "loss",
    "parse",
    "pooled_dice",
    "pooled_iou",
    "probabilities",
    "shrink_to",
]
