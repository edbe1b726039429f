"""Sources of volumes, and python -m data check and fetch."""

import functools
import hashlib
import http.server
import json
import re
import sys
import tarfile
import threading

import nibabel as nib
import numpy as np
import pytest
from helpers import write_series

import data.__main__ as program
from data.commands.fetch import fetch_hippocampus
from data.errors import UserError
from data.formats.images import write_mask
from data.sources.decathlon import Decathlon
from data.sources.detect import source_at
from data.sources.generated.blobs3d import Blobs3d
from data.sources.volumes import Volumes

SIZE = (6, 7, 8)


def save(path, values, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


def image(seed=0, channels=None):
    size = SIZE if channels is None else (*SIZE, channels)
    return np.random.default_rng(seed).integers(0, 1000, size).astype(np.int16)


def label(seed=0, classes=3):
    return np.random.default_rng(seed).integers(0, classes, SIZE).astype(np.uint8)


def decathlon(folder, names=("b_10", "b_9"), channels=1, **changes):
    for seed, name in enumerate(names):
        save(folder / "imagesTr" / f"{name}.nii.gz", image(seed, None if channels == 1 else channels))
        save(folder / "labelsTr" / f"{name}.nii.gz", label(seed))
    save(folder / "imagesTs" / "t_1.nii.gz", image(9, None if channels == 1 else channels))
    description = {
        "modality": {str(index): "MRI" for index in range(channels)},
        "labels": {"0": "background", "1": "a", "2": "b"},
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names
        ],
        **changes,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


@pytest.mark.parametrize("channels", [1, 2])
def test_decathlon(tmp_path, channels):
    source = Decathlon(directory=decathlon(tmp_path, channels=channels))
    assert (source.rank, source.channels, source.classes) == (3, channels, 3)
    assert source.names() == ["b_9", "b_10"] and source.test_names() == ["t_1"]
    source.check()
    case = source.read("b_10")
    assert case.image.shape == (*SIZE, channels) and case.spacing == (1, 1, 1)
    np.testing.assert_array_equal(case.label, label(0))
    assert source.read("t_1").label is None
    assert type(source_at(str(tmp_path))) is Decathlon


def test_the_classes_of_a_decathlon_have_names(tmp_path):
    decathlon(tmp_path, labels={"0": "background", "2": "front | back", "1": "a"})
    assert Decathlon(directory=tmp_path).class_names == ("a", "front | back")
    chosen = Decathlon(directory=tmp_path, label_values=(0, 2, 4, 1))
    assert chosen.class_names == ("front | back", "label 4", "a")  # in the order of the classes


def test_decathlon_without_its_description(tmp_path):
    with pytest.raises(UserError, match=r"dataset\.json cannot be read"):
        Decathlon(directory=tmp_path).names()
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(UserError, match=r"dataset\.json is not JSON"):
        Decathlon(directory=tmp_path).names()
    (tmp_path / "dataset.json").write_text('{"labels": {"0": "x"}}')
    with pytest.raises(UserError, match="lacks modality, training"):
        Decathlon(directory=tmp_path).names()


def test_all_mistakes_of_a_decathlon_are_listed(tmp_path):
    names = [f"c_{index}" for index in range(8)]
    decathlon(tmp_path, names)
    (tmp_path / "imagesTr/c_0.nii.gz").unlink()
    save(tmp_path / "labelsTr/c_1.nii.gz", label(1, 5))
    save(tmp_path / "labelsTr/c_2.nii.gz", label()[1:])
    save(tmp_path / "labelsTr/c_3.nii.gz", label(), np.diag([1, 1, 3.0, 1]))
    path = tmp_path / "imagesTr/c_4.nii.gz"
    path.write_bytes(path.read_bytes()[:80])
    save(tmp_path / "imagesTr/c_5.nii.gz", np.where(image() > 990, np.nan, image()).astype(np.float32))
    save(tmp_path / "imagesTr/c_6.nii.gz", image(0, 2))
    save(tmp_path / "imagesTr/extra.nii.gz", image())
    source = Decathlon(directory=tmp_path)
    problems = "\n".join([*source.problems(), *source.unread()])
    for part in (
        r"c_0.nii.gz: there is no such file",
        "c_1.nii.gz: unexpected values 3, 4; expected are 0, 1, 2",
        "c_2.nii.gz: the label has the size (5, 7, 8)",
        "c_3.nii.gz: the label lies elsewhere than its image c_3.nii.gz (spacing 1 x 1 x 3",
        "c_4.nii.gz: cannot be read as NIfTI",
        "c_5.nii.gz: 2 voxels are NaN" if (image() > 990).sum() == 2 else "voxels are NaN",
        "c_6.nii.gz: has 2 channel(s), but dataset.json lists 1",
        "extra.nii.gz: is not listed in dataset.json",
    ):
        assert part in problems, part
    assert "c_7" not in problems


def test_volumes_in_two_folders(tmp_path):
    for index in (2, 10, 1):
        save(tmp_path / f"images/case{index}.nii.gz", image(index))
    save(tmp_path / "labels/case10.nii", label(10) * 2)
    save(tmp_path / "labels/case2.nii", label(2) * 2)
    source = Volumes(directory=tmp_path, label_values=(0, 2, 4))
    assert source.names() == ["case2", "case10"] and source.test_names() == ["case1"]
    np.testing.assert_array_equal(source.read("case10").label, label(10))
    with pytest.raises(UserError, match=r"hold the values 0, 2, 4, not 0 .. N - 1: .*data.label_values"):
        _ = Volumes(directory=tmp_path).classes
    with pytest.raises(UserError, match="has no volume 'case3'"):
        source.read("case3")


def test_a_dicom_folder_with_its_nifti_label(tmp_path):
    write_series(tmp_path / "images" / "patient")
    from data.formats.volumes import read_volume

    values, geometry = read_volume(tmp_path / "images" / "patient")
    truth = (values[..., 0] > 1500).astype(np.uint8)
    (tmp_path / "labels").mkdir()
    from data.formats.nifti import write_nifti

    write_nifti(tmp_path / "labels" / "patient.nii.gz", truth, geometry)
    source = Volumes(directory=tmp_path)
    source.check()
    np.testing.assert_array_equal(source.read("patient").label, truth)


def test_dicom_series_further_down_are_named(tmp_path):
    for place in ("images/p1/study/series", "images/p2/series", "images/p3"):
        write_series(tmp_path / place)
    (tmp_path / "labels").mkdir()
    message = r"2 files: a DICOM series that lies too deep(.|\n)*images/p1/study/series\n.*images/p2/series"
    with pytest.raises(UserError, match=rf"No volume has a label(.|\n)*{message}"):
        Volumes(directory=tmp_path).check()
    save(tmp_path / "labels/p3.nii", np.ones((5, 6, 4), np.uint8))
    source = Volumes(directory=tmp_path)
    assert re.search(message, "\n".join(source.problems()))
    assert source.unread() == []  # said once


def test_volumes_that_are_not(tmp_path):
    save(tmp_path / "images/a.nii.gz", image(0, 5))
    save(tmp_path / "labels/a.nii.gz", label())
    with pytest.raises(
        UserError, match=r"a\.nii\.gz: has a fourth axis of length 5; expected 1.*data.image_channels=5"
    ):
        Volumes(directory=tmp_path).check()
    assert Volumes(directory=tmp_path, image_channels=5).read("a").image.shape == (*SIZE, 5)
    (tmp_path / "labels/a.nii.gz").rename(tmp_path / "labels/b.nii.gz")
    with pytest.raises(UserError, match=r"No volume has a label(.|\n)*holds 'a'(.|\n)*holds 'b'"):
        Volumes(directory=tmp_path).check()
    with pytest.raises(UserError, match="There is no folder"):
        source_at(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="has none of the layouts"):
        source_at(str(tmp_path / "images"))


@pytest.mark.parametrize(("tiff", "nifti"), [(30, 2), (2, 30)])
def test_volumes_that_lie_somewhere_among_others_that_do_not(tmp_path, tiff, nifti):
    (tmp_path / "images").mkdir(), (tmp_path / "labels").mkdir()
    for number in range(tiff):
        write_mask(tmp_path / f"images/t{number}.tif", label())
        write_mask(tmp_path / f"labels/t{number}.tif", label())
    for number in range(nifti):
        save(tmp_path / f"images/n{number}.nii", label())
        save(tmp_path / f"labels/n{number}.nii", label())
    (problem,) = Volumes(directory=tmp_path).problems()
    does, named = ("tells", "n1.nii") if nifti < tiff else ("does not tell", "t1.tif")
    assert problem.startswith(f"2 files: {does}") and named in problem and problem.count("\n") == 2


def test_generated_volumes_are_the_same_every_time_and_hard_enough():
    one, same, other = Blobs3d(images=2), Blobs3d(images=2), Blobs3d(images=2, seed=1)
    case = one.read("blobs-1")
    np.testing.assert_array_equal(case.image, same.read("blobs-1").image)
    assert (case.image != other.read("blobs-1").image).any() and (
        case.image != one.read("blobs-0").image
    ).any()
    assert set(np.unique(case.label)) == {0, 1, 2} and case.spacing == (1.0, 1.0, 1.5)
    # Grey values alone do not tell the classes apart: other tissue is as bright.
    bright = case.image[..., 0] > np.percentile(case.image[case.label > 0], 20)
    assert 2 * (bright & (case.label > 0)).sum() / (bright.sum() + (case.label > 0).sum()) < 0.9
    with pytest.raises(UserError, match="no case 'blobs-2'"):
        one.read("blobs-2")


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["data", *map(str, arguments)])
    return program.main()


