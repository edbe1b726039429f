"""What lies in a folder and is not read: every kind is told, with the reason and a remedy, thirty files as one."""

import shutil

import nibabel as nib
import numpy as np
import pytest
from helpers import write_series
from PIL import Image

from data.errors import UserError, grouped
from data.formats.unread import unread
from data.sources.folder import Folder
from data.sources.isbi2012 import Isbi2012
from data.sources.volumes import Volumes
from unet_common.prediction.inputs import input_files

PIXELS = np.random.default_rng(0).integers(0, 2, (6, 8), dtype=np.uint8) * 255


def save(path, pixels=PIXELS):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def volume(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.resize([0, 1], (4, 5, 6)).astype(np.uint8), np.eye(4)), path)
    return path


def images(path):
    """A data set of two images."""
    for name in "ab":
        save(path / f"images/{name}.png"), save(path / f"masks/{name}.png")
    return Folder(directory=path)


def volumes(path):
    for name in "ab":
        volume(path / f"images/{name}.nii.gz"), volume(path / f"labels/{name}.nii.gz")
    return Volumes(directory=path)


def only(findings):
    assert len(findings) == 1, findings
    return findings[0]


def test_nothing_is_told_where_all_is_read(tmp_path):
    source = images(tmp_path)
    for name in (".DS_Store", "._a.png", "Thumbs.db", "desktop.ini"):
        (tmp_path / "images" / name).touch()
    (tmp_path / "images/__MACOSX").mkdir()
    for name in ("README.md", "LICENSE", "split.json", "patients.csv"):
        (tmp_path / name).touch()
    assert source.unread() == []
    source.check()


@pytest.mark.parametrize("place", ["images", "masks"])
@pytest.mark.parametrize(
    ("ending", "advice"),
    [
        ("gif", "Convert to PNG"),
        ("webp", "Convert to PNG"),
        ("jp2", "Convert to PNG"),
        ("heic", "Convert to PNG"),
        ("czi", "Export as TIFF or OME-TIFF"),
        ("nd2", "Export as TIFF or OME-TIFF"),
        ("svs", "Export as TIFF or OME-TIFF"),
        ("nrrd", "Convert to NIfTI, as with SimpleITK"),
        ("mha", "Convert to NIfTI, as with SimpleITK"),
        ("mgz", "Convert to NIfTI, as with nibabel"),
        ("hdr", "Convert to NIfTI, as with nibabel"),
        ("npy", "Save the array as TIFF"),
        ("h5", "Save the array as TIFF"),
        ("zip", "Unpack it"),
        ("dcm", "A series of them is read as one folder"),
        ("xyz", "those in .png, .bmp"),
    ],
)
def test_files_of_an_ending_are_one_finding(tmp_path, place, ending, advice):
    source = images(tmp_path)
    for number in range(30):
        (tmp_path / place / f"{number}.{ending}").write_bytes(b"something")
    told = only(source.unread())
    assert told.startswith("30 files: not read:") and advice in told
    assert f"{place}/0.{ending}" in told and f"{place}/29.{ending}" in told


