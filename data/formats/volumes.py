"""The readers of volumes: NIfTI files, DICOM series and TIFF stacks, as one kind of thing."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np

from data.errors import UserError
from data.files import paths_in
from data.formats.geometry import Geometry, in_grid_of, same_place
from data.formats.images import LARGEST_LABEL, TIFF, read_image, read_mask
from data.formats.images import SUFFIXES as IMAGE_SUFFIXES
from data.formats.nifti import SUFFIXES as NIFTI_SUFFIXES
from data.formats.nifti import is_nifti, read_nifti


def volume_name(path: Path) -> str:
    """The name of a file or DICOM folder without its suffix: 'case.nii.gz' is 'case'."""
    lower = path.name.lower()
    for suffix in sorted(NIFTI_SUFFIXES, key=len, reverse=True):
        if lower.endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name if path.is_dir() else path.stem


def bare_name(path: Path) -> str:
    """The name by which files belong together: that of `volume_name` without '.ome', in one spelling (Unicode's NFC).

    Systems spell an é as one character or as two: names that look the same need not be.
    """
    name = unicodedata.normalize("NFC", volume_name(path))
    return name[:-4] if name.lower().endswith(".ome") and not path.is_dir() else name


def is_volume(path: Path) -> bool:
    """True for what `read_volume` reads: a NIfTI file or a folder with a DICOM series."""
    if not path.is_dir():
        return is_nifti(path)

    from data.formats.dicom import has_dicom  # with pydicom, which other volumes do not need

    return has_dicom(path)


def volume_files(directory: Path) -> list[Path]:
    """NIfTI files, TIFF files and DICOM folders directly in a directory, as of `paths_in`; no links to nothing."""

    def wanted(path: Path) -> bool:
        if path.is_dir():
            return is_volume(path)
        return path.is_file() and (is_nifti(path) or path.suffix.lower() in TIFF)

    return paths_in(directory, wanted)


def series_below(directory: Path) -> list[Path]:
    """The folders up to three levels below a directory that hold DICOM files, as archives nest patient and study.

    In natural order, those of a level together.
    """
    found, level = [], [directory]
    for _ in range(3):
        level = [folder for above in level for folder in paths_in(above, Path.is_dir)]
        found += [folder for folder in level if is_volume(folder)]
    return found


def read_volume(path: Path) -> tuple[np.ndarray, Geometry | None]:
    """A volume, float32 [*size, channels], turned towards Right, Anterior and Superior, and where it lies.

    Voxels that hold no measurement (`Geometry.padding`) have the smallest value of the others.

    path: a NIfTI file, a folder with a DICOM series, or an image file (which has no geometry).
    Raises UserError, with the path, for whatever cannot be read or holds NaN or infinity.
    """
    if path.is_dir():
        from data.formats.dicom import read_dicom

        values, affine = read_dicom(path)
        geometry = Geometry(affine, values.shape)
        empty = np.isnan(values)
        if empty.any():
            values = np.where(empty, np.nanmin(values), values)
            geometry = replace(geometry, padding=geometry.canonical(empty))
        values = values[..., np.newaxis]
    elif is_nifti(path):
        values, geometry = read_nifti(path)
    elif path.suffix.lower() in IMAGE_SUFFIXES:
        return read_image(path), None
    else:
        raise UserError(
            f"{path}: is neither an image nor a volume that is read: give a {', '.join(IMAGE_SUFFIXES)}, "
            f"{', '.join(NIFTI_SUFFIXES)} file, or a folder of DICOM slices."
        )
    values = np.ascontiguousarray(geometry.canonical(values), np.float32)
    broken = int(np.size(values) - np.count_nonzero(np.isfinite(values)))
    if broken:
        raise UserError(
            f"{path}: {broken} voxels are NaN or infinite. Replace them, for example by numpy.nan_to_num."
        )
    return values, geometry


def read_label(path: Path) -> tuple[np.ndarray, Geometry | None]:
    """Label values int32 [*size], in the order of the file, and where they lie.

    Raises UserError, with the path, if the file cannot be read, or holds fractions or more than one channel.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder, but a label map is a file: NIfTI, or a TIFF stack.")
    if not is_nifti(path):
        return read_mask(path), None
    values, geometry = read_nifti(path)
    if values.shape[-1] != 1:
        raise UserError(
            f"{path}: has four axes {values.shape}, but a label map has three: one number a voxel."
        )
    values = values[..., 0]
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            raise UserError(
                f"{path}: a label map must hold whole numbers, but this one has fractions or NaN."
            )
    if values.min() < 0:
        raise UserError(f"{path}: labels must be 0 or more, but here are {values.min()} to {values.max()}.")
    if values.max() > LARGEST_LABEL:
        raise UserError(
            f"{path}: holds the value {int(values.max())}, which is no number of a class: {LARGEST_LABEL} is the "
            "largest that is read. Was the right file saved as the label map?"
        )
    return values.astype(np.int32), geometry


def check_pair(image: Path, size: tuple[int, ...], geometry: Geometry | None, label: Path) -> np.ndarray:
    """Read the label of an image, turned like the image.

    Raises UserError if the two do not lie on the same voxels, or if only one of them tells where it lies: volumes of
    equal size may be stored in any order of axes, and the wrong one would go unnoticed.

    size, geometry: of the image, as `read_volume` gives them.
    """
    values, of_label = read_label(label)
    if geometry is None and of_label is None:
        if values.shape != size:
            raise _other_size(label, values.shape, image, size)
        return values
    if geometry is None or of_label is None:
        without, other = (label, image) if of_label is None else (image, label)
        raise UserError(
            f"{label}: nobody can tell which of its voxels belong to those of its image {image.name}, as "
            f"{without.name} does not tell where they lie in the patient, and {other.name} does. Save both as "
            "NIfTI, with one header, or both as TIFF."
        )
    in_grid, affine = in_grid_of(values, of_label, geometry)
    if in_grid.shape != geometry.size:
        raise _other_size(label, values.shape, image, geometry.size)
    if not same_place(geometry.stored, affine, geometry.size):
        raise UserError(
            f"{label}: the label lies elsewhere than its image {image.name} "
            f"({difference(geometry.stored, affine)}). "
            "Resample it to the image's grid, or copy the image's header if the voxels are known to match."
        )
    return np.ascontiguousarray(geometry.canonical(in_grid))


def _other_size(label: Path, size: tuple[int, ...], image: Path, size_of_image: tuple[int, ...]) -> UserError:
    return UserError(f"{label}: the label has the size {size}, its image {image.name} {size_of_image}.")


def difference(image: np.ndarray, label: np.ndarray) -> str:
    """The difference between two affines of one grid, in words."""
    spacing, of_label = (np.linalg.norm(affine[:3, :3], axis=0) for affine in (image, label))
    if not np.allclose(spacing, of_label, rtol=1e-3):
        return f"spacing {_mm(of_label)} instead of {_mm(spacing)} mm"
    turned = label[:3, :3] - image[:3, :3]
    if np.abs(turned).max() > 1e-2 * max(spacing):
        return "its axes point in other directions"
    return f"shifted by {_mm(label[:3, 3] - image[:3, 3])} mm"


def _mm(lengths: np.ndarray | tuple[float, ...]) -> str:
    return " x ".join(f"{length:.4g}" for length in lengths)
