"""Random crops and random changes of training samples, in two and three dimensions."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import scipy

from data.labels.label_maps import is_class
from data.noise import smooth_noise
from data.preprocessing.borders import reflected
from data.preprocessing.positions import append_positions
from data.settings import OFF, Augmentation, Change


def random_corner(size: tuple[int, ...], crop: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """The first pixel of a crop anywhere in an image; negative along axes where the image is smaller."""
    room = np.subtract(size, crop)
    return generator.integers(np.minimum(room, 0), np.maximum(room, 0), endpoint=True)


def corner_around(
    pixel: tuple[int, ...], size: tuple[int, ...], crop: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    """The first pixel of a crop with `pixel` near its middle, as far inside of the image as it can be.

    The pixel lies up to a quarter of the crop away from its middle: a class always in the middle would
    teach the network that it is always there.
    """
    crop_size, room = np.array(crop), np.subtract(size, crop)
    corner = (
        np.array(pixel)
        - crop_size // 2
        + generator.integers(-(crop_size // 4), crop_size // 4, endpoint=True)
    )
    return np.clip(corner, np.minimum(room, 0), np.maximum(room, 0))


def augment(
    image: np.ndarray,
    label: np.ndarray,
    corner: np.ndarray,
    crop: tuple[int, ...],
    settings: Augmentation,
    generator: np.random.Generator,
    spacing: tuple[float, ...] | None = None,
    positions: bool = False,
    overlapping: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """A crop of a case, randomly changed.

    image: normalised (mean 0, standard deviation 1), float32 [*size, channels].
    label: class indices [*size].
    corner: first pixel of the crop. Beyond the borders the image and its label are mirrored, so no pixel there
        counts as background that is none.
    spacing: distance between pixels along each axis, in any unit: angles are angles in the body.
    positions: append the pixels' positions in the whole image as channels.
    overlapping: the label holds sets of classes. A set is resampled as if it were a class.
    Returns the image, float32 [*crop, channels], and the label [*crop].

    All geometry is one resampling: image linear, label nearest or linear.
    Without rotation, scaling, shift and elastic deformation the pixels are those of the image, exactly.
    Geometry is drawn before intensity, so the same seed cuts the same crops with noise or without.
    """
    rank = len(crop)
    flippable = range(rank) if settings.flip_axes is None else settings.flip_axes
    flipped = (generator.random(rank) < settings.flips) & np.isin(np.arange(rank), flippable)
    if settings.flip_or_shift and generator.random() < 0.5:
        settings = settings.model_copy(update={"shift": OFF})
    elif settings.flip_or_shift:
        flipped[:] = False
    coordinates = _coordinates(corner, flipped, crop, settings, generator, spacing or (1.0,) * rank)
    if coordinates is None:
        grid = [
            (start + np.arange(side))[:: -1 if flip else 1]
            for start, side, flip in zip(corner, crop, flipped, strict=True)
        ]
        window = np.ix_(*[reflected(line, side) for line, side in zip(grid, label.shape, strict=True)])
        crop_of_image, crop_of_label = image[window], label[window]
        places = np.meshgrid(*grid, indexing="ij", sparse=True)
    else:
        places = tuple(coordinates)
        crop_of_image = _resample(image, coordinates)
        crop_of_label = _resample_label(label, coordinates, settings.label_interpolation)
    if flipped[0]:
        crop_of_label = _swap(crop_of_label, settings.swap_labels, overlapping)
    result = _change_intensity(crop_of_image, settings, generator)
    if positions:
        result = append_positions(result, places, label.shape)
    return result, np.ascontiguousarray(crop_of_label)


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


def _happens(change: Change, generator: np.random.Generator) -> bool:
    """True if a change happens to this sample. A change that always happens draws nothing."""
    return bool(change) and (change.probability == 1 or generator.random() < change.probability)


def _coordinates(
    corner: np.ndarray,
    flipped: np.ndarray,
    crop: tuple[int, ...],
    settings: Augmentation,
    generator: np.random.Generator,
    spacing: tuple[float, ...],
) -> np.ndarray | None:
    """The place in the image of each pixel of the crop: [rank, *crop], in pixels; None: crop and flip alone.

    The content of the crop is flipped, then rotated and scaled about the crop's centre, then
    shifted and deformed. Coordinates lead from the output back to the image: the inverses, last one first.
    """
    rank = len(crop)
    rotates, scales, shifts, bends = (
        _happens(change, generator)
        for change in (settings.rotation, settings.scaling, settings.shift, settings.elastic)
    )
    if not (rotates or scales or shifts or bends):
        return None
    planes = rank * (rank - 1) // 2
    angles = np.deg2rad(settings.rotation.amount) * generator.uniform(-1.0, 1.0, planes) * rotates
    scale = 1.0 + settings.scaling.amount * generator.uniform(-1.0, 1.0) * scales
    shift = settings.shift.amount * generator.uniform(-1.0, 1.0, rank) * shifts
    if settings.shift_axes is not None:
        shift *= np.isin(np.arange(rank), settings.shift_axes)
    column = (rank, *[1] * rank)

    centre = (np.array(crop) - 1) / 2
    positions = np.indices(crop) - (centre + shift).reshape(column)
    if bends:
        # Ronneberger et al. 2015, section 3.1: normal on a coarse grid, cubic in between.
        displacement = smooth_noise(generator, crop, settings.elastic_scale, rank)
        positions += settings.elastic.amount * displacement
    flip = np.diag(np.where(flipped, -1.0, 1.0))
    # The transpose of a rotation is its inverse, and a flip is its own. Rotations are of the body, not of its
    # voxels, which may be oblong.
    to_body, to_voxels = np.diag(spacing), np.diag(1 / np.array(spacing))
    backwards = flip @ to_voxels @ rotation_matrix(angles.tolist(), rank).T @ to_body / scale
    return np.tensordot(backwards, positions, 1) + (corner + centre).reshape(column)


def _resample(image: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """The image [*size, channels] at coordinates [rank, *crop], linear."""
    channels = [
        scipy.ndimage.map_coordinates(image[..., channel], coordinates, order=1, mode="mirror")
        for channel in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def _resample_label(label: np.ndarray, coordinates: np.ndarray, interpolation: str) -> np.ndarray:
    """The label [*size] at coordinates [rank, *crop]: the nearest, or the class with the largest linear mask."""
    if interpolation == "nearest":
        return scipy.ndimage.map_coordinates(label, coordinates, order=0, mode="mirror")
    classes = np.unique(label)
    masks = [
        scipy.ndimage.map_coordinates(
            (label == value).astype(np.float32), coordinates, order=1, mode="mirror"
        )
        for value in classes
    ]
    return classes[np.argmax(masks, axis=0)]


def _swap(label: np.ndarray, pairs: tuple[tuple[int, int], ...], overlapping: bool) -> np.ndarray:
    """Swap left and right."""
    swapped = label.copy()
    for left, right in pairs:
        if overlapping:  # where there is one of the two, both bits change
            one = is_class(label, left, True) != is_class(label, right, True)
            swapped[one] ^= label.dtype.type(1 << (left - 1) | 1 << (right - 1))
        else:
            swapped[label == left], swapped[label == right] = right, left
    return swapped


def _change_intensity(
    image: np.ndarray, settings: Augmentation, generator: np.random.Generator
) -> np.ndarray:
    """Blur and loss of resolution, as of the scanner; contrast, brightness and gamma, as of its settings; noise.

    All channels change together, which keeps the colours of colour images; `channel_offset` alone tells them
    apart. Returns contiguous float32.
    """

    def change(
        kind: Change, apply: Callable[[np.ndarray, float], np.ndarray], image: np.ndarray
    ) -> np.ndarray:
        return apply(image, kind.amount) if _happens(kind, generator) else image

    uniform, normal = generator.uniform, generator.standard_normal
    image = change(settings.blur, lambda x, most: _blur(x, uniform(0, most)), image)
    image = change(settings.low_resolution, lambda x, most: _coarsen(x, 1 - uniform(0, most)), image)
    image = change(settings.contrast, lambda x, most: x * np.float32(1 + most * uniform(-1, 1)), image)
    image = change(settings.brightness, lambda x, sd: x + np.float32(sd * normal()), image)
    image = change(
        settings.channel_offset, lambda x, sd: x + np.float32(sd) * normal(x.shape[-1], np.float32), image
    )
    image = change(settings.gamma, lambda x, most: _gamma(x, (1 + most) ** uniform(-1, 1)), image)
    image = change(settings.noise, lambda x, sd: x + np.float32(sd) * normal(x.shape, np.float32), image)
    return np.ascontiguousarray(image, dtype=np.float32)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur along the spatial axes."""
    return scipy.ndimage.gaussian_filter(image, sigma, axes=tuple(range(image.ndim - 1)))


def _coarsen(image: np.ndarray, resolution: float) -> np.ndarray:
    """The image as if scanned with a share of the resolution: nearest pixels down, linear up again."""
    size = image.shape[:-1]
    coarse = [max(2, round(side * resolution)) / side for side in size]
    channels = []
    for channel in np.moveaxis(image, -1, 0):
        small = scipy.ndimage.zoom(channel, coarse, order=0, grid_mode=True, mode="nearest")
        back = np.divide(size, small.shape)
        channels.append(scipy.ndimage.zoom(small, back, order=1, grid_mode=True, mode="nearest"))
    return np.stack(channels, axis=-1)


def _gamma(image: np.ndarray, power: float) -> np.ndarray:
    """Grey values to a power, between their extremes, which stay; mean and deviation stay, too."""
    low, high = image.min(), image.max()
    if high == low:
        return image
    changed = ((image - low) / (high - low)) ** np.float32(power)
    deviation = max(float(changed.std()), 1e-7)
    return (changed - changed.mean()) / deviation * image.std() + image.mean()
