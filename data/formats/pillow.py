"""Reading PNG, JPEG and BMP files with Pillow, and colour PNGs of 16 bit with libpng."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UserError
from data.formats.pixels import Stored

FORMATS = ("PNG", "JPEG", "BMP")
"""What Pillow may take a file for, whatever the ending of its name."""

REFUSED = {
    "CMYK": "the amounts of four inks, whose look depends on a colour profile",
    "YCCK": "the amounts of four inks, whose look depends on a colour profile",
    "LAB": "colours in the space CIE L*a*b*",
    "HSV": "colours as hue, saturation and value",
    "YCbCr": "brightness and two differences of colour",
}

if TYPE_CHECKING:
    from PIL import Image


def read_pillow(path: Path) -> Stored:
    """The pixels of a PNG, JPEG or BMP file. Raises UserError, or what Pillow raises on damaged files."""
    from PIL import Image, UnidentifiedImageError

    # Whole slides are large, and these are the user's own files: no limit that guards a web server.
    Image.MAX_IMAGE_PIXELS = None
    try:
        file = Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError("its content is not that of a PNG, JPEG, BMP or TIFF file") from None
    with file:
        frames = getattr(file, "n_frames", 1)
        if file.format == "PNG" and frames > 1:
            raise UserError(
                f"{path}: is an animation of {frames} frames. Save the frames as images, or as pages of a TIFF."
            )
        is_jpeg = file.format in ("JPEG", "MPO")  # MPO: with further views behind the one that is shown
        stored = _deep_png(path) if file.format == "PNG" else None
        stored = stored or _stored(path, file, is_jpeg)
        orientation = file.getexif().get(274, 1)
    if orientation not in range(1, 9):
        orientation = 1  # no viewer heeds it
    if orientation != 1 and not is_jpeg:
        raise UserError(
            f"{path}: EXIF orientation {orientation} in a {file.format} file, which some viewers heed and others do "
            "not. Save it turned as it should be, without the tag (PIL.ImageOps.exif_transpose)."
        )
    return Stored(**{**vars(stored), "orientation": orientation})


def _stored(path: Path, file: "Image.Image", is_jpeg: bool) -> Stored:
    mode, lossy = file.mode, "jpeg" if is_jpeg else None
    if mode == "RGBX":
        file, mode = file.convert("RGB"), "RGB"
    values = np.asarray(file)
    values = values if values.ndim == 3 else values[..., np.newaxis]
    if mode == "P":
        palette = np.array(file.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return Stored(values, 8, _palette_alpha(file.info.get("transparency"), values), palette)
    if mode in ("LA", "RGBA"):
        return Stored(values[..., :-1], 8, values[..., -1])
    if mode in ("1", "L", "I;16", "I;16B", "I;16L", "I", "F", "RGB"):
        return Stored(values, {"1": 1, "L": 8, "RGB": 8}.get(mode, 16), lossy=lossy)
    raise UserError(
        f"{path}: is of mode {mode}: {REFUSED.get(mode, 'a kind of pixels that is not read')}. Convert it to RGB or "
        "grey values."
    )


def _palette_alpha(transparency: bytes | int | None, indices: np.ndarray) -> np.ndarray | None:
    """Opacity of pixels by their index: of the first indices (PNG, chunk tRNS), or of one that is transparent."""
    if transparency is None:
        return None
    table = np.full(256, 255, np.uint8)
    if isinstance(transparency, bytes):
        table[: len(transparency)] = np.frombuffer(transparency, np.uint8)
    else:
        table[transparency] = 0
    return table[indices[..., 0]]


def _deep_png(path: Path) -> Stored | None:
    """A PNG of 16 bit, which Pillow reads as 8 bit if it has colours; None for others."""
    with path.open("rb") as file:
        if file.read(25)[24] != 16:  # the bit depth, PNG (third edition), 11.2.1
            return None
    import imagecodecs

    values = imagecodecs.png_decode(path.read_bytes())
    values = values if values.ndim == 3 else values[..., np.newaxis]
    if values.shape[-1] in (2, 4):  # PNG knows grey and RGB, both with alpha or without
        return Stored(values[..., :-1], 16, values[..., -1])
    return Stored(values, 16)
