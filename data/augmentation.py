"""Random crops and random changes of training samples, in two and three dimensions."""

from itertools import combinations

import numpy as np
from scipy.ndimage import map_coordinates

from data.noise import smooth_noise
from data.settings import Augmentation


def augment(
    image: np.ndarray,
    label: np.ndarray,
    crop: tuple[int, ...],
    settings: Augmentation,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """A random crop of a case, randomly changed.

    image: normalised (mean 0, standard deviation 1), float32 [*size, channels], at least as large
        as the crop. label: class indices [*size].
    Returns the image, float32 [*crop, channels], and the label [*crop].

    All geometry is one resampling: image linear, label nearest, mirrored beyond the borders.
    Without rotation, scaling and elastic deformation the pixels are those of the image, exactly.
    Geometry is drawn before intensity, so the same seed cuts the same crops with noise or without.
    """
    room = np.subtract(label.shape, crop)
    corner = generator.integers(0, room, endpoint=True)
    flipped = generator.random(len(crop)) < (0.5 if settings.flips else 0.0)
    if settings.rotation or settings.scaling or settings.elastic:
        coordinates = _coordinates(corner, flipped, crop, settings, generator)
        image, label = _resample(image, label, coordinates)
    else:
        window = tuple(slice(c, c + n) for c, n in zip(corner.tolist(), crop, strict=True))
        axes = tuple(np.flatnonzero(flipped).tolist())
        image, label = np.flip(image[window], axes), np.flip(label[window], axes)
    return _change_intensity(image, settings, generator), np.ascontiguousarray(label)


def rotation_matrix(angles: list[float], rank: int) -> np.ndarray:
    """Rotation [rank, rank] by angles in radians, one for each plane of two axes in turn.

    The planes are (0, 1) in two dimensions and (0, 1), (0, 2), (1, 2) in three. A positive angle
    turns the first axis of the plane towards the second.
    """
    matrix = np.eye(rank)
    for angle, (first, second) in zip(angles, combinations(range(rank), 2), strict=True):
        plane = np.eye(rank)
        plane[[first, second], [first, second]] = np.cos(angle)
        plane[second, first], plane[first, second] = np.sin(angle), -np.sin(angle)
        matrix = plane @ matrix
    return matrix


def _coordinates(
    corner: np.ndarray,
    flipped: np.ndarray,
    crop: tuple[int, ...],
    settings: Augmentation,
    generator: np.random.Generator,
) -> np.ndarray:
    """Where in the image each pixel of the crop comes from: [rank, *crop], in pixels.

    The content of the crop is flipped, then rotated and scaled about the crop's centre, then
    deformed. Coordinates lead from the output back to the image: the inverses, last one first.
    """
    rank = len(crop)
    planes = rank * (rank - 1) // 2
    angles = np.deg2rad(settings.rotation) * generator.uniform(-1.0, 1.0, planes)
    scale = 1.0 + settings.scaling * generator.uniform(-1.0, 1.0)
    column = (rank, *[1] * rank)

    centre = (np.array(crop) - 1) / 2
    positions = np.indices(crop) - centre.reshape(column)
    if settings.elastic:
        # Ronneberger et al. 2015, section 3.1: normal on a coarse grid, cubic in between.
        displacement = smooth_noise(generator, crop, settings.elastic_scale, rank)
        positions += settings.elastic * displacement
    flip = np.diag(np.where(flipped, -1.0, 1.0))
    # The transpose of a rotation is its inverse, and a flip is its own.
    backwards = flip @ rotation_matrix(angles.tolist(), rank).T / scale
    return np.tensordot(backwards, positions, 1) + (corner + centre).reshape(column)


def _resample(image: np.ndarray, label: np.ndarray, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image, linear, and the label, nearest, at coordinates [rank, *crop]."""
    channels = [
        map_coordinates(image[..., channel], coordinates, order=1, mode="mirror")
        for channel in range(image.shape[-1])
    ]
    label = map_coordinates(label, coordinates, order=0, mode="mirror")
    return np.stack(channels, axis=-1), label


def _change_intensity(
    image: np.ndarray, settings: Augmentation, generator: np.random.Generator
) -> np.ndarray:
    """Contrast about the mean, brightness and pixel noise; contiguous float32.

    All channels change together, which keeps the colours of colour images.
    """
    if settings.contrast:
        image = image * np.float32(1.0 + settings.contrast * generator.uniform(-1.0, 1.0))
    if settings.brightness:
        image = image + np.float32(settings.brightness * generator.standard_normal())
    if settings.noise:
        noise = generator.standard_normal(image.shape, dtype=np.float32)
        image = image + np.float32(settings.noise) * noise
    return np.ascontiguousarray(image, dtype=np.float32)
