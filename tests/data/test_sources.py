"""The three data sets: what they give, and what they refuse in which words."""

import numpy as np
import pytest
import tifffile
from helpers import ROOT
from PIL import Image
from pydantic import ValidationError
from scipy.ndimage import distance_transform_edt, label

from data.errors import UserError
from data.formats.pixels import in_colour
from data.sources import SOURCES
from data.sources.folder import Folder
from data.sources.generated.membranes import Membranes
from data.sources.isbi2012 import Isbi2012


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def stack(path, pages):
    tifffile.imwrite(path, pages, photometric="minisblack")


def test_every_source_is_listed_under_its_name():
    for name, source in SOURCES.items():
        assert source().name == name


class TestMembranes:
    def test_image_i_is_a_function_of_the_seed_and_i_alone(self):
        few, many = Membranes(images=2, size=(64, 64)), Membranes(images=12, size=(64, 64))
        first, same = few.read("membranes-1"), many.read("membranes-01")
        np.testing.assert_array_equal(first.image, same.image)
        np.testing.assert_array_equal(first.label, same.label)
        other = Membranes(images=2, size=(64, 64), seed=1).read("membranes-1")
        assert (first.image != other.image).mean() > 0.9

    @pytest.mark.parametrize("size", [(96, 80), (24, 40, 32)])
    def test_image_and_label_are_of_the_size_asked_for(self, size):
        case = Membranes(size=size).read("membranes-03")
        assert case.image.shape == (*size, 1)
        assert case.image.dtype == np.float32
        assert case.label.shape == size
        assert set(np.unique(case.label)) == {0, 1}
        assert case.image.min() >= 0
        assert case.image.max() <= 255

    def test_membranes_are_thin_dark_and_closed_around_cells(self):
        case = Membranes().read("membranes-00")
        membrane = case.label == 1
        assert 0.08 < membrane.mean() < 0.3
        # Twice the greatest depth is the thickness; crossings are thicker.
        depth = distance_transform_edt(np.pad(membrane, 1, mode="edge"))[1:-1, 1:-1]
        assert np.percentile(depth[membrane], 95) <= 2.5
        grey = case.image[..., 0]
        assert grey[membrane].mean() < grey[~membrane].mean() - grey[~membrane].std()
        assert label(~membrane)[1] > 15

    def test_no_threshold_solves_it(self):
        """Mitochondria, vesicles and noise are as dark as membranes."""
        best = []
        for name in Membranes(images=4).names():
            case = Membranes(images=4).read(name)
            truth = case.label == 1
            scores = []
            for threshold in range(40, 180, 5):
                found = case.image[..., 0] < threshold
                scores.append(2 * (found & truth).sum() / (found.sum() + truth.sum()))
            best.append(max(scores))
        assert np.mean(best) < 0.75

    def test_settings_that_make_no_sense_are_refused(self):
        with pytest.raises(ValidationError, match="must have two or three numbers"):
            Membranes(size=(64,))
        with pytest.raises(ValidationError, match="the membranes are generated"):
            Membranes(directory="somewhere")
        with pytest.raises(UserError, match="have no case 'x'"):
            Membranes().read("x")


SLICES = np.random.default_rng(0).integers(0, 256, (12, 8, 10), dtype=np.uint8)
CELLS = np.where(SLICES > 60, 255, 0).astype(np.uint8)


def write_volumes(folder):
    folder.mkdir(parents=True, exist_ok=True)
    stack(folder / "train-volume.tif", SLICES)
    stack(folder / "train-labels.tif", CELLS)
    stack(folder / "test-volume.tif", SLICES[:3])


def write_numbered(folder):
    for number, (pixels, cells) in enumerate(zip(SLICES, CELLS, strict=True)):
        save(folder / f"train/image/{number}.png", pixels)
        save(folder / f"train/label/{number}.png", cells)
    for number in range(3):
        save(folder / f"test/image/{number}.png", SLICES[number])


