"""The batches of tf.data that all three implementations read, made of samples and cases."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from data.labels.outputs import Outputs
from data.preprocessing.borders import mirror
from data.preprocessing.preprocessor import Preprocessor
from data.sampling.sampler import Sampler, labelled
from data.source import Source


def training_batches(
    sampler: Sampler,
    batch_size: int,
    first: int,
    last: int,
    workers: int = 2,
    dtype: str = "float32",
) -> tf.data.Dataset:
    """The batches first .. last - 1.

    Gives (images [batch_size, *crop, channels], targets [batch_size, *crop, outputs]), both of
    `dtype` and of static shape. Batch b holds the samples b * batch_size .. (b + 1) * batch_size - 1
    whatever was asked for before: a resumed training sees what it would have seen.
    """

    def load(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, target = tf.numpy_function(sampler.sample, [number], (tf.float32, tf.float32))
        image.set_shape((*sampler.crop, sampler.channels))
        target.set_shape((*sampler.crop, sampler.outputs.count))
        return tf.cast(image, dtype), tf.cast(target, dtype)

    numbers = tf.data.Dataset.range(first * batch_size, last * batch_size)
    samples = numbers.map(load, num_parallel_calls=workers, deterministic=True)
    return samples.batch(batch_size, drop_remainder=True).prefetch(2)


def validation_batches(
    source: Source,
    names: list[str],
    prepare: Preprocessor,
    outputs: Outputs,
    pad: Callable[[tuple[int, ...]], list[tuple[int, int]]],
    dtype: str = "float32",
    tile: Callable[[tuple[int, ...]], tuple[int, ...] | None] | None = None,
) -> tf.data.Dataset:
    """Batches of one whole prepared image each, in the order of `names`.

    pad: from the size of an image to the pixels (before, after) each axis that make it acceptable
        to the network; image and target are continued by reflection.
    outputs: of the network.
    tile: from the size of an image to that of the tiles which it is cut into, side by side: they are its
        batch. None: it stays whole.
    Gives (images [1, *size, channels], targets [1, *size, outputs]) of `dtype`, sizes unknown.
    """

    def read(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        case = prepare(labelled(source, names[int(index)]))
        assert case.label is not None
        size = case.label.shape
        sides = tile(size) if tile else None
        beyond = [(0, -side % step) for side, step in zip(size, sides, strict=True)] if sides else None
        padding = beyond or pad(size)
        image = prepare.network_input(case.image)
        image, target = (mirror(values, padding) for values in outputs.example(image, case.label))
        whole = image.shape[:-1]
        return _cut(image, sides or whole), _cut(target, sides or whole)

    channels = prepare.network_channels(source.channels, source.rank) * outputs.images

    def load(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, target = tf.numpy_function(read, [index], (tf.float32, tf.float32))
        batch = None if tile else 1
        image.set_shape((batch, *[None] * source.rank, channels))
        target.set_shape((batch, *[None] * source.rank, outputs.count))
        return tf.cast(image, dtype), tf.cast(target, dtype)

    return tf.data.Dataset.range(len(names)).map(load).prefetch(1)


def _cut(values: np.ndarray, tile: tuple[int, ...]) -> np.ndarray:
    """Cut [*size, channels] into [tiles, *tile, channels]; the sides of `tile` divide those of `size`."""
    rank = len(tile)
    pairs = [(side // of_tile, of_tile) for side, of_tile in zip(values.shape, tile, strict=False)]
    blocks = values.reshape(*[number for pair in pairs for number in pair], values.shape[-1])
    counts, sides = range(0, 2 * rank, 2), range(1, 2 * rank, 2)
    return blocks.transpose(*counts, *sides, 2 * rank).reshape(-1, *tile, values.shape[-1])
