"""Images and labels on finer or coarser grids that fill the same box: no place in the body moves.

The outer faces of the first and the last voxel stay where they are, so voxel i of `new` voxels has its centre at
(i + 1/2) * old / new - 1/2 in the old grid. For an even factor that is half-way between two voxels: there the nearest
is a tie, and whichever of the two is always taken shifts all labels by half a voxel.
"""

import numpy as np
import skimage

# Linear masks that differ by less are equal: half-way between voxels rounding would decide.
TIE = 1e-5


def resample(values: np.ndarray, size: tuple[int, ...], blur: bool = True) -> np.ndarray:
    """Values [*old size] in another grid, linear; float32 [*size].

    blur: along axes that shrink, so that no voxel in between is left out.
    """
    shrinks = any(new < old for new, old in zip(size, values.shape, strict=True))
    result = skimage.transform.resize(
        values, size, order=1, mode="edge", anti_aliasing=blur and shrinks, preserve_range=True
    )
    return result.astype(np.float32)


def resample_label(label: np.ndarray, size: tuple[int, ...], overlapping: bool = False) -> np.ndarray:
    """A label map [*old size] in another grid [*size]: the class whose mask, resampled linearly, is the largest.

    Masks are not blurred, which would wear off thin parts. Of equal masks the last class is taken: where one has to
    give way, it is the background, so that thin parts stay.

    overlapping: the label holds sets of classes, a bit each; a class is where its mask is a half or more.
    """
    result = np.zeros(size, label.dtype)
    if overlapping:
        for bit in range(int(label.max(initial=0)).bit_length()):
            flag = label.dtype.type(1 << bit)
            mask = resample(((label & flag) > 0).astype(np.float32), size, blur=False)
            result[mask >= 0.5 - TIE] |= flag
        return result
    largest = np.full(size, -1, np.float32)
    for value in np.unique(label):
        mask = resample((label == value).astype(np.float32), size, blur=False)
        wins = mask >= largest - TIE
        result[wins], largest[wins] = value, mask[wins]
    return result
