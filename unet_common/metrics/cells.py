"""The cells in a map of membrane probability: connected components and watershed."""

from typing import Literal

import numpy as np
from skimage.measure import label
from skimage.segmentation import watershed

# Two cells that touch at a corner only are two cells: the ISBI 2012 evaluation uses 4 neighbours,
# which in 3D are the 6 that share a face. scikit-image calls both "connectivity 1".
CONNECTIVITY = 1


def connected_cells(probability: np.ndarray, threshold: float, minimum_size: int = 0) -> np.ndarray:
    """Connected components of what is not membrane.

    Args:
        probability: [*size] membrane probability, 2D or 3D.
        threshold: a pixel belongs to a cell where its probability is below this.
        minimum_size: components of fewer pixels are counted as membrane.

    Returns:
        [*size] int32: 0 where there is membrane, 1.. for the cells.
    """
    cells = label(probability < threshold, connectivity=CONNECTIVITY).astype(np.int32)
    if minimum_size > 1:
        large = np.bincount(cells.ravel()) >= minimum_size
        large[0] = False  # label 0 is the membrane, however much of it there is
        renumbered = np.where(large, np.cumsum(large), 0).astype(np.int32)
        cells = renumbered[cells]
    return cells


def thin_borders(cells: np.ndarray, relief: np.ndarray | None = None, line: bool = True) -> np.ndarray:
    """Let the cells grow into the membranes between them until they meet.

    Args:
        cells: [*size] labels, 0 is membrane.
        relief: [*size] height of the membranes. The cells flood low pixels first and meet on the
            ridge. None: all membrane is equally high, the cells grow at the same speed and meet
            half-way, as in the ISBI 2012 evaluation.
        line: keep a line of one pixel, label 0, where two cells meet; otherwise no pixel is 0
            (unless there are no cells at all).

    Returns:
        [*size] int32 labels, the same as in `cells`.
    """
    if relief is None:
        relief = np.zeros(cells.shape, np.uint8)
    flooded = watershed(relief, cells, connectivity=CONNECTIVITY, watershed_line=line)
    return flooded.astype(np.int32)


def segments_from_membranes(
    probability: np.ndarray,
    threshold: float = 0.5,
    borders: Literal["thick", "thin", "none"] = "thin",
    minimum_size: int = 0,
) -> np.ndarray:
    """Cells from membrane probabilities: seeds where it is low, then watershed up to the ridges.

    A lower threshold asks more of a seed: gaps in a membrane close and cells that would leak into
    each other stay apart, until small cells lose their seed and are swallowed by a neighbour.

    Args:
        probability: [*size] membrane probability in 0..1, 2D or 3D.
        threshold: seeds are the connected components of lower probability.
        borders: what is left between two cells: "thick" all pixels above the threshold (no
            watershed), "thin" one pixel, "none" nothing.
        minimum_size: seeds of fewer pixels are dropped.

    Returns:
        [*size] int32: 0 for border, 1.. for the cells.
    """
    cells = connected_cells(probability, threshold, minimum_size)
    if borders == "thick":
        return cells
    return thin_borders(cells, relief=probability, line=borders == "thin")
