"""A U-Net with a backbone that looks twice, written with Keras 3."""

import keras
from keras import ops

from unet_common.networks import UNetFineGrained
from unet_keras.layers import Randomness
from unet_keras.networks.unet_backboned import head, trunk


def unet_fine_grained(
    images: keras.KerasTensor, network: UNetFineGrained, randomness: Randomness
) -> keras.KerasTensor:
    """Images `[batch, height, width, 2 * channels]` -> logits `[batch, height, width, classes]`.

    Two images lie beside each other as channels, the whole and its region. The trunk sees both as one batch: so
    they share its weights and, in training, the statistics that normalise them.
    """
    both = ops.concatenate(ops.split(images, 2, axis=-1), axis=0)
    whole, region = ops.split(trunk(both, network, randomness), 2, axis=0)
    whole = head(network.foreground_classes, randomness, "whole_head")(whole)
    region = head(network.regions.classes, randomness, "region_head")(region)
    return ops.concatenate([whole, region], axis=-1)
