"""The reader of DICOM series, each a folder of slices, with pydicom.

DICOM (PS3.3 C.7.6.2) gives places in the patient in mm with x growing towards Left and y towards Posterior (LPS).
"""

import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from data.errors import UserError, bullet_list
from data.formats.geometry import check_affine

Default = TypeVar("Default", float, None)

# Two slices closer than this have the same position.
SAME_MM = 1e-3
# Direction cosines that differ by less are the same: some headers round them to four digits.
SAME_COSINE = 1e-3
# How far a slice may lie from its place in an evenly spaced stack, as a share of the voxel spacing. Headers may
# round positions to 0.1 mm.
UNEVEN = 0.25

# The SOP class, which all files have: an element with a larger number is not the first of its file.
LAST_BEGINNING = 0x16

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class _Slice:
    """One plane of pixels and its place: DICOM's Image Plane and Modality LUT modules (PS3.3 C.7.6.2, C.11.1).

    frame: its number in the file, from 0.
    size: columns, rows.
    position: LPS of the centre of the first pixel, in mm.
    directions: [2, 3], unit vectors in LPS along a row (the column index grows) and down a column.
    spacing: distance between columns, and between rows, in mm.
    thickness: in mm; None if the header does not tell.
    padding: smallest and largest stored value of pixels that hold no measurement (PS3.3 C.7.5.1.1.2); None if all do.
    white: less a stored value, it is the value inverted; None where the smallest is shown as black.
    """

    path: Path
    frame: int
    size: tuple[int, int]
    position: np.ndarray
    directions: np.ndarray
    spacing: np.ndarray
    thickness: float | None
    slope: float
    intercept: float
    padding: tuple[int, int] | None
    white: int | None

    def __str__(self) -> str:
        x, y, z = self.position
        frame = f" frame {self.frame + 1}" if self.frame else ""
        return f"{self.path.name}{frame} at ({x:g}, {y:g}, {z:g}) mm"


def has_dicom(directory: Path) -> bool:
    """True if a folder directly holds at least one DICOM file (PS3.10 7.1: 'DICM' after 128 bytes; or an older one)."""
    return any(_is_dicom(path) for path in directory.iterdir())


def read_dicom(directory: Path) -> tuple[np.ndarray, np.ndarray]:
    """The voxels and the affine of the one series whose files lie directly in a folder.

    Slices are sorted by their position along the slice normal, whatever the names of their files; files that are
    not DICOM are ignored. Values are scaled by each slice's own rescale slope and intercept (PS3.3 C.11.1). Those of
    MONOCHROME1, of which the smallest is shown as white (PS3.3 C.7.6.3.1.2), are inverted within the range of stored
    values. A slice is a file, or a frame of an Enhanced multi-frame file (PS3.3 C.7.6.16).

    Returns voxels float32 [columns, rows, slices], NaN where a pixel holds no measurement
    (PixelPaddingValue), and the affine float64 [4, 4] from voxel index to mm in RAS+ (PS3.3 C.7.6.2.1.1, with x and y
    negated).
    Raises UserError, with the folder or file, if there is no series or more than one, if slices are missing between
    others (at the ends that cannot be noticed), are there twice, differ in size or orientation, are unevenly spaced
    or shifted sideways (a tilted gantry), are in colour or without geometry, or cannot be decoded.
    """
    series = _one_series(directory)
    slices = _sorted(_slices(directory, series), directory)
    affine = _affine(slices, directory)
    columns, rows = slices[0].size
    voxels = np.empty((len(slices), rows, columns), np.float32)
    path = None
    for index, plane in enumerate(slices):
        if plane.path != path:
            path, frames = plane.path, _pixels(plane.path, (rows, columns))
        if plane.frame >= len(frames):
            raise UserError(
                f"{path}: has pixels for {len(frames)} frames only. Copy or export the file again."
            )
        # In float64: whole numbers of up to 32 bits are exact, and no product overflows an integer.
        stored = frames[plane.frame]
        shown = stored.astype(np.float64)
        shown = shown if plane.white is None else plane.white - shown
        voxels[index] = shown * plane.slope + plane.intercept
        if not np.isfinite(voxels[index]).all():
            raise UserError(f"{path}: some pixels are NaN or infinite.")
        if plane.padding is not None:
            # Some headers have the value of signed pixels without its sign.
            low, high = np.sort(np.array(plane.padding).astype(stored.dtype))
            voxels[index][(stored >= low) & (stored <= high)] = np.nan
    if np.isnan(voxels).all():
        raise UserError(f"{directory}: all pixels are padding (PixelPaddingValue): there is nothing to see.")
    return voxels.T, affine


