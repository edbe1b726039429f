"""Thin lines and their blurred copies: targets that also tell how near a line is, and forgive a pixel's shift."""

import numpy as np
import scipy

# Pixels along each axis. OpenCV's GaussianBlur has these weights for the first two, and for larger ones a Gaussian.
SIDES = (3, 7, 15)
_WEIGHTS = {3: (0.25, 0.5, 0.25), 7: (0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125)}


def soften(masks: np.ndarray, numbers: tuple[int, ...]) -> np.ndarray:
    """Masks [*size, classes] and, behind them, copies of the classes `numbers` (from 1) with each of `SIDES`.

    Returns float32 [*size, classes + len(SIDES) * len(numbers)].
    """
    masks = masks.astype(np.float32)
    copies = [_blur(masks[..., number - 1], side) for number in numbers for side in SIDES]
    return np.concatenate([masks, *(copy[..., np.newaxis] for copy in copies)], axis=-1)


def weights(side: int) -> np.ndarray:
    """The weights [side] of a Gaussian, which add up to 1."""
    if side in _WEIGHTS:
        return np.array(_WEIGHTS[side])
    deviation = 0.3 * ((side - 1) / 2 - 1) + 0.8
    values = np.exp(-((np.arange(side) - (side - 1) / 2) ** 2) / (2 * deviation**2))
    return values / values.sum()


def _blur(mask: np.ndarray, side: int) -> np.ndarray:
    for axis in range(mask.ndim):
        mask = scipy.ndimage.correlate1d(mask, weights(side), axis, mode="mirror")
    return mask
