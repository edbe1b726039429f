"""Random numbers that are a function of what they are for.

Every initial weight and every dropout mask is drawn by a stateless generator from the experiment's seed,
the canonical name of the weight or layer and, for dropout, the training step. Nothing is hidden
in a generator's state, so the three implementations draw the same numbers and a resumed training draws
those that an unbroken one would have drawn.
"""

import hashlib
import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from unet_common.initialisation import Initialisation, Rule, rule_of, standard_deviation

# A TensorFlow 1 graph has a place for a seed; for anything else it has collections. This is the name of one.
_CHOICE = "initialisation"

# A unit normal distribution cut off at two standard deviations has this standard deviation.
_TRUNCATED_DEVIATION = 0.87962566103423978


def stateless_seed(seed: int, name: str) -> int:
    """The 31 bits that belong to (`seed`, `name`): the first half of a stateless generator's seed pair."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def initial_kernel(
    shape: Sequence[int], fan_in: int, fan_out: int, rule: Rule, seed: int, dtype: tf.DType
) -> tf.Tensor:
    """Draw the initial weights of a convolution, with mean 0 and the `standard_deviation` of the rule.

    Normal draws are cut off at two deviations of what they were before that.

    Drawn in float32 and on the CPU, whatever `dtype` and device the weight has, so that all precisions and
    devices start from the same numbers.

    Args:
        fan_in: values that an output value is a sum of. fan_out: values that an input value is added to.
        seed: from `stateless_seed`.
    """
    deviation, distribution = standard_deviation(rule, fan_in, fan_out), rule.rpartition("_")[2]
    with tf.device("CPU:0"):
        if distribution == "normal":
            unit = tf.random.stateless_truncated_normal(shape, [seed, 0], dtype=tf.float32)
            return tf.cast(unit * (deviation / _TRUNCATED_DEVIATION), dtype)
        unit = tf.random.stateless_uniform(shape, [seed, 0], -1, 1, dtype=tf.float32)
        return tf.cast(unit * (deviation * math.sqrt(3)), dtype)


def choose_initialisation(initialisation: Initialisation) -> None:
    """Let the kernels of the current TensorFlow 1 graph be drawn so: before the network is built."""
    tf.compat.v1.get_default_graph().get_collection_ref(_CHOICE)[:] = [initialisation]


def chosen_initialisation() -> Initialisation:
    """The choice made for the current TensorFlow 1 graph, and `he_normal` if none was."""
    return next(iter(tf.compat.v1.get_collection(_CHOICE)), "he_normal")


def canonical_name(name: str) -> str:
    """The path of the variable scopes around us, and `name`."""
    scope = tf.compat.v1.get_variable_scope().name
    return f"{scope}/{name}" if scope else name


def kernel_initialiser(fan_in: int, fan_out: int) -> Callable[..., tf.Tensor]:
    """Initialiser of the kernel of the scope around us, in a TensorFlow 1 graph.

    The draws of `v1.initializers.he_normal()` depend on the order in which the graph was built; these are a function
    of the graph's seed, its rule for initial weights and the weight's canonical name alone.
    """
    graph_seed = tf.compat.v1.get_default_graph().seed
    name = canonical_name("kernel")
    seed, rule = stateless_seed(graph_seed, name), rule_of(chosen_initialisation(), name)
    return lambda shape, dtype, partition_info: initial_kernel(shape, fan_in, fan_out, rule, seed, dtype)
