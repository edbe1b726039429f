"""Readers of images and masks, and a writer of masks: PNG, JPEG, TIFF and BMP.

Who reads or writes imports the library of the format: the settings of data sets are validated without it.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.errors import UserError
from data.files import paths_in, replacing
from data.formats.pillow import read_pillow
from data.formats.pixels import Stored, upright
from data.formats.tiff import is_tiff, read_tiff

TIFF = (".tif", ".tiff")
LOSSY = (".jpg", ".jpeg")
SUFFIXES = (".png", ".bmp", *LOSSY, *TIFF)

LARGEST_LABEL = np.iinfo(np.int32).max
"""Values of masks are kept in 32 bits; more than this is no label."""


def image_files(directory: Path) -> list[Path]:
    """The image files directly in a directory, as of `paths_in`."""
    return paths_in(directory, lambda path: path.suffix.lower() in SUFFIXES and path.is_file())


def read_image(path: Path) -> np.ndarray:
    """An image, float32 [*size, channels], as any viewer shows it, in the file's own range of values.

    A TIFF of several pages is a volume [pages, height, width, channels]. What the file declares as alpha is dropped,
    a palette replaced by its colours (one channel if they are grey), WhiteIsZero inverted, orientation heeded;
    values of less than 8 bit are widened to 8. docs/data.md has a table.
    Raises UserError, with the path, if the file is missing, damaged, of a kind without one look, or holds NaN or
    infinity.
    """
    image = np.ascontiguousarray(_read(path).shown, dtype=np.float32)
    if not np.isfinite(image).all():
        raise UserError(f"{path}: some pixels are NaN or infinite.")
    return image


class Mask(NamedTuple):
    """A mask as its file has it.

    values: int32 [*size]. palette: the colours of the classes, if these are indices of a palette with colours.
    thresholded: black and white were told apart at the middle between them.
    """

    values: np.ndarray
    palette: bytes | None
    thresholded: bool


def read_mask(path: Path) -> np.ndarray:
    """The values of a mask, int32 [*size], as `read_image` would see them; where a palette has colours, the indices.

    Raises UserError, with the path, if the file is missing or damaged, if its channels differ (a
    colour image), if values are not whole numbers from 0 on, if its shape lies in the alpha channel, or if it was
    compressed with a loss and is not black and white.
    """
    return examine_mask(path).values


def examine_mask(path: Path) -> Mask:
    """The pixels of a mask as of `read_mask`, and what else there is to know."""
    stored = _read(path)
    if stored.class_palette is not None:
        pixels = upright(stored.values, stored.orientation)
    else:
        pixels = stored.shown
    if pixels.shape[-1] > 1 and (pixels != pixels[..., :1]).any():
        kind = "this is a colour image" if pixels.shape[-1] == 3 else f"here are {pixels.shape[-1]} channels"
        raise UserError(
            f"{path}: a mask must hold one number a pixel, but {kind}. Save the number of each pixel's class as a "
            "grey image."
        )
    values = pixels[..., 0]
    if stored.alpha is not None and np.ptp(stored.alpha) and not (values != values.flat[0]).any():
        raise UserError(
            f"{path}: has the value {values.flat[0]} everywhere, and a shape in its alpha channel only. Save the alpha "
            "channel as a grey image (PIL: image.getchannel('A'))."
        )
    if stored.lossy:
        exact = not set(np.unique(values).tolist()) - {0, 255}
        if not exact and not (stored.lossy == "jpeg" and values.dtype == np.uint8 and stored.black_and_white):
            raise UserError(
                f"{path}: its compression (such as JPEG) changes values, and it holds more than black and white, so "
                "that numbers of classes are lost: save masks as PNG or TIFF without loss, from the original."
            )
        return Mask(np.where(values >= 128, 255, 0).astype(np.int32), None, thresholded=not exact)
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.round(values)).all()):
        raise UserError(
            f"{path}: a mask must hold whole numbers, but this one has fractions or NaN. If it was resized, resize "
            "with nearest neighbours; if it holds probabilities, threshold it."
        )
    low, high = values.min().item(), values.max().item()
    if low < 0 or high > LARGEST_LABEL:
        raise UserError(
            f"{path}: holds the value {low if low < 0 else high}, which is no number of a class: these are 0 to "
            f"{LARGEST_LABEL}."
        )
    return Mask(np.ascontiguousarray(values, np.int32), stored.class_palette, thresholded=False)


def write_mask(path: Path, mask: np.ndarray) -> Path:
    """Write non-negative whole numbers, [height, width] or [pages, height, width], atomically.

    The suffix chooses the format: PNG, BMP and TIFF are kept, everything else becomes PNG (JPEG
    would blur the values). Volumes, BMPs of more than 8 bits and PNGs of more than 16 become TIFF. The file has
    as few bits as the largest value needs: 8, 16 or 32. Returns the path that was written.
    """
    if mask.min(initial=0) < 0 or mask.max(initial=0) > LARGEST_LABEL:
        raise ValueError(f"a mask holds 0 .. {LARGEST_LABEL}, not {mask.min()} .. {mask.max()}")
    mask = mask.astype(np.min_scalar_type(mask.max(initial=0)))
    suffix = path.suffix.lower()
    if suffix not in (".png", ".bmp", *TIFF):
        path = path.with_suffix(".png")
    bits = 8 * mask.dtype.itemsize
    if suffix not in TIFF and (mask.ndim == 3 or bits > (8 if suffix == ".bmp" else 16)):
        path = path.with_suffix(".tif")
    with replacing(path) as temporary:
        if path.suffix.lower() in TIFF:
            import tifffile

            tifffile.imwrite(temporary, mask, photometric="minisblack", compression="zlib")
        else:
            from PIL import Image

            Image.fromarray(mask).save(temporary)
    return path


def _read(path: Path) -> Stored:
    """The pixels of a file; raises UserError if that fails."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such file.")
    try:
        stored = read_tiff(path) if is_tiff(path) else read_pillow(path)
    except UserError:
        raise
    # Decoders raise whatever a damaged byte leads them to: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise UserError(
            f"{path}: cannot be read as an image ({reason[0] if reason else type(error).__name__})."
        ) from error
    if stored.values.size == 0:
        raise UserError(f"{path}: the image is empty.")
    if stored.palette is not None and stored.values.max() >= len(stored.palette):
        raise UserError(
            f"{path}: has the index {stored.values.max()}, but its palette {len(stored.palette)} colours."
        )
    return stored
