"""Masks of a data set together: what they mean, what they look like instead, and the settings for it."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.measure import label as connected

from data.commands.check import examine
from data.commands.pack import pack
from data.commands.show import show
from data.errors import UserError
from data.labels.label_files import Reading
from data.labels.label_maps import is_ignored
from data.settings import Preprocessing
from data.sources.folder import Folder
from data.sources.packed import Packed
from data.sources.volumes import Volumes

RANDOM = np.random.default_rng(0)
SIZE = (48, 64)


def discs(*places: tuple[int, int], radius: int = 4) -> np.ndarray:
    """Discs around places, numbered from 1."""
    rows, columns = np.indices(SIZE)
    numbers = np.zeros(SIZE, np.uint8)
    for number, (row, column) in enumerate(places, 1):
        numbers[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = number
    return numbers


PLACES = [(row, column) for row in range(6, 48, 12) for column in range(6, 64, 12)]
SHAPE = discs(*PLACES[:3]) > 0


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels, np.uint8))
    image.save(path, **options)


def palette_image(indices, *colours) -> Image.Image:
    image = Image.fromarray(np.asarray(indices, np.uint8))
    image.putpalette(np.array(colours, np.uint8).tobytes())
    return image


def folder(path, masks, suffix=".png", **settings) -> Folder:
    """A data set of these masks, and images of noise."""
    for number, mask in enumerate(masks):
        save(path / f"images/{number}.png", RANDOM.integers(0, 256, SIZE))
        save(path / f"masks/{number}{suffix}", mask)
    return Folder(directory=path, **settings)


def finding(source) -> str:
    """The only thing that is wrong."""
    problems = source.problems()
    assert len(problems) == 1, problems
    return problems[0]


WHITE, BLACK, RED, GREEN = (255, 255, 255), (0, 0, 0), (200, 0, 0), (0, 200, 0)


class TestPalettes:
    def test_black_and_white_masks_mean_what_is_white_whatever_the_indices(self, tmp_path):
        masks = [
            palette_image(~SHAPE, WHITE, BLACK),
            palette_image(SHAPE, BLACK, WHITE),
            SHAPE * 255,
            Image.fromarray(SHAPE),
        ]
        source = folder(tmp_path, masks)
        source.check()
        for name in source.names():
            np.testing.assert_array_equal(source.read(name).label, SHAPE)

    def test_classes_are_the_indices_if_all_palettes_are_the_same(self, tmp_path):
        source = folder(tmp_path, [palette_image(discs(*PLACES[:n]), BLACK, RED, GREEN) for n in (1, 2)])
        save(tmp_path / "images/2.png", RANDOM.integers(0, 256, SIZE))
        # The same colours, and in a BMP always 256 of them.
        save(tmp_path / "masks/2.bmp", palette_image(discs(*PLACES[:2]), BLACK, RED, GREEN))
        source.check()
        assert source.classes == 3
        np.testing.assert_array_equal(source.read("2").label, discs(*PLACES[:2]))

    def test_different_palettes_are_refused_with_two_files(self, tmp_path):
        palettes = [(BLACK, RED, GREEN), (BLACK, GREEN, RED)]
        source = folder(tmp_path, [palette_image(discs(*PLACES[:2]), *colours) for colours in palettes])
        told = finding(source)
        assert "masks/1.png: its palette is not that of" in told
        assert "masks/0.png: index 1 is the colour (0, 200, 0), there (200, 0, 0)" in told

    def test_some_with_a_palette_and_some_without_are_refused(self, tmp_path):
        source = folder(tmp_path, [palette_image(discs(*PLACES[:2]), BLACK, RED, GREEN), discs(*PLACES[:2])])
        assert "0.png: is a palette image, whose indices are the classes, and" in finding(source)

    def test_black_and_white_against_the_order_of_the_indices_is_refused(self, tmp_path):
        source = folder(tmp_path, [palette_image(~SHAPE, WHITE, BLACK, RED)])
        assert "shows nothing but shades of grey, and its indices order them in another way" in finding(
            source
        )

    def test_volumes_have_palettes_too(self, tmp_path):
        for number, colours in enumerate([(BLACK, RED), (RED, BLACK)]):
            table = np.zeros((3, 256), np.uint16)
            table[:, :2] = np.array(colours).T * 257
            (tmp_path / "images").mkdir(exist_ok=True)
            (tmp_path / "labels").mkdir(exist_ok=True)
            stack = np.stack([SHAPE] * 3).astype(np.uint8)
            tifffile.imwrite(tmp_path / f"images/{number}.tif", stack, photometric="minisblack")
            tifffile.imwrite(tmp_path / f"labels/{number}.tif", stack, photometric="palette", colormap=table)
        assert "1.tif: its palette is not that of" in finding(Volumes(directory=tmp_path))


class TestCompressedWithALoss:
    def test_black_and_white_is_told_apart_and_said(self, tmp_path):
        source = folder(tmp_path, [SHAPE * 255, ~SHAPE * 255], ".jpg")
        np.testing.assert_array_equal(source.read("0").label, SHAPE)
        np.testing.assert_array_equal(source.read("1").label, ~SHAPE)
        note = "note: 2 mask(s) are black and white JPEG files, told apart at the middle: 0.jpg, 1.jpg"
        assert note in examine(source).facts

    @pytest.mark.parametrize("quality", [50, 75, 95, 100])
    @pytest.mark.parametrize(
        "mask",
        [discs(*PLACES[:2]), discs(*PLACES), np.where(SHAPE, 255, discs(*PLACES)), 100 * discs(*PLACES[:2])],
        ids=["0-2", "0-20", "0-20 and 255", "0, 100, 200"],
    )
    def test_numbers_of_classes_are_refused(self, tmp_path, mask, quality):
        for number in range(3):
            save(tmp_path / f"images/{number}.png", RANDOM.integers(0, 256, SIZE))
            save(tmp_path / f"masks/{number}.jpg", mask, quality=quality)
        told = Folder(directory=tmp_path).problems()
        if "0 everywhere" in told[0]:  # nothing is left of them
            assert (quality, mask.max()) == (50, 2)
            return
        # One finding about three files.
        assert any("3 files: its compression (such as JPEG) changes values" in line for line in told)
        assert any(all(f"{number}.jpg" in line for number in range(3)) for line in told)


class TestNothingToLearn:
    @pytest.mark.parametrize("value", [0, 1, 255])
    @pytest.mark.parametrize("settings", [{}, {"label_values": (0, 1, 255)}, {"foreground": "any"}])
    def test_one_value_everywhere_in_all_files(self, tmp_path, value, settings):
        source = folder(tmp_path, [np.full(SIZE, value)] * 3, **settings)
        assert f"all labels are {value} everywhere: there is nothing to learn" in finding(source)

    def test_one_such_file_is_an_empty_image(self, tmp_path):
        source = folder(tmp_path, [np.zeros(SIZE), SHAPE * 255, np.full(SIZE, 255)])
        source.check()
        assert [int(source.read(name).label.sum()) for name in source.names()] == [0, SHAPE.sum(), SHAPE.size]

    def test_the_shape_is_in_the_alpha_channel(self, tmp_path):
        white = np.full(SIZE, 255, np.uint8)
        masks = [Image.fromarray(np.stack([white, SHAPE * white], -1))] * 2
        told = folder(tmp_path, masks).problems()
        assert "2 files: has the value 255 everywhere, and a shape in its alpha channel only" in told[0]

    def test_of_a_class_with_masks_of_its_own(self, tmp_path):
        save(tmp_path / "images/a.png", RANDOM.integers(0, 256, SIZE))
        save(tmp_path / "masks/vessel/a.png", SHAPE * 255)
        save(tmp_path / "masks/nerve/a.png", np.full(SIZE, 255))
        assert "nerve: all masks are 255 everywhere: there is nothing to learn" in finding(
            Folder(directory=tmp_path)
        )

    def test_volumes(self, tmp_path):
        for part, value in (("images", RANDOM.integers(0, 256, (3, *SIZE))), ("labels", np.ones((3, *SIZE)))):
            (tmp_path / part).mkdir()
            tifffile.imwrite(tmp_path / part / "a.tif", value.astype(np.uint8), photometric="minisblack")
        assert "all labels are 1 everywhere" in finding(Volumes(directory=tmp_path))


class TestUnclearValues:
    def test_255_beside_classes_looks_like_void(self, tmp_path):
        masks = [np.where(SHAPE, 255, discs(*PLACES[3:5])), discs(*PLACES[3:5])]
        told = finding(folder(tmp_path, masks))
        assert "hold the values 0, 1, 2, 255, of which 255 looks like a void label" in told
        assert "--set 'data.ignore=[255]'" in told
        assert "--set 'data.label_values=[0, 1, 2, 255]'" in told

    def test_resized_masks(self, tmp_path):
        image = Image.fromarray(SHAPE.astype(np.uint8) * 255)
        blurred = image.resize((80, 60), Image.Resampling.BICUBIC).resize(
            SIZE[::-1], Image.Resampling.BICUBIC
        )
        told = finding(folder(tmp_path / "all", [blurred] * 3))
        assert "resize with nearest neighbours, or threshold them" in told
        told = finding(folder(tmp_path / "some", [SHAPE * 255, SHAPE * 255, SHAPE * 255, blurred]))
        assert "masks/3.png: unexpected values" in told
        assert "expected are 0, 255, which is a guess from all files" in told
        assert "nearest neighbours, or threshold it" in told

    def test_0_and_1_beside_0_and_255(self, tmp_path):
        told = finding(folder(tmp_path, [SHAPE, SHAPE * 255]))
        assert "hold the values 0, 1, 255, not 0 .. N - 1" in told

    @pytest.mark.parametrize("counts", [(20, 12, 7), (20,)])
    def test_numbered_objects(self, tmp_path, counts):
        masks = [discs(*PLACES[:count]) for count in counts]
        told = finding(folder(tmp_path / "files", masks))
        assert "hold 21 different values (0, 1, 2, 3, 4, 5, 6, 7, ...) and look like numbered objects" in told
        assert "--set data.foreground=any" in told
        source = folder(tmp_path / "files", masks, foreground="any")
        source.check()
        assert source.classes == 2
        for name, mask in zip(source.names(), masks, strict=True):
            np.testing.assert_array_equal(source.read(name).label, mask > 0)

    def test_objects_that_are_numbered_through_all_files(self, tmp_path):
        masks = [discs(*PLACES[:8]), np.where(discs(*PLACES[:8]), discs(*PLACES[:8]) + 8, 0)]
        assert "look like numbered objects" in finding(folder(tmp_path, masks))

    def test_classes_that_are_one_object_each_are_none(self, tmp_path):
        """Organs: the same ones in all files, wherever they are; some are in several parts."""
        masks = [discs(*(PLACES[place] for place in RANDOM.permutation(20)[:13])) for _ in range(4)]
        masks[1][masks[1] == 5] = 0
        source = folder(tmp_path, masks)
        source.check()
        assert source.classes == 14
        assert all(connected(mask == 3).max() == 1 for mask in masks)

    def test_ignored_values_are_no_classes(self, tmp_path):
        mask = np.where(SHAPE, 255, discs(*PLACES[3:5]))
        source = folder(tmp_path, [mask], ignore=(255,))
        source.check()
        assert (source.classes, source.ignoring) == (3, True)
        label = source.read("0").label
        np.testing.assert_array_equal(label[~SHAPE], mask[~SHAPE])
        assert set(label[SHAPE]) == {255}

    def test_ignored_pixels_are_packed_drawn_and_reported(self, tmp_path):
        masks = [np.where(SHAPE, 255, discs(*PLACES[3:5])), discs(*PLACES[3:5])]
        source = folder(tmp_path / "files", masks, ignore=(255,))
        found = examine(source)
        assert not found.errors
        assert f"share of ignored pixels: {SHAPE.mean() / 2:.2%}" in found.facts
        pack(source, Preprocessing(), "hdf5", tmp_path / "packed")
        packed = Packed(directory=tmp_path / "packed")
        assert packed.ignoring
        np.testing.assert_array_equal(is_ignored(packed.read("0").label), SHAPE)
        assert show(packed, ["0"], tmp_path / "shown")

    def test_settings_that_contradict_each_other(self):
        for settings, words in (
            ({"foreground": "any", "label_values": (0, 1)}, "foreground and label_values exclude each other"),
            ({"ignore": (1,), "label_values": (0, 1)}, "ignore: 1 is among label_values"),
            ({"ignore": (0,), "foreground": "any"}, "ignore: 0 is the background"),
        ):
            with pytest.raises(ValueError, match=words):
                Folder(**settings)

    def test_no_images_but_other_files(self, tmp_path):
        save(tmp_path / "images/a.png", SHAPE)
        save(tmp_path / "masks/a.gif", SHAPE)
        with pytest.raises(
            UserError,
            match=r"(?s)masks holds no images, but 1 \.gif.*files that end in \.gif are not. Convert to PNG",
        ):
            Folder(directory=tmp_path).names()

    @pytest.mark.parametrize("guessed", [(0, 255), (0, 1, 2)])
    def test_a_guess_is_called_one(self, guessed):
        told = Reading().unexpected(frozenset({0, 7}), guessed)
        assert (
            "unexpected values 7" in told
            and "a guess from all files (--set 'data.label_values=[...]'" in told
        )
        assert ("nearest neighbours" in told) == (guessed == (0, 255))
        assert "guess" not in Reading(label_values=guessed).unexpected(frozenset({0, 7}), guessed)
