"""Data sets that a dataset.json describes: the Decathlon's, and those of both versions of nnU-Net."""

import codecs
import json
import os
import re

import nibabel as nib
import numpy as np
import pytest
import tifffile

from data.commands.check import examine
from data.errors import UserError
from data.labels.label_maps import is_ignored
from data.sources.decathlon import Decathlon
from data.sources.detect import source_at
from data.sources.nnunet import NnUnet

SIZE = (3, 4, 5)
LABELS = {"0": "background", "1": "a", "2": "b"}


def values(seed):
    return np.random.default_rng(seed).integers(0, 1000, SIZE).astype(np.int16)


def save(path, seed=0, affine=None, array=None):
    """An image of random values; of 0, 1 and 2 below labels*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = values(seed) if array is None else array
    array = (array % 3).astype(np.uint8) if "labels" in str(path.parent.name) else array
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="minisblack")
    else:
        nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)


def describe(folder, encoding="utf-8", **content):
    folder.mkdir(parents=True, exist_ok=True)
    content = {key: value for key, value in content.items() if value is not None}
    (folder / "dataset.json").write_text(json.dumps(content), encoding=encoding)


def pair(image, label=None):
    return {"image": image, "label": label or image.replace("images", "labels")}


def task(folder, training=None, names=("x", "y"), **changes):
    """A Decathlon's data set with the cases x and y, or what else `training` lists."""
    for seed, name in enumerate(names):
        save(folder / f"imagesTr/{name}.nii.gz", seed)
        save(folder / f"labelsTr/{name}.nii.gz", seed)
    if training is None:
        training = [pair(f"./imagesTr/{name}.nii.gz") for name in names]
    describe(folder, **{"modality": {"0": "CT"}, "labels": LABELS, "training": training, **changes})
    return Decathlon(directory=folder)


def nnunet(folder, names=("x", "y"), channels=2, ending=".nii.gz", **changes):
    """A raw data set of nnU-Net's second version."""
    for seed, name in enumerate(names):
        for channel in range(channels):
            save(folder / f"imagesTr/{name}_{channel:04}{ending}", 10 * seed + channel)
        save(folder / f"labelsTr/{name}{ending}", seed)
    content = {
        "channel_names": {str(channel): f"T{channel + 1}" for channel in range(channels)},
        "labels": {"background": 0, "a": 1, "b": 2},
        "numTraining": len(names),
        "file_ending": ending,
    }
    describe(folder, **{**content, **changes})
    return NnUnet(directory=folder)


def only(lines):
    assert len(lines) == 1, lines
    return lines[0]


def refused(source):
    """The one line with which a data set is refused, by `problems` and by all that needs it."""
    line = only(source.problems())
    assert "\n" not in line
    with pytest.raises(UserError, match=re.escape(line)):
        source.about(), source.names()
    return line