@pytest.mark.parametrize("write", [write_volumes, write_numbered])
class TestIsbi2012:
    def test_both_forms_give_the_same_slices(self, tmp_path, write):
        write(tmp_path)
        source = Isbi2012(directory=tmp_path)
        source.check()
        assert source.names() == [str(number) for number in range(12)]
        assert source.test_names() == ["test-0", "test-1", "test-2"]
        case = source.read("10")
        np.testing.assert_array_equal(case.image, SLICES[10, ..., np.newaxis])
        np.testing.assert_array_equal(case.label, CELLS[10] == 0)
        assert source.read("test-2").label is None
        np.testing.assert_array_equal(source.read("test-2").image[..., 0], SLICES[2])

    def test_the_foreground_may_be_the_cells(self, tmp_path, write):
        write(tmp_path)
        case = Isbi2012(directory=tmp_path, foreground="cell").read("4")
        np.testing.assert_array_equal(case.label, CELLS[4] == 255)

    @pytest.mark.parametrize("inside", [".", "isbi2012"])
    def test_the_folder_is_found(self, tmp_path, write, inside):
        write(tmp_path / inside)
        assert len(Isbi2012(directory=tmp_path).names()) == 12

    def test_the_training_folder_itself_will_do(self, tmp_path, write):
        write(tmp_path if write is write_numbered else tmp_path / "train")
        assert len(Isbi2012(directory=tmp_path / "train").names()) == 12

    def test_there_is_no_slice_beyond_the_last(self, tmp_path, write):
        write(tmp_path)
        with pytest.raises(UserError, match="has no slice '12'"):
            Isbi2012(directory=tmp_path).read("12")


REAL = ROOT.parent / "shared/data/isbi2012"


@pytest.mark.skipif(not REAL.is_dir(), reason="the real slices are not in ../shared/data/isbi2012")
def test_the_real_slices_are_read():
    source = Isbi2012(directory=REAL)
    assert source.names() == [str(number) for number in range(24)]
    case = source.read("10")
    assert case.image.shape == (512, 512, 1)
    assert 0.15 < case.label.mean() < 0.3
    assert case.image[case.label == 1].mean() < case.image[case.label == 0].mean() - 30


class TestIsbi2012Refuses:
    @pytest.mark.parametrize(
        ("folder", "says"),
        [(None, "needs --data-dir"), ("away", "away .* does not exist"), (".", "holds no ISBI")],
    )
    def test_a_folder_without_the_stack(self, tmp_path, folder, says):
        source = Isbi2012(directory=folder and tmp_path / folder)
        with pytest.raises(UserError, match=says) as error:
            source.names()
        for word in ("train-volume.tif", "train/image/N.png", "--data-dir"):
            assert word in str(error.value)

    def test_bad_slices_all_at_once(self, tmp_path):
        write_numbered(tmp_path)
        train = tmp_path / "train"
        save(train / "label/3.png", np.where(CELLS[3] == 0, 7, 255))
        save(train / "label/4.png", CELLS[4][:-1])
        (train / "label/5.png").unlink()
        (train / "image/6.png").unlink()
        (train / "image/7.png").write_bytes(b"")
        with pytest.raises(UserError) as error:
            Isbi2012(directory=tmp_path).check()
        lines = str(error.value).splitlines()
        assert len(lines) == 7
        assert "label/3.png: a label holds 0 (membrane) and 255 (cell)" in lines[1]
        assert lines[1].endswith("also 7.")
        assert "label/4.png: the label has the size (7, 10), its image (8, 10)" in lines[2]
        assert lines[3] == "  - 2 files: there is no such file."  # one finding
        assert lines[4].endswith("label/5.png") and lines[5].endswith("image/6.png")
        assert "image/7.png: cannot be read" in lines[6]

    def test_labels_of_nothing(self, tmp_path):
        write_volumes(tmp_path)
        stack(tmp_path / "train-labels.tif", np.full_like(CELLS, 255))
        with pytest.raises(UserError, match="all labels are the same everywhere: there is nothing to learn"):
            Isbi2012(directory=tmp_path).check()

    def test_volumes_of_different_length(self, tmp_path):
        write_volumes(tmp_path)
        stack(tmp_path / "train-labels.tif", CELLS[:-1])
        with pytest.raises(UserError, match=r"has 12 slices, but .* has 11"):
            Isbi2012(directory=tmp_path).check()

    def test_a_missing_label_volume(self, tmp_path):
        write_volumes(tmp_path)
        (tmp_path / "train-labels.tif").unlink()
        with pytest.raises(UserError, match=r"train-labels\.tif: there is no such file"):
            Isbi2012(directory=tmp_path).names()


