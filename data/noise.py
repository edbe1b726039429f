"""Smooth random fields: of displacements, of staining, of cell borders."""

import math

import numpy as np
import scipy


def smooth_noise(
    generator: np.random.Generator, size: tuple[int, ...], scale: float, count: int = 1
) -> np.ndarray:
    """Independent smooth random fields, float64 [count, *size].

    Standard normal values stand on the nodes of a grid, `scale` pixels apart; a cubic spline
    connects them, one axis after the other (the tensor product of Ronneberger et al. 2015,
    section 3.1, who draw displacements on a coarse grid and interpolate them bicubically).
    """
    # One node more on either side than spans the pixels: a spline swings out at its ends. (Four is
    # the fewest for a cubic one.)
    nodes = [max(4, math.ceil((length - 1) / scale) + 3) for length in size]
    field = generator.standard_normal((count, *nodes))
    for axis, length in enumerate(size, start=1):
        positions = (np.arange(field.shape[axis]) - 1) * scale
        field = scipy.interpolate.make_interp_spline(positions, field, k=3, axis=axis)(np.arange(length))
    return field