def test_check_reports_everything_and_fails(tmp_path, monkeypatch, capsys):
    decathlon(tmp_path)
    assert command(monkeypatch, "check", tmp_path) == 0
    told = capsys.readouterr().out
    assert "decathlon: 2 labelled cases, 1 without label" in told and "No problems found" in told
    assert "size: 6 x 7 x 8" in told and "spacing in mm: 1 x 1 x 1" in told
    save(tmp_path / "labelsTr/b_9.nii.gz", np.zeros(SIZE, np.uint8))
    (tmp_path / "imagesTr/b_10.nii.gz").write_bytes(b"")
    assert command(monkeypatch, "check", tmp_path) == 1
    told = capsys.readouterr().out
    warnings, errors = told.split("1 error(s)")
    assert "b_10.nii.gz: cannot be read" in errors
    assert "1 warning(s)" in warnings and "b_9.nii.gz: has no foreground" in warnings
    (tmp_path / "dataset.json").unlink()
    assert command(monkeypatch, "check", tmp_path, "--data", "decathlon") == 1


def test_check_does_not_invent_a_spacing(tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        (tmp_path / "images").mkdir(exist_ok=True), (tmp_path / "labels").mkdir(exist_ok=True)
        write_mask(tmp_path / f"images/{name}.tif", label())
        write_mask(tmp_path / f"labels/{name}.tif", label())
    assert command(monkeypatch, "check", tmp_path) == 0
    told = capsys.readouterr().out
    assert "spacing: none, lengths are in voxels" in told and "in mm" not in told
    save(tmp_path / "images/c.nii", label(), np.diag([1, 2, 3, 1]))
    save(tmp_path / "labels/c.nii", label(), np.diag([1, 2, 3, 1]))
    assert command(monkeypatch, "check", tmp_path) == 1
    told = capsys.readouterr().out
    assert "spacing in mm: 1 x 2 x 3; lengths of 2 of 3 volumes are in voxels" in told
    assert "1 error(s)" in told and "c.nii: tells where it lies (NIfTI, DICOM), but others of the" in told


def test_pack_from_the_command_line(tmp_path, monkeypatch, capsys):
    settings = ["--set", "preprocessing.normalisation=case", "--set", "data.images=3"]
    assert command(monkeypatch, "pack", "blobs3d", tmp_path / "out", "--to", "hdf5", *settings) == 0
    assert "--data packed" in capsys.readouterr().out
    packed = source_at(str(tmp_path / "out"))
    assert packed.names() == ["blobs-0", "blobs-1", "blobs-2"]
    assert packed.preprocessing.normalisation == "case"
    with pytest.raises(UserError, match="wrong: unknown"):
        command(
            monkeypatch, "pack", "blobs3d", tmp_path / "b", "--to", "hdf5", "--set", "preprocessing.wrong=1"
        )


@pytest.fixture
def server(tmp_path):
    """A web server over a folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_fetch_downloads_verifies_and_unpacks(tmp_path, server):
    folder, address = server
    origin = decathlon(tmp_path / "Task04_Hippocampus")
    (origin / "._dataset.json").write_text("a shadow")
    archive = folder / "Task04_Hippocampus.tar"
    with tarfile.open(archive, "w") as file:
        file.add(origin, "Task04_Hippocampus")
    checksum = hashlib.md5(archive.read_bytes()).hexdigest()
    target = fetch_hippocampus(tmp_path / "out", f"{address}/{archive.name}", checksum)
    assert Decathlon(directory=target).names() == ["b_9", "b_10"]
    assert not list(target.rglob("._*")) and not list(target.parent.glob(".unpacking*"))
    with pytest.raises(UserError, match="exists already"):
        fetch_hippocampus(tmp_path / "out", f"{address}/{archive.name}", checksum)

    with pytest.raises(UserError, match="is not the published archive"):
        fetch_hippocampus(tmp_path / "bad", f"{address}/{archive.name}", "0" * 32)
    assert not list((tmp_path / "bad").glob("Task04*"))


def test_fetch_without_network_says_what_to_do(tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match=r"cannot be downloaded .*put Task04.tar into"):
        fetch_hippocampus(tmp_path, "http://127.0.0.1:9/Task04.tar")
    assert command(monkeypatch, "fetch", "isbi2012") == 0
    assert "Register at" in capsys.readouterr().out
