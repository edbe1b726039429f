"""From cases to batches: a training sample is a pure function of the seed and its number."""

import threading
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import tensorflow as tf

from data.augmentation import augment
from data.errors import UserError, listed
from data.settings import Augmentation, Sampling
from data.source import Case, Source
from data.statistics import Statistics

CACHE_BYTES = 2 * 1024**3
"""Normalised training images are kept in memory up to this size; the rest is read every time."""

ORDER_STREAM = 1
"""Separates the draws of an epoch's order from those of its samples, which have none."""


def encode(label: np.ndarray, classes: int) -> np.ndarray:
    """A label map as the network's target.

    label: class indices [*size].
    classes: number of outputs of the network. 1: the target is 1 where there is any foreground.
        2 or more: one-hot, the background being class 0.
    Returns float32 [*size, classes].
    Raises UserError if the label has a class that the network lacks.
    """
    if classes == 1:
        return (label > 0)[..., np.newaxis].astype(np.float32)
    largest = int(label.max(initial=0))
    if largest >= classes:
        raise UserError(
            f"The label has class {largest}, but the network has only the classes "
            f"0 to {classes - 1}: it needs {largest + 1} classes."
        )
    return (label[..., np.newaxis] == np.arange(classes)).astype(np.float32)


def mirror(array: np.ndarray, padding: list[tuple[int, int]]) -> np.ndarray:
    """Continues an image [*size, channels] or a label [*size] by reflection at its borders.

    padding: pixels (before, after) on every spatial axis. The border pixel itself is not repeated,
    except in images one pixel wide; padding beyond the image's size reflects again.
    """
    channels = [(0, 0)] * (array.ndim - len(padding))
    return np.pad(array, [*padding, *channels], mode="reflect")


class Sampler:
    """Training samples by number: random crops of the training images, augmented.

    Sample number n belongs to epoch n // len(sampler). Every epoch goes through all images
    `samples_per_image` times in an order of its own. Order and draws depend on (seed, epoch, index)
    alone: equal for all implementations, after a resume, and for any number of parallel readers.
    """

    def __init__(
        self,
        source: Source,
        names: list[str],
        sampling: Sampling,
        augmentation: Augmentation,
        statistics: Statistics,
        seed: int,
        classes: int,
    ) -> None:
        """Reads every case once, and raises one UserError that lists all unsuitable ones."""
        self._source = source
        self._names = names
        self._augmentation = augmentation
        self._statistics = statistics
        self._seed = seed
        self._samples_per_image = sampling.samples_per_image
        self.crop = tuple(sampling.crop)
        self.channels = source.channels
        self.classes = classes
        self._cache: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._cached_bytes = 0
        self._lock = threading.Lock()
        self._check()

    def __len__(self) -> int:
        """Samples in an epoch."""
        return len(self._names) * self._samples_per_image

    def sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The image, float32 [*crop, channels], and the target, float32 [*crop, classes]."""
        epoch, position = divmod(int(number), len(self))
        index = int(_order(self._seed, epoch, len(self))[position])
        generator = np.random.default_rng([self._seed, epoch, index])
        image, label = self._normalised(self._names[index % len(self._names)])
        image, label = augment(image, label, self.crop, self._augmentation, generator)
        return image, encode(label, self.classes)

    def _normalised(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Normalised image [*size, channels] and label [*size] of a case, from memory if there."""
        if name in self._cache:
            return self._cache[name]
        case = labelled(self._source, name)
        pair = (self._statistics.normalise(case.image), case.label)
        size = sum(array.nbytes for array in pair)
        # Several threads may read the same case at once: wasteful, seldom, and harmless.
        with self._lock:
            if name not in self._cache and self._cached_bytes + size <= CACHE_BYTES:
                self._cache[name] = pair
                self._cached_bytes += size
        return pair

    def _check(self) -> None:
        sizes, problems = {}, []
        for name in self._names:
            image, label = self._normalised(name)
            sizes[name] = image.shape[:-1]
            if self.classes > 1 and label.max(initial=0) >= self.classes:
                problems.append(f"{name} has the class {label.max()}")
        check_crop(sizes, self.crop)
        if problems:
            raise UserError(
                f"The network has the classes 0 to {self.classes - 1}, but there are labels "
                f"beyond them:\n{listed(problems)}\nThe data set has {self._source.classes} "
                "classes, background included."
            )


def check_crop(sizes: dict[str, tuple[int, ...]], crop: tuple[int, ...]) -> None:
    """Raises UserError if a crop does not fit into every image.

    sizes: the size of every image by its name.
    """
    others = [f"{name}: {_times(size)}" for name, size in sizes.items() if len(size) != len(crop)]
    if others:
        raise UserError(
            f"sampling.crop = {_times(crop)} has {len(crop)} axes, but these images have another "
            f"number:\n{listed(others)}"
        )
    small = [
        f"{name}: {_times(size)}"
        for name, size in sizes.items()
        if any(length < wanted for length, wanted in zip(size, crop, strict=True))
    ]
    if small:
        fitting = [min(lengths) for lengths in zip(crop, *sizes.values(), strict=True)]
        raise UserError(
            f"{len(small)} of {len(sizes)} images are smaller than the training crop of "
            f"{_times(crop)}:\n{listed(small)}\nLeave them out, or choose a smaller crop that the "
            f"network accepts: at most --set 'sampling.crop={fitting}'."
        )


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
    statistics: Statistics,
    classes: int,
    pad: Callable[[tuple[int, ...]], list[tuple[int, int]]],
    dtype: str = "float32",
) -> tf.data.Dataset:
    """Whole normalised images in the order of `names`, one a batch.

    pad: from the size of an image to the pixels (before, after) each axis that make it acceptable
        to the network; image and target are continued by reflection.
    Gives (images [1, *size, channels], targets [1, *size, classes]) of `dtype`, sizes unknown.
    """

    def read(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        case = labelled(source, names[int(index)])
        padding = pad(case.label.shape)
        image = mirror(statistics.normalise(case.image), padding)
        return image, mirror(encode(case.label, classes), padding)

    rank = labelled(source, names[0]).label.ndim

    def load(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, target = tf.numpy_function(read, [index], (tf.float32, tf.float32))
        image.set_shape((*[None] * rank, source.channels))
        target.set_shape((*[None] * rank, classes))
        return tf.cast(image, dtype), tf.cast(target, dtype)

    return tf.data.Dataset.range(len(names)).map(load).batch(1, drop_remainder=True).prefetch(1)


def labelled(source: Source, name: str) -> Case:
    """Reads a case that must have a label; raises UserError if it has none."""
    case = source.read(name)
    if case.label is None:
        raise UserError(f"'{name}' has no label: it can be predicted, but not trained or judged on")
    return case


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, length: int) -> np.ndarray:
    """The order in which an epoch goes through its samples: a permutation of 0 .. length - 1."""
    return np.random.default_rng([seed, epoch, 0, ORDER_STREAM]).permutation(length)


def _times(size: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in size)