def _is_dicom(path: Path) -> bool:
    # Hidden files are notes of the operating system, and a DICOMDIR is a table of contents.
    if path.name.startswith(".") or path.name.upper() == "DICOMDIR" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror}).") from error
    return start[128:] == b"DICM" or path.suffix.lower() == ".dcm" or _begins_with_elements(start)


def _begins_with_elements(start: bytes) -> bool:
    """True if a file begins like DICOM without a preamble, as files from before it was invented, whatever their name.

    That is with an element of group 2 or 8 in little-endian order: its number, then two letters, or a length.
    """
    group, element = int.from_bytes(start[:2], "little"), int.from_bytes(start[2:4], "little")
    if group not in (2, 8) or element > LAST_BEGINNING:
        return False
    length = int.from_bytes(start[4:8], "little")
    return start[4:6] in (b"UL", b"OB", b"CS", b"DA", b"UI", b"SH", b"LO") or (
        0 < length < 128 and length % 2 == 0
    )


def _read(path: Path, stop_before_pixels: bool = False) -> Dataset:
    """The elements of a DICOM file, also of one from before the preamble was invented."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's remarks on headers that it reads all the same
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=stop_before_pixels)
        if not dataset.get("SOPClassUID"):
            raise ValueError("there is no SOP class in it")
    # What a damaged file makes pydicom raise depends on the byte.
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read as DICOM ({_reason(error)}). The file is damaged or was not copied completely."
        ) from error
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return dataset


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(":")


def _one_series(directory: Path) -> dict[Path, Dataset]:
    """The headers of the files in a folder. Raises UserError unless they are one series of one kind."""
    if not directory.is_dir():
        raise UserError(f"The folder {directory} does not exist.")
    paths = sorted(path for path in directory.iterdir() if _is_dicom(path))
    if not paths:
        raise UserError(
            f"{directory}: holds no DICOM files. Give the folder that directly holds the slices of one series."
        )
    found: dict[tuple[str, str], dict[Path, Dataset]] = defaultdict(dict)
    for path in paths:
        header = _read(path, stop_before_pixels=True)
        # A localiser or a report may have the number of the series that it was made for.
        kind = UID(header.SOPClassUID).name
        if "LOCALIZER" in (header.get("ImageType") or ()):
            kind += ", localizer"
        found[header.get("SeriesInstanceUID"), kind][path] = header
    if len(found) > 1:
        lines = []
        for (number, kind), headers in found.items():
            described = next(iter(headers.values())).get("SeriesDescription") or "without description"
            files = "1 file" if len(headers) == 1 else f"{len(headers)} files"
            lines.append(
                f"{files}: {described} ({kind}), series {number}, such as {next(iter(headers)).name}"
            )
        raise UserError(
            f"{directory}: holds {len(found)} series, but a volume is one. Give each its own folder:\n"
            f"{bullet_list(lines)}"
        )
    return next(iter(found.values()))


def _slices(directory: Path, series: dict[Path, Dataset]) -> list[_Slice]:
    """The slices of all files. Raises UserError that lists the files whose header is not that of slices."""
    slices, problems = [], []
    for path, header in series.items():
        try:
            slices += [_slice(path, header, frame, tags) for frame, tags in enumerate(_frames(header))]
        except ValueError as problem:
            problems.append(f"{path.name}: {problem}")
    if problems:
        raise UserError(
            f"{directory}: {len(problems)} of {len(series)} files cannot be slices of a volume. Export the series "
            f"again as slices in grey values with their geometry, or convert it to NIfTI:\n{bullet_list(problems)}"
        )
    return slices


def _frames(header: Dataset) -> list[Dataset]:
    """The elements that describe each frame of a file.

    Enhanced objects nest them in functional groups, one for all frames and one for each (PS3.3 C.7.6.16). Raises
    ValueError if there are several frames without that.
    """
    if "PerFrameFunctionalGroupsSequence" not in header:
        if _number(header, "NumberOfFrames", 1) != 1:
            raise ValueError("it has several frames, and does not tell the position of each")
        return [header]
    shared = header.get("SharedFunctionalGroupsSequence") or []
    frames = []
    for own in header.PerFrameFunctionalGroupsSequence:
        frame = Dataset()
        for group in (*shared, own):
            for macro in ("PlanePosition", "PlaneOrientation", "PixelMeasures", "PixelValueTransformation"):
                for elements in group.get(f"{macro}Sequence") or []:
                    frame.update(elements)
        frames.append(frame)
    return frames


def _slice(path: Path, header: Dataset, frame: int, tags: Dataset) -> _Slice:
    """One slice from the header of its file and the elements of its frame. Raises ValueError in words."""
    if "Rows" not in header or "Columns" not in header:
        raise ValueError("it holds no image")
    if header.get("SamplesPerPixel", 1) != 1 or header.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise ValueError(f"it is a colour image ({header.get('PhotometricInterpretation')})")
    if "MOSAIC" in (header.get("ImageType") or ()):
        raise ValueError("it is a mosaic, one picture of many slices")
    position = _numbers(tags, "ImagePositionPatient", 3)
    directions = _numbers(tags, "ImageOrientationPatient", 6).reshape(2, 3)
    spacing = _numbers(tags, "PixelSpacing", 2)[::-1]  # the header gives the distance between rows first
    if np.abs(directions @ directions.T - np.eye(2)).max() > 2 * SAME_COSINE:
        raise ValueError("ImageOrientationPatient is not a pair of unit vectors at right angles")
    if spacing.min() <= 0:
        raise ValueError(f"PixelSpacing is {spacing.min():g} mm")
    if header.get("ModalityLUTSequence"):
        raise ValueError("its values are scaled by a table (ModalityLUTSequence)")
    slope, intercept = _number(tags, "RescaleSlope", 1.0), _number(tags, "RescaleIntercept", 0.0)
    if slope == 0:
        raise ValueError("RescaleSlope is 0")
    return _Slice(
        path=path,
        frame=frame,
        size=(int(header.Columns), int(header.Rows)),
        position=position,
        directions=directions,
        spacing=spacing,
        thickness=_number(tags, "SliceThickness", None),
        slope=slope,
        intercept=intercept,
        padding=_padding(header),
        white=_white(header) if header.get("PhotometricInterpretation") == "MONOCHROME1" else None,
    )


def _white(header: Dataset) -> int:
    """The sum of the smallest and the largest value that a pixel can store: less a value, it is that value inverted."""
    if _number(header, "PixelRepresentation", 0):  # two's complement
        return -1
    return 2 ** int(_number(header, "BitsStored", 16)) - 1


def _padding(header: Dataset) -> tuple[int, int] | None:
    """The range of stored values that are padding. Raises ValueError if it is no pair of numbers."""
    value = _number(header, "PixelPaddingValue", None)
    if value is None:
        return None
    return int(value), int(_number(header, "PixelPaddingRangeLimit", value))


def _numbers(tags: Dataset, keyword: str, count: int) -> np.ndarray:
    """Numbers, float64 [count]. Raises ValueError if the element is missing or holds anything else."""
    try:
        value = tags.get(keyword)
        numbers = np.array(value, np.float64).reshape(-1)
    except Exception as error:  # pydicom converts the text of an element only now
        raise ValueError(f"{keyword} is no number") from error
    if value is None or not numbers.size:
        raise ValueError(f"{keyword} is missing")
    if numbers.size != count or not np.isfinite(numbers).all():
        raise ValueError(f"{keyword} is {value}, not {count} finite number{'s' if count > 1 else ''}")
    return numbers


def _number(tags: Dataset, keyword: str, default: Default) -> float | Default:
    """One number, or the default if the element is missing or empty."""
    if keyword not in tags or tags[keyword].is_empty:
        return default
    return float(_numbers(tags, keyword, 1)[0])


def _sorted(slices: list[_Slice], directory: Path) -> list[_Slice]:
    """Slices in order along their normal. Raises UserError if they are no stack of equal, evenly spaced planes."""
    first = slices[0]
    for other in slices:
        if other.size != first.size:
            what = f"sizes ({_by(other.size)} and {_by(first.size)} pixels)"
        elif np.abs(other.directions - first.directions).max() > SAME_COSINE:
            what = "orientations"
        elif not np.allclose(other.spacing, first.spacing, rtol=1e-3):
            what = f"pixel spacings ({_by(other.spacing)} and {_by(first.spacing)} mm)"
        else:
            continue
        raise UserError(
            f"{directory}: slices have different {what}: {other}, but {first}. Give a folder without the slices "
            "that do not belong to the stack, or export the series again."
        )

    normal = np.cross(*first.directions)
    slices = sorted(slices, key=lambda one: float(one.position @ normal))
    distances = np.diff([one.position @ normal for one in slices])
    pairs = list(zip(slices, slices[1:], distances, strict=False))
    twice = [f"{one} and {other}" for one, other, distance in pairs if distance < SAME_MM]
    if twice:
        raise UserError(
            f"{directory}: slices lie at the same position, as of several echoes or points in time, or of files "
            f"copied twice. Give a folder with one of each:\n{bullet_list(twice)}"
        )

    # The lower of two medians: of three slices with one missing between, it is the true spacing.
    spacing = np.sort(distances)[(len(distances) - 1) // 2] if len(distances) else 0.0
    gaps = [
        f"{round(distance / spacing) - 1} after {one}, before {other}"
        for one, other, distance in pairs
        if distance > 1.5 * spacing
    ]
    if gaps:
        raise UserError(
            f"{directory}: the series is incomplete. Its slices are {spacing:.4g} mm apart, but some are missing. "
            f"Copy or export all of them, or, if the spacing does change, resample the series:\n{bullet_list(gaps)}"
        )
    return slices


def _by(lengths: np.ndarray | tuple[int, ...]) -> str:
    return " x ".join(f"{length:.6g}" for length in lengths)


def _affine(slices: list[_Slice], directory: Path) -> np.ndarray:
    """The affine from voxel index to mm in RAS+. Raises UserError if the slices do not lie on one rectangular grid."""
    first, last = slices[0], slices[-1]
    positions = np.array([one.position for one in slices])
    if len(slices) > 1:
        step = (last.position - first.position) / (len(slices) - 1)
    elif first.thickness:
        step = np.cross(*first.directions) * first.thickness
    else:
        raise UserError(
            f"{first.path}: is the only slice, and does not tell its thickness (SliceThickness). Export it again."
        )
    affine = np.eye(4)
    affine[:3, :2] = (first.directions * first.spacing[:, np.newaxis]).T
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    affine = LPS_TO_RAS @ affine
    check_affine(affine, directory)  # a tilted gantry shears the stack

    away = np.linalg.norm(positions - first.position - np.outer(np.arange(len(slices)), step), axis=1)
    worst = int(away.argmax())
    if away[worst] > UNEVEN * min(*first.spacing, np.linalg.norm(step)):
        raise UserError(
            f"{directory}: the slices are not evenly spaced on a straight line: {slices[worst]} lies "
            f"{away[worst]:.3g} mm from its place. Resample the series to a rectangular grid first."
        )
    return affine


def _pixels(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Stored values [frames, rows, columns]; raises UserError if they cannot be decoded."""
    dataset = _read(path)
    try:
        return dataset.pixel_array.reshape(-1, *size)
    # Decoders too raise whatever a damaged byte leads them to.
    except Exception as error:
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        remedy = "The file is damaged or was not copied completely."
        if syntax.is_compressed:
            remedy = (
                f"The file is compressed ({syntax.name}). If it is not damaged, this needs another decoder: "
                'pip install "pylibjpeg[all]". Or export the series without compression.'
            )
        raise UserError(f"{path}: its pixels cannot be read ({_reason(error)}). {remedy}") from error
