"""Random numbers that are a function of what they are for.

Every initial weight and every dropout mask is drawn by a stateless generator from the experiment's seed,
the canonical name of the weight or layer and, for dropout, the training step. Nothing is hidden
in a generator's state, so the three implementations draw the same numbers and a resumed training draws
those that an unbroken one would have drawn.
"""

import hashlib

import tensorflow as tf

# A unit normal distribution cut off at two standard deviations has this standard deviation.
_TRUNCATED_DEVIATION = 0.87962566103423978


def stateless_seed(seed: int, name: str) -> int:
    """31 bits that belong to (`seed`, `name`): the first half of a stateless generator's seed pair."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def truncated_normal(shape, deviation: float, seed: int, dtype) -> tf.Tensor:
    """Normal draws of standard `deviation`, none beyond about 2.3 of it, for an initial weight.

    Drawn in float32 and on the CPU, whatever `dtype` and device the weight has, so that all precisions and
    devices start from the same numbers. `seed` comes from `stateless_seed`.
    """
    with tf.device("CPU:0"):
        unit = tf.random.stateless_truncated_normal(shape, [seed, 0], dtype=tf.float32)
        return tf.cast(unit * (deviation / _TRUNCATED_DEVIATION), dtype)
