"""Packed data sets: both forms hold what the source gives, and whatever breaks them is found and named."""

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT

from data.commands.pack import pack
from data.errors import UserError
from data.formats.geometry import Geometry
from data.formats.records import decode_hdf5
from data.labels.outputs import Outputs
from data.preprocessing.preprocessor import Preprocessor
from data.preprocessing.statistics import statistics
from data.sampling.sampler import Sampler
from data.settings import Augmentation, Preprocessing, Sampling
from data.source import Case, Source
from data.sources import SOURCES
from data.sources.generated.blobs3d import Blobs3d
from data.sources.generated.membranes import Membranes
from data.sources.packed import Packed
from unet_common.experiment import experiment_from, read_settings, resolve
from unet_common.training.run import Run

FORMS = ("hdf5", "tfrecord")
PLAIN = Preprocessing(normalisation="dataset")
BLOBS = Blobs3d(images=4, size=(20, 18, 16))

both = pytest.mark.parametrize("form", FORMS)


class Padded(Source):
    """The blobs between borders of zeros, with an oblique affine, as if from files; the last has no label."""

    name: str = "padded"
    broken: str | None = None

    rank = property(lambda self: 3)
    channels = property(lambda self: 2)
    classes = property(lambda self: 3)

    def names(self) -> list[str]:
        return BLOBS.names()[:3]

    def test_names(self) -> list[str]:
        return BLOBS.names()[3:]

    def problems(self) -> list[str]:
        return []

    def read(self, name: str) -> Case:
        if name == self.broken:
            raise KeyboardInterrupt
        case = BLOBS.read(name)
        image = np.concatenate([case.image + 1, 7 - case.image], axis=-1)
        image = np.pad(image, [(2, 1), (0, 3), (4, 0), (0, 0)])
        label = None if name in self.test_names() else np.pad(case.label, [(2, 1), (0, 3), (4, 0)])
        angle = np.deg2rad(20)
        affine = np.eye(4)
        affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        affine[:3, :3] *= case.spacing
        affine[:3, 3] = 10, -20, 30
        geometry = Geometry(affine, image.shape[:-1])
        return Case(name, image, label, Path("/scans") / f"{name}.nii.gz", geometry)


def packed(source, form, out, settings=PLAIN, **options):
    pack(source, settings, form, out, **options)
    return Packed(directory=out)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def change(path):
    """Turns over one bit in the last case."""
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)


def assert_same_samples(source, other, settings, crop):
    augmentation = Augmentation(rotation=30, scaling=0.2, elastic=2, noise=0.1)
    bare = Preprocessor(settings)
    found = statistics((bare(source.read(name)).image for name in source.names()), source.channels)
    sampling = Sampling(crop=crop, samples_per_class=(1,) * source.classes)
    prepare = Preprocessor(settings, found)
    first, second = (
        Sampler(one, one.names(), sampling, augmentation, prepare, 3, Outputs(source.classes))
        for one in (source, other)
    )
    assert len(first) == len(second) and first.channels == second.channels
    for number in range(len(first)):
        for one, two in zip(first.sample(number), second.sample(number), strict=True):
            np.testing.assert_array_equal(one, two)


@both
@pytest.mark.parametrize("source", [BLOBS, Membranes(images=3, size=(40, 70))], ids=["3d", "2d"])
def test_unchanged_cases_are_those_of_the_source(source, form, tmp_path):
    copy = packed(source, form, tmp_path / "out", shards=2)
    for key in ("rank", "channels", "classes", "foreground_is_membrane"):
        assert getattr(copy, key) == getattr(source, key)
    assert (copy.names(), copy.test_names()) == (source.names(), [])
    assert copy.preprocessing == PLAIN
    copy.check()
    for name in source.names():
        case, original = copy.read(name), source.read(name)
        assert case.prepared and case.path is None
        np.testing.assert_array_equal(case.image, original.image)
        np.testing.assert_array_equal(case.label, original.label)
        assert (case.image.dtype, case.label.dtype) == (original.image.dtype, original.label.dtype)
        assert case.spacing == original.spacing
        if source.rank == 3:
            np.testing.assert_array_equal(case.geometry.affine, original.geometry.affine)
        else:
            assert case.geometry is None
    assert_same_samples(source, copy, PLAIN, (16,) * source.rank)


