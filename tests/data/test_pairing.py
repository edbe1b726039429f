"""Which image belongs to which label, and the hints for those that have no partner."""

import shlex
import shutil
import subprocess
from unicodedata import normalize

import nibabel as nib
import numpy as np
import pytest
import yaml
from PIL import Image

from data.errors import UserError
from data.sources.folder import Folder
from data.sources.volumes import Volumes

MASK = np.random.default_rng(0).integers(0, 2, (6, 8), dtype=np.uint8) * 255
NFC, NFD = (normalize(form, "zell\xe9") for form in ("NFC", "NFD"))


def save(path, pixels=MASK):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def volume(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.resize([0, 1], (4, 5, 6)).astype(np.uint8), np.eye(4)), path)


def images(path, names, masks, ending="png"):
    for name in names:
        save(path / f"images/{name}.png")
    for name in masks:
        save(path / f"masks/{name}.{ending}")
    return path


def volumes(path, names, labels):
    for name in names:
        volume(path / f"images/{name}.nii.gz")
    for name in labels:
        volume(path / f"labels/{name}.nii.gz")
    return path


def refused(source) -> str:
    with pytest.raises(UserError) as error:
        source.names()
    return str(error.value)


def only(findings):
    assert len(findings) == 1, findings
    return findings[0]


class TestNames:
    def test_ome_is_no_part_of_a_name(self, tmp_path):
        images(tmp_path, ["a.ome"], ["a"], "tif")
        (tmp_path / "images/a.ome.png").rename(tmp_path / "images/a.ome.tif")
        save(tmp_path / "images/a.ome.tif")
        assert Folder(directory=tmp_path).names() == ["a.ome"]  # the image's own, as in older splits
        Folder(directory=tmp_path).check()

    def test_spellings_of_unicode_pair(self, tmp_path):
        source = Folder(directory=images(tmp_path, [NFC], [NFD]))
        assert source.names() == [NFC]
        source.check()
        assert Volumes(directory=volumes(tmp_path / "v", [NFD], [NFC])).names() == [NFD]

    @pytest.mark.parametrize(
        ("files", "told"),
        [
            (["a.png", "a.tif"], "images/a.png and a.tif"),
            (["a.ome.tif", "a.tif"], "images/a.ome.tif and a.tif"),
            ([f"{NFC}.png", f"{NFD}.png"], r"zelle\u0301.png' and 'zell\xe9.png'"),
        ],
    )
    def test_two_files_of_one_name_are_named(self, tmp_path, files, told):
        name = files[-1].partition(".")[0]
        images(tmp_path, ["other"], ["other", name])
        for file in files:
            save(tmp_path / "images" / file)
        problem = only(Folder(directory=tmp_path).problems())
        assert told in problem and "several files with one name" in problem

    def test_thirty_twins_are_one_finding(self, tmp_path):
        names = [f"n{number}" for number in range(30)]
        images(tmp_path, names, names)
        for name in names:
            save(tmp_path / f"images/{name}.tif")
        told = only(Folder(directory=tmp_path).problems())
        assert told.startswith("30 files: several files with one name") and "n29.png and n29.tif" in told


@pytest.mark.parametrize(
    "suffix", ["_mask", "_masks", "_seg", "_label", "_labels", "_gt", "-mask", "_cp_masks"]
)
class TestSuffixOfMasks:
    def test_the_setting_is_named_and_helps(self, tmp_path, suffix):
        images(tmp_path, "abc", [f"{name}{suffix}" for name in "abc"])
        message = refused(Folder(directory=tmp_path))
        assert f"--set data.mask_suffix={suffix}" in message
        source = Folder(directory=tmp_path, mask_suffix=suffix)
        source.check()
        assert source.names() == ["a", "b", "c"] and source.unread() == []

    def test_among_others_that_pair(self, tmp_path, suffix):
        images(tmp_path, "abcd", ["d", *(f"{name}{suffix}" for name in "abc")])
        problems = Folder(directory=tmp_path).problems()
        assert len(problems) == 2
        for problem in problems:
            assert problem.startswith("3 files: there is no")
            assert f"--set data.mask_suffix={suffix}, if all masks have it; else rename these" in problem

    def test_labels_of_volumes(self, tmp_path, suffix):
        volumes(tmp_path, "ab", [f"{name}{suffix}" for name in "ab"])
        assert f"--set data.label_suffix={suffix}" in refused(Volumes(directory=tmp_path))
        source = Volumes(directory=tmp_path, label_suffix=suffix)
        assert source.names() == ["a", "b"] and source.unread() == []