class TestLabels:
    @pytest.mark.parametrize(
        "labels",
        [
            LABELS,
            {"background": 0, "a": 1, "b": 2},
            {"background": "0", "b": "2", "a": "1"},
            {"2": "b", "1": "a", "0": "background"},
        ],
    )
    def test_both_ways_round(self, tmp_path, labels):
        source = task(tmp_path, labels=labels)
        assert (source.class_values, source.class_names) == ((0, 1, 2), ("a", "b"))
        source.check()

    @pytest.mark.parametrize(
        ("labels", "told"),
        [
            (
                {"background": 0, "whole": [1, 2], "core": [2]},
                "'whole', 'core' is a region, a list of values",
            ),
            (["background", "a"], r"'labels' is a list, not names of classes. Write {"),
            ("a", "'labels' is a text, not names of classes"),
            ({"background": 0, "a": 1.5}, "'a' is 1.5, not a whole number from 0 on"),
            ({"background": 0, "a": -1}, "'a' is -1, not a whole number"),
            ({"background": 0, "a": None}, "'a' is null, not a whole number"),
            ({"background": 0, "a": True}, "'a' is true, not a whole number"),
            ({"background": 0, "a": {"b": 1}}, "'a' is {\"b\": 1}, not a whole number"),
            ({"0": "background", "1": 7, "x": "y"}, "'0' is \"background\", not a whole number"),
            ({"0": "1", "1": "0"}, "nobody knows which are names"),
            ({"background": 0, "a": 1, "b": "1"}, "'a' and 'b' are both 1. Keep one"),
            ({"0": "background", "1": "a", "01": "b"}, "'a' and 'b' are both 1"),
            ({"0": "background", "1": "a", "2": "a"}, "several values have the name 'a'"),
            ({"1": "a", "2": "b"}, "no name has the value 0, the background. Add"),
            ({"a": 1, "b": 2}, "no name has the value 0, the background. Add"),
            ({"background": 0}, "names nothing but the background"),
            ({"background": 0, "ignore": 1}, "names nothing but the background"),
            ({"background": 0, "ignore": 1, "b": 2}, "'ignore' is 1, but nnU-Net has it as the highest"),
        ],
    )
    @pytest.mark.parametrize("kind", [task, nnunet])
    def test_other_forms_are_refused(self, tmp_path, kind, labels, told):
        line = refused(kind(tmp_path, labels=labels))
        assert line.startswith(f"{tmp_path / 'dataset.json'}: 'labels'") and told in line

    def test_what_is_ignored_is_no_class(self, tmp_path):
        source = task(tmp_path, labels={"background": 0, "a": 1, "ignore": 2})
        assert (source.classes, source.class_names, source.class_values) == (2, ("a",), (0, 1))
        assert source.ignoring and source.about().ignoring and source.ignore == ()
        source.check()
        label = source.read("x").label
        np.testing.assert_array_equal(is_ignored(label), values(0) % 3 == 2)
        assert "value 2, 'ignore' in dataset.json" in only(source.notes())
        of_all = Decathlon(directory=tmp_path, foreground="any")
        assert set(np.unique(of_all.read("x").label)) == set(np.unique(label)) and of_all.ignoring
        as_class = Decathlon(directory=tmp_path, label_values=(0, 1, 2))
        assert not as_class.ignoring and as_class.classes == 3 and as_class.notes() == []

    def test_one_key_twice(self, tmp_path):
        source = task(tmp_path)
        path = tmp_path / "dataset.json"
        path.write_text(path.read_text().replace('"1": "a"', '"1": "a", "1": "c"'))
        assert f"{path}: '1' stands twice in one object" in refused(source)


class TestDescription:
    @pytest.mark.parametrize("named", [{"0": "T1", "1": "T2"}, {"1": "T2", "0": "T1"}, ["T1", "T2"]])
    @pytest.mark.parametrize("key", ["modality", "channel_names"])
    def test_names_of_channels(self, tmp_path, key, named):
        assert task(tmp_path, **{"modality": None, key: named}).channels == 2

    @pytest.mark.parametrize(
        ("named", "told"),
        [
            ("CT", "'modality' is a text, not the names of the channels. Write {"),
            ({"1": "T1", "2": "T2"}, "'modality' has the keys '1', '2'. Write {"),
            ({"0": ["T1"]}, "the name of channel 0 is a list"),
            (3, "'modality' is a number"),
        ],
    )
    def test_other_forms_are_refused(self, tmp_path, named, told):
        assert told in refused(task(tmp_path, modality=named))

    def test_channels_named_twice_differently(self, tmp_path):
        assert "list different channels" in refused(task(tmp_path, channel_names=["CT", "PET"]))

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("kind", [task, nnunet])
    def test_byte_order_marks(self, tmp_path, encoding, kind):
        source = kind(tmp_path)
        path = tmp_path / "dataset.json"
        path.write_text(path.read_text(), encoding=encoding)
        assert path.read_bytes().startswith((codecs.BOM_UTF8, codecs.BOM_UTF16))
        assert type(source_at(str(tmp_path))) is type(source)
        source.check()

    @pytest.mark.parametrize("content", ["[]", "3", '"x"', "null"])
    @pytest.mark.parametrize("kind", [Decathlon, NnUnet])
    def test_that_is_no_object(self, tmp_path, content, kind):
        (tmp_path / "dataset.json").write_text(content)
        assert "but must be an object, {...}" in refused(kind(directory=tmp_path))

    @pytest.mark.parametrize("content", ["{", "[" * 100_000, "\ud800", b"\xff\xff", b""])
    def test_that_is_not_json(self, tmp_path, content):
        content = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        (tmp_path / "dataset.json").write_bytes(content)
        assert "dataset.json is not JSON" in refused(source_at(str(tmp_path)))

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"training": {"a": 1}}, "'training' is an object, but must be a list, [{"),
            ({"training": "x"}, "'training' is a text, but must be a list"),
            ({"test": {"a": 1}}, "'test' is an object, but must be a list"),
            ({"training": {}}, "lacks training: it is no description of a data set of the kind decathlon"),
            ({"training": []}, "lacks training"),
        ],
    )
    def test_lists(self, tmp_path, changes, told):
        assert told in refused(task(tmp_path, **changes))

    def test_all_that_is_wrong_is_told_at_once(self, tmp_path):
        source = task(
            tmp_path, [pair("imagesTr/x.nii.gz"), pair("imagesTr/z.nii.gz")], labels=[], modality="CT"
        )
        describe(tmp_path, modality="CT", labels=["a"], training=[pair("imagesTr/x.nii.gz"), 3])
        lines = "\n".join(source.problems())
        for told in ("'labels' is a list", "'modality' is a text", "entry 2 of 'training': is a number"):
            assert told in lines


