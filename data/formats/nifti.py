"""The reader and the writer of NIfTI volumes, .nii and .nii.gz, with nibabel."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import UserError
from data.files import replacing
from data.formats.geometry import Geometry, check_affine

SUFFIXES = (".nii", ".nii.gz")


def is_nifti(path: Path) -> bool:
    """True for a NIfTI file, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def read_nifti(path: Path) -> tuple[np.ndarray, Geometry]:
    """The values [*size, channels] of a file, scaled as its header says, and where they lie.

    A file with four axes is a volume with channels. Whole numbers without scaling keep their type; scaled values
    are float32, so that no slope or intercept can overflow an integer.
    Raises UserError, with the path, if the file is missing, damaged, cut off, empty, of another number of axes,
    without a spacing, or sheared.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file.")
    import nibabel as nib

    try:
        file: Any = nib.load(path)  # its declared type has no voxels
        slope, intercept = file.dataobj.slope, file.dataobj.inter
        whole = file.get_data_dtype().kind in "iu" and (slope, intercept) == (1, 0)
        values = np.asarray(file.dataobj) if whole else file.get_fdata(dtype=np.float32, caching="unchanged")
    # What a damaged file makes nibabel and zlib raise depends on the byte.
    except (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        gzip.BadGzipFile,
        nib.filebasedimages.ImageFileError,
    ) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path}: cannot be read as NIfTI ({reason}). The file is damaged or was not copied completely."
        ) from error
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]  # a time axis of one point
    if values.ndim not in (3, 4):
        raise UserError(
            f"{path}: has the axes {values.shape}; a volume has three, and a fourth for channels."
        )
    if not values.size:
        raise UserError(f"{path}: an axis has no voxels (size {values.shape}).")
    affine = np.asarray(file.affine, np.float64)
    check_affine(affine, path)
    geometry = Geometry(affine, tuple(values.shape[:3]), file.header.copy())
    return values if values.ndim == 4 else values[..., np.newaxis], geometry


def write_nifti(path: Path, values: np.ndarray, geometry: Geometry) -> Path:
    """Write a volume [*size] or [*size, channels] as the project sees it, in the order and header of its origin.

    Label maps (whole numbers) get the integer type of the origin if that is one and holds them, else the smallest
    unsigned type that does; fractions become float32. Written atomically; returns the path.
    """
    import nibabel as nib

    values = geometry.restore(values)
    header = geometry.header.copy() if geometry.header is not None else nib.Nifti1Header()
    if values.dtype.kind in "iub":
        values = values.astype(_label_type(header.get_data_dtype(), int(values.max(initial=0))))
    else:
        values = values.astype(np.float32)
    header.set_data_dtype(values.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0  # the origin's window would hide labels in a viewer
    image = nib.Nifti1Image(values, geometry.stored, header)
    if geometry.header is None:
        image.set_qform(geometry.stored, code=1)
        image.header.set_xyzt_units("mm")
    with replacing(path) as temporary:
        nib.save(image, temporary)
    return path


def _label_type(stored: np.dtype, largest: int) -> np.dtype:
    if stored.kind in "iu" and largest <= np.iinfo(stored).max:
        return stored.newbyteorder("=")
    return np.min_scalar_type(largest)
