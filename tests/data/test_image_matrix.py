"""What is read of every kind of image file: what viewers show, or nothing and the reason.

The kinds are a table, `docs/data.md` shows it, and a test compares the two.
"""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from helpers import ROOT
from PIL import Image, ImageOps

from data.errors import UserError
from data.formats.images import read_image, read_mask

Write = Callable[[Path], None]

SIZE = (24, 40)
GREY = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE)
BYTES = (GREY % 251).astype(np.uint8)
DEEP = (GREY * 60 + 7).astype(np.uint16)
COLOUR = np.stack([BYTES, BYTES[::-1], BYTES[:, ::-1]], axis=-1)
DEEP_COLOUR = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], axis=-1)
OPACITY = ((GREY * 7) % 256).astype(np.uint8)
SPOTS = np.zeros(SIZE, bool)
SPOTS[3:11, 5:22] = SPOTS[15:20, 30:] = True
BLACK_AND_WHITE = np.where(SPOTS, 255, 0).astype(np.uint8)
CLASSES = (GREY // 100 % 3).astype(np.uint8)
COLOURS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 64]], np.uint8)
WHITE_BLACK = np.array([[255, 255, 255], [0, 0, 0]], np.uint8)
STACK = np.stack([BYTES, BYTES[::-1], BYTES.T.reshape(SIZE)])
STAINS = np.stack([BYTES, BYTES.T.reshape(SIZE)], axis=-1)


class Kind(NamedTuple):
    """A kind of file: how it is described, how it is written, and what should be read of it.

    shown, label: an array, or words of the refusal. by_pillow: Pillow shows the same, as RGB of 8 bit.
    """

    pixels: str
    as_image: str
    as_mask: str
    files: dict[str, Write]
    shown: np.ndarray | str
    label: np.ndarray | str
    by_pillow: bool = True
    close: float = 0


def pillow(pixels: np.ndarray, **options) -> Write:
    return lambda path: Image.fromarray(pixels).save(path, **options)


def tiff(pixels: np.ndarray, **options) -> Write:
    return lambda path: tifffile.imwrite(path, pixels, **options)


def chunks(*parts: tuple[bytes, bytes]) -> Write:
    """A PNG of chunks, by their type and content."""

    def write(path: Path) -> None:
        whole = b"\x89PNG\r\n\x1a\n"
        for kind, content in (*parts, (b"IEND", b"")):
            whole += struct.pack(">I", len(content)) + kind + content
            whole += struct.pack(">I", zlib.crc32(kind + content))
        path.write_bytes(whole)

    return write


def png(rows: np.ndarray, bits: int, colour_type: int, *others: tuple[bytes, bytes]) -> Write:
    """A PNG of rows of bytes as they are in the file, with further chunks before them."""
    width = rows.shape[1] * 8 // bits if bits < 8 else SIZE[1]
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return chunks((b"IHDR", header), *others, (b"IDAT", content))


def tags(content: bytes, size: tuple[int, int] = SIZE, **values: int | tuple[int, ...]) -> Write:
    """A TIFF of one strip, little-endian, of the tags alone: by hand, as tifffile writes no such files."""
    numbers = dict(NewSubfileType=254, ImageWidth=256, ImageLength=257, BitsPerSample=258, Compression=259)
    numbers |= dict(PhotometricInterpretation=262, StripOffsets=273, Orientation=274, SamplesPerPixel=277)
    numbers |= dict(RowsPerStrip=278, StripByteCounts=279, ColorMap=320, ExtraSamples=338)
    values = dict(ImageLength=size[0], ImageWidth=size[1], RowsPerStrip=size[0], Compression=1) | values
    values |= dict(StripOffsets=8, StripByteCounts=len(content))

    def write(path: Path) -> None:
        content_even = content + b"\0" * (len(content) % 2)
        extra, entries = b"", []
        start = 8 + len(content_even)
        for name, value in sorted(values.items(), key=lambda item: numbers[item[0]]):
            value = value if isinstance(value, tuple) else (value,)
            if name in ("StripOffsets", "StripByteCounts"):
                entries.append(struct.pack("<HHII", numbers[name], 4, 1, value[0]))
            elif len(value) <= 2:
                padded = (*value, 0)[:2]
                entries.append(struct.pack("<HHIHH", numbers[name], 3, len(value), *padded))
            else:
                entries.append(struct.pack("<HHII", numbers[name], 3, len(value), start + len(extra)))
                extra += struct.pack(f"<{len(value)}H", *value)
        directory = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
        whole = b"II*\0" + struct.pack("<I", start + len(extra)) + content_even + extra + directory
        path.write_bytes(whole)

    return write