@both
@pytest.mark.parametrize(
    "settings",
    [
        Preprocessing(crop=True, clip=(1, 99), normalisation="dataset", positions=True),
        Preprocessing(crop=True, normalisation="case"),
        Preprocessing(spacing=(1.2, 0.9, 1.1), crop=True, normalisation="case", clip=(0.5, 99.5)),
    ],
    ids=["crop", "case", "spacing"],
)
def test_training_sees_the_same_samples(form, settings, tmp_path):
    source = Padded()
    copy = packed(source, form, tmp_path, settings)
    assert copy.preprocessing == settings.model_copy(update={"positions": False})
    assert copy.test_names() == source.test_names()
    for name in [*source.names(), *source.test_names()]:
        case, expected = copy.read(name), Preprocessor(settings)(source.read(name))
        assert case.path == Path(f"{name}.nii.gz")
        assert case.spacing == expected.spacing
        np.testing.assert_array_equal(case.image, expected.image)
        if expected.label is None:
            assert case.label is None
        else:
            np.testing.assert_array_equal(case.label, expected.label)
    assert_same_samples(source, copy, settings, (12, 12, 12))


@both
def test_voxels_stay_where_they_were(form, tmp_path):
    source, name = Padded(), BLOBS.names()[0]
    cropped = packed(source, form, tmp_path / "crop", Preprocessing(crop=True, normalisation="dataset")).read(
        name
    )
    original = source.read(name).geometry.affine
    # Voxel 0 of the packed case is voxel (2, 0, 4) of the file.
    np.testing.assert_allclose(cropped.geometry.affine[:, 3], original @ [2, 0, 4, 1])
    np.testing.assert_array_equal(cropped.geometry.affine[:, :3], original[:, :3])

    resampled = packed(source, form, tmp_path / "both", Preprocessing(crop=True, spacing=(2, 2, 2))).read(
        name
    )
    assert resampled.image.shape == (10, 9, 12, 2)
    assert resampled.spacing == (2, 2, 2)
    affine = resampled.geometry.affine
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), [2, 2, 2])
    for corner in ((-0.5, -0.5, -0.5, 1), (9.5, 8.5, 11.5, 1)):  # the outer faces of the cropped box
        place = np.add([2, 0, 4], np.add(corner[:3], 0.5) * [2, 2, 4 / 3]) - 0.5
        np.testing.assert_allclose(affine @ corner, original @ [*place, 1])
    np.testing.assert_array_equal(resampled.geometry.restore(resampled.image), resampled.image)


def test_hdf5_files_can_be_read_by_others(tmp_path):
    pack(Padded(), Preprocessing(crop=True, normalisation="dataset"), "hdf5", tmp_path)
    with h5py.File(tmp_path / "blobs-0.h5") as file:
        assert file.attrs["complete"] and file.attrs["format_version"] == 1
        assert (file.attrs["classes"], file.attrs["channels"]) == (3, 2)
        assert file.attrs["label_values"].tolist() == [0, 1, 2]
        assert Preprocessing.model_validate_json(file.attrs["preprocessing"]).crop
        group = file["blobs-0"]
        assert group["image"].shape == (20, 18, 16, 2) and group["label"].shape == (20, 18, 16)
        assert group["image"].chunks == (20, 18, 16, 2) and group["image"].shuffle
        assert (group["image"].compression, group["image"].compression_opts) == ("gzip", 4)
        np.testing.assert_allclose(group.attrs["spacing"], (1, 1, 1.5))
        assert group.attrs["affine"].shape == (4, 4) and group.attrs["file"] == "blobs-0.nii.gz"
    with h5py.File(tmp_path / "blobs-3.h5") as file:
        assert list(file["blobs-3"]) == ["image"]


