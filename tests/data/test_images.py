"""Reading and writing images."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from data.errors import UserError
from data.formats.images import image_files, read_image, read_mask, write_mask

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
DEEP = (GREY.astype(np.uint16) * 1000).astype(np.uint16)
COLOUR = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)


def test_numbers_in_names_sort_as_numbers(tmp_path):
    for name in ("10.png", "2.png", "1.TIF", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert [path.name for path in image_files(tmp_path)] == ["1.TIF", "2.png", "10.png"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        image_files(tmp_path / "nowhere")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("pixels", [GREY, DEEP, COLOUR], ids=["grey", "16bit", "colour"])
def test_exact_formats_give_the_pixels(tmp_path, suffix, pixels):
    if suffix == ".bmp" and pixels is DEEP:
        pytest.skip("BMP has 8 bits")
    path = tmp_path / f"image{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    image = read_image(path)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, pixels.reshape(6, 8, -1))


def test_jpeg_is_read(tmp_path):
    Image.fromarray(np.full((6, 8), 100, np.uint8)).save(tmp_path / "image.jpg")
    np.testing.assert_allclose(read_image(tmp_path / "image.jpg"), np.full((6, 8, 1), 100.0))


def test_alpha_is_dropped(tmp_path):
    alpha = np.full((6, 8, 1), 7, np.uint8)
    Image.fromarray(np.concatenate([COLOUR, alpha], axis=-1)).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), COLOUR)
    Image.fromarray(np.stack([GREY, GREY], axis=-1)).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png"), GREY[..., np.newaxis])


def test_tiff_pages_are_a_volume_and_planar_channels_come_last(tmp_path):
    volume = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
    tifffile.imwrite(tmp_path / "volume.tif", volume, photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "volume.tif"), volume[..., np.newaxis])
    planes = np.moveaxis(COLOUR, -1, 0)
    tifffile.imwrite(tmp_path / "planes.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "planes.tif"), COLOUR)


def test_a_palette_is_colours_in_an_image_and_indices_in_a_mask(tmp_path):
    file = Image.fromarray(GREY % 3)
    file.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    file.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "palette.png"), GREY % 3)
    assert read_image(tmp_path / "palette.png")[0, 1].tolist() == [255.0, 0.0, 0.0]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_files_are_named(tmp_path, suffix, share):
    path = tmp_path / f"broken{suffix}"
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    if suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=rf"broken\{suffix}: cannot be read as an image"):
        read_image(path)


def test_values_that_are_no_image_or_mask_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "nan.tif", np.float32([[0.0, np.nan]]))
    with pytest.raises(UserError, match=r"nan\.tif: some pixels are NaN"):
        read_image(tmp_path / "nan.tif")
    tifffile.imwrite(tmp_path / "half.tif", np.float32([[0.0, 0.5]]))
    with pytest.raises(UserError, match=r"half\.tif: a mask must hold whole numbers"):
        read_mask(tmp_path / "half.tif")
    Image.fromarray(COLOUR).save(tmp_path / "colour.png")
    with pytest.raises(UserError, match=r"colour\.png: a mask must hold one number a pixel"):
        read_mask(tmp_path / "colour.png")


@pytest.mark.parametrize(
    ("asked", "shape", "largest", "written"),
    [
        ("a.png", (6, 8), 255, "a.png"),
        ("a.png", (6, 8), 256, "a.png"),
        ("a.jpg", (6, 8), 3, "a.png"),
        ("a.bmp", (6, 8), 3, "a.bmp"),
        ("a.bmp", (6, 8), 300, "a.tif"),
        ("a.TIF", (6, 8), 65535, "a.TIF"),
        ("a.tif", (3, 6, 8), 3, "a.tif"),
        ("a.png", (3, 6, 8), 3, "a.tif"),
    ],
)
def test_a_written_mask_reads_back(tmp_path, asked, shape, largest, written):
    mask = np.random.default_rng(0).integers(0, largest, shape, endpoint=True)
    mask.flat[0] = largest
    path = write_mask(tmp_path / "new" / asked, mask)
    assert path.name == written
    np.testing.assert_array_equal(read_mask(path), mask)
    assert [found.name for found in path.parent.iterdir()] == [written]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_mask(tmp_path / "mask.png", GREY)

    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_mask(tmp_path / "mask.png", GREY + 1)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), GREY)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]