def palette(indices: np.ndarray, colours: np.ndarray, **options) -> Write:
    def write(path: Path) -> None:
        image = Image.fromarray(indices)
        image.putpalette(colours.tobytes())
        image.save(path, **options)

    return write


def palette_tiff(indices: np.ndarray, colours: np.ndarray) -> Write:
    table = np.zeros((3, 256), np.uint16)
    table[:, : len(colours)] = colours.T.astype(np.uint16) * 257
    return tiff(indices, photometric="palette", colormap=table)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels stored so that a viewer that heeds the orientation shows `pixels`: Pillow's methods, inverted."""
    method = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    return np.asarray(Image.fromarray(pixels).transpose(method))


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = value
    return exif


def jpeg_in_tiff(pixels: np.ndarray, **options) -> Write:
    return tiff(pixels, compression="jpeg", compressionargs={"level": 95}, **options)


def through_jpeg(pixels: np.ndarray, **options) -> np.ndarray:
    """What libjpeg makes of it."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", **options)
    return np.asarray(Image.open(content))


def packed(values: np.ndarray, bits: int) -> bytes:
    """Rows of values of `bits` bits each, the first one in the highest bits (TIFF 6.0, page 29)."""
    bytes_of = ((values[..., None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)
    return np.packbits(bytes_of.reshape(len(values), -1), axis=1).tobytes()


def rows(values: np.ndarray, bits: int) -> np.ndarray:
    return np.frombuffer(packed(values, bits), np.uint8).reshape(len(values), -1)


def big_endian(values: np.ndarray) -> np.ndarray:
    return values.astype(">u2").reshape(len(values), -1)


FOUR, TWELVE = (GREY % 16).astype(np.uint8), (GREY % 4096).astype(np.uint16)
ALPHA = dict(photometric="rgb", extrasamples=["unassalpha"])
GREY_ALPHA = dict(photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
RGBA = np.concatenate([COLOUR, OPACITY[..., None]], axis=-1)
LA = np.stack([BYTES, OPACITY], axis=-1)
DEEP_RGBA = np.concatenate([DEEP_COLOUR, DEEP[..., None]], axis=-1)
CMYK = Image.fromarray(COLOUR).convert("CMYK")
COLOURFUL = "must hold one number a pixel, but this is a colour image"
INVERTED_BW = (255 - BLACK_AND_WHITE).astype(np.uint8)
TRNS = (b"tRNS", bytes([0, 255, 100]))
PLTE = (b"PLTE", COLOURS.tobytes())
GREY_LIKE = BYTES.astype(np.int16) - 100

KINDS = [
    Kind(
        "grey, 8 bit", "grey values", "values",
        {"PNG": pillow(BYTES), "BMP": pillow(BYTES), "TIFF": tiff(BYTES)},
        BYTES, BYTES,
    ),
    Kind(
        "grey, 1 bit", "0 and 255", "0 and 255",
        {"PNG": pillow(SPOTS), "BMP": pillow(SPOTS), "TIFF": tiff(SPOTS, photometric="minisblack")},
        BLACK_AND_WHITE, BLACK_AND_WHITE,
    ),
    Kind(
        "grey, 4 bit (2 bit likewise)", "widened to 0 ... 255", "widened to 0 ... 255",
        {"PNG": png(rows(FOUR, 4), 4, 0),
         "TIFF": tags(packed(FOUR, 4), BitsPerSample=4, SamplesPerPixel=1, PhotometricInterpretation=1)},
        FOUR * 17, FOUR * 17,
    ),
    Kind(
        "grey, 16 bit", "values", "values",
        {"PNG": pillow(DEEP), "TIFF": tiff(DEEP), "TIFF, big-endian": tiff(DEEP, byteorder=">")},
        DEEP, DEEP, by_pillow=False,
    ),
    Kind(
        "grey, 12 bit, packed", "values", "values",
        {"TIFF": tags(packed(TWELVE, 12), BitsPerSample=12, SamplesPerPixel=1, PhotometricInterpretation=1)},
        TWELVE, TWELVE, by_pillow=False,
    ),
    Kind(
        "grey, 32 bit", "values", "values",
        {"TIFF": tiff(GREY.astype(np.uint32)), "TIFF, signed": tiff(GREY.astype(np.int32))},
        GREY, GREY, by_pillow=False,
    ),
    Kind(
        "grey, negative values", "values", "refused",
        {"TIFF": tiff(GREY_LIKE)},
        GREY_LIKE, "holds the value -100, which is no number of a class", by_pillow=False,
    ),
    Kind(
        "grey, floating point", "values", "values, if they are whole numbers",
        {"TIFF, 16 bit": tiff(GREY.astype(np.float16)), "TIFF, 32 bit": tiff(GREY.astype(np.float32)),
         "TIFF, 64 bit": tiff(GREY.astype(np.float64))},
        GREY, GREY, by_pillow=False,
    ),
    Kind(
        "floating point with fractions", "values", "refused: nearest neighbours, or a threshold",
        {"TIFF": tiff(GREY.astype(np.float32) / 4)},
        GREY / 4, "must hold whole numbers, .* resize with nearest neighbours; .* threshold", by_pillow=False,
    ),
    Kind(
        "NaN or infinity", "refused", "refused",
        {"TIFF": tiff(np.where(SPOTS, np.float32(np.nan), np.float32(1)))},
        "some pixels are NaN", "fractions or NaN",
    ),
    Kind(
        "WhiteIsZero, 8 bit", "inverted: white is 255", "inverted",
        {"TIFF": tiff(BYTES, photometric="miniswhite")},
        255 - BYTES, 255 - BYTES,
    ),
    Kind(
        "WhiteIsZero, 1 bit", "inverted", "inverted",
        {"TIFF": tiff(SPOTS, photometric="miniswhite"), "TIFF, by hand": tags(
            packed(SPOTS * 1, 1), BitsPerSample=1, SamplesPerPixel=1, PhotometricInterpretation=0)},
        INVERTED_BW, INVERTED_BW,
    ),
    Kind(
        "WhiteIsZero, 16 bit", "inverted: white is 65535", "inverted",
        {"TIFF": tiff(DEEP, photometric="miniswhite")},
        65535 - DEEP, 65535 - DEEP, by_pillow=False,
    ),
    Kind(
        "WhiteIsZero, floating point", "refused", "refused",
        {"TIFF": tiff(GREY.astype(np.float32), photometric="miniswhite")},
        "is WhiteIsZero with values of type float32", "is WhiteIsZero",
    ),
    Kind(
        "RGB, 8 bit", "three channels", "refused, unless all three are equal",
        {"PNG": pillow(COLOUR), "BMP": pillow(COLOUR), "TIFF": tiff(COLOUR, photometric="rgb"),
         "TIFF, planes": tiff(np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate")},
        COLOUR, COLOURFUL,
    ),
    Kind(
        "RGB, 16 bit", "three channels of 16 bit", "refused, unless all three are equal",
        {"PNG": png(big_endian(DEEP_COLOUR), 16, 2), "TIFF": tiff(DEEP_COLOUR, photometric="rgb")},
        DEEP_COLOUR, COLOURFUL, by_pillow=False,
    ),
    Kind(
        "RGB with three equal channels", "three channels", "values",
        {"PNG": pillow(np.stack([BYTES] * 3, -1)), "BMP": pillow(np.stack([BYTES] * 3, -1)),
         "TIFF": tiff(np.stack([BYTES] * 3, -1), photometric="rgb")},
        np.stack([BYTES] * 3, -1), BYTES,
    ),
    Kind(
        "grey with alpha", "alpha is dropped", "alpha is dropped",
        {"PNG": pillow(LA), "TIFF": tiff(LA, **GREY_ALPHA),
         "TIFF, associated": tiff(LA, photometric="minisblack", planarconfig="contig", extrasamples=["assocalpha"])},
        BYTES, BYTES, by_pillow=False,
    ),
    Kind(
        "grey with alpha, 16 bit", "alpha is dropped", "alpha is dropped",
        {"PNG": png(big_endian(np.stack([DEEP, DEEP[::-1]], -1)), 16, 4)},
        DEEP, DEEP, by_pillow=False,
    ),
    Kind(
        "RGB with alpha", "alpha is dropped", "refused, unless all three are equal",
        {"PNG": pillow(RGBA), "TIFF": tiff(RGBA, **ALPHA),
         "TIFF, associated": tiff(RGBA, photometric="rgb", extrasamples=["assocalpha"])},
        COLOUR, COLOURFUL, by_pillow=False,
    ),
    Kind(
        "RGB with alpha, 16 bit", "alpha is dropped", "refused, unless all three are equal",
        {"PNG": png(big_endian(DEEP_RGBA), 16, 6), "TIFF": tiff(DEEP_RGBA, **ALPHA)},
        DEEP_COLOUR, COLOURFUL, by_pillow=False,
    ),
    Kind(
        "one colour, and a shape in alpha", "alpha is dropped", "refused: save the alpha channel",
        {"PNG": pillow(np.stack([np.full(SIZE, 255, np.uint8), BLACK_AND_WHITE], -1)),
         "TIFF": tiff(np.stack([np.full(SIZE, 255, np.uint8), BLACK_AND_WHITE], -1), photometric="minisblack",
                      planarconfig="contig", extrasamples=["unassalpha"])},
        np.full(SIZE, 255), "has the value 255 everywhere, and a shape in its alpha channel only", by_pillow=False,
    ),
    Kind(
        "two channels, ExtraSamples unspecified or missing", "two channels", "refused",
        {"TIFF": tiff(STAINS, photometric="minisblack", planarconfig="contig", extrasamples=["unspecified"]),
         "TIFF, planes": tiff(np.moveaxis(STAINS, -1, 0), photometric="minisblack", planarconfig="separate"),
         "TIFF, no tag": tags(STAINS.tobytes(), BitsPerSample=(8, 8), SamplesPerPixel=2, PhotometricInterpretation=1)},
        STAINS, "here are 2 channels", by_pillow=False,
    ),
    Kind(
        "RGB and a fourth channel, ExtraSamples unspecified", "four channels", "refused",
        {"TIFF": tiff(RGBA, photometric="rgb", extrasamples=["unspecified"])},
        RGBA, "here are 4 channels", by_pillow=False,
    ),
    Kind(
        "channels as axis C", "channels", "refused",
        {"ImageJ TIFF": tiff(np.moveaxis(STAINS, -1, 0), imagej=True, metadata={"axes": "CYX"}),
         "OME TIFF": tiff(np.moveaxis(STAINS, -1, 0), ome=True, metadata={"axes": "CYX"})},
        STAINS, "here are 2 channels", by_pillow=False,
    ),
    Kind(
        "pages, or an axis Z or T", "a volume", "a volume",
        {"TIFF": tiff(STACK, photometric="minisblack"),
         "ImageJ TIFF": tiff(STACK, imagej=True, metadata={"axes": "ZYX"}),
         "ImageJ TIFF, T": tiff(STACK, imagej=True, metadata={"axes": "TYX"}),
         "OME TIFF": tiff(STACK, ome=True, metadata={"axes": "ZYX"}),
         "BigTIFF": tiff(STACK, bigtiff=True, photometric="minisblack"),
         "TIFF, tiles": tiff(STACK, tile=(16, 16), photometric="minisblack")},
        STACK[..., None], STACK, by_pillow=False,
    ),
    Kind(
        "axes Z and C", "a volume with channels", "refused",
        {"ImageJ TIFF": tiff(np.stack([STACK, STACK[::-1]], 1), imagej=True, metadata={"axes": "ZCYX"}),
         "OME TIFF": tiff(np.stack([STACK, STACK[::-1]]), ome=True, metadata={"axes": "CZYX"})},
        np.stack([STACK, STACK[::-1]], -1), "here are 2 channels", by_pillow=False,
    ),
    Kind(
        "axes T and Z, or other axes", "refused: one image or volume a file", "refused",
        {"ImageJ TIFF": tiff(np.stack([STACK, STACK]), imagej=True, metadata={"axes": "TZYX"}),
         "OME TIFF": tiff(np.stack([STACK, STACK]), ome=True, metadata={"axes": "TZYX"})},
        "its axes TZYX are neither an image's nor a volume's", "its axes TZYX",
    ),
    Kind(
        "pages of different sizes", "refused", "refused",
        {"TIFF": lambda path: [tifffile.imwrite(path, part, append=True) for part in (BYTES, BYTES[:9])]},
        "holds 2 images of different kinds", "holds 2 images",
    ),
    Kind(
        "pages of different orientation or palette", "refused", "refused",
        {"TIFF": lambda path: Image.fromarray(BYTES).save(
            path, save_all=True, append_images=[_with_tag(BYTES, 3)])},
        "its pages differ in orientation", "its pages differ",
    ),
    Kind(
        "palette with colours", "three channels", "indices, with the same palette in all masks",
        {"PNG": palette(CLASSES, COLOURS), "BMP": palette(CLASSES, COLOURS), "TIFF": palette_tiff(CLASSES, COLOURS),
         "TIFF, 4 bit": tags(packed(CLASSES, 4), BitsPerSample=4, SamplesPerPixel=1, PhotometricInterpretation=3,
                             ColorMap=tuple(np.pad(COLOURS.T.astype(int) * 257, ((0, 0), (0, 13))).ravel().tolist()))},
        COLOURS[CLASSES], CLASSES,
    ),
    Kind(
        "palette of grey values, such as white and black", "grey values", "grey values",
        {"PNG": palette(SPOTS.astype(np.uint8), WHITE_BLACK), "BMP": palette(SPOTS.astype(np.uint8), WHITE_BLACK),
         "TIFF": palette_tiff(SPOTS.astype(np.uint8), WHITE_BLACK),
         "PNG, 1 bit": palette(SPOTS.astype(np.uint8), WHITE_BLACK, bits=1)},
        INVERTED_BW, INVERTED_BW,
    ),
    Kind(
        "palette with transparency", "colours; transparency is dropped", "indices",
        {"PNG": png(CLASSES, 8, 3, PLTE, TRNS)},
        COLOURS[CLASSES], CLASSES,
    ),
    Kind(
        "indices beyond the palette", "refused", "refused",
        {"PNG": png(CLASSES, 8, 3, (b"PLTE", COLOURS[:2].tobytes()))},
        "has the index 2, but its palette 2 colours", "has the index 2",
    ),
    Kind(
        "JPEG, grey or RGB", "as decoded", "refused: save without loss",
        {"JPEG": pillow(CLASSES * 100, quality=90)},
        through_jpeg(CLASSES * 100, quality=90), "save masks as PNG or TIFF without loss",
    ),
    Kind(
        "JPEG of black and white", "as decoded", "0 and 255: what is nearer",
        {"JPEG": pillow(BLACK_AND_WHITE, quality=75), "TIFF": tiff(
            BLACK_AND_WHITE, compression="jpeg", compressionargs={"level": 75}, rowsperstrip=SIZE[0])},
        through_jpeg(BLACK_AND_WHITE, quality=75), BLACK_AND_WHITE, close=40,
    ),
    Kind(
        "JPEG 2000, WebP, ... in a TIFF", "as decoded", "refused, unless only 0 and 255",
        {"TIFF": tiff(BYTES, compression="jpeg2000")},
        BYTES, "save masks as PNG or TIFF without loss", by_pillow=False,
    ),
    Kind(
        "YCbCr in a JPEG, also within a TIFF", "RGB", "refused",
        {"JPEG": pillow(np.full((*SIZE, 3), (200, 100, 40), np.uint8), quality=95),
         "TIFF": jpeg_in_tiff(np.full((*SIZE, 3), (200, 100, 40), np.uint8), photometric="rgb")},
        np.full((*SIZE, 3), (200, 100, 40)), COLOURFUL, close=2,
    ),
    Kind(
        "CMYK", "refused: convert it", "refused",
        {"JPEG": lambda path: CMYK.save(path), "TIFF": lambda path: CMYK.save(path)},
        "(is of mode CMYK|PhotometricInterpretation is SEPARATED).* Convert it to RGB", "CMYK|SEPARATED",
    ),
    Kind(
        "CIE Lab, YCbCr without JPEG, and other spaces", "refused: convert it", "refused",
        {"TIFF, Lab": lambda path: Image.merge("LAB", CMYK.split()[:3]).save(path),
         "TIFF, YCbCr": tags(
             COLOUR.tobytes(), BitsPerSample=(8, 8, 8), SamplesPerPixel=3, PhotometricInterpretation=6)},
        "PhotometricInterpretation is (CIELAB|YCBCR). Convert it to RGB or grey values", "PhotometricInterpretation is",
    ),
    *[  # compressed, as Pillow 13 garbles uncompressed ones that lie on their side
        Kind(
            f"EXIF orientation {number}", "turned as it says", "turned as it says",
            {"TIFF": tiff(turned(BYTES, number), compression="lzw", extratags=[(274, 3, 1, number, True)])},
            BYTES, BYTES,
        )
        for number in range(2, 9)
    ],
    Kind(
        "EXIF orientation", "turned as it says", "turned as it says",
        {f"JPEG {number}": pillow(turned(BLACK_AND_WHITE, number), exif=orientation(number)) for number in range(2, 9)},
        BLACK_AND_WHITE, BLACK_AND_WHITE, close=40,
    ),
    Kind(
        "EXIF orientation in other formats", "refused: viewers differ", "refused",
        {"PNG": pillow(BYTES, exif=orientation(6))},
        "EXIF orientation 6 in a PNG file", "EXIF orientation 6",
    ),
    Kind(
        "compressed without loss, with predictor or without", "values", "values",
        {"TIFF, deflate": tiff(DEEP, compression="zlib"), "TIFF, LZW": tiff(DEEP, compression="lzw", predictor=True),
         "TIFF, Zstandard": tiff(DEEP, compression="zstd", predictor=True),
         "TIFF, PackBits": tiff(DEEP, compression="packbits")},
        DEEP, DEEP, by_pillow=False,
    ),
    Kind(
        "complex numbers", "refused", "refused",
        {"TIFF": tiff(GREY.astype(np.complex64))},
        "of the type complex64, not one real number each", "complex64",
    ),
    Kind(
        "no PhotometricInterpretation", "refused: 0 may be black or white", "refused",
        {"TIFF": tags(BYTES.tobytes(), BitsPerSample=8, SamplesPerPixel=1)},
        "PhotometricInterpretation is missing", "is missing",
    ),
    Kind(
        "animation", "refused", "refused",
        {"PNG": lambda path: Image.fromarray(BYTES).save(
            path, save_all=True, append_images=[Image.fromarray(BYTES[::-1])])},
        "is an animation of 2 frames", "is an animation",
    ),
    Kind(
        "another format under this ending", "refused, if it is none of these formats", "refused",
        {"PNG": lambda path: Image.fromarray(BYTES).save(path, "GIF")},
        "its content is not that of a PNG, JPEG, BMP or TIFF file", "its content is not",
    ),
    Kind(
        "TIFF or JPEG under another's ending", "as what it is", "as what it is",
        {"PNG": lambda path: tifffile.imwrite(path, BYTES, photometric="miniswhite")},
        255 - BYTES, 255 - BYTES,
    ),
]  # fmt: skip


def _with_tag(pixels: np.ndarray, number: int) -> Image.Image:
    image = Image.fromarray(pixels)
    image.encoderinfo = {"tiffinfo": {274: number}}
    return image


SUFFIXES = {"PNG": ".png", "BMP": ".bmp", "JPEG": ".jpg"}
FILES = [
    pytest.param(kind, form, write, id=f"{kind.pixels}-{form}")
    for kind in KINDS
    for form, write in kind.files.items()
]


def written(folder: Path, form: str, write: Write) -> Path:
    path = folder / f"a{SUFFIXES.get(form.partition(',')[0].split(' ')[0], '.tif')}"
    write(path)
    return path


def assert_refused(read: Callable, path: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # of Pillow's reading, beside ours
@pytest.mark.parametrize(("kind", "form", "write"), FILES)
def test_an_image_is_what_is_shown(tmp_path, kind, form, write):
    path = written(tmp_path, form, write)
    if isinstance(kind.shown, str):
        assert_refused(read_image, path, kind.shown)
        return
    image = read_image(path)
    expected = kind.shown if kind.shown.ndim >= 3 else kind.shown[..., np.newaxis]
    assert image.shape == expected.shape
    np.testing.assert_allclose(image, expected, rtol=0, atol=kind.close)
    if kind.by_pillow:  # another program's reading
        with Image.open(path) as file:
            file.load()  # turns TIFF files
            seen = np.asarray(
                (file if file.format == "TIFF" else ImageOps.exif_transpose(file)).convert("RGB")
            )
        np.testing.assert_array_equal(np.broadcast_to(image, seen.shape), seen)


@pytest.mark.parametrize(("kind", "form", "write"), FILES)
def test_a_mask_is_what_is_shown(tmp_path, kind, form, write):
    path = written(tmp_path, form, write)
    if isinstance(kind.label, str):
        assert_refused(read_mask, path, kind.label)
        return
    np.testing.assert_array_equal(read_mask(path), kind.label)


def table() -> str:
    """The kinds as a table of Markdown; kinds that are described alike are a row.

    To be put into docs/data.md: `python -c "import test_image_matrix as m; print(m.table())"` in this folder.
    """
    lines = ["| pixels | in | as an image | as a mask |", "|---|---|---|---|"]
    formats: dict[tuple[str, str, str], list[str]] = {}
    for kind in KINDS:
        pixels = "EXIF orientation" if kind.pixels[:-1].strip() == "EXIF orientation" else kind.pixels
        known = formats.setdefault((pixels, kind.as_image, kind.as_mask), [])
        for form in kind.files:
            name = form.partition(",")[0].rstrip(" 2345678")
            known += [] if name in known else [name]
    for (pixels, as_image, as_mask), names in formats.items():
        lines.append(f"| {pixels} | {', '.join(names)} | {as_image} | {as_mask} |")
    return "\n".join(lines)


def test_the_documentation_shows_the_table():
    assert table() in (ROOT / "docs/data.md").read_text(encoding="utf-8")
