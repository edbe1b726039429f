"""The batches of tf.data that all three implementations read, made of samples and cases."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from data.labels.outputs import Outputs
from data.preprocessing.borders import mirror
from data.preprocessing.preprocessor import Preprocessor
from data.sampling.sampler import Sampler, labelled
from data.source import Source

TOGETHER = 160**3
"""Voxels of the tiles of a validation case that a network gets in one batch, at most: its activations have to fit."""

Sizes = Callable[[tuple[int, ...]], tuple[int, ...]]


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
    output_size: Sizes = lambda tile: tile,
) -> tf.data.Dataset:
    """Batches of one whole prepared image each, in the order of `names`; or of its tiles.

    pad: from the size of an image to the pixels (before, after) each axis that make it acceptable
        to the network; image and target are continued by reflection.
    outputs: of the network.
    tile: from the size of an image to that of the tiles which it is cut into: they are its batch, or several if they
        are many (`TOGETHER`). None: it stays whole.
    output_size: from the size of a tile to that of the network's output, which is the middle of the tile. It is the
        outputs that lie side by side; if they are smaller, tiles overlap.
    Gives (images [1, *size, channels], targets [1, *size, outputs]) of `dtype`, sizes unknown.
    """

    def read(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        case = prepare(labelled(source, names[int(index)]))
        assert case.label is not None
        size = case.label.shape
        image, target = outputs.example(prepare.network_input(case.image), case.label)
        sides = tile(size) if tile else None
        if sides is None:
            image, target = (mirror(values, pad(size))[np.newaxis] for values in (image, target))
        else:
            image, target = (_cut(values, sides, output_size(sides)) for values in (image, target))
        return image, target

    channels = prepare.network_channels(source.channels, source.rank) * outputs.images

    def load(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, target = tf.numpy_function(read, [index], (tf.float32, tf.float32))
        batch = None if tile else 1
        image.set_shape((batch, *[None] * source.rank, channels))
        target.set_shape((batch, *[None] * source.rank, outputs.count))
        return tf.cast(image, dtype), tf.cast(target, dtype)

    def together(image: tf.Tensor, target: tf.Tensor) -> tf.data.Dataset:
        voxels = tf.reduce_prod(tf.shape(image, tf.int64)[1:-1])
        tiles = tf.data.Dataset.from_tensor_slices((image, target))
        return tiles.batch(tf.maximum(TOGETHER // voxels, 1))

    cases = tf.data.Dataset.range(len(names)).map(load)
    return (cases.flat_map(together) if tile else cases).prefetch(1)


def _cut(values: np.ndarray, tile: tuple[int, ...], output: tuple[int, ...]) -> np.ndarray:
    """Cut [*size, channels] into [tiles, *tile, channels], whose middles of size `output` lie side by side.

    Beyond the borders the image is continued by its reflection.
    """
    axes, padding = tuple(range(len(tile))), []
    for side, of_tile, of_output in zip(values.shape, tile, output, strict=False):
        before = (of_tile - of_output) // 2
        padding.append((before, of_tile - of_output - before + -side % of_output))
    windows = np.lib.stride_tricks.sliding_window_view(mirror(values, padding), tile, axes)
    windows = windows[tuple(slice(None, None, step) for step in output)]  # [*count, channels, *tile]
    return np.moveaxis(windows, len(tile), -1).reshape(-1, *tile, values.shape[-1])
