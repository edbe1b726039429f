"""Readers of images and masks, and a writer of masks: PNG, JPEG, TIFF and BMP.

Who reads or writes imports the library of the format: the settings of data sets are validated without it.
"""

from pathlib import Path

import numpy as np

from data.errors import UserError
from data.files import paths_in, replacing

TIFF = (".tif", ".tiff")
LOSSY = (".jpg", ".jpeg")
SUFFIXES = (".png", ".bmp", *LOSSY, *TIFF)


def image_files(directory: Path) -> list[Path]:
    """The image files directly in a directory, as of `paths_in`."""
    return paths_in(directory, lambda path: path.suffix.lower() in SUFFIXES and path.is_file())


def read_image(path: Path) -> np.ndarray:
    """An image, float32 [*size, channels], in the file's own range of values.

    A TIFF of several pages is a volume [pages, height, width, channels]. An alpha channel is
    dropped and a palette replaced by its colours. Pillow reads colour PNGs of 16 bit as 8 bit.
    Raises UserError, with the path, if the file is missing, damaged or holds NaN or infinity.
    """
    pixels = _read(path, as_mask=False)
    if pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]  # grey or colour with alpha
    image = np.ascontiguousarray(pixels, dtype=np.float32)
    if not np.isfinite(image).all():
        raise UserError(f"{path}: some pixels are NaN or infinite.")
    return image


def read_mask(path: Path) -> np.ndarray:
    """The values of a mask, int32 [*size]; of a palette image the indices.

    Raises UserError, with the path, if the file is missing or damaged, if its channels differ (a
    colour image), or if values are not whole numbers.
    """
    pixels = _read(path, as_mask=True)
    if pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]
    if (pixels != pixels[..., :1]).any():
        raise UserError(
            f"{path}: a mask must hold one number a pixel, but this is a colour image. Save the "
            "number of each pixel's class as a grey image."
        )
    mask = pixels[..., 0].astype(np.int32)
    if (mask != pixels[..., 0]).any():
        raise UserError(f"{path}: a mask must hold whole numbers, but this one has fractions.")
    return mask


def write_mask(path: Path, mask: np.ndarray) -> Path:
    """Write non-negative whole numbers, [height, width] or [pages, height, width], atomically.

    The suffix chooses the format: PNG, BMP and TIFF are kept, everything else becomes PNG (JPEG
    would blur the values), and volumes and 16-bit BMPs become TIFF. The file has 8 bits if all
    values are below 256, else 16. Returns the path that was written.
    """
    if mask.min(initial=0) < 0 or mask.max(initial=0) > 65535:
        raise ValueError(f"a mask holds 0 .. 65535, not {mask.min()} .. {mask.max()}")
    mask = mask.astype(np.uint8 if mask.max(initial=0) < 256 else np.uint16)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".bmp", *TIFF):
        path = path.with_suffix(".png")
    if suffix not in TIFF and (mask.ndim == 3 or (suffix == ".bmp" and mask.dtype == np.uint16)):
        path = path.with_suffix(".tif")
    with replacing(path) as temporary:
        if path.suffix.lower() in TIFF:
            import tifffile

            tifffile.imwrite(temporary, mask, photometric="minisblack", compression="zlib")
        else:
            from PIL import Image

            Image.fromarray(mask).save(temporary)
    return path


def _read(path: Path, as_mask: bool) -> np.ndarray:
    """Pixels [*size, channels] as the file has them; raises UserError if that fails."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such file.")
    try:
        is_tiff = path.suffix.lower() in TIFF
        pixels = _read_tiff(path) if is_tiff else _read_pillow(path, as_mask)
    # Decoders raise whatever a damaged byte leads them to: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise UserError(
            f"{path}: cannot be read as an image ({reason[0] if reason else type(error).__name__})."
        ) from error
    if pixels.size == 0:
        raise UserError(f"{path}: the image is empty.")
    return pixels


def _read_pillow(path: Path, as_mask: bool) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as file:
        if file.mode == "P" and not as_mask:
            pixels = np.asarray(file.convert("RGB"))
        else:
            pixels = np.asarray(file)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _read_tiff(path: Path) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1:
            raise ValueError(f"it holds {len(file.series)} images of different kinds")
        series = file.series[0]
        pixels, axes = series.asarray(), series.axes
    # Samples (S) and channels (C) are the channels; all other axes are space, whatever their name.
    kinds = [axis for axis, name in enumerate(axes) if name in "SC"]
    if len(kinds) > 1 or pixels.ndim - len(kinds) not in (2, 3):
        raise ValueError(f"its axes {axes} are neither an image's nor a volume's")
    return np.moveaxis(pixels, kinds[0], -1) if kinds else pixels[..., np.newaxis]
