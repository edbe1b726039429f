"""UNet++ (Zhou et al. 2018, arXiv:1807.10165, figure 1a), written with Keras 3.

The node `x{i}_{j}` is the paper's X^{i,j}: row i, from fine to coarse, and column j; column 0 is the encoder.
"""

import keras
from keras import layers, ops

from unet_common.networks import UNetPlusPlus
from unet_keras.layers import Randomness, max_pooling, transposed_convolution
from unet_keras.networks.unet import ConvolutionBlock, head


class NestedNode(ConvolutionBlock):
    """Equation 1: all nodes before it in its row, and the enlarged one from the row below, through convolutions."""

    def __init__(self, level, network: UNetPlusPlus, randomness: Randomness, name):
        super().__init__(level, network, randomness, name)
        filters, factor = network.filters_at(level), network.pooling_at(level)
        self.up = transposed_convolution(network.rank, filters, factor, randomness, "up")

    def call(self, row, below, training=None):
        x = ops.concatenate([*row, self.up(below)], axis=-1)
        return super().call(x, training=training)


class Average(layers.Layer):
    """In inference the first output is the logits of the mean probability: the paper's "accurate mode" (section 3.2).

    In training the heads stay as they are. A functional model has equally many outputs in both.
    """

    def __init__(self, network: UNetPlusPlus):
        super().__init__()
        self.exclusive = network.classes > 1 and not network.multilabel

    def call(self, heads, training=None):
        return heads if training else [self._mean(ops.stack(heads)), *heads[1:]]

    def _mean(self, heads):
        if self.exclusive:
            return ops.logsumexp(ops.log_softmax(heads), 0)  # softmax does not mind that this is the sum
        yes, no = ops.log_sigmoid(heads), ops.log_sigmoid(-heads)
        return ops.logsumexp(yes, 0) - ops.logsumexp(no, 0)


def unet_plus_plus(
    images: keras.KerasTensor, network: UNetPlusPlus, randomness: Randomness
) -> keras.KerasTensor | list[keras.KerasTensor]:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`.

    With deep supervision a list: the logits of every column, the last column first.
    """
    x, rows = images, []
    for i in range(network.columns + 1):
        if i > 0:
            x = max_pooling(network.pooling_at(i))(rows[-1][0])
        rows.append([ConvolutionBlock(i + 1, network, randomness, f"x{i}_0")(x)])
        for j in range(1, i + 1):  # the diagonal above: each row can be one node longer now
            above, below = rows[i - j], rows[i - j + 1]
            node = NestedNode(i - j + 1, network, randomness, f"x{i - j}_{j}")
            above.append(node(list(above), below[-1]))
    judged = range(1, network.columns + 1) if network.deep_supervision else [network.columns]
    heads = [head(network, randomness, f"head{j}")(rows[0][j]) for j in judged]
    if not network.deep_supervision:
        return heads[-1]
    return Average(network)(heads[::-1]) if network.averages else heads[::-1]
