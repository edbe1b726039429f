"""Generated volumes with exact labels, so that everything three-dimensional runs without a download.

They imitate what an MRI of one organ is like: grey values without a unit that differ from scan to scan, an
uneven coil (a smooth field of brightness), noise, tissue beside the organ that is as bright as it, thicker
slices than pixels, and two parts of the organ that differ less from each other than from what is around them.
"""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy
from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from data.formats.geometry import Geometry
from data.noise import smooth_noise
from data.source import Case
from data.sources.generated.base import Generated

# Mean grey values: air, tissue around, the organ's two parts, vessels.
AIR, TISSUE, FRONT, BACK, VESSEL = 0.05, 0.45, 0.8, 0.65, 0.75


class Blobs3d(Generated):
    """Generated volumes: background, and the front and the back part of an organ.

    Volume i is a function of `seed`, i, `size` and `spacing` alone.
    """

    things: ClassVar = "blobs"

    name: Literal["blobs3d"] = "blobs3d"
    images: PositiveInt = Field(16, description="how many volumes")
    size: tuple[Annotated[int, Field(ge=16)], ...] = Field((48, 48, 48), description="voxels along each axis")
    spacing: tuple[PositiveFloat, ...] = Field((1.0, 1.0, 1.5), description="size of the voxels in mm")

    @field_validator("size", "spacing")
    @classmethod
    def _three_axes(cls, numbers: tuple) -> tuple:
        if len(numbers) != 3:
            raise ValueError("must have three numbers")
        return numbers

    @property
    def rank(self) -> int:
        return 3

    @property
    def classes(self) -> int:
        return 3

    @property
    def class_names(self) -> tuple[str, ...]:
        return "front", "back"

    @property
    def located(self) -> bool:
        return True

    def case(self, name: str, index: int) -> Case:
        image, label = scan(self.seed, index, self.size, self.spacing)
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = -np.multiply(self.size, self.spacing) / 2
        return Case(name, image, label, None, Geometry(affine, self.size))


@lru_cache(maxsize=32)
def scan(
    seed: int, index: int, size: tuple[int, ...], spacing: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Generate a volume, float32 [*size, 1] of whole numbers, and its label, uint8 [*size].

    The arrays are shared between calls and therefore read-only.
    """
    generator = np.random.default_rng([seed, index])
    extent = np.multiply(size, spacing)  # of the volume in mm
    places = np.indices(size) * _column(spacing) - _column(extent / 2)
    places += (
        0.04 * extent.min() * smooth_noise(generator, size, 12.0, 3)
    )  # nothing in a body is an ellipsoid

    body = _ellipsoid(generator, places, np.zeros(3), 0.46 * extent) < 1
    centre = generator.uniform(-0.08, 0.08, 3) * extent
    semiaxes = generator.uniform(0.16, 0.24, 3) * extent
    organ = _ellipsoid(generator, places, centre, semiaxes) < 1
    front = organ & (places[1] > centre[1] + generator.uniform(-0.3, 0.3) * semiaxes[1])
    tissue = np.where(body, TISSUE + 0.05 * smooth_noise(generator, size, 6.0)[0], AIR)
    for _ in range(generator.integers(4, 9)):
        middle = generator.uniform(-0.35, 0.35, 3) * extent
        vessel = _ellipsoid(generator, places, middle, generator.uniform(0.03, 0.09, 3) * extent) < 1
        tissue[vessel & body] = VESSEL
    tissue[organ] = BACK
    tissue[front] = FRONT
    label = np.where(front, 1, np.where(organ, 2, 0)).astype(np.uint8)

    blurred = scipy.ndimage.gaussian_filter(
        tissue, np.divide(0.6, spacing)
    )  # the point spread of a scanner, 0.6 mm
    coil = 1 + 0.15 * smooth_noise(generator, size, 40.0)[0]
    noisy = blurred * coil + 0.06 * generator.standard_normal(size)
    scale = np.exp(generator.uniform(np.log(200), np.log(2000)))  # each scan has its own unit
    image = np.rint(np.clip(noisy, 0, None) * scale).astype(np.float32)[..., np.newaxis]
    for array in (image, label):
        array.flags.writeable = False
    return image, label


def _ellipsoid(
    generator: np.random.Generator, places: np.ndarray, centre: np.ndarray, semiaxes: np.ndarray
) -> np.ndarray:
    """A field [*size] that is below 1 inside an ellipsoid, which is turned a little."""
    turn = np.linalg.qr(np.eye(3) + 0.3 * generator.standard_normal((3, 3)))[0]
    rotated = np.tensordot(turn, places - _column(centre), 1)
    return np.sqrt(np.sum((rotated / _column(semiaxes)) ** 2, axis=0))


def _column(numbers: np.ndarray | tuple[float, ...]) -> np.ndarray:
    return np.reshape(numbers, (3, 1, 1, 1))
