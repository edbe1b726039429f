"""Backbones, in 2D: VGG and ResNet34 of `encoders.py`, and three more; what the decoder takes from each, by name.

Encoders are usually searched for such features by the names that a library gave their layers, which change with its
release and with what was built before. Here each encoder names what it offers.
"""

from typing import Literal

from unet_common.networks import encoders

Backbone = Literal["unet", "vgg16", "resnet34", "resnet50", "darknet52"]

# Each of the decoder's blocks doubles the size, from 1/32 of the image's to the whole.
BLOCKS = 5

# What the blocks add to their result, coarse to fine: features at 1/16, 1/8, 1/4, 1/2 and all of the image's size.
SKIPS: dict[Backbone, tuple[str | None, ...]] = {
    "unet": ("level5", "level4", "level3", "level2", "level1"),
    "vgg16": ("group5", "group4", "group3", "group2", "group1"),
    "resnet34": ("layer3", "layer2", "layer1", "stem", None),
    "resnet50": ("conv4", "conv3", "conv2", "conv1", None),
    "darknet52": ("stage4", "stage3", "stage2", "stage1", None),
}

# Where the decoder starts: the features at 1/32.
DEEPEST: dict[Backbone, str] = {
    "unet": "pool5",
    "vgg16": "pool5",
    "resnet34": "layer4",
    "resnet50": "conv5",
    "darknet52": "stage5",
}

# They end in a pooling, and no convolution has seen its result.
POOLED: tuple[Backbone, ...] = ("unet", "vgg16")

# Residual blocks of the four stages, and of the five.
RESNET50 = (3, 4, 6, 3)
DARKNET52 = (1, 2, 8, 8, 4)


def reach(backbone: Backbone) -> int:
    """Pixels of the image on either side that can influence a pixel of the deepest features (an upper bound)."""
    if backbone == "unet":
        return 32 + sum(2 * 2**level for level in range(5))
    if backbone == "darknet52":
        # Of each stage the convolution with the stride, then a 3 x 3 convolution in each block.
        return 1 + sum(2**stage + blocks * 2 ** (stage + 1) for stage, blocks in enumerate(DARKNET52))
    return encoders.reach(backbone)