def test_shards_can_be_read_by_tensorflow(tmp_path):
    pack(Membranes(images=5, size=(40, 70)), PLAIN, "tfrecord", tmp_path, shards=2)
    shards = sorted(str(path) for path in tmp_path.glob("*.tfrecord"))
    assert [Path(path).name for path in shards] == [f"shard-0000{n}-of-00002.tfrecord" for n in (0, 1)]
    features = {
        "name": tf.io.FixedLenFeature((), tf.string),
        "image": tf.io.FixedLenFeature((), tf.string),
        "image_shape": tf.io.FixedLenFeature((3,), tf.int64),
        "image_dtype": tf.io.FixedLenFeature((), tf.string),
        "label": tf.io.FixedLenFeature((), tf.string),
    }
    source, found = Membranes(images=5, size=(40, 70)), []
    for content in tf.data.TFRecordDataset(shards):
        example = tf.io.parse_single_example(content, features)
        image = tf.io.decode_raw(tf.io.decode_compressed(example["image"], "ZLIB"), tf.float32)
        label = tf.io.decode_raw(tf.io.decode_compressed(example["label"], "ZLIB"), tf.uint8)
        found.append(example["name"].numpy().decode())
        case = source.read(found[-1])
        assert example["image_dtype"] == b"float32"
        np.testing.assert_array_equal(tf.reshape(image, example["image_shape"]), case.image)
        np.testing.assert_array_equal(tf.reshape(label, example["image_shape"][:-1]), case.label)
    assert found == source.names()


@both
def test_threads_read_at_once(form, tmp_path):
    copy = packed(BLOBS, form, tmp_path, shards=2)
    names = BLOBS.names() * 8
    with ThreadPoolExecutor(8) as pool:
        for name, case in zip(names, pool.map(copy.read, names), strict=True):
            np.testing.assert_array_equal(case.image, BLOBS.read(name).image)


@both
def test_an_interrupted_packing_leaves_no_half_file(form, tmp_path):
    """It is recognised; the same command starts again and leaves nothing of before."""
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        pack(Padded(broken="blobs-2"), PLAIN, form, out, shards=2)
    kept = {"hdf5": {"blobs-0.h5", "blobs-1.h5"}, "tfrecord": {"shard-00000-of-00002.tfrecord"}}[form]
    assert {path.name for path in out.iterdir()} == {"packing.json"} | kept
    for use in (Packed(directory=out).names, Packed(directory=out).check):
        with pytest.raises(UserError, match=f"{out}: packing was interrupted.*python -m data pack"):
            use()
    with pytest.raises(UserError, match="interrupted packing with other settings"):
        pack(Padded(), Preprocessing(crop=True, normalisation="dataset"), form, out, shards=2)
    (out / ".4711.blobs-9.h5").write_bytes(b"half")
    (out / "gone.tfrecord").write_bytes(b"of a case that the source has no more")
    copy = packed(Padded(), form, out, shards=2)
    assert len(list(out.iterdir())) == {"hdf5": 5, "tfrecord": 3}[form]
    copy.check()


def test_a_killed_packing_is_recognised(tmp_path):
    """Killed while the second case is being renamed, when no clean-up runs."""
    program = """
import os, sys
from pathlib import Path
from data.commands.pack import pack
from data.settings import Preprocessing
from data.sources.generated.blobs3d import Blobs3d
replace = os.replace
def die_at_the_second_case(old, new):
    if Path(new).name == "blobs-1.h5":
        os.kill(os.getpid(), 9)
    replace(old, new)
os.replace = die_at_the_second_case
pack(Blobs3d(images=4, size=(20, 18, 16)), Preprocessing(normalisation="dataset"), "hdf5", Path(sys.argv[1]))
"""
    assert subprocess.run([sys.executable, "-c", program, tmp_path / "out"], cwd=ROOT).returncode == -9
    assert len(list((tmp_path / "out").glob(".*.h5"))) == 1  # never read, and removed by the next packing
    with pytest.raises(UserError, match="packing was interrupted"):
        Packed(directory=tmp_path / "out").names()
    packed(BLOBS, "hdf5", tmp_path / "out").check()
    assert not list((tmp_path / "out").glob(".*"))


