"""The region of interest: a window around the largest object of an image, enlarged to the image's size.

Small objects on a large one are looked at twice: in the whole image, and in this window, where they are larger.
"""

from dataclasses import dataclass

import numpy as np
import scipy
import skimage
from pydantic import Field, NonNegativeInt, PositiveInt

from data.preprocessing.borders import reflected
from data.settings import Settings


class Regions(Settings):
    """The rule for the region cut out of an image, and the classes that are looked for in it."""

    classes: PositiveInt = Field(
        1, description="how many of the data's classes, the last ones, are looked for in the region, too"
    )
    margin: NonNegativeInt = Field(
        20, description="pixels around the largest object that belong to its region"
    )
    masked: bool = Field(
        False,
        description="in the region, pixels that belong to no object are 0, which is the mean grey value",
    )


def images(region: Regions | None) -> int:
    """The images that an input holds beside each other as channels: the whole, and its region if there is one."""
    return 2 if region else 1


@dataclass(frozen=True)
class Window:
    """A part of an image, which may reach beyond its borders. start, sides: in pixels, along each axis."""

    start: tuple[int, ...]
    sides: tuple[int, ...]

    def cut(self, values: np.ndarray) -> np.ndarray:
        """The part of an image [*size, channels], which is continued by its reflection: [*sides, channels]."""
        lines = [
            reflected(np.arange(first, first + side), length)
            for first, side, length in zip(self.start, self.sides, values.shape, strict=False)
        ]
        return values[np.ix_(*lines)]

    def enlarged(self, values: np.ndarray) -> np.ndarray:
        """The part of an image [*size, channels] in the size of the image, linear."""
        return _resize(self.cut(values), values.shape[:-1], order=1)

    def enlarged_masks(self, masks: np.ndarray) -> np.ndarray:
        """The part of masks [*size, classes] in the size of the image: each pixel the nearest one's."""
        return _resize(self.cut(masks), masks.shape[:-1], order=0)

    def pasted(self, values: np.ndarray) -> np.ndarray:
        """The enlarged part [*size, channels] put back where it belongs in the image; 0 elsewhere."""
        small = _resize(values, self.sides, order=1)
        whole = np.zeros_like(values)
        inside, of_part = [], []
        for first, side, length in zip(self.start, self.sides, values.shape, strict=False):
            begin, end = max(first, 0), min(first + side, length)
            inside.append(slice(begin, end))
            of_part.append(slice(begin - first, end - first))
        whole[tuple(inside)] = small[tuple(of_part)]
        return whole


def largest_object(masks: np.ndarray) -> np.ndarray:
    """The largest connected set of pixels that have a class, bool [*size]; all False if there are none.

    masks: of the classes without the background, [*size, classes], true or above 0.5.
    """
    objects, count = scipy.ndimage.label((masks > 0.5).any(-1))
    if count == 0:
        return np.zeros(objects.shape, bool)
    return objects == 1 + np.argmax(np.bincount(objects.ravel())[1:])


def window_around(found: np.ndarray, margin: int) -> Window:
    """The window around an object [*size], in the middle of it and with the image's ratio of sides.

    The sides are twice as long as from the middle of the object to its farthest side and `margin` pixels more; so
    the window of a square image is a square. Without an object it is the whole image.
    """
    size = np.array(found.shape)
    if not found.any():
        return Window((0,) * found.ndim, found.shape)
    (box,) = scipy.ndimage.find_objects(found.astype(np.uint8))
    first, last = np.array([part.start for part in box]), np.array([part.stop for part in box])
    middle = (first + last) // 2
    half = np.maximum(last - middle, middle - first) + margin
    half = (-(-np.multiply.outer(size, half) // size)).max(-1)  # rounded up, of the axis that needs the most
    return Window(tuple((middle - half).tolist()), tuple((2 * half).tolist()))


def region_of(image: np.ndarray, masks: np.ndarray, settings: Regions) -> tuple[np.ndarray, Window]:
    """The image's region around the largest object in `masks`, as large as the image; and where it is.

    image: [*size, channels], normalised. masks: of the classes without the background, [*size, classes].
    """
    found = largest_object(masks)
    window = window_around(found, settings.margin)
    if settings.masked:
        image = image * found[..., np.newaxis]
    return window.enlarged(image), window


def beside_region(image: np.ndarray, target: np.ndarray, settings: Regions) -> tuple[np.ndarray, np.ndarray]:
    """A training sample with its known region, which is put beside it as further channels.

    image: [*size, channels]. target: masks of the classes without the background, [*size, classes].
    Returns the image, [*size, 2 * channels], and the target, whose further classes are those of the region.
    """
    region, window = region_of(image, target, settings)
    small = window.enlarged_masks(target[..., -settings.classes :])
    return np.concatenate([image, region], axis=-1), np.concatenate([target, small], axis=-1)


def _resize(values: np.ndarray, size: tuple[int, ...], order: int) -> np.ndarray:
    """Resize [*old size, channels] to [*size, channels] in the values' own type; blurred first where it shrinks."""
    shrinks = order == 1 and any(new < old for new, old in zip(size, values.shape, strict=False))
    result = skimage.transform.resize(
        values, size, order=order, mode="edge", anti_aliasing=shrinks, preserve_range=True
    )
    return result.astype(values.dtype)