class TestFolder:
    def test_sizes_formats_and_depths_may_be_mixed(self, tmp_path):
        save(tmp_path / "images/1.png", SLICES[0])
        save(tmp_path / "images/2.bmp", SLICES[1, :5])
        save(tmp_path / "images/10.jpg", SLICES[2, :, :7])
        (tmp_path / "images/note.txt").touch()
        tifffile.imwrite(tmp_path / "images/11.tif", SLICES[3].astype(np.uint16) * 256)
        save(tmp_path / "masks/1.png", CELLS[0])
        save(tmp_path / "masks/2.png", CELLS[1, :5])
        tifffile.imwrite(tmp_path / "masks/10.tif", CELLS[2, :, :7])
        tifffile.imwrite(tmp_path / "masks/11.tif", CELLS[3].astype(np.uint16))
        source = Folder(directory=tmp_path)
        source.check()
        assert source.names() == ["1", "2", "10", "11"]
        assert (source.channels, source.classes) == (1, 2)
        case = source.read("2")
        assert case.image.shape == (5, 10, 1)
        np.testing.assert_array_equal(case.label, CELLS[1, :5] == 255)
        assert case.path == tmp_path / "images/2.bmp"
        assert source.read("11").image.max() == SLICES[3].max() * 256.0

    def test_colour_volumes_and_subfolder_names(self, tmp_path):
        (tmp_path / "scans").mkdir()
        (tmp_path / "truth").mkdir()
        volume = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), dtype=np.uint8)
        tifffile.imwrite(tmp_path / "scans/a.tif", volume, photometric="rgb")
        classes = np.arange(240, dtype=np.uint8).reshape(3, 8, 10) % 4
        stack(tmp_path / "truth/a.tif", classes)
        source = Folder(directory=tmp_path, images="scans", masks="truth")
        assert (source.channels, source.classes) == (3, 4)
        np.testing.assert_array_equal(source.read("a").image, volume)
        np.testing.assert_array_equal(source.read("a").label, classes)

    def test_label_values_order_the_classes(self, tmp_path):
        save(tmp_path / "images/a.png", SLICES[0])
        save(tmp_path / "masks/a.png", np.where(SLICES[0] > 99, 200, 100))
        source = Folder(directory=tmp_path, label_values=(200, 50, 100))
        assert source.classes == 3
        np.testing.assert_array_equal(source.read("a").label, np.where(SLICES[0] > 99, 0, 2))

    @pytest.mark.parametrize(
        ("directory", "says"),
        [(None, "needs --data-dir, a folder with"), ("away", "images does not exist.*data.images")],
    )
    def test_a_missing_folder_is_refused(self, tmp_path, directory, says):
        with pytest.raises(UserError, match=says):
            Folder(directory=directory and tmp_path / directory).names()

    def test_names_that_never_match_are_shown(self, tmp_path):
        save(tmp_path / "images/a.png", SLICES[0])
        save(tmp_path / "masks/a_mask.png", CELLS[0])
        with pytest.raises(UserError, match=r"(?s)No image has a mask.*'a'.*'a_mask'"):
            Folder(directory=tmp_path).check()

    def test_all_problems_at_once(self, tmp_path):
        images, masks = tmp_path / "images", tmp_path / "masks"
        for name in ("good", "better", "size", "values", "jpeg", "colour", "cut", "unlike", "two"):
            save(images / f"{name}.png", SLICES[0])
            save(masks / f"{name}.png", CELLS[0])
        save(images / "lonely.png", SLICES[0])
        save(masks / "orphan.png", CELLS[0])
        save(images / "two.bmp", SLICES[0])
        save(masks / "size.png", CELLS[0][1:])
        save(masks / "values.png", np.where(CELLS[0] == 0, 128, 255))
        (masks / "jpeg.png").unlink()
        save(masks / "jpeg.jpg", SLICES[0])
        save(images / "colour.png", np.stack([SLICES[0]] * 3, axis=-1))
        (images / "cut.png").write_bytes((images / "good.png").read_bytes()[:60])
        save(masks / "unlike.png", np.stack([CELLS[0], CELLS[1], CELLS[2]], axis=-1))
        with pytest.raises(UserError) as error:
            Folder(directory=tmp_path).check()
        message = str(error.value)
        assert "has 9 problem(s)" in message
        for part in (
            "lonely.png: there is no mask of this name",
            "orphan.png: there is no image of this name",
            "two.bmp and two.png: several files with one name",
            "size.png: the mask has the size (7, 10), its image (8, 10)",
            "values.png: unexpected values 128; expected are 0, 255",
            "save masks as PNG or TIFF",
            "colour.png: colour images, but most of the images are grey images (convert them, PIL: image.convert('L')",
            "cut.png: cannot be read as an image",
            "unlike.png: a mask must hold one number a pixel",
        ):
            assert part in message
        assert "good" not in message

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ([0], "all labels are 0 everywhere"),
            ([0, 1, 3], r"hold the values 0, 1, 3, not 0 .. N - 1: .*label_values"),
            (range(80), "hold 80 different values"),
        ],
    )
    def test_masks_without_clear_classes_are_refused(self, tmp_path, values, says):
        save(tmp_path / "images/a.png", SLICES[0])
        save(tmp_path / "masks/a.png", np.resize(list(values), (8, 10)))
        with pytest.raises(UserError, match=says):
            _ = Folder(directory=tmp_path).classes


