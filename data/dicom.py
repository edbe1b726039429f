"""Reading a DICOM series, a folder of slices, as one volume.

Coordinates follow the DICOM standard, PS3.3 C.7.6.2 (Image Plane Module): millimetres towards the patient's Left,
Posterior and Head. NIfTI's x and y run the other way.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from data.errors import UserError, listed

# Files without slices that scanners and viewers leave beside them.
NOT_SLICES = ("DICOMDIR", "LOCKFILE", "VERSION")

# Slices may be this part of their distance away from where they should be.
TOLERANCE = 0.05

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

Dataset = pydicom.Dataset


def has_dicom(directory: Path) -> bool:
    """Whether there is a DICOM file directly in a directory: one with the mark 'DICM', or that ends in .dcm."""
    return any(path.suffix.lower() == ".dcm" or _is_marked(path) for path in _files(directory))


def read_dicom(directory: Path) -> tuple[np.ndarray, np.ndarray]:
    """The one series in a directory, whatever the names and the order of its files.

    Returns the values, float32 [columns, rows, slices], scaled by each slice's rescale slope and intercept, and
    the affine [4, 4] from their indices to mm in the orientation of NIfTI (Right, Anterior, Superior).

    Raises UserError, with the folder or file, if there is no series or more than one, if slices are missing,
    doubled, tilted or unlike each other, or if a file cannot be read.
    """
    slices = _one_series(directory)
    _check_alike(directory, slices)
    normal = np.cross(*_directions(slices[0]))
    slices.sort(key=lambda file: float(_position(file) @ normal))
    step = _step(directory, slices, normal)
    volume = np.stack([_values(file) for file in slices], axis=-1)  # [rows, columns, slices]

    along_row, along_column = _directions(slices[0])
    between_rows, between_columns = (float(length) for length in slices[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = along_row * between_columns
    affine[:3, 1] = along_column * between_rows
    affine[:3, 2] = step
    affine[:3, 3] = _position(slices[0])
    return np.ascontiguousarray(volume.transpose(1, 0, 2)), LPS_TO_RAS @ affine


def _files(directory: Path) -> list[Path]:
    return sorted(
        path
        for path in directory.iterdir()
        if path.is_file() and not path.name.startswith(".") and path.name.upper() not in NOT_SLICES
    )


def _is_marked(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _one_series(directory: Path) -> list[Dataset]:
    """The files of the only series. Other files are left aside, unless they claim to be DICOM."""
    series: dict[str, list[Dataset]] = defaultdict(list)
    for path in _files(directory):
        if path.suffix.lower() != ".dcm" and not _is_marked(path):
            continue
        try:
            file = pydicom.dcmread(path, force=path.suffix.lower() == ".dcm")
        except (InvalidDicomError, OSError, EOFError, ValueError, KeyError) as error:
            raise UserError(f"{path}: cannot be read as DICOM ({error}). Copy the series again.") from error
        if "Rows" in file:
            series[str(file.get("SeriesInstanceUID", ""))].append(file)
        elif "SOPClassUID" not in file:  # other objects, such as reports, have no rows but say what they are
            raise UserError(f"{path}: is cut off within its header. Copy the series again.")
    if not series:
        raise UserError(f"{directory}: there are no DICOM slices in this folder.")
    if len(series) > 1:
        found = [
            f"{files[0].get('SeriesDescription', 'without description')}: {len(files)} file(s), such as "
            f"{Path(files[0].filename).name} (SeriesInstanceUID {uid})"
            for uid, files in series.items()
        ]
        raise UserError(
            f"{directory}: holds {len(series)} series, which are several volumes:\n{listed(found)}\n"
            "Put each series into a folder of its own."
        )
    return next(iter(series.values()))


def _check_alike(directory: Path, slices: list[Dataset]) -> None:
    """Raises UserError if a slice lacks its place, or differs from the others in size or orientation."""
    for file in slices:
        if int(file.get("NumberOfFrames", 1)) > 1:
            raise UserError(
                f"{file.filename}: is a multi-frame file. Convert it to NIfTI first, for example with dcm2niix."
            )
        if int(file.get("SamplesPerPixel", 1)) != 1:
            raise UserError(f"{file.filename}: is a colour image, not a slice of a volume.")
        lacking = [
            tag
            for tag in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
            if not file.get(tag)
        ]
        if lacking:
            raise UserError(
                f"{file.filename}: lacks {', '.join(lacking)}, so its place is unknown. Take a localiser or a "
                "secondary capture out of the folder, or export the series again."
            )
    first = slices[0]
    for file in slices:
        if (file.Rows, file.Columns) != (first.Rows, first.Columns):
            raise UserError(
                f"{file.filename}: has {file.Columns} x {file.Rows} pixels, other slices of {directory} have "
                f"{first.Columns} x {first.Rows}. Keep the slices of one volume only."
            )
        same_turn = np.allclose(_directions(file), _directions(first), atol=1e-3)
        if not same_turn or not np.allclose(file.PixelSpacing, first.PixelSpacing, rtol=1e-3):
            raise UserError(
                f"{file.filename}: has another orientation or pixel spacing than other slices of {directory}. "
                "Keep the slices of one volume only."
            )


def _step(directory: Path, slices: list[Dataset], normal: np.ndarray) -> np.ndarray:
    """The way from one slice to the next in mm, [3]. Raises UserError unless it is the same for all."""
    if len(slices) == 1:
        thickness = slices[0].get("SpacingBetweenSlices") or slices[0].get("SliceThickness") or 1.0
        return normal * float(thickness)
    positions = np.array([_position(file) for file in slices])
    gaps = np.diff(positions @ normal)
    usual = float(np.median(gaps))
    names = [Path(file.filename).name for file in slices]
    for index in np.flatnonzero(gaps < TOLERANCE * max(usual, 1e-3)):
        raise UserError(
            f"{directory}: {names[index]} and {names[index + 1]} show the same place ({len(slices)} slices): two "
            "echoes or points in time in one series? Put each into a folder of its own."
        )
    for index in np.flatnonzero(np.abs(gaps - usual) > TOLERANCE * usual):
        missing = round(gaps[index] / usual) - 1
        how_many = f"{missing} slice(s) are missing" if missing > 0 else "the slices are unevenly spaced"
        raise UserError(
            f"{directory}: between {names[index]} and {names[index + 1]} lie {gaps[index]:.4g} mm, elsewhere "
            f"{usual:.4g} mm: {how_many}. Export or copy the series again."
        )
    step = (positions[-1] - positions[0]) / (len(slices) - 1)
    if np.linalg.norm(step - normal * usual) > TOLERANCE * usual:
        raise UserError(
            f"{directory}: the slices are shifted sideways against each other (a tilted gantry). Resample the "
            "series to a rectangular grid first."
        )
    return step


def _values(file: Dataset) -> np.ndarray:
    """The pixels of a slice [rows, columns] in the unit that its header gives them, float32.

    In floating point from the start: a slope can take 16-bit integers out of their range.
    """
    try:
        pixels = file.pixel_array
    # pydicom raises what its decoders raise, which depends on the file.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{file.filename}: its pixels cannot be read ({reason}). Copy the series again; if it is compressed, "
            "python -m pip install pylibjpeg[all] adds the decoders."
        ) from error
    slope, intercept = float(file.get("RescaleSlope", 1)), float(file.get("RescaleIntercept", 0))
    return (pixels.astype(np.float64) * slope + intercept).astype(np.float32)


def _position(file: Dataset) -> np.ndarray:
    """The centre of the first pixel in mm, [3]."""
    return np.array(file.ImagePositionPatient, float)


def _directions(file: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors along a row (the column index grows) and along a column, each [3]."""
    values: Any = np.array(file.ImageOrientationPatient, float)
    return values[:3], values[3:]