def test_the_advice_for_volumes_works(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nib.save(nib.MGHImage(values, np.eye(4)), tmp_path / "a.mgz")
    nib.save(nib.Nifti1Pair(values, np.eye(4)), tmp_path / "a.img")
    for name in ("a.mgz", "a.img"):
        nib.save(nib.Nifti1Image.from_image(nib.load(tmp_path / name)), tmp_path / "a.nii.gz")
        np.testing.assert_array_equal(nib.load(tmp_path / "a.nii.gz").get_fdata(), values)


def test_links_to_nothing(tmp_path):
    source = images(tmp_path)
    for number in range(30):
        (tmp_path / f"images/{number}.png").symlink_to(f"/nowhere/{number}.png")
    told = only(source.unread())
    assert told.startswith("30 files: not read: a link into /nowhere, where no file of this name is")
    (tmp_path / "masks/c.png").symlink_to("/nowhere/d.png")
    assert "masks/c.png: not read: a link to /nowhere/d.png, which does not exist" in source.unread()[1]


def test_links_to_volumes_that_are_nowhere(tmp_path):
    source = volumes(tmp_path)
    (tmp_path / "images/c.nii.gz").symlink_to("/nowhere/c.nii.gz")
    assert "c.nii.gz: not read: a link into /nowhere" in only(source.unread())
    assert source.test_names() == []


def test_folders_say_what_is_in_them(tmp_path):
    source = images(tmp_path)
    for number in range(30):
        save(tmp_path / f"images/more{number}/deep/x.png"), save(tmp_path / f"images/more{number}/y.png")
    told = only(source.unread())
    assert told.startswith(f"30 files: not read: only what lies directly in {tmp_path / 'images'} is.")
    assert "60 images" in told and "images/more29" in told
    shutil.rmtree(tmp_path / "images"), images(tmp_path)
    (tmp_path / "images/empty").mkdir()
    assert "no images or volumes" in only(source.unread())


def test_what_lies_beside_the_folders(tmp_path):
    source = images(tmp_path)
    save(tmp_path / "test/z.png"), save(tmp_path / "stray.png")
    stray, folder = source.unread()
    assert "stray.png: not read: it lies beside the files and folders of the data set" in stray
    assert "test: not read" in folder and "1 image" in folder


def test_the_content_of_files_without_a_telling_name(tmp_path):
    source = images(tmp_path)
    for ending in ("png", "jpg", "bmp", "tif"):
        save(tmp_path / f"x.{ending}").rename(tmp_path / f"images/of_{ending}")
    volume(tmp_path / "x.nii").rename(tmp_path / "images/of_nii")
    slices = write_series(tmp_path / "slices")
    next(slices.iterdir()).rename(tmp_path / "images/of_dcm")
    shutil.rmtree(slices)
    told = {line.partition(": ")[0].rpartition("/")[2]: line for line in source.unread()}
    for ending in ("png", "jpg", "bmp", "tif", "nii"):
        assert f"content is that of a .{ending} file, which its name does not say" in told[f"of_{ending}"]
    assert "a DICOM file by itself" in told["of_dcm"]


def test_images_among_volumes_and_volumes_among_images(tmp_path):
    source = images(tmp_path / "flat")
    volume(tmp_path / "flat/images/v.nii.gz")
    write_series(tmp_path / "flat/images/patient")
    file, series = source.unread()
    assert "v.nii.gz: not read: a volume among images. --data volumes" in file
    assert "patient: not read" in series and "1 DICOM series" in series
    source = volumes(tmp_path / "deep")
    save(tmp_path / "deep/images/p.png")
    assert "p.png: not read: an image among volumes. --data folder" in only(source.unread())


def test_series_below_one_that_is_read(tmp_path):
    write_series(tmp_path / "images/a")
    write_series(tmp_path / "images/a/localiser")
    assert unread(tmp_path / "images", [tmp_path / "images/a"]) == unread(
        tmp_path / "images/a", [tmp_path / "images/a"]
    )
    told = only(grouped(unread(tmp_path / "images", [tmp_path / "images/a"])))
    assert "images/a/localiser: not read: a DICOM series below another" in told


def test_a_folder_that_is_predicted(tmp_path):
    save(tmp_path / "a.png"), volume(tmp_path / "b.nii.gz"), write_series(tmp_path / "c")
    files = list(input_files(tmp_path).values())
    assert unread(tmp_path, files) == []
    (tmp_path / "d.gif").touch(), write_series(tmp_path / "e/study"), (tmp_path / "notes.txt").touch()
    told = unread(tmp_path, files)
    assert [path.name for path, _reason in told] == ["d.gif", "notes.txt", "e"]
    assert unread(tmp_path / "c", list(input_files(tmp_path / "c").values())) == []


def test_numbered_files_of_isbi2012(tmp_path):
    for name in "012":
        save(tmp_path / f"train/image/{name}.png"), save(tmp_path / f"train/label/{name}.png")
    source = Isbi2012(directory=tmp_path)
    assert source.unread() == []
    save(tmp_path / "train/image/0.tif"), (tmp_path / "train/label/1.gif").touch()
    save(tmp_path / "train/aug/0.png")
    told = "\n".join(Isbi2012(directory=tmp_path).unread())
    assert "image/0.png: not read: another file that is read has the same name up to the ending" in told
    assert "label/1.gif: not read" in told and "train/aug: not read" in told


def test_volumes_of_isbi2012(tmp_path):
    import tifffile

    for name in ("train-volume", "train-labels"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.stack([PIXELS] * 3), photometric="minisblack")
    source = Isbi2012(directory=tmp_path)
    (tmp_path / "README.txt").touch()
    assert source.unread() == []
    save(tmp_path / "test-volumes.tif")
    assert "test-volumes.tif: not read: it lies beside" in only(source.unread())


@pytest.mark.parametrize("source", [Folder, Volumes, Isbi2012])
def test_without_a_folder_the_refusal_is_that_of_names(source):
    with pytest.raises(UserError, match="needs --data-dir"):
        source().unread()