class TestEntries:
    @pytest.mark.parametrize(
        ("entry", "told"),
        [
            ("./imagesTr/y.nii.gz", "entry 2 of 'training', ./imagesTr/y.nii.gz: has no label. Write {"),
            ({"image": "imagesTr/y.nii.gz"}, "entry 2 of 'training', imagesTr/y.nii.gz: has no label"),
            ({"image": "imagesTr/y.nii.gz", "label": None}, "imagesTr/y.nii.gz: has no label"),
            (7, "entry 2 of 'training': is a number, but must be {"),
            (None, "entry 2 of 'training': is null, but must be {"),
            (["a", "b"], "entry 2 of 'training': is a list, but must be {"),
            (
                {"image": 3, "label": "labelsTr/y.nii.gz"},
                "its image is a number, but must be the name of a file",
            ),
            ({"label": "labelsTr/y.nii.gz"}, "its image is null, but must be the name of a file"),
            ({"image": "", "label": "labelsTr/y.nii.gz"}, "its image is '', but must be the name of a file"),
            ({"image": "./", "label": "labelsTr/y.nii.gz"}, "its image is './', but must be"),
            ({"image": "a\0b", "label": "labelsTr/y.nii.gz"}, r"its image is 'a\x00b', but must be"),
            ({"image": [], "label": "labelsTr/y.nii.gz"}, "its image is a list, but must be"),
            (pair("imagesTr/y.nii.gz", ["labelsTr/y.nii.gz"]), "its label is a list, but must be"),
            (
                pair("imagesTr/y.nii.gz", "labelsTr/z.nii.gz"),
                "labelsTr/z.nii.gz: there is no such file. Put it",
            ),
            (
                pair("imagesTr/z.nii.gz", "labelsTr/y.nii.gz"),
                "imagesTr/z.nii.gz: there is no such file. Put it",
            ),
            (pair("imgs/y.nii.gz", "labelsTr/y.nii.gz"), "there is no such file, and no folder"),
            (pair("imagesTr/Y.nii.gz", "labelsTr/y.nii.gz"), "there is no such file, but y.nii.gz. Put it"),
            (pair("i" * 300 + ".nii", "labelsTr/y.nii.gz"), "there is no such file"),
            (
                pair("imagesTr/x.nii.gz", "labelsTr/y.nii.gz"),
                "entry 1 of 'training' and entry 2 of 'training', ",
            ),
            (
                pair("imagesTr/y.nii.gz", "labelsTr/x.nii.gz"),
                "labelsTr/x.nii.gz: the same label. Keep one",
            ),
            (
                pair("imagesTr/../imagesTr/x.nii.gz", "labelsTr/y.nii.gz"),
                "the same image. Keep one of the two",
            ),
            (pair("imagesTr/y.nii.gz", "imagesTr/y.nii.gz"), "entry 2 of 'training': lists one file twice"),
            (pair("imagesTr/y.nii.gz", "imagesTr/x.nii.gz"), "an image of one is the label of the other"),
        ],
    )
    def test_faults(self, tmp_path, entry, told):
        source = task(tmp_path, [pair("./imagesTr/x.nii.gz"), entry])
        line = only(source.problems())
        assert "\n" not in line and told in line and line.startswith(str(tmp_path / "dataset.json"))
        assert source.names() == ["x"] and source.test_names() == []
        with pytest.raises(UserError, match="has 1 problem"):
            source.check()

    def test_faults_of_one_kind_are_one(self, tmp_path):
        training = [pair(f"imagesTr/{name}.nii.gz") for name in "xpqr"] + [
            "imagesTr/y.nii.gz",
            "imagesTr/x.nii.gz",
        ]
        missing, bare = task(tmp_path, training).problems()
        assert missing.startswith("6 files: there is no such file") and missing.count("\n") == 6
        assert "entry 3 of 'training', labelsTr/q.nii.gz" in missing
        assert bare.startswith("2 files: has no label")

    def test_without_any_case_all_faults_are_told(self, tmp_path):
        with pytest.raises(
            UserError, match=r"holds no image with a label:\n.*entry 1 of 'training': is a number"
        ):
            task(tmp_path, [1]).names()
        with pytest.raises(UserError, match="holds no image with a label"):
            _ = task(tmp_path, [1]).located

    def test_equal_names_in_different_folders(self, tmp_path):
        for number, folder in enumerate(("a", "b", "c/a")):
            save(tmp_path / f"{folder}/x.nii.gz", number)
            save(tmp_path / f"{folder}/labels/x.nii.gz", number)
        training = [pair(f"{folder}/x.nii.gz", f"{folder}/labels/x.nii.gz") for folder in ("a", "b", "c/a")]
        source = task(tmp_path, [*training, pair("imagesTr/y.nii.gz")])
        assert source.names() == ["a_x", "b_x", "c_a_x", "y"] and source.problems() == []
        for number, name in enumerate(("a_x", "b_x", "c_a_x")):
            np.testing.assert_array_equal(source.read(name).image[..., 0], values(number))
            np.testing.assert_array_equal(source.read(name).label, values(number) % 3)

    def test_names_never_meet(self, tmp_path):
        paths = ["a/x", "b/x", "a_x", "a/b_x"]
        for number, name in enumerate(paths):
            save(tmp_path / f"{name}.nii", number)
            save(tmp_path / f"labels/{number}.nii", number)
        training = [pair(f"{name}.nii", f"labels/{number}.nii") for number, name in enumerate(paths)]
        source = task(tmp_path, training)
        assert len(source.names()) == len(paths) and source.problems() == []
        read = {source.read(name).path.relative_to(tmp_path).as_posix() for name in source.names()}
        assert read == {f"{name}.nii" for name in paths}

    def test_a_test_image_of_the_same_name_is_a_case_of_its_own(self, tmp_path):
        save(tmp_path / "imagesTs/x.nii.gz", 5)
        source = task(tmp_path)
        assert (source.names(), source.test_names()) == (["x", "y"], ["imagesTs_x"])  # x is in split.json
        np.testing.assert_array_equal(source.read("imagesTs_x").image[..., 0], values(5))

    @pytest.mark.parametrize("spelled", ["../more/{}.nii.gz", "{top}/more/{}.nii.gz"])
    def test_outside_of_the_folder(self, tmp_path, spelled):
        image, label = (spelled.format(f"{what}/z", top=tmp_path) for what in ("images", "labels"))
        for place in ("images", "labels"):
            save(tmp_path / f"more/{place}/z.nii.gz", 3)
        source = task(tmp_path / "task", [pair("imagesTr/x.nii.gz"), pair(image, label)])
        assert source.names() == ["x", "z"] and source.problems() == []
        assert f"2 file(s) lie outside of {tmp_path / 'task'}: " in only(source.notes())
        np.testing.assert_array_equal(source.read("z").image[..., 0], values(3))

    def test_spelling_does_not_matter(self, tmp_path):
        spelled = ["./imagesTr/./x.nii.gz", str(tmp_path / "task/imagesTr/y.nii.gz")]
        labels = ["labelsTr/../labelsTr/x.nii.gz", "../task/labelsTr/y.nii.gz"]
        source = task(tmp_path / "task", [pair(*files) for files in zip(spelled, labels, strict=True)])
        assert source.names() == ["x", "y"]
        assert source.problems() == source.unread() == source.notes() == []

    def test_links(self, tmp_path):
        source = task(
            tmp_path / "task", [pair("../other/x.nii.gz", "labelsTr/x.nii.gz"), pair("imagesTr/y.nii.gz")]
        )
        (tmp_path / "other").mkdir()
        (tmp_path / "task/imagesTr/x.nii.gz").rename(tmp_path / "other/x.nii.gz")
        (tmp_path / "task/imagesTr/x.nii.gz").symlink_to(tmp_path / "other/x.nii.gz")
        assert source.problems() == source.unread() == []
        (tmp_path / "link").symlink_to(tmp_path / "task")
        linked = Decathlon(directory=tmp_path / "link")
        assert linked.problems() == linked.unread() == [] and linked.names() == ["x", "y"]

    def test_equal_labels_that_a_store_keeps_once(self, tmp_path):
        source = task(tmp_path)
        (tmp_path / "store").mkdir()
        (tmp_path / "labelsTr/x.nii.gz").rename(tmp_path / "store/1.nii.gz")
        for name in "xy":
            (tmp_path / f"labelsTr/{name}.nii.gz").unlink(missing_ok=True)
            (tmp_path / f"labelsTr/{name}.nii.gz").symlink_to("../store/1.nii.gz")
        assert source.problems() == []
        (tmp_path / "imagesTr/y.nii.gz").unlink()
        (tmp_path / "imagesTr/y.nii.gz").symlink_to("x.nii.gz")
        assert "the same image" in only(Decathlon(directory=tmp_path).problems())

    def test_backslashes(self, tmp_path):
        source = task(tmp_path, [pair(r".\imagesTr\x.nii.gz"), pair("imagesTr\\y.nii.gz")])
        assert source.names() == ["x", "y"] and source.problems() == source.unread() == []

    @pytest.mark.skipif(os.name == "nt", reason="a backslash is always a separator there")
    def test_backslashes_in_names(self, tmp_path):
        save(tmp_path / r"imagesTr\x.nii.gz", 7)
        source = task(tmp_path, [pair(r"imagesTr\x.nii.gz", "labelsTr/x.nii.gz")])
        np.testing.assert_array_equal(source.read(only(source.names())).image[..., 0], values(7))

    def test_another_ending(self, tmp_path):
        source = task(tmp_path, [pair("imagesTr/x.nii"), pair("imagesTr/y.nii.gz")])
        assert source.names() == ["x", "y"] and source.problems() == source.unread() == []
        save(tmp_path / "imagesTr/x.tif", 0)
        told = "entry 1 of 'training', imagesTr/x.nii: there is no such file, but x.nii.gz and x.tif. Write which"
        assert told in only(Decathlon(directory=tmp_path).problems())

    def test_images_without_a_label(self, tmp_path):
        for place in ("imagesTs/s", "imagesTs/t", "more/u"):
            save(tmp_path / f"{place}.nii.gz")
        test = ["./imagesTs/s.nii.gz", {"image": "more/u.nii.gz"}, "./imagesTs/gone.nii.gz", 4]
        source = task(tmp_path, test=test)
        assert source.test_names() == ["s", "t", "u"]
        assert "entry 4 of 'test': is a number" in only(source.problems())
        assert only(source.notes()) == (
            "1 image(s) that dataset.json lists under 'test' are not there: ./imagesTs/gone.nii.gz"
        )

    def test_several_files_are_channels(self, tmp_path):
        for channel in range(2):
            save(tmp_path / f"imagesTr/z{channel}.nii.gz", channel)
        listed = {"image": ["imagesTr/z0.nii.gz", "imagesTr/z1.nii.gz"], "label": "labelsTr/x.nii.gz"}
        source = task(tmp_path, [listed], modality=["T1", "T2"])
        image = source.read(only(source.names())).image
        np.testing.assert_array_equal(image, np.stack([values(0), values(1)], axis=-1))
        wrong = task(tmp_path, [listed], modality=["T1", "T2", "T3"])
        assert "lists 2 images, but dataset.json lists 3 channel(s)" in only(wrong.problems())


