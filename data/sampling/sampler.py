"""Training samples by number: a sample is a pure function of the seed and its number."""

import threading
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from data.errors import UserError, bullet_list
from data.labels.label_maps import is_class, largest_class
from data.labels.outputs import Outputs
from data.preprocessing.preprocessor import Prepared, Preprocessor
from data.sampling.augmentation import augment, corner_around, random_corner
from data.settings import Augmentation, Sampling
from data.source import Case, Source

CACHE_BYTES = 2 * 1024**3
"""Prepared training images are kept in memory up to this size; the rest is read every time."""

ORDER_STREAM = 1
"""Separates the draws of an epoch's order from those of its samples, which have none."""


Accepted = Callable[[tuple[int, ...]], tuple[int, ...] | None]


class Sampler:
    """Training samples by number: random crops of the training images, augmented.

    Sample number n belongs to epoch n // len(sampler). Every epoch goes through all images
    `samples_per_image` times, or as often as `samples_per_class` adds up to, in an order of its own. Order and
    draws depend on (seed, epoch, index) alone: equal for all implementations, after a resume, and for any number
    of parallel readers.
    """

    def __init__(
        self,
        source: Source,
        names: list[str],
        sampling: Sampling,
        augmentation: Augmentation,
        prepare: Preprocessor,
        seed: int,
        outputs: Outputs,
        accepted: Accepted | None = None,
    ) -> None:
        """Read every case once, and raise one UserError that lists all unsuitable ones.

        sampling: its crop must be set. outputs: of the network. accepted: as of `check_crop`.
        """
        self._source = source
        self._names = names
        self._augmentation = augmentation
        self._prepare = prepare
        self._seed = seed
        self._pad = sampling.pad
        # What each crop of an image is centred on: a class, or nothing.
        self._centres: list[int | None] = [None] * sampling.samples_per_image
        if sampling.samples_per_class is not None:
            counts = enumerate(sampling.samples_per_class)
            self._centres = [label for label, count in counts for _ in range(count)]
        assert sampling.crop is not None
        self.crop = tuple(sampling.crop)
        self.channels = prepare.network_channels(source.channels, source.rank) * outputs.images
        self.outputs = outputs
        self._accepted = accepted
        self._cache: dict[str, Prepared] = {}
        self._cached_bytes = 0
        self._lock = threading.Lock()
        self._check()

    def __len__(self) -> int:
        """Samples in an epoch."""
        return len(self._names) * len(self._centres)

    def sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The image, float32 [*crop, channels], and the target, float32 [*crop, outputs]."""
        epoch, position = divmod(int(number), len(self))
        index = int(_order(self._seed, epoch, len(self))[position])
        generator = np.random.default_rng([self._seed, epoch, index])
        case = self._prepared(self._names[index % len(self._names)])
        assert case.label is not None
        corner = self._corner(case.label, self._centres[index // len(self._names)], generator)
        image, label = augment(
            case.image,
            case.label,
            corner,
            self.crop,
            self._augmentation,
            generator,
            case.spacing,
            self._prepare.settings.positions,
            self.outputs.overlapping,
        )
        return self.outputs.example(image, label)

    def _corner(self, label: np.ndarray, centre: int | None, generator: np.random.Generator) -> np.ndarray:
        """The first pixel of a crop around a random pixel of a class; anywhere if the image lacks the class."""
        if centre is not None:
            pixel = _random_pixel(label, centre, self.outputs.overlapping, generator)
            if pixel is not None:
                return corner_around(pixel, label.shape, self.crop, generator)
        return random_corner(label.shape, self.crop, generator)

    def _prepared(self, name: str) -> Prepared:
        """A case as the network sees it, from memory if it is there."""
        if name in self._cache:
            return self._cache[name]
        case = self._prepare(labelled(self._source, name))
        assert case.label is not None
        size = case.image.nbytes + case.label.nbytes
        # Several threads may read the same case at once: wasteful, seldom, and harmless.
        with self._lock:
            if name not in self._cache and self._cached_bytes + size <= CACHE_BYTES:
                self._cache[name] = case
                self._cached_bytes += size
        return case

    def _check(self) -> None:
        sizes: dict[str, tuple[int, ...]] = {}
        problems, outputs = [], self.outputs
        for name in self._names:
            label = self._prepared(name).label
            assert label is not None
            sizes[name] = label.shape
            largest = largest_class(label, outputs.overlapping)
            if largest > outputs.classes and (outputs.count > 1 or outputs.multilabel):
                problems.append(f"{name} has the class {largest}")
        check_crop(sizes, self.crop, self._pad, self._accepted)
        if problems:
            raise UserError(
                f"The network has the classes 0 to {outputs.classes}, but there are labels "
                f"beyond them:\n{bullet_list(problems)}\nThe data set has {self._source.classes} "
                "classes, background included."
            )


def check_crop(
    sizes: dict[str, tuple[int, ...]],
    crop: tuple[int, ...],
    pad: bool = False,
    accepted: Accepted | None = None,
) -> None:
    """Refuse a crop that does not fit into every image. Raises UserError.

    sizes: the size of every image by its name. pad: smaller images are continued, so any size fits.
    accepted: from a size to the largest within it that the network takes, None if there is none.
    """
    others = [f"{name}: {_times(size)}" for name, size in sizes.items() if len(size) != len(crop)]
    if others:
        raise UserError(
            f"sampling.crop = {_times(crop)} has {len(crop)} axes, but these images have another "
            f"number:\n{bullet_list(others)}"
        )
    small = [
        f"{name}: {_times(size)}"
        for name, size in sizes.items()
        if any(length < wanted for length, wanted in zip(size, crop, strict=True))
    ]
    if small and not pad:
        fitting = tuple(min(sides) for sides in zip(crop, *sizes.values(), strict=True))
        good = accepted(fitting) if accepted else fitting
        if good:
            first = f"Take a smaller crop, --set 'sampling.crop={list(good)}'"
            then = "continue them by their reflection, --set sampling.pad=true, or leave them out"
        else:
            first = "Continue them by their reflection, --set sampling.pad=true"
            then = f"leave them out: no crop within {_times(fitting)} is accepted by this network"
        raise UserError(
            f"{len(small)} of {len(sizes)} images are smaller than the training crop of "
            f"{_times(crop)}:\n{bullet_list(small)}\n{first}, or {then}."
        )


def _random_pixel(
    label: np.ndarray, wanted: int, overlapping: bool, generator: np.random.Generator
) -> tuple[int, ...] | None:
    """A random pixel of a class, all equally likely; None if there is none.

    A few pixels are tried first: of the background, one of them is nearly always right, and the list of all its
    pixels would be several times as large as the image.
    """
    for place in generator.integers(0, label.size, 16):
        if is_class(label.flat[place], wanted, overlapping):
            return tuple(int(index) for index in np.unravel_index(place, label.shape))
    places = np.flatnonzero(is_class(label, wanted, overlapping))
    if not places.size:
        return None
    place = generator.choice(places)
    return tuple(int(index) for index in np.unravel_index(place, label.shape))


def labelled(source: Source, name: str) -> Case:
    """Read a case that must have a label; raises UserError if it has none."""
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