class TestColourOfAFolder:
    RGB = np.random.default_rng(1).integers(0, 256, (8, 10, 3), dtype=np.uint8)

    def write(self, path):
        """Three grey images, and one in colour."""
        for number in range(3):
            save(path / f"images/{number}.png", SLICES[number])
            save(path / f"masks/{number}.png", CELLS[number])
        save(path / "images/colour.png", self.RGB)
        save(path / "masks/colour.png", CELLS[3])
        return path

    def test_the_refusal_names_the_setting(self, tmp_path):
        with pytest.raises(UserError, match=r"colour\.png: colour images, .*--set data\.colour=grey, or rgb"):
            Folder(directory=self.write(tmp_path)).check()

    def test_all_become_grey_as_pillow_makes_them(self, tmp_path):
        source = Folder(directory=self.write(tmp_path), colour="grey")
        source.check()
        assert source.channels == 1
        np.testing.assert_array_equal(source.read("1").image[..., 0], SLICES[1])
        found = source.read("colour").image
        assert found.dtype == np.float32 and found.shape == (8, 10, 1)
        of_pillow = np.asarray(Image.fromarray(self.RGB).convert("L"), np.float32)
        np.testing.assert_allclose(found[..., 0], of_pillow, atol=0.51)  # Pillow rounds to whole numbers
        np.testing.assert_allclose(found[..., 0], self.RGB @ np.array([0.299, 0.587, 0.114]), rtol=1e-6)

    def test_all_become_colour(self, tmp_path):
        source = Folder(directory=self.write(tmp_path), colour="rgb")
        source.check()
        assert source.channels == 3
        np.testing.assert_array_equal(source.read("1").image, np.stack([SLICES[1]] * 3, axis=-1))
        np.testing.assert_array_equal(source.read("colour").image, self.RGB)

    def test_grey_in_three_channels_stays_what_it_is(self):
        grey = np.arange(65536, dtype=np.float32).reshape(256, 256, 1)
        np.testing.assert_array_equal(in_colour(in_colour(grey, "rgb"), "grey"), grey)
        assert in_colour(grey, None) is grey

    @pytest.mark.parametrize("colour", ["grey", "rgb"])
    def test_other_channels_are_not_colours(self, tmp_path, colour):
        self.write(tmp_path)
        for channels in (2, 4):
            stains = np.stack([SLICES[0]] * channels)
            tifffile.imwrite(tmp_path / "images/0.tif", stains, imagej=True, metadata={"axes": "CYX"})
            (tmp_path / "images/0.png").unlink(missing_ok=True)
            with pytest.raises(UserError, match=rf"0\.tif: has {channels} channels: only grey and RGB"):
                Folder(directory=tmp_path, colour=colour).check()