@both
@pytest.mark.parametrize(
    ("damage", "message"),
    [(cut, "has .* bytes instead of .*: it was cut off"), (Path.unlink, "No such file"), (change, "damaged")],
    ids=["cut", "missing", "changed"],
)
def test_broken_files_are_named_with_what_to_do(form, damage, message, tmp_path):
    pack(BLOBS, PLAIN, form, tmp_path, shards=2)
    name = {"hdf5": "blobs-3.h5", "tfrecord": "shard-00001-of-00002.tfrecord"}[form]
    damage(tmp_path / name)
    expected = (
        f"{tmp_path / name}: .*{message}.* Remove {tmp_path} and pack it again: "
        f"python -m data pack DATASET --to {form} {tmp_path}"
    )
    copy = Packed(directory=tmp_path)
    with pytest.raises(UserError, match=expected):
        copy.read("blobs-3")
    with pytest.raises(UserError, match=rf"has 1 problem\(s\):\n  - {expected}"):
        copy.check()
    assert copy.read("blobs-0").label is not None


def test_hdf5_that_is_not_complete_is_refused(tmp_path):
    pack(BLOBS, PLAIN, "hdf5", tmp_path)
    path = tmp_path / "blobs-0.h5"
    with h5py.File(path, "a") as file:
        del file.attrs["complete"]
    with pytest.raises(UserError, match=f"{path}: was not written completely. Remove .* pack it again"):
        decode_hdf5(path.read_bytes(), path)
    with pytest.raises(UserError, match=f"{path}: is not HDF5 of a packed data set"):
        decode_hdf5(b"something else", path)


def test_foreign_folders_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already and is not empty"):
        pack(BLOBS, PLAIN, "hdf5", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match=r"is no packed data set.*No such file.*python -m data pack"):
        Packed(directory=tmp_path).names()
    assert "is no packed data set" in Packed(directory=tmp_path / "nothing").problems()[0]
    with pytest.raises(UserError, match="packed needs --data-dir"):
        Packed().names()
    assert SOURCES["packed"] is Packed


@both
def test_packing_again_is_refused(form, tmp_path):
    copy = packed(BLOBS, form, tmp_path / "out")
    with pytest.raises(UserError, match="holds a packed data set already"):
        pack(BLOBS, PLAIN, form, tmp_path / "out")
    with pytest.raises(UserError, match="is packed already"):
        pack(copy, PLAIN, form, tmp_path / "again")
    with pytest.raises(UserError, match="has no case 'other'"):
        copy.read("other")


@both
def test_classes_keep_their_names_and_old_data_sets_still_open(tmp_path, form):
    pack(BLOBS, PLAIN, form, tmp_path, shards=2)
    assert Packed(directory=tmp_path).class_names == BLOBS.class_names == ("front", "back")
    index = tmp_path / "index.json"
    content = json.loads(index.read_text())
    del content["about"]["class_names"]  # what was packed before classes had names
    index.write_text(json.dumps(content))
    old = Packed(directory=tmp_path)
    assert old.class_names is None
    np.testing.assert_array_equal(old.read("blobs-0").label, BLOBS.read("blobs-0").label)


def test_a_damaged_index_is_named(tmp_path):
    pack(BLOBS, PLAIN, "hdf5", tmp_path)
    index = tmp_path / "index.json"
    content = json.loads(index.read_text())
    for text in (index.read_text()[:-50], json.dumps({**content, "format_version": 2})):
        index.write_text(text)
        with pytest.raises(
            UserError, match=r"index.json: is damaged, or from another version.*pack it again"
        ):
            Packed(directory=tmp_path).check()


