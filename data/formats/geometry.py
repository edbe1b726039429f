"""The place of a volume's voxels in the patient: affine, spacing, orientation.

An affine is float64 [4, 4], from voxel indices (i, j, k, 1) to millimetres (x, y, z, 1). As in NIfTI, x grows
towards the patient's Right, y towards Anterior and z towards Superior (RAS+).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UserError

if TYPE_CHECKING:
    import nibabel as nib

# Affines that differ by less are the same: by a part of a voxel, as headers round spacings, and by a part of the
# coordinates, which they hold in float32, and some as a rotated quaternion.
TOLERANCE_VOXELS = 0.05
TOLERANCE_FLOAT32 = 1e-6
# The slices that are across each axis of the patient: Right, Anterior, Superior.
PLANES = ("sagittal", "coronal", "axial")
# The orientation of an array whose axes grow towards Right, Anterior, Superior, as nibabel writes it: each axis of the
# array is that of the patient with the same number, the same way round.
RAS = np.array([[axis, 1.0] for axis in range(3)])
# Cosine between two voxel axes above which they are not at right angles (one degree).
MAX_SHEAR = np.sin(np.deg2rad(1.0))


@dataclass(frozen=True)
class Geometry:
    """The order in which a file stores a volume, and that in which the project sees it.

    The project turns every volume so that its axes are as close as whole axes can be to Right, Anterior and
    Superior. That moves voxels and changes none; `restore` undoes it for what is written back.

    stored: affine [4, 4] of the voxels in the order of the file, in mm whatever the unit of the file.
    size: voxels along each axis of the file.
    header: the NIfTI header of the file, None if it had none.
    slice_axis: the axis of the file along which the slices of its acquisition follow each other.
    padding: bool [*size as the project sees it]: voxels that hold no measurement; None if all do.
    """

    stored: np.ndarray
    size: tuple[int, ...]
    header: nib.Nifti1Header | None = None
    slice_axis: int = 2
    padding: np.ndarray | None = None

    @property
    def affine(self) -> np.ndarray:
        """Affine [4, 4] of the voxels as the project sees them."""
        return self.stored @ _orientations().inv_ornt_aff(self._turns, self.size)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring voxels along each axis as the project sees it, in mm."""
        return tuple(np.linalg.norm(self.affine[:3, :3], axis=0).tolist())

    def canonical(self, array: np.ndarray) -> np.ndarray:
        """An array [*size of the file, ...] with its axes turned towards Right, Anterior, Superior."""
        return _orientations().apply_orientation(array, self._turns)

    def restore(self, array: np.ndarray) -> np.ndarray:
        """The inverse of `canonical`: an array in the order of the file."""
        back = _orientations().ornt_transform(RAS, self._turns)
        return _orientations().apply_orientation(array, back)

    def plane(self, axis: int) -> str:
        """The name of the slices across an axis of the file: 'axial', or the nearest to it."""
        return PLANES[int(self._turns[axis, 0])]

    def axis_across(self, plane: str) -> int:
        """The axis of the file across slices of this name."""
        return next(axis for axis in range(3) if self.plane(axis) == plane)

    def slices(self, array: np.ndarray, axis: int) -> np.ndarray:
        """An array [*size as the project sees it, ...] as a stack of slices [slices, rows, columns, ...].

        The slices lie across `axis` of the file, with rows and columns as the file stores them: along a row its axis
        of lower number, as in DICOM and NIfTI, so that they are the pages that a TIFF of the same slices would have.
        """
        return np.transpose(self.restore(array), (*_slice_order(axis), *range(3, array.ndim)))

    def from_slices(self, slices: np.ndarray, axis: int) -> np.ndarray:
        """The inverse of `slices`."""
        back = np.argsort(_slice_order(axis))
        return self.canonical(np.transpose(slices, (*back, *range(3, slices.ndim))))

    @property
    def _turns(self) -> np.ndarray:
        return _orientations().io_orientation(self.stored)


def _slice_order(axis: int) -> tuple[int, int, int]:
    """The axes of a file in the order slice, row, column."""
    column, row = (other for other in range(3) if other != axis)
    return axis, row, column


def _orientations() -> ModuleType:
    """nibabel's arithmetic of axes, imported when the first volume is turned: settings are validated without it."""
    from nibabel import orientations

    return orientations


def check_affine(affine: np.ndarray, path: Path) -> None:
    """Refuse an affine that does not describe a grid of boxes: not finite, flat, or sheared. Raises UserError."""
    directions = affine[:3, :3]
    spacing = np.linalg.norm(directions, axis=0)
    if not np.isfinite(affine).all() or spacing.min() < 1e-6:
        raise UserError(
            f"{path}: the header gives no voxel spacing (its affine is {np.array2string(affine)}). "
            "Export the volume again from its source."
        )
    cosines = (directions / spacing).T @ (directions / spacing) - np.eye(3)
    if np.abs(cosines).max() > MAX_SHEAR:
        raise UserError(
            f"{path}: the voxel axes are not at right angles (a sheared affine, such as that of a tilted CT "
            "gantry), so there is no voxel spacing. Resample the volume to a rectangular grid first."
        )


def same_place(first: np.ndarray, second: np.ndarray, size: tuple[int, ...]) -> bool:
    """True if two affines [4, 4] put all voxels of a volume of `size` at the same places."""
    corners = np.stack(np.meshgrid(*[(0, side - 1) for side in size], [1], indexing="ij"), -1).reshape(-1, 4)
    distances = np.linalg.norm(corners @ (first - second).T, axis=1)
    spacing = np.linalg.norm(first[:3, :3], axis=0).min()
    largest = np.abs(corners @ first.T).max()
    return bool(distances.max() <= TOLERANCE_VOXELS * spacing + TOLERANCE_FLOAT32 * largest)


def in_grid_of(array: np.ndarray, geometry: Geometry, target: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """An array [*size of its file] with its axes in the order and direction of another file, and its affine there.

    The two files are compared with each other, not with the patient's axes: near 45 degrees the last digit decides
    which of these is the nearest, and files of the same voxels might be turned differently.
    """
    orientations = _orientations()
    turns = orientations.io_orientation(np.linalg.inv(target.stored) @ geometry.stored)
    turned = orientations.apply_orientation(array, turns)
    return turned, geometry.stored @ orientations.inv_ornt_aff(turns, geometry.size)