@pytest.mark.parametrize("kind", [task, nnunet])
def test_check_tells_all_of_it(tmp_path, kind):
    source = kind(tmp_path, labels={"background": 0, "all": [1, 2]})
    (tmp_path / "labelsTr/y.nii.gz").unlink()
    errors = examine(source).errors
    assert "'all' is a region" in errors[0] and re.search("there is no (such file|label)", errors[1])


class TestUnread:
    @pytest.mark.parametrize("kind", [task, nnunet])
    def test_all_that_is_not_listed(self, tmp_path, kind):
        source = kind(tmp_path)
        assert source.unread() == []
        for name in ("imagesTr/deep/x.nii.gz", "labelsTs/s.nii.gz", "imagesTr/z.nii", "imagesTr/u.nii"):
            save(tmp_path / name)
        (tmp_path / "imagesTs").mkdir()
        for name in ("imagesTr/x.nrrd", "labelsTr/v.png", "imagesTs/s.mha", "README.md", "spare.nii"):
            (tmp_path / name).touch()
        lines = "\n".join(kind(tmp_path).unread())
        for told in (
            "Convert to NIfTI",
            "v.png: not read: an image among volumes",
            "only what lies directly in",
            "s.mha",
            "spare.nii: not read: it lies beside",
            "labelsTs: not read: it lies beside",
        ):
            assert told in lines, told
        reason = (
            "is not listed in dataset.json"
            if kind is task
            else "not read: its name does not end in '.nii.gz'"
        )
        assert re.search(rf"2 files: {reason}.*\n.*/u.nii\n.*/z.nii", lines)
        assert "README" not in lines and "dataset.json:" not in lines

    def test_folders_on_the_way_are_read(self, tmp_path):
        for name in ("p", "q"):
            save(tmp_path / f"imagesTr/site/{name}.nii.gz")
        source = task(
            tmp_path, [pair("imagesTr/x.nii.gz"), pair("imagesTr/site/p.nii.gz", "labelsTr/y.nii.gz")]
        )
        unlisted = only(source.unread())
        assert unlisted.startswith("2 files: is not listed") and "site/q.nii.gz" in unlisted

    def test_what_is_told_otherwise_is_not_told_twice(self, tmp_path):
        source = task(tmp_path, ["imagesTr/x.nii.gz", pair("imagesTr/z.nii.gz", "labelsTr/x.nii.gz")])
        assert len(source.problems()) == 2
        assert "x.nii.gz" not in "\n".join(source.unread())


