"""A network of this package in a graph, and with its weights: predict, loss, gradients, interchange."""

import tensorflow as tf

from unet_common.graph_model import GraphModel
from unet_common.networks import Network
from unet_lowlevel.networks import NETWORKS


def build(images: tf.Tensor, network: Network, training: bool) -> tf.Tensor | list[tf.Tensor]:
    """Add the network to the current graph: images `[batch, *size, channels]` -> logits `[batch, *size, classes]`.

    A list if there are more outputs than these: logits of deep supervision, or of attention maps.
    """
    return NETWORKS[network.name](images, network, training)


class Model(GraphModel):
    """A graph built by hand, and a session that runs it."""

    def logits(self, images: tf.Tensor, training: bool) -> tf.Tensor | list[tf.Tensor]:
        return build(images, self.network, training)
