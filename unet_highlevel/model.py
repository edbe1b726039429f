from unet_common.graph_model import GraphModel
from unet_highlevel.networks import NETWORKS


class Model(GraphModel):
    def logits(self, images, training):
        return NETWORKS[self.network.name](images, self.network, training)
