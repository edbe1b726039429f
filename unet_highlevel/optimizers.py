"""Optimizers from `tf.train`, with the constants that differ from Keras's written out.

`tf.train` keeps slots and updates inside; `apply_gradients` is the operation that makes one step.
"""

import tensorflow as tf

from unet_common.graph_model import batches_so_far
from unet_common.weights.interchange import is_kernel

v1 = tf.compat.v1


def adam(rate: tf.Tensor) -> v1.train.Optimizer:
    """Kingma & Ba 2015, arXiv:1412.6980. `tf.train` has epsilon 1e-8, Keras 1e-7."""
    return v1.train.AdamOptimizer(rate, beta1=0.9, beta2=0.999, epsilon=1e-7)


def sgd(rate: tf.Tensor, momentum: float = 0.9, nesterov: bool = False) -> v1.train.Optimizer:
    """Sutskever et al. 2013. The rate scales what is taken from the velocity, not what goes in."""
    return v1.train.MomentumOptimizer(rate, momentum, use_nesterov=nesterov)


class RMSPropFromZero(v1.train.RMSPropOptimizer):
    """RMSprop whose mean square starts at zero. `tf.train` starts at one: first steps up to 3,000 times smaller."""

    def _create_slots(self, var_list):
        for variable in var_list:
            self._zeros_slot(variable, "rms", self._name)
            self._zeros_slot(variable, "momentum", self._name)


def rmsprop(rate: tf.Tensor, decay: float = 0.9, epsilon: float = 1e-7) -> v1.train.Optimizer:
    """Hinton's lecture 6e: divide by a running root mean square, which starts at zero."""
    return RMSPropFromZero(rate, decay=decay, momentum=0.0, epsilon=epsilon)


def clip(gradients: list[tf.Tensor], norm: float) -> list[tf.Tensor]:
    """Scale all gradients down together if their common norm is larger than `norm`."""
    clipped, _norm = tf.clip_by_global_norm(gradients, norm)
    return clipped


def penalty(variables: list[tf.Variable], l2: float) -> tf.Tensor:
    """L2 regularisation, as a part of the loss.

    `tf.layers` would collect the terms of each layer's `kernel_regularizer`; then every layer had to be told.
    """
    return l2 * tf.add_n([tf.reduce_sum(tf.square(v)) for v in variables if is_kernel(v.op.name)])


def decay(variables: list[tf.Variable], rate: tf.Tensor, weight_decay: float) -> list[tf.Tensor]:
    """Loshchilov & Hutter 2019, arXiv:1711.05101: shrink the kernels beside the step that the gradients make.

    `tf.train` has no such optimizer (`tf.contrib` had one).
    """
    kernels = [v for v in variables if is_kernel(v.op.name)]
    return [v.assign_sub(v * weight_decay * tf.cast(rate, v.dtype)) for v in kernels]


def accumulate(
    gradients: list[tf.Tensor], batches: int, first: list[tf.Tensor]
) -> tuple[list[tf.Tensor], tf.Operation]:
    """The mean gradients of a step of several batches, and the operation that takes in one of them.

    TensorFlow's accumulators were made for workers that send in their gradients. They give out the mean of so many, and
    begin anew.

    Args:
        gradients: of a batch. first: what reads the counter of batches, before this one is counted.
    """
    accumulators = [v1.ConditionalAccumulator(gradient.dtype, gradient.shape) for gradient in gradients]
    pairs = zip(accumulators, gradients, strict=True)
    taken = [of_weight.apply_grad(gradient, v1.train.get_global_step()) for of_weight, gradient in pairs]
    with tf.control_dependencies([tf.group(gradients, first)]):
        counted = batches_so_far().assign_add(1)
    operation = tf.group(taken, counted)
    with tf.control_dependencies([operation]):
        means = [of_weight.take_grad(batches) for of_weight in accumulators]
    return means, operation
