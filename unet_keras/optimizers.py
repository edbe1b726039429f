"""Optimizers from Keras, with the constants and the one rule that differ from `tf.train`'s written out.

A Keras optimizer clips the gradients itself, and takes the mean of several batches: so these are `options` of its own,
`global_clipnorm` and `gradient_accumulation_steps`.
"""

from typing import Any

import keras

from unet_common.weights.interchange import is_kernel


def adam(**options: Any) -> keras.optimizers.Optimizer:
    """Kingma & Ba 2015, arXiv:1412.6980. `tf.train` has epsilon 1e-8, Keras 1e-7."""
    return keras.optimizers.Adam(beta_1=0.9, beta_2=0.999, epsilon=1e-7, **options)


class SGD(keras.optimizers.SGD):
    """Sutskever et al. 2013. The rate scales what is taken from the velocity, not what goes in.

    Keras puts rate times gradient into the velocity: the same while the rate is constant, another rule under a
    schedule.
    """

    def update_step(self, gradient, variable, learning_rate):
        if not self.momentum:  # Keras makes no velocities then
            return super().update_step(gradient, variable, learning_rate)
        velocity = self.momentums[self._get_variable_index(variable)]
        rate = keras.ops.cast(learning_rate, variable.dtype)
        self.assign(velocity, self.momentum * velocity + gradient)
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return self.assign_sub(variable, rate * direction)


def sgd(momentum: float = 0.9, nesterov: bool = False, **options: Any) -> keras.optimizers.Optimizer:
    """Stochastic gradient descent with momentum."""
    return SGD(momentum=momentum, nesterov=nesterov, **options)


def rmsprop(decay: float = 0.9, epsilon: float = 1e-7, **options: Any) -> keras.optimizers.Optimizer:
    """Hinton's lecture 6e: divide by a running root mean square, which starts at zero."""
    return keras.optimizers.RMSprop(rho=decay, epsilon=epsilon, **options)


def penalty(variables: list[keras.Variable], l2: float) -> None:
    """L2 regularisation: from now on the model's `losses` have a term for each kernel."""
    for variable in variables:
        if is_kernel(variable.path):
            variable.regularizer = keras.regularizers.L2(l2)


def decay(
    optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable], weight_decay: float
) -> None:
    """Loshchilov & Hutter 2019, arXiv:1711.05101: shrink the kernels beside the step that the gradients make.

    Every Keras optimizer does so itself, with all variables that it is not told to spare.
    """
    optimizer.weight_decay = weight_decay
    optimizer.exclude_from_weight_decay([v for v in variables if not is_kernel(v.path)])
