"""A network of this package with its weights: predict, loss, gradients, interchange."""

from unet_common.graph_model import GraphModel
from unet_lowlevel.networks import NETWORKS


class Model(GraphModel):
    """A graph built by hand, and a session that runs it."""

    def logits(self, images, training):
        return NETWORKS[self.network.name](images, self.network, training)
