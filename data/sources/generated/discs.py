"""Generated images of small objects on large ones: discs of the spine in cross-section, some with a protrusion.

The protrusion is what matters and is hard to find: a quarter of a percent of the pixels, hardly darker than the
disc it sits on, and there are spots of its size and grey value elsewhere, which are none because they touch no
disc. So a network has to see the whole image and the detail: what two-stage segmentation is for.
"""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field

from data.noise import smooth_noise
from data.source import Case
from data.sources.generated.base import Generated

# Mean grey values. Lengths below are shares of the image's shorter side.
TISSUE, DISC, SMALL = 70.0, 165.0, 145.0


class Discs(Generated):
    """Generated images with a label for the disc (1) and its protrusion (2), which a quarter of them has not.

    Image i is a function of `seed`, i and `size` alone.
    """

    things: ClassVar = "discs"

    name: Literal["discs"] = "discs"
    size: tuple[Annotated[int, Field(ge=64)], Annotated[int, Field(ge=64)]] = Field(
        (256, 256), description="size of the images in pixels"
    )

    @property
    def rank(self) -> int:
        return 2

    @property
    def classes(self) -> int:
        return 3

    def case(self, name: str, index: int) -> Case:
        image, label = section(self.seed, index, self.size)
        return Case(name, image, label)


@lru_cache(maxsize=64)
def section(seed: int, index: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Generate an image, float32 [*size, 1] of whole grey values 0 .. 255, and its label, uint8 [*size].

    The arrays are shared between calls and therefore read-only.
    """
    generator = np.random.default_rng([seed, index])
    side = min(size)
    grid = np.indices(size, dtype=float)
    grid += 0.01 * side * smooth_noise(generator, size, 0.12 * side, 2)  # no contour is a perfect curve
    disc, border_point = _disc(generator, grid, size)
    protrusion = np.zeros(size, bool)
    if index % 4:
        protrusion = _ball(grid, border_point, side * generator.uniform(0.03, 0.05)) & ~disc
    others = _spots(generator, grid, disc | protrusion, side)

    image = TISSUE + 18 * smooth_noise(generator, size, 0.08 * side)[0]
    image[others] = SMALL
    image[disc] = DISC
    image[protrusion] = SMALL
    image = scipy.ndimage.gaussian_filter(image + 8 * smooth_noise(generator, size, 0.03 * side)[0], 1.0)
    image = np.clip(np.rint(image + generator.normal(0, 9, size)), 0, 255).astype(np.float32)[..., np.newaxis]
    label = np.where(protrusion, 2, disc).astype(np.uint8)
    for array in (image, label):
        array.flags.writeable = False
    return image, label


def _disc(
    generator: np.random.Generator, grid: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The mask of an oblong disc somewhere around the middle, and a point on its border."""
    side = min(size)
    centre = np.array(size) / 2 + generator.uniform(-0.15, 0.15, 2) * side
    angle, turn = generator.uniform(-0.5, 0.5), generator.uniform(0, 2 * np.pi)
    half_axes = side * np.array([generator.uniform(0.08, 0.12), generator.uniform(0.18, 0.26)])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    along = np.tensordot(rotation, grid - centre[:, np.newaxis, np.newaxis], 1)
    radius = np.sqrt(((along / half_axes[:, np.newaxis, np.newaxis]) ** 2).sum(0))
    border_point = centre + rotation.T @ (half_axes * [np.sin(turn), np.cos(turn)])
    return radius < 1, border_point


def _spots(generator: np.random.Generator, grid: np.ndarray, taken: np.ndarray, side: int) -> np.ndarray:
    """Draw small objects away from the disc, of a protrusion's size and grey value."""
    far = scipy.ndimage.distance_transform_edt(~taken) > 0.1 * side
    places = np.argwhere(far)
    spots = np.zeros(taken.shape, bool)
    for place in places[generator.integers(len(places), size=5)]:
        spots |= _ball(grid, place, side * generator.uniform(0.025, 0.045))
    return spots & far


def _ball(grid: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    return ((grid - np.asarray(centre)[:, np.newaxis, np.newaxis]) ** 2).sum(0) < radius**2
