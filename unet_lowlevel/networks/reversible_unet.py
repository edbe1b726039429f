"""The partially reversible U-Net (Bruegger et al. 2019, arXiv:1906.06148), written with operations."""

import tensorflow as tf

from unet_common.networks import ReversibleUNet
from unet_lowlevel.networks.sequences import levels


def reversible_unet(images: tf.Tensor, network: ReversibleUNet, training: bool) -> tf.Tensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    return levels(images, network)
