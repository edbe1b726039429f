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

# Millimetres in the units of length that a header may name, `xyzt_units` modulo 8: metre, millimetre, micron. Where it
# names none, which is frequent, NIfTI's own is meant: the millimetre.
MILLIMETRES = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}

DAMAGED = "The file is damaged or was not copied completely."

# An axis whose voxels are longer than all others by less than this is not: spacings are rounded.
LONGER = 1.01


def is_nifti(path: Path) -> bool:
    """True for a NIfTI file, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def read_nifti(path: Path) -> tuple[np.ndarray, Geometry]:
    """The values [*size, channels] of a file, scaled as its header says, and where they lie.

    A file with four axes is a volume with channels. Whole numbers without scaling keep their type; scaled values
    are float32, so that no slope or intercept can overflow an integer. Lengths are in mm, whatever the file's unit.
    Raises UserError, with the path, if the file is missing, damaged, cut off, empty, of another number of axes,
    without a spacing, sheared, or if its values are not one real number a voxel.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file.")
    import nibabel as nib

    try:
        file: Any = nib.load(path)  # its declared type has no voxels
        stored = file.get_data_dtype()
        if stored.kind not in "biuf":
            kind = "complex numbers" if stored.kind == "c" else "colours or other records"
            raise UserError(
                f"{path}: its voxels are {kind} ({stored}), but a volume holds one real number a voxel. Convert it, "
                "for example to magnitudes or grey values; numbers beside each other belong on the fourth axis."
            )
        slope, intercept = file.dataobj.slope, file.dataobj.inter
        whole = stored.kind in "iu" and (slope, intercept) == (1, 0)
        values = np.asarray(file.dataobj) if whole else file.get_fdata(dtype=np.float32, caching="unchanged")
    # What a damaged file makes nibabel and zlib raise depends on the byte.
    except (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        gzip.BadGzipFile,
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
    ) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path}: {_misnamed(path) or f'cannot be read as NIfTI ({reason}). {DAMAGED}'}"
        ) from error
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]  # a time axis of one point
    if values.ndim not in (3, 4):
        raise UserError(
            f"{path}: has the axes {values.shape}; a volume has three, and a fourth for channels."
        )
    if not values.size:
        raise UserError(f"{path}: an axis has no voxels (size {values.shape}).")
    if file.header["sform_code"] == 0:
        lengths = _header_as_stored(path, file.header)["pixdim"][1:4]
        if not (np.isfinite(lengths).all() and lengths.all()):  # nibabel reads 1 mm in their place
            raise UserError(
                f"{path}: the header gives no voxel spacing (pixdim is {_by(lengths)}). Export the volume again from "
                "its source, or write the true spacing into the header."
            )
    unit = int(file.header["xyzt_units"]) % 8
    if unit not in MILLIMETRES:
        raise UserError(
            f"{path}: the header gives a unit of length that NIfTI does not have (code {unit}): spacing is unknown. "
            "Write the true one into the header (xyzt_units: 1 metre, 2 mm, 3 micron)."
        )
    affine = np.asarray(file.affine, np.float64)
    affine = np.diag([*[MILLIMETRES[unit]] * 3, 1.0]) @ affine
    check_affine(affine, path)
    size = tuple(values.shape[:3])
    geometry = Geometry(affine, size, file.header.copy(), _slice_axis(affine, size, file.header))
    return values if values.ndim == 4 else values[..., np.newaxis], geometry


def _header_as_stored(path: Path, header: Any) -> Any:
    """The header without nibabel's repairs: it takes a spacing of 0 for 1."""
    from nibabel.openers import ImageOpener

    with ImageOpener(str(path)) as file:
        return type(header).from_fileobj(file, check=False)


def _slice_axis(affine: np.ndarray, size: tuple[int, ...], header: Any) -> int:
    """The axis of the file along which the slices of its acquisition follow each other.

    Voxels are longest across the slices. Where no axis is the longest, it is the one that the header names as that of
    the slices (dim_info), else the third. A single slice lies across its axis of one voxel.
    """
    if size.count(1) == 1:
        return size.index(1)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    longest = int(spacing.argmax())
    if spacing[longest] > LONGER * np.delete(spacing, longest).max():
        return longest
    named = header.get_dim_info()[2]
    return 2 if named is None else named


def _misnamed(path: Path) -> str | None:
    """The nature of a file that is no NIfTI of its name, and the remedy; None if nobody knows."""
    with path.open("rb") as file:
        start = file.read(40)
    zipped, named = start[:2] == b"\x1f\x8b", path.name.lower().endswith(".gz")
    if start.startswith(b"version https://git-lfs"):
        return "is a pointer of git-lfs, not the file that it stands for. Get that with: git lfs pull"
    if zipped and not named:
        return f"is compressed by gzip, which its name does not say. Rename it to {path.name}.gz"
    # The length of the header of NIfTI-1 or NIfTI-2, in either order of bytes.
    if named and start[:4] in [size.to_bytes(4, order) for size in (348, 540) for order in ("little", "big")]:
        return f"is not compressed by gzip, though its name says so. Rename it to {path.name[:-3]}"
    return None


def write_nifti(path: Path, values: np.ndarray, geometry: Geometry) -> Path:
    """Write a volume [*size] or [*size, channels] as the project sees it, in the order and header of its origin.

    Label maps (whole numbers) get the integer type of the origin if that is one and holds them, else the smallest
    unsigned type that does; fractions become float32. Written atomically; returns the path.
    """
    import nibabel as nib

    values = geometry.restore(values)
    header = geometry.header.copy() if geometry.header is not None else nib.Nifti1Header()
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    if values.dtype.kind in "iub":
        values = values.astype(_label_type(header.get_data_dtype(), int(values.max(initial=0))))
    else:
        values = values.astype(np.float32)
    header.set_data_dtype(values.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0  # the origin's window would hide labels in a viewer
    # The header of the origin may have another unit than mm: its own affine belongs to it.
    affine = geometry.stored if geometry.header is None else header.get_best_affine()
    image = kind(values, affine, header)
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


def _by(lengths: np.ndarray) -> str:
    return " x ".join(f"{length:g}" for length in lengths)
