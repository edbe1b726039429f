"""From samples and cases to the batches of tf.data that all three implementations read."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from data.borders import mirror
from data.preprocessing import Preparation
from data.sampler import Sampler, encode, labelled
from data.source import Source


def training_batches(
    sampler: Sampler,
    batch_size: int,
    first_step: int,
    last_step: int,
    workers: int = 2,
    dtype: str = "float32",
) -> tf.data.Dataset:
    """Batches of the steps first_step .. last_step - 1.

    Gives (images [batch_size, *crop, channels], targets [batch_size, *crop, classes]), both of
    `dtype` and of static shape. Step s holds the samples s * batch_size .. (s + 1) * batch_size - 1
    whatever was asked for before: a resumed training sees what it would have seen.
    """

    def load(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, target = tf.numpy_function(sampler.sample, [number], (tf.float32, tf.float32))
        image.set_shape((*sampler.crop, sampler.channels))
        target.set_shape((*sampler.crop, sampler.classes))
        return tf.cast(image, dtype), tf.cast(target, dtype)

    numbers = tf.data.Dataset.range(first_step * batch_size, last_step * batch_size)
    samples = numbers.map(load, num_parallel_calls=workers, deterministic=True)
    return samples.batch(batch_size, drop_remainder=True).prefetch(2)


def validation_batches(
    source: Source,
    names: list[str],
    prepare: Preparation,
    classes: int,
    pad: Callable[[tuple[int, ...]], list[tuple[int, int]]],
    dtype: str = "float32",
) -> tf.data.Dataset:
    """Whole prepared images in the order of `names`, one a batch.

    pad: from the size of an image to the pixels (before, after) each axis that make it acceptable
        to the network; image and target are continued by reflection.
    Gives (images [1, *size, channels], targets [1, *size, classes]) of `dtype`, sizes unknown.
    """

    def read(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        case = prepare(labelled(source, names[int(index)]))
        padding = pad(case.label.shape)
        image = mirror(prepare.network_input(case.image), padding)
        return image, mirror(encode(case.label, classes), padding)

    channels = prepare.network_channels(source.channels, source.rank)

    def load(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, target = tf.numpy_function(read, [index], (tf.float32, tf.float32))
        image.set_shape((*[None] * source.rank, channels))
        target.set_shape((*[None] * source.rank, classes))
        return tf.cast(image, dtype), tf.cast(target, dtype)

    return tf.data.Dataset.range(len(names)).map(load).batch(1, drop_remainder=True).prefetch(1)
