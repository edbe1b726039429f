"""Encoders as torchvision has them, ResNets and VGGs in 2D and 3D; `backbones.py` adds others, in 2D only.

The ResNets are those of He et al. 2016, arXiv:1512.03385, table 1, as torchvision has them: the stride of a
bottleneck is on its 3 x 3 convolution, not on the first. The VGGs are columns D and E of Simonyan & Zisserman 2015,
arXiv:1409.1556, table 1. Both end before the classifier, and the width of the first stage is free.
"""

from typing import Literal

EncoderName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "vgg16", "vgg19"]

# Blocks of the four stages.
RESNETS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
BOTTLENECKS = ("resnet50", "resnet101", "resnet152")

# Convolutions of the five groups.
VGGS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}

HALVINGS = 5


def stages(encoder: EncoderName) -> tuple[str, ...]:
    """The features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's size, as the encoders name them.

    A VGG has, besides, `group1` to `group5`: each group's last features before they are pooled, twice as large.
    """
    if encoder in VGGS:
        return ("pool1", "pool2", "pool3", "pool4", "pool5")
    return ("stem", "layer1", "layer2", "layer3", "layer4")


def reach(encoder: EncoderName) -> int:
    """Pixels of the image on either side that can influence a pixel of the last features (an upper bound)."""
    if encoder in VGGS:
        # A pixel of the last features is a window of 32, which the convolutions widen.
        return 32 + sum(count * 2**group for group, count in enumerate(VGGS[encoder]))
    convolutions = 1 if encoder in BOTTLENECKS else 2  # of 3 x 3, in each block
    stem = 3 + 2  # 7 x 7, and a pooling of 3 x 3 at half the resolution
    return stem + sum(convolutions * blocks * 4 * 2**stage for stage, blocks in enumerate(RESNETS[encoder]))
