"""The embedded data set: generated electron micrographs of nerve tissue.

Nothing is downloaded and the labels are exact. The images imitate what makes the ISBI 2012
stack (Arganda-Carreras et al. 2015) hard: membranes are thin, curved and unevenly stained, cells
differ in size and brightness, and mitochondria and vesicles are as dark as membranes but are none.
"""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field, field_validator

from data.noise import smooth_noise
from data.source import Case
from data.sources.generated.base import Generated

# Lengths in pixels and grey values as in the ISBI 2012 slices (4 nm a pixel, 8 bit).
CELL_RADIUS = (7.0, 44.0)
MEMBRANE_HALF_THICKNESS = 2.0
CYTOPLASM_GREY, MEMBRANE_GREY = 155.0, 60.0


class Membranes(Generated):
    """Generated images of cell membranes. Image i is a function of `seed`, i and `size` alone."""

    things: ClassVar = "membranes"

    name: Literal["membranes"] = "membranes"
    size: tuple[Annotated[int, Field(ge=16)], ...] = Field(
        (256, 256), description="size of the images in pixels: two numbers, or three for volumes"
    )

    @field_validator("size")
    @classmethod
    def _two_or_three_axes(cls, size: tuple[int, ...]) -> tuple[int, ...]:
        if len(size) not in (2, 3):
            raise ValueError("must have two or three numbers")
        return size

    @property
    def rank(self) -> int:
        return len(self.size)

    @property
    def classes(self) -> int:
        return 2

    @property
    def foreground_is_membrane(self) -> bool:
        return len(self.size) == 2

    def case(self, name: str, index: int) -> Case:
        image, label = micrograph(self.seed, index, self.size)
        return Case(name, image, label)


