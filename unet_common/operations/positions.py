"""The position of a patch, which the positions of its voxels tell."""

import tensorflow as tf


def middle_position(
    images: tf.Tensor, noise: float = 0.0, seed: list[int | tf.Tensor] | None = None
) -> tf.Tensor:
    """Read the position of the middle of each patch: `[batch, *size, channels]` -> `[batch, axes]`.

    The last channels are positions, one for each axis. The middle of an even side lies between two voxels, and has the
    mean of their positions: so a patch and its mirror image have the same.

    Args:
        noise: standard deviation of what is added.
        seed: a pair for the stateless generator of the noise; None: nothing is added.
    """
    axes = images.shape.rank - 2
    position = images[..., -axes:]
    for _axis in range(axes):
        side = tf.shape(position)[1]
        position = tf.reduce_mean(tf.gather(position, [(side - 1) // 2, side // 2], axis=1), 1)
    if seed is None or noise == 0:
        return position
    return position + noise * tf.random.stateless_normal(tf.shape(position), seed, dtype=position.dtype)