class TestHints:
    def test_channels_of_nnunet(self, tmp_path):
        volumes(tmp_path, ["a_0000", "b_0000"], "ab")
        assert "--set data.image_suffix=_0000" in refused(Volumes(directory=tmp_path))
        volume(tmp_path / "images/a_0001.nii.gz")
        source = Volumes(directory=tmp_path, image_suffix="_0000")
        assert source.names() == ["a_0000", "b_0000"] and source.test_names() == []
        assert "a_0001.nii.gz: not read: the name does not end in '_0000' (data.image_suffix)" in only(
            source.unread()
        )

    def test_both_have_a_suffix(self, tmp_path):
        images(tmp_path, ["a_img", "b_img"], ["a_seg", "b_seg"])
        message = refused(Folder(directory=tmp_path))
        assert "--set data.image_suffix=_img" in message and "--set data.mask_suffix=_seg" in message
        Folder(directory=tmp_path, image_suffix="_img", mask_suffix="_seg").check()

    @pytest.mark.parametrize("suffix", ["_0000", "-0000", ".0000", " mask", ".seg", "_Label"])
    def test_what_the_setting_is_to_be_is_what_a_shell_and_yaml_make_of_it(self, tmp_path, suffix):
        images(tmp_path, [f"a{suffix}"], "a")
        assignment = shlex.split(refused(Folder(directory=tmp_path)).partition("--set ")[2].splitlines()[0])[
            0
        ]
        setting, _, value = assignment.partition("=")
        assert setting == "data.image_suffix" and yaml.safe_load(value) == suffix
        Folder(directory=tmp_path, image_suffix=suffix).check()

    @pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
    def test_the_command_that_renames_works(self, tmp_path):
        images(tmp_path, "ab", ["mask_a", "mask_b"])
        message = refused(Folder(directory=tmp_path))
        command = 'for f in mask_*; do mv "$f" "${f#mask_}"; done'
        assert (
            f"Those of masks begin with 'mask_': rename them, in {tmp_path / 'masks'}: {command}" in message
        )
        subprocess.run(["bash", "-c", command], cwd=tmp_path / "masks", check=True)
        Folder(directory=tmp_path).check()

    def test_upper_and_lower_case(self, tmp_path):
        images(tmp_path, ["a", *(f"Img{n}" for n in range(30))], ["a", *(f"img{n}" for n in range(30))])
        told = only(Folder(directory=tmp_path).problems())
        assert told.startswith("30 files: the names differ in upper and lower case")
        assert f"{tmp_path / 'images/Img7.png'} and {tmp_path / 'masks/img7.png'}" in told

    def test_endings_that_are_not_read(self, tmp_path):
        images(tmp_path, ["a", "b", "c"], ["a"])
        for name in "bc":
            save(tmp_path / f"masks/{name}.gif")
        told = only(Folder(directory=tmp_path).problems())
        assert told.startswith(
            "2 files: there is no mask of this name that is read: files that end in .gif are not"
        )

    def test_nothing_pairs(self, tmp_path):
        images(tmp_path, ["a", "b"], ["x", "y"])
        (tmp_path / "masks/notes.txt").touch()
        message = refused(Folder(directory=tmp_path))
        assert "images holds 'a', 'b' (2 .png)" in message
        assert "masks holds 'x', 'y' (2 .png, 1 .txt)" in message

    def test_labels_without_image_are_one_finding(self, tmp_path):
        volumes(tmp_path, ["a"], ["a", *(f"b{n}" for n in range(30))])
        told = only(Volumes(directory=tmp_path).problems())
        assert told.startswith("30 files: there is no image of this name") and "b29.nii.gz" in told


class TestOneFolder:
    def test_the_masks_are_no_images(self, tmp_path):
        for name in "ab":
            save(tmp_path / f"{name}.png", MASK // 2), save(tmp_path / f"{name}_masks.png")
        source = Folder(directory=tmp_path, images=".", masks=".", mask_suffix="_masks")
        source.check()
        assert source.names() == ["a", "b"] and source.unread() == []
        np.testing.assert_array_equal(source.read("a").image[..., 0], MASK // 2)
        np.testing.assert_array_equal(source.read("a").label, MASK == 255)
        save(tmp_path / "c.png")
        again = Folder(directory=tmp_path, images=".", masks=".", mask_suffix="_masks")
        assert "c.png: there is no mask of this name" in only(again.problems())

    def test_a_suffix_each(self, tmp_path):
        for name in ("a_img", "b_img", "a_masks", "b_masks"):
            save(tmp_path / f"{name}.png")
        save(tmp_path / "a_flow.png")
        source = Folder(directory=tmp_path, images=".", masks=".", image_suffix="_img", mask_suffix="_masks")
        source.check()
        assert source.names() == ["a_img", "b_img"]
        assert "a_flow.png: not read: the name does not end in '_img'" in only(source.unread())

    def test_no_image_is_its_own_mask(self, tmp_path):
        save(tmp_path / "a.png")
        for settings in ({}, {"image_suffix": "_x", "mask_suffix": "_x"}):
            message = refused(Folder(directory=tmp_path, images=".", masks=".", **settings))
            assert "nothing tells them apart" in message and "--set data.mask_suffix=_mask" in message

    def test_volumes(self, tmp_path):
        for name in ("a", "b"):
            volume(tmp_path / f"{name}.nii.gz"), volume(tmp_path / f"{name}_seg.nii.gz")
        source = Volumes(directory=tmp_path, images=".", labels=".", label_suffix="_seg")
        assert source.names() == ["a", "b"] and source.test_names() == [] and source.unread() == []