@lru_cache(maxsize=32)
def micrograph(seed: int, index: int, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Generate an image, float32 [*size, 1] of whole grey values 0 .. 255, and its label.

    The label is uint8 [*size], 1 on membranes, which are four pixels thick. The arrays are shared
    between calls and therefore read-only.
    """
    generator = np.random.default_rng([seed, index])
    cells = _cells(generator, size)
    distance = _distance_to_border(cells)
    tissue = _stain(generator, cells, distance)
    _add_mitochondria(generator, tissue, distance)
    _add_vesicles(generator, tissue, distance)
    image = _record(generator, tissue)[..., np.newaxis]
    label = (distance < MEMBRANE_HALF_THICKNESS).astype(np.uint8)
    for array in (image, label):
        array.flags.writeable = False
    return image, label


def _cells(generator: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """The number of the cell each pixel belongs to, integer [*size].

    A Voronoi diagram of balls: a pixel belongs to the cell whose surface is nearest, |p - c| - r.
    Large cells bulge into small ones, and all borders are curved. Stretched distances make cells
    oblong, and a smooth warp of the plane makes borders irregular.
    """
    centres, radii = _pack(generator, size)
    directions = _unit_vectors(generator, len(radii), len(size))
    stretches = generator.uniform(1.0, 1.8, len(radii))
    grid = np.indices(size, dtype=np.float32)
    grid += 5.0 * smooth_noise(generator, size, 30.0, len(size))
    grid += 1.2 * smooth_noise(generator, size, 9.0, len(size))

    nearest = np.full(size, np.inf, np.float32)
    cells = np.full(size, len(radii), np.int32)
    # A cell reaches at most about 50 pixels beyond its ball: gaps are small, the warp is weak.
    for number, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        box = _box(centre, radius + 50.0, size)
        offsets = grid[(slice(None), *box)] - _column(centre, len(size))
        surface = _stretched_norm(offsets, directions[number], stretches[number]) - radius
        closer = surface < nearest[box]
        nearest[box][closer] = surface[closer]
        cells[box][closer] = number
    return cells


def _pack(generator: np.random.Generator, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Balls of very different radii, hardly overlapping: centres [cells, rank], radii [cells].

    Large balls are thrown first and small ones fill the gaps (random sequential addition). They
    also cover a margin around the image, so that cells are cut by its edges.
    """
    margin = 40.0
    volume = np.prod(np.add(size, 2 * margin))
    throws = int(30 * volume / 32.0 ** len(size)) + 50
    smallest, largest = np.log(CELL_RADIUS)
    radii = np.sort(np.exp(generator.uniform(smallest, largest, throws)))[::-1]
    centres = generator.uniform(-margin, np.add(size, margin), (throws, len(size)))
    kept: list[int] = []
    for number in range(throws):
        gaps = np.linalg.norm(centres[kept] - centres[number], axis=1) - radii[kept]
        if not kept or gaps.min() > 0.8 * radii[number]:
            kept.append(number)
    return centres[kept], radii[kept]


def _distance_to_border(cells: np.ndarray) -> np.ndarray:
    """Distance of every pixel's centre to the nearest border between cells, in pixels."""
    beside_border = np.zeros(cells.shape, bool)
    for axis in range(cells.ndim):
        along = np.moveaxis(cells, axis, 0)
        differs = along[1:] != along[:-1]
        marked = np.moveaxis(beside_border, axis, 0)
        marked[1:] |= differs
        marked[:-1] |= differs
    if not beside_border.any():
        return np.full(cells.shape, 1e6)
    # The pixels on either side of a border lie half a pixel from it.
    return scipy.ndimage.distance_transform_edt(~beside_border) + 0.5


def _stain(generator: np.random.Generator, cells: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Grey values of cytoplasm and membranes, float64 [*size]."""
    cytoplasm = CYTOPLASM_GREY + generator.normal(0.0, 10.0, cells.max() + 1)[cells]
    strength = np.clip(1.0 + 0.22 * smooth_noise(generator, cells.shape, 14.0)[0], 0.4, 1.3)
    profile = strength / (1.0 + (distance / 2.1) ** 4)
    return cytoplasm + profile * (MEMBRANE_GREY - cytoplasm)


def _add_mitochondria(generator: np.random.Generator, tissue: np.ndarray, distance: np.ndarray) -> None:
    """Add dark ellipsoids with an outline and folded inner membranes (cristae), inside large cells."""
    rank = tissue.ndim
    roomy = np.flatnonzero(distance > 10.0)
    for _ in range(generator.poisson(tissue.size / 150.0**rank)):
        if not len(roomy):
            return
        # The most spacious of a few random places.
        places = generator.choice(roomy, 6)
        place = places[np.argmax(distance.flat[places])]
        centre = np.array(np.unravel_index(place, tissue.shape), float)
        room = min(distance.flat[place] - 4.0, 30.0)
        semiaxes = room * np.append(1.0, generator.uniform(0.5, 0.85, rank - 1))
        frame = np.linalg.qr(generator.standard_normal((rank, rank)))[0]

        box = _box(centre, room + 4.0, tissue.shape)
        offsets = np.indices(tissue[box].shape) + _column([part.start for part in box], rank)
        rotated = np.tensordot(frame, offsets - _column(centre, rank), 1)
        relative = np.sqrt(np.sum((rotated / _column(semiaxes, rank)) ** 2, axis=0))
        depth = (1.0 - relative) * semiaxes.min()  # roughly the distance below the surface
        wiggle = 1.5 * smooth_noise(generator, relative.shape, 6.0)[0]
        folds = np.sin(2.0 * np.pi * rotated[0] / generator.uniform(4.5, 7.0) + wiggle)
        inner = generator.uniform(80.0, 115.0) + 22.0 * folds
        outlined = np.where(np.abs(depth - 1.0) < 1.2, MEMBRANE_GREY + 10.0, inner)
        tissue[box] = np.where(depth > 0.0, outlined, tissue[box])


def _add_vesicles(generator: np.random.Generator, tissue: np.ndarray, distance: np.ndarray) -> None:
    """Add small dark rings (vesicles, cut microtubules) and grains in the cytoplasm."""
    rank = tissue.ndim
    room = np.flatnonzero(distance > 6.0)
    if not len(room):
        return
    count = generator.poisson(len(room) / 15.0**rank)
    for place in generator.choice(room, count):
        centre = np.array(np.unravel_index(place, tissue.shape), float)
        radius, darkness = generator.uniform(0.0, 4.5), generator.uniform(25.0, 95.0)
        box = _box(centre, 7.0, tissue.shape)
        offsets = np.indices(tissue[box].shape) + _column([part.start for part in box], rank)
        away = np.linalg.norm(offsets - _column(centre, rank), axis=0)
        tissue[box] -= darkness * np.exp(-((away - radius) ** 2) / 1.2)


def _record(generator: np.random.Generator, tissue: np.ndarray) -> np.ndarray:
    """The picture that a microscope makes of it: uneven staining, grain, blur and noise; float32 0 .. 255."""
    uneven = 10.0 * smooth_noise(generator, tissue.shape, 110.0)[0]
    contrast = 1.0 + 0.1 * smooth_noise(generator, tissue.shape, 90.0)[0]
    grain = generator.normal(0.0, 45.0, tissue.shape)
    blurred = scipy.ndimage.gaussian_filter((tissue - CYTOPLASM_GREY) * contrast + grain, 0.9, mode="nearest")
    noise = generator.normal(0.0, 14.0, tissue.shape)
    image = CYTOPLASM_GREY + generator.normal(0.0, 8.0) + blurred + uneven + noise
    return np.clip(np.rint(image), 0.0, 255.0).astype(np.float32)


def _box(centre: np.ndarray, reach: float, size: tuple[int, ...]) -> tuple[slice, ...]:
    """The part of the image within `reach` of `centre` along every axis (maybe empty)."""
    first = np.clip(np.floor(np.subtract(centre, reach)), 0, size).astype(int)
    last = np.clip(np.ceil(np.add(centre, reach)) + 1, 0, size).astype(int)
    return tuple(slice(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True))


def _column(vector: np.ndarray | list, rank: int) -> np.ndarray:
    """A vector shaped so that it adds to coordinates [rank, *size]."""
    return np.reshape(vector, (-1, *[1] * rank)).astype(np.float32)


def _unit_vectors(generator: np.random.Generator, count: int, rank: int) -> np.ndarray:
    vectors = generator.standard_normal((count, rank))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _stretched_norm(offsets: np.ndarray, direction: np.ndarray, stretch: float) -> np.ndarray:
    """Length of offsets [rank, *size] after the part along `direction` was divided by `stretch`."""
    along = np.tensordot(direction.astype(np.float32), offsets, 1)
    squared = np.sum(offsets**2, axis=0) - (1.0 - stretch**-2) * along**2
    return np.sqrt(np.maximum(squared, 0.0))
