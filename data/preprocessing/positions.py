"""The position of a pixel in the whole image, as further channels: what a crop alone cannot tell a network.

The position runs from -1 at an image's first pixel to 1 at its last, along each axis. It travels with every
pixel through cropping, augmentation and tiling, and so means the same in training and in prediction.
"""

from collections.abc import Sequence

import numpy as np


def append_positions(
    image: np.ndarray, coordinates: Sequence[np.ndarray] | None = None, size: tuple[int, ...] | None = None
) -> np.ndarray:
    """An image [*crop, channels] with a channel for each axis more, float32.

    coordinates: of its pixels in the whole image, in pixels: one array for each axis, of shape [*crop] or such
        that it broadcasts. Beyond the borders the image is mirrored, and so are positions. None: it is the whole.
    size: of the whole image.
    """
    if coordinates is None or size is None:
        size = image.shape[:-1]
        coordinates = np.meshgrid(*map(np.arange, size), indexing="ij", sparse=True)
    channels = [image]
    for along, side in zip(coordinates, size, strict=True):
        last = max(side - 1, 1)
        mirrored = last - np.abs(np.mod(along, 2 * last) - last)
        position = (2 * mirrored / last - 1).astype(np.float32)
        channels.append(np.broadcast_to(position, image.shape[:-1])[..., np.newaxis])
    return np.concatenate(channels, axis=-1)