@pytest.mark.parametrize(
    ("source", "settings", "form", "message"),
    [
        (BLOBS, Preprocessing(spacing=(1, 1)), "hdf5", "spacing has 2 numbers, the images have 3 axes"),
        (
            Membranes(images=1, size=(16, 16, 16)),
            Preprocessing(spacing=(1, 1, 1)),
            "hdf5",
            "size of the voxels",
        ),
        (BLOBS, PLAIN, "zip", "hdf5 or tfrecord, not to 'zip'"),
    ],
)
def test_what_cannot_be_packed_is_refused(source, settings, form, message, tmp_path):
    with pytest.raises(UserError, match=message):
        pack(source, settings, form, tmp_path / "out")


@both
def test_a_full_disk_is_a_message(form, tmp_path, monkeypatch):
    def full(*_):
        if form == "tfrecord":
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        patch.setattr(tf.io.TFRecordWriter, "write", full)
        with pytest.raises(UserError, match=r"could not be written \(No space left on device\)"):
            pack(BLOBS, PLAIN, form, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["packing.json"]
    packed(BLOBS, form, tmp_path).check()


@both
def test_what_is_read_back_is_compared(form, tmp_path, monkeypatch):
    """A faulty disk: every file is changed behind the back of the writer."""
    replace = os.replace

    def faulty(old, new):
        replace(old, new)
        if Path(new).suffix in (".h5", ".tfrecord"):
            change(Path(new))

    monkeypatch.setattr("os.replace", faulty)
    with pytest.raises(UserError, match="What was read back is not what was written") as error:
        pack(BLOBS, PLAIN, form, tmp_path, shards=4)
    assert str(error.value).count("is damaged") == 4
    assert not (tmp_path / "index.json").exists()


def test_a_case_too_large_for_tfrecord_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("data.formats.records.LARGEST_EXAMPLE", 1000)
    with pytest.raises(UserError, match=r"blobs-0: is too large for TFRecord.*--to hdf5"):
        pack(BLOBS, PLAIN, "tfrecord", tmp_path)


def test_progress_is_told_of_every_case(tmp_path):
    seen = []

    def progress(names):
        yield from names
        seen.append(len(names))

    for form in FORMS:
        pack(BLOBS, PLAIN, form, tmp_path / form, progress=progress)
    assert seen == [4, 4]


@both
def test_labels_that_were_packed_by_the_nearest_voxel_are_told(form, tmp_path):
    """They are shifted: a new training is refused. Where nothing was resampled, nothing was shifted."""
    for name, settings in (("coarse", Preprocessing(spacing=(2, 2, 3))), ("same", PLAIN)):
        packed(BLOBS, form, tmp_path / name, settings).check()
        index = tmp_path / name / "index.json"
        content = json.loads(index.read_text())
        del content["about"]["resampled_labels"]  # as it was written before
        index.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"shifted them by up to half a voxel\. Remove .* and pack it again"):
        Packed(directory=tmp_path / "coarse").check()
    Packed(directory=tmp_path / "same").check()


def test_another_preparation_than_data_was_packed_with_is_refused(tmp_path):
    """The settings of a training are not left aside without a word; those that say the same are welcome."""
    packed(BLOBS, "hdf5", tmp_path / "out", Preprocessing(crop=True, normalisation="case"))
    data = {"name": "packed", "directory": tmp_path / "out"}
    same = {"crop": True, "normalisation": "case", "clip": None, "positions": True}
    assert resolve(experiment_from({"data": data, "preprocessing": same})).preprocessing.positions
    for name, value in (
        ("crop", False),
        ("normalisation", "dataset"),
        ("clip", [1, 99]),
        ("spacing", [1, 1, 1]),
    ):
        with pytest.raises(
            UserError, match=rf"preprocessing\.{name} is .*, but the data in .* was packed with "
        ):
            resolve(experiment_from({"data": data, "preprocessing": {name: value}}))
    run = Run.create(
        tmp_path / "run", experiment_from({"data": data, "sampling": {"crop": [16] * 3, "pad": True}})
    )
    settings = read_settings(run.path / "experiment.yaml")
    assert "crop" not in settings["preprocessing"]  # so that the file is good for other data
    assert Run.open(run.path) == run and run.experiment.preprocessing.crop