class TestFirstVersionOfNnunet:
    def folder(self, folder, channels=2):
        for name in ("imagesTr/x", "imagesTr/y", "imagesTs/t"):
            for channel in range(channels):
                save(folder / f"{name}_{channel:04}.nii.gz", len(name) + ord(name[-1]) + channel)
        for name in "xy":
            save(folder / f"labelsTr/{name}.nii.gz", ord(name))
        modality = {str(channel): f"T{channel}" for channel in range(channels)}
        training = [pair(f"./imagesTr/{name}.nii.gz") for name in "xy"]
        describe(folder, modality=modality, labels=LABELS, training=training, test=["./imagesTs/t.nii.gz"])
        return source_at(str(folder))

    @pytest.mark.parametrize("channels", [1, 2, 3])
    def test_a_file_for_each_channel(self, tmp_path, channels):
        source = self.folder(tmp_path, channels)
        assert (source.name, source.names(), source.test_names()) == ("decathlon", ["x", "y"], ["t"])
        assert source.problems() == source.unread() == source.notes() == []
        case = source.read("x")
        expected = [values(10 + ord("x") + channel) for channel in range(channels)]
        np.testing.assert_array_equal(case.image, np.stack(expected, axis=-1))
        assert (
            case.path == tmp_path / "imagesTr/x_0000.nii.gz" and source.read("t").image.shape[-1] == channels
        )

    def test_tests_that_are_not_listed(self, tmp_path):
        source = self.folder(tmp_path)
        description = json.loads((tmp_path / "dataset.json").read_text())
        describe(tmp_path, **{**description, "test": []})
        assert source.test_names() == ["t"] and source.read("t").image.shape[-1] == 2

    def test_a_missing_channel(self, tmp_path):
        self.folder(tmp_path)
        (tmp_path / "imagesTr/y_0001.nii.gz").unlink()
        told = "./imagesTr/y.nii.gz: there is no file of channel 1, 'T1', whose name ends in _0001"
        assert told in only(source_at(str(tmp_path)).problems())


