"""UNet++ (Zhou et al. 2018, arXiv:1807.10165, figure 1a), written with operations.

The node `x{i}_{j}` is the paper's X^{i,j}: row i, from fine to coarse, and column j; column 0 is the encoder.
"""

import tensorflow as tf

from unet_common.networks import UNetPlusPlus
from unet_lowlevel.networks.unet import convolution_block, head
from unet_lowlevel.ops import max_pooling, transposed_convolution

v1 = tf.compat.v1


def nested_node(
    row: list[tf.Tensor], below: tf.Tensor, level: int, network: UNetPlusPlus, training: bool, name: str
) -> tf.Tensor:
    """Equation 1: all nodes before it in its row, and the enlarged one from the row below, through convolutions."""
    with v1.variable_scope(name):
        up = transposed_convolution(below, network.filters_at(level), network.pooling_at(level), "up")
    return convolution_block(tf.concat([*row, up], -1), level, network, training, name)


def average(heads: list[tf.Tensor], network: UNetPlusPlus) -> tf.Tensor:
    """Logits of the mean probability: the paper's "accurate mode" (section 3.2)."""
    stacked = tf.stack(heads)
    if network.classes > 1 and not network.multilabel:
        return tf.reduce_logsumexp(
            tf.nn.log_softmax(stacked), 0
        )  # softmax does not mind that this is the sum
    yes, no = tf.math.log_sigmoid(stacked), tf.math.log_sigmoid(-stacked)
    return tf.reduce_logsumexp(yes, 0) - tf.reduce_logsumexp(no, 0)


def unet_plus_plus(images: tf.Tensor, network: UNetPlusPlus, training: bool) -> tf.Tensor | list[tf.Tensor]:
    """Images `[batch, *size, channels]` -> logits `[batch, *size, classes]`.

    With deep supervision, training gets a list: the logits of every column, the last column first.
    """
    x, rows = images, []
    for i in range(network.columns + 1):
        if i > 0:
            x = max_pooling(rows[-1][0], network.pooling_at(i))
        rows.append([convolution_block(x, i + 1, network, training, f"x{i}_0")])
        for j in range(1, i + 1):  # the diagonal above: each row can be one node longer now
            above, below = rows[i - j], rows[i - j + 1]
            above.append(nested_node(above, below[-1], i - j + 1, network, training, f"x{i - j}_{j}"))
    judged = range(1, network.columns + 1) if network.deep_supervision else [network.columns]
    heads = [head(rows[0][j], network, f"head{j}") for j in judged]
    if training and network.deep_supervision:
        return heads[::-1]
    return average(heads, network) if network.averages else heads[-1]
