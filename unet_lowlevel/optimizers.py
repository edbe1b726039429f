"""Optimizers by hand: slot variables from `get_variable`, updates as assignments.

Each function returns one operation that changes all `variables` once and counts the global step. The rate is a
tensor. A variable's slots are named after it, under `optimizer/`.
"""

import tensorflow as tf

from unet_common.graph_model import batches_so_far
from unet_common.weights.interchange import is_kernel

v1 = tf.compat.v1


def adam(
    gradients: list[tf.Tensor],
    variables: list[tf.Variable],
    rate: tf.Tensor,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-7,
) -> tf.Operation:
    """Kingma & Ba 2015, arXiv:1412.6980, in the form at the end of their section 2 ("epsilon hat")."""
    step = v1.train.get_or_create_global_step()
    updates = []
    for gradient, variable in zip(gradients, variables, strict=True):
        mean, square = slot(variable, "mean"), slot(variable, "square")
        count = tf.cast(step + 1, variable.dtype)
        corrected = tf.cast(rate, variable.dtype) * tf.sqrt(1 - beta2**count) / (1 - beta1**count)
        mean = mean.assign_add((1 - beta1) * (gradient - mean))
        square = square.assign_add((1 - beta2) * (tf.square(gradient) - square))
        updates.append(variable.assign_sub(corrected * mean / (tf.sqrt(square) + epsilon)))
    return counted(updates, step)


def sgd(
    gradients: list[tf.Tensor],
    variables: list[tf.Variable],
    rate: tf.Tensor,
    momentum: float = 0.9,
    nesterov: bool = False,
) -> tf.Operation:
    """Sutskever et al. 2013. The rate scales what is taken from the velocity, not what goes in."""
    updates = []
    for gradient, variable in zip(gradients, variables, strict=True):
        velocity = slot(variable, "velocity")
        velocity = velocity.assign(momentum * velocity + gradient)
        direction = gradient + momentum * velocity if nesterov else velocity
        updates.append(variable.assign_sub(tf.cast(rate, variable.dtype) * direction))
    return counted(updates, v1.train.get_or_create_global_step())


def rmsprop(
    gradients: list[tf.Tensor],
    variables: list[tf.Variable],
    rate: tf.Tensor,
    decay: float = 0.9,
    epsilon: float = 1e-7,
) -> tf.Operation:
    """Hinton's lecture 6e: divide by a running root mean square, which starts at zero."""
    updates = []
    for gradient, variable in zip(gradients, variables, strict=True):
        square = slot(variable, "square")
        square = square.assign_add((1 - decay) * (tf.square(gradient) - square))
        updates.append(
            variable.assign_sub(tf.cast(rate, variable.dtype) * gradient / tf.sqrt(square + epsilon))
        )
    return counted(updates, v1.train.get_or_create_global_step())


def clip(gradients: list[tf.Tensor], norm: float) -> list[tf.Tensor]:
    """Scale all gradients down together if their common norm is larger than `norm`."""
    clipped, _norm = tf.clip_by_global_norm(gradients, norm)
    return clipped


def penalty(variables: list[tf.Variable], l2: float) -> tf.Tensor:
    """L2 regularisation, as a part of the loss. `tf.nn.l2_loss` would be half of it, Keras's `L2` is the same."""
    return l2 * tf.add_n([tf.reduce_sum(tf.square(v)) for v in variables if is_kernel(v.op.name)])


def decay(variables: list[tf.Variable], rate: tf.Tensor, weight_decay: float) -> list[tf.Tensor]:
    """Loshchilov & Hutter 2019, arXiv:1711.05101: shrink the kernels beside the step that the gradients make."""
    kernels = [v for v in variables if is_kernel(v.op.name)]
    return [v.assign_sub(v * weight_decay * tf.cast(rate, v.dtype)) for v in kernels]


def accumulate(
    gradients: list[tf.Tensor], sums: list[tf.Variable], batches: int, first: list[tf.Tensor]
) -> tuple[list[tf.Tensor], tf.Operation]:
    """The mean gradients of a step of several batches, and the operation that takes in one of them.

    Args:
        gradients: of a batch. sums: of the batches of the step before it; a slot of each variable.
        first: what reads the counter of batches, before this one is counted.
    """
    totals = [total.assign_add(gradient) for total, gradient in zip(sums, gradients, strict=True)]
    with tf.control_dependencies([tf.group(gradients, first)]):
        counted = batches_so_far().assign_add(1)
    return [total / batches for total in totals], tf.group(totals, counted)


def begin_anew(sums: list[tf.Variable]) -> tf.Operation:
    """Empty the sums: the next batch is the first of a step."""
    return tf.group([total.assign(tf.zeros_like(total)) for total in sums])


def slot(variable: tf.Variable, name: str) -> tf.Variable:
    """A variable for what the optimizer remembers of another: of its shape, zero at first."""
    name = f"optimizer/{variable.op.name}/{name}"
    return v1.get_variable(name, variable.shape, variable.dtype, v1.zeros_initializer(), trainable=False)


def counted(updates: list[tf.Operation], step: tf.Variable) -> tf.Operation:
    """Run all updates, and only then count the step: Adam's correction reads it."""
    with tf.control_dependencies(updates):
        return step.assign_add(1).op
