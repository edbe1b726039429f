"""Reading TIFF files with tifffile: pages, samples and axes as the tags, ImageJ or OME describe them."""

from pathlib import Path
from typing import Any

import numpy as np

from data.errors import UserError
from data.formats.pixels import Stored

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first four bytes of a TIFF file: byte order, and 42 or, of a BigTIFF, 43."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, YCBCR: 3}
"""Samples of a pixel by its PhotometricInterpretation; whatever a pixel has beyond them are ExtraSamples."""

ALPHA = (1, 2)
"""ExtraSamples that are opacity: associated with the colours (multiplied into them) or not."""

PLANES = {"Z": "depth", "T": "time", "I": "images", "Q": "images"}
"""Axes that may be the third of a volume. Q and I are pages of which the file says nothing."""

JPEG = (6, 7, 33007, 34892)
MAY_LOSE = (22610, 33003, 33004, 33005, 34712, 34887, 34927, 34933, 34934, 50001, 50002, 52546)
"""Compressions (tag 259) that lose something: JPEG; JPEG 2000, XR and XL, WebP and LERC, which may."""


def is_tiff(path: Path) -> bool:
    """True if the content of a file is TIFF, whatever the ending of its name."""
    with path.open("rb") as file:
        return file.read(4) in SIGNATURES


def read_tiff(path: Path) -> Stored:
    """The pixels of a TIFF file: an image, or a volume if it has several planes.

    Raises UserError if the file is more than one image or volume, or of a kind that viewers show in different
    ways; or what tifffile raises on damaged files.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1:
            raise ValueError(f"it holds {len(file.series)} images of different kinds: save each as a file")
        series = file.series[0]
        page = series.keyframe
        _refuse_strange(path, series, page)
        orientation, palette = _common(path, file, series)
        pixels, axes = series.asarray(), series.axes
    values, channels = _ordered(path, pixels, axes)
    photometric, colours = page.photometric, COLOURS[page.photometric]
    if channels == "S":  # samples of a pixel, the colours first
        values, alpha = _without_alpha(values, page, colours)
    elif colours == 3:
        raise UserError(f"{path}: claims to be RGB, but has one value a pixel. Save it as grey values.")
    else:
        alpha = None
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if palette is not None:
        values = values[..., :1]
    lossy = "jpeg" if page.compression in JPEG else "other" if page.compression in MAY_LOSE else None
    return Stored(
        values, page.bitspersample, alpha, palette, photometric == WHITE_IS_ZERO, orientation, lossy
    )


def _refuse_strange(path: Path, series: Any, page: Any) -> None:
    """Refuse pixels that have no look, or one that viewers do not agree on."""
    dtype, kind = series.dtype, page.photometric
    if dtype is None or dtype.kind not in "buif":
        raise UserError(
            f"{path}: its values are of the type {dtype}, not one real number each. Save the numbers that matter "
            "(magnitude, phase) as channels."
        )
    if "PhotometricInterpretation" not in page.tags:
        raise UserError(
            f"{path}: its tag PhotometricInterpretation is missing, so that 0 may be black or white. Save it again."
        )
    if kind not in COLOURS or (kind == YCBCR and page.compression not in JPEG):
        name = getattr(kind, "name", kind)
        raise UserError(f"{path}: its PhotometricInterpretation is {name}. Convert it to RGB or grey values.")
    if not isinstance(page.bitspersample, int):
        raise UserError(f"{path}: its samples have different numbers of bits. Save it with 8 or 16 bit each.")
    if kind == WHITE_IS_ZERO and dtype.kind not in "bu":
        raise UserError(
            f"{path}: is WhiteIsZero with values of type {dtype}, of which the black one is not known. Save it as "
            "BlackIsZero."
        )


def _common(path: Path, file: Any, series: Any) -> tuple[int, np.ndarray | None]:
    """Orientation and palette, which all pages must have in common."""
    pages = [page for page in series.pages if page is not None]
    missing = series.dataoffset is None and len(pages) < len(series.pages)
    if missing or any(page.parent is not file for page in pages):
        raise UserError(
            f"{path}: is one of several files that make an image together (OME). Save the image as one file."
        )
    found = []
    for page in pages:
        page = page if hasattr(page, "tags") else page.aspage()
        tag = page.tags.get("Orientation")
        orientation = 1 if tag is None or tag.value not in range(1, 9) else int(tag.value)
        palette = None
        if page.photometric == PALETTE:
            if page.colormap is None:
                raise UserError(f"{path}: is a palette image without a palette (ColorMap). Save it again.")
            palette = _eight_bit(page.colormap)
        found.append((orientation, palette, int(page.photometric)))
    first = found[0]
    for orientation, palette, photometric in found[1:]:
        same_palette = palette is first[1] or (
            palette is not None and first[1] is not None and np.array_equal(palette, first[1])
        )
        if (orientation, photometric) != (first[0], first[2]) or not same_palette:
            raise UserError(
                f"{path}: its pages differ in orientation, palette or black and white (PhotometricInterpretation). "
                "Save each as a file."
            )
    return first[0], first[1]


def _eight_bit(colormap: np.ndarray) -> np.ndarray:
    """A ColorMap [3, entries] as uint8 [entries, 3]. It has 16 bits, but some programs write 8 (as libtiff knows)."""
    return (colormap >> 8 if colormap.max(initial=0) > 255 else colormap).T.astype(np.uint8)


def _ordered(path: Path, pixels: np.ndarray, axes: str) -> tuple[np.ndarray, str]:
    """Pixels [pages?, height, width, channels], and which axis the channels were: C, S, or none."""
    channels = [axis for axis in axes if axis in "CS"]
    planes = [axis for axis in axes if axis not in "CSYX"]
    if len(channels) > 1:
        raise UserError(
            f"{path}: has colours (S) in each of its channels (C). Save the channels as grey values."
        )
    if not {"Y", "X"} <= set(axes) or len(planes) > 1 or not set(planes) <= set(PLANES):
        raise UserError(
            f"{path}: its axes {axes} are neither an image's nor a volume's, which are Y, X, channels (C or S) and one "
            "of Z, T. Save one image or volume a file."
        )
    order = [*planes, "Y", "X", *channels]
    pixels = pixels.transpose([axes.index(axis) for axis in order])
    return (pixels, channels[0]) if channels else (pixels[..., np.newaxis], "")


def _without_alpha(values: np.ndarray, page: Any, colours: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The samples [*size, channels] that are no opacity, and the first that is one."""
    count = values.shape[-1]
    declared = [*map(int, page.extrasamples), *[0] * count][: count - colours]  # 0: unspecified, so data
    opacity = [colours + place for place, kind in enumerate(declared) if kind in ALPHA]
    kept = [place for place in range(count) if place not in opacity]
    return values[..., kept], values[..., opacity[0]] if opacity else None
