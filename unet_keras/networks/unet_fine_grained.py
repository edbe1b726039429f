"""A U-Net with a backbone that looks twice, written with Keras 3."""

import keras
from keras import layers, ops

from unet_common.networks import UNetFineGrained
from unet_keras.networks.unet_backboned import cover, head, trunk


def unet_fine_grained(images: keras.KerasTensor, network: UNetFineGrained) -> keras.KerasTensor:
    """Images `[batch, height, width, 2 * channels]` -> logits `[batch, height, width, classes]`.

    Two images lie beside each other as channels, the whole and its region. The trunk sees both as one batch: so
    they share its weights and, in training, the statistics that normalise them.
    """
    both = layers.Concatenate(axis=0)(ops.split(images, 2, axis=-1))
    whole, region = ops.split(trunk(both, network), 2, axis=0)
    whole = head(whole, network.foreground_classes, "whole_head")
    region = head(region, network.regions.classes, "region_head")
    return cover(images, layers.Concatenate()([whole, region]), network)
