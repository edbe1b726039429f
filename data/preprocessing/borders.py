"""The reflection of an image at its borders, for pixels that are needed beyond them."""

import numpy as np


def mirror(array: np.ndarray, padding: list[tuple[int, int]]) -> np.ndarray:
    """Continue an image [*size, channels] or a label [*size] by reflection at its borders.

    padding: pixels (before, after) on every spatial axis. The border pixel itself is not repeated,
    except in images one pixel wide; padding beyond the image's size reflects again.
    """
    channels = [(0, 0)] * (array.ndim - len(padding))
    return np.pad(array, [*padding, *channels], mode="reflect")


def reflected(indices: np.ndarray, side: int) -> np.ndarray:
    """Indices along an axis of `side` pixels, those beyond 0 .. side - 1 as `mirror` would find them."""
    period = max(2 * (side - 1), 1)
    folded = np.abs(indices) % period
    return np.minimum(folded, period - folded) if side > 1 else np.zeros_like(indices)
