"""The partially reversible U-Net (Bruegger et al. 2019, arXiv:1906.06148), written with Keras 3."""

import keras

from unet_common.networks import ReversibleUNet
from unet_keras.networks.sequences import levels


def reversible_unet(images: keras.KerasTensor, network: ReversibleUNet) -> keras.KerasTensor:
    """Volumes `[batch, *size, channels]` -> logits `[batch, *size, classes]`."""
    return levels(images, network)
