"""UNet++ (Zhou et al. 2018, arXiv:1807.10165, figure 1a), written with Keras 3.

The node `x{i}_{j}` is the paper's X^{i,j}: row i, from fine to coarse, and column j; column 0 is the encoder.
"""

import keras
from keras import layers, ops

from unet_common.networks import UNetPlusPlus
from unet_keras.layers import MaxPooling3D, registered
from unet_keras.networks.unet import convolution_block, head


def nested_node(
    row: list[keras.KerasTensor], below: keras.KerasTensor, level: int, network: UNetPlusPlus, name: str
) -> keras.KerasTensor:
    """Equation 1: all nodes before it in its row, and the enlarged one from the row below, through convolutions."""
    ConvTranspose = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[network.rank]
    filters, factor = network.filters_at(level), network.pooling_at(level)
    up = ConvTranspose(filters, kernel_size=factor, strides=factor, padding="same", name=f"{name}.up")(below)
    return convolution_block(layers.Concatenate()([*row, up]), level, network, name)


@registered
class Average(layers.Layer):
    """Logits of the mean probability, in inference the first output: the paper's "accurate mode" (section 3.2).

    In training the heads stay as they are. A functional model has equally many outputs in both.
    """

    def __init__(self, exclusive: bool, **options):
        """Tell what the logits are; `exclusive`: of several classes a pixel has one."""
        super().__init__(**options)
        self.exclusive = exclusive

    def call(self, heads, training=None):
        return heads if training else [self._mean(ops.stack(heads)), *heads[1:]]

    def _mean(self, heads):
        if self.exclusive:
            return ops.logsumexp(ops.log_softmax(heads), 0)  # softmax does not mind that this is the sum
        yes, no = ops.log_sigmoid(heads), ops.log_sigmoid(-heads)
        return ops.logsumexp(yes, 0) - ops.logsumexp(no, 0)

    def compute_output_shape(self, shapes):
        return shapes

    def get_config(self):
        return {**super().get_config(), "exclusive": self.exclusive}


def unet_plus_plus(
    images: keras.KerasTensor, network: UNetPlusPlus
) -> keras.KerasTensor | list[keras.KerasTensor]:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`.

    With deep supervision a list: the logits of every column, the last column first.
    """
    MaxPooling = {2: layers.MaxPooling2D, 3: MaxPooling3D}[network.rank]
    x, rows = images, []
    for i in range(network.columns + 1):
        if i > 0:
            x = MaxPooling(network.pooling_at(i))(rows[-1][0])
        rows.append([convolution_block(x, i + 1, network, f"x{i}_0")])
        for j in range(1, i + 1):  # the diagonal above: each row can be one node longer now
            above, below = rows[i - j], rows[i - j + 1]
            above.append(nested_node(above, below[-1], i - j + 1, network, f"x{i - j}_{j}"))
    judged = range(1, network.columns + 1) if network.deep_supervision else [network.columns]
    heads = [head(rows[0][j], network, f"head{j}") for j in judged]
    if not network.deep_supervision:
        return heads[-1]
    exclusive = network.classes > 1 and not network.multilabel
    return Average(exclusive)(heads[::-1]) if network.averages else heads[::-1]
