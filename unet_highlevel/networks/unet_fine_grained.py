"""A U-Net with a backbone that looks twice, written with `tf.layers`."""

import tensorflow as tf

from unet_common.networks import UNetFineGrained
from unet_highlevel.networks.unet_backboned import cover, trunk

v1 = tf.compat.v1
layers = v1.layers


def unet_fine_grained(images: tf.Tensor, network: UNetFineGrained, training: bool) -> tf.Tensor:
    """Images `[batch, height, width, 2 * channels]` -> logits `[batch, height, width, classes]`.

    Two images lie beside each other as channels, the whole and its region. The trunk sees both as one batch: so
    they share its weights and, in training, the statistics that normalise them.
    """
    both = tf.concat(tf.split(images, 2, -1), 0)
    whole, region = tf.split(trunk(both, network, training), 2, 0)
    whole = layers.conv2d(whole, network.foreground_classes, kernel_size=3, padding="same", name="whole_head")
    region = layers.conv2d(region, network.regions.classes, kernel_size=3, padding="same", name="region_head")
    return cover(images, tf.concat([whole, region], -1), network)