class TestNnunet:
    @pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".tif"])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_channels(self, tmp_path, ending, channels):
        for channel in range(channels):
            save(tmp_path / f"imagesTs/t_{channel:04}{ending}", channel)
        nnunet(tmp_path, channels=channels, ending=ending)
        source = source_at(str(tmp_path))
        assert (source.name, source.rank, source.channels, source.classes) == ("nnunet", 3, channels, 3)
        assert (source.names(), source.test_names()) == (["x", "y"], ["t"])
        assert source.class_names == ("a", "b") and source.located == (ending != ".tif")
        assert source.problems() == source.unread() == source.notes() == []
        case = source.read("y")
        np.testing.assert_array_equal(
            case.image, np.stack([values(10 + channel) for channel in range(channels)], axis=-1)
        )
        np.testing.assert_array_equal(case.label, values(1) % 3)
        assert case.path == tmp_path / f"imagesTr/y_0000{ending}" and source.read("t").label is None

    def test_files_that_are_listed(self, tmp_path):
        for channel in range(2):
            save(tmp_path / f"else/p{channel}.nii.gz", channel)
        save(tmp_path / "else/labels/p.nii.gz", 4)
        listed = {"images": ["../else/p0.nii.gz", str(tmp_path / "else/p1.nii.gz")]}
        dataset = {
            "site/p": {**listed, "label": "../else/labels/p.nii.gz"},
            "q": {"images": 3},
            "r": {**listed},
        }
        source = nnunet(tmp_path / "d", dataset=dataset, numTraining=1)
        assert source.names() == ["site_p"]
        np.testing.assert_array_equal(source.read("site_p").image, np.stack([values(0), values(1)], axis=-1))
        first, second = source.problems()
        assert (
            "case 'q' of 'dataset': must be {" in first
            and "case 'r' of 'dataset': its label is null" in second
        )
        assert "3 file(s) lie outside of" in only(source.notes())
        assert "is not listed in dataset.json" in only(source.unread())

    def test_channels_are_turned_alike(self, tmp_path):
        """Stored in another order of axes, on the same voxels."""
        source = nnunet(tmp_path)
        array = values(1)
        # The voxel (i, j, k) of the file is that of the first channel with x = j, y = size - 1 - i, z = k.
        stored = np.empty((SIZE[1], SIZE[0], SIZE[2]), np.int16)
        affine = np.array([[0, 1, 0, 0], [-1, 0, 0, SIZE[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        for index in np.ndindex(stored.shape):
            x, y, z = (affine @ [*index, 1])[:3].astype(int)
            stored[index] = array[x, y, z]
        save(tmp_path / "imagesTr/x_0001.nii.gz", affine=affine, array=stored)
        source.check()
        np.testing.assert_array_equal(source.read("x").image[..., 1], array)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (
                {"affine": np.diag([1, 1, 2.0, 1])},
                "lies elsewhere than x_0000.nii.gz (spacing 1 x 1 x 2 instead",
            ),
            (
                {"affine": np.eye(4) + np.eye(4, k=3)},
                "lies elsewhere than x_0000.nii.gz (shifted by 1 x 0 x 0 mm)",
            ),
            ({"array": values(0)[1:]}, "has the size (2, 4, 5), x_0000.nii.gz (3, 4, 5)"),
            ({"array": np.stack([values(0)] * 2, -1)}, "has 2 channels, but is itself one of the channels"),
        ],
    )
    def test_channels_on_other_grids(self, tmp_path, change, told):
        source = nnunet(tmp_path)
        save(tmp_path / "imagesTr/x_0001.nii.gz", **change)
        line = only(source.problems())
        assert line.startswith(f"{tmp_path / 'imagesTr/x_0001.nii.gz'}: {told}")

    def test_stacks_of_other_sizes(self, tmp_path):
        source = nnunet(tmp_path, ending=".tif")
        save(tmp_path / "imagesTr/x_0001.tif", array=values(0)[1:])
        assert "x_0001.tif: has the size (2, 4, 5), x_0000.tif (3, 4, 5)" in only(source.problems())

    def test_files_without_their_partners(self, tmp_path):
        nnunet(tmp_path, names=("p", "q", "r", "s", "t", "u"))
        for name in (
            "imagesTr/p_0001",
            "imagesTr/q_0001",
            "labelsTr/r",
            "imagesTr/t_0000",
            "imagesTr/t_0001",
        ):
            (tmp_path / f"{name}.nii.gz").unlink()
        for name in ("imagesTr/s_0002", "imagesTr/odd", "imagesTr/u12345", "imagesTs/k_0000"):
            save(tmp_path / f"{name}.nii.gz")
        source = NnUnet(directory=tmp_path)
        problems = source.problems()
        assert re.search(
            r"3 files: there is no file of channel 1, 'T2', .*_0001\n.*Tr/p\n.*Tr/q\n.*Ts/k", problems[1]
        )
        lines = "\n".join(problems)
        for told in (
            f"imagesTr/r: there is no label of this name in {tmp_path / 'labelsTr'}",
            "imagesTr/s: there is a file of channel 2, _0002, but dataset.json lists 2 channel(s), the last",
            f"labelsTr/t.nii.gz: there is no image t_0000.nii.gz in {tmp_path / 'imagesTr'}",
            "2 files: its name lacks the number of a channel. Rename it, as to case_0000",
        ):
            assert told in lines, told
        assert len(problems) == 5 and source.names() == ["u"] and source.unread() == []

    @pytest.mark.parametrize("told", [3, "2", [2]])
    def test_another_number_of_cases(self, tmp_path, told):
        source = nnunet(tmp_path, numTraining=told)
        source.check()
        assert (
            only(source.notes())
            == f"numTraining in dataset.json is {told!r}, but 2 case(s) have image and label"
        )

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            (
                {"file_ending": ".png"},
                "'file_ending' is '.png'. nnunet reads volumes. Images of two axes with all",
            ),
            (
                {"file_ending": ".nrrd"},
                "'.nrrd', which is not read. Convert to NIfTI, as with SimpleITK: WriteImage",
            ),
            ({"file_ending": ".mha"}, "ReadImage('a.mha'), 'a.nii.gz'); and write '.nii.gz' here"),
            ({"file_ending": ".xyz"}, "'.xyz', which is not read. Convert the files to one of .nii"),
            ({"file_ending": 3}, "'file_ending' is not a text. Write"),
            ({"file_ending": None}, "lacks file_ending"),
            ({"channel_names": None}, "lacks channel_names"),
            ({"file_ending": "nii"}, "holds no file such as case_0000.nii (4 .nii.gz)"),
            ({"dataset": ["a"]}, "'dataset' must be an object, {\"a\": {"),
        ],
    )
    def test_refused(self, tmp_path, changes, told):
        assert told in refused(nnunet(tmp_path, **changes))

    def test_stacks_that_are_images(self, tmp_path):
        source = nnunet(tmp_path, channels=1, ending=".tif")
        for path in tmp_path.glob("*Tr/*.tif"):
            tifffile.imwrite(path, (values(0)[0] % 3).astype(np.uint8), photometric="minisblack")
        line = only(source.problems())
        assert (
            line.startswith("2 files: is an image of two axes.") and "--set data.image_suffix=_0000" in line
        )

    def test_images_of_two_axes_are_read_as_the_message_says(self, tmp_path):
        from PIL import Image

        for name in ("imagesTr/x_0000.png", "labelsTr/x.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            Image.fromarray((values(0)[0] % 3).astype(np.uint8)).save(tmp_path / name)
        nnunet(tmp_path, names=(), file_ending=".png")
        line = refused(NnUnet(directory=tmp_path))
        words = re.findall(r"--set data\.(\w+)=(\w+)", line)
        source_at(str(tmp_path), {"name": "folder", **dict(words)}).check()

    def test_a_list_of_pairs(self, tmp_path):
        source = task(tmp_path, modality=None, channel_names={"0": "CT"}, file_ending=".nii.gz")
        assert "Its 'training' lists pairs: --data decathlon" in refused(NnUnet(directory=tmp_path))
        source.check()

    @pytest.mark.parametrize(("kind", "other"), [(Decathlon, "nnunet"), (NnUnet, "decathlon")])
    def test_the_other_kind(self, tmp_path, kind, other):
        (nnunet if kind is Decathlon else task)(tmp_path)
        assert f"Another kind: --data {other}" in refused(kind(directory=tmp_path))
