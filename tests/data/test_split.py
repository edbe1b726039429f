"""Splits and normalisation statistics."""

import numpy as np
import pytest

from data.errors import UserError
from data.files import natural_key
from data.preprocessing.statistics import Statistics, statistics
from data.sampling.split import Split, divide, fold, split
from data.settings import Sampling

NAMES = [f"slice-{number}" for number in range(20)]


FOLDS_OF_TWELVE = [
    ["case_00", "case_03", "case_08"],
    ["case_07", "case_10", "case_11"],
    ["case_06", "case_09"],
    ["case_01", "case_04"],
    ["case_02", "case_05"],
]


def test_natural_order():
    assert sorted(["a10b", "a9b", "B1", "2", "10", "\u00b2"], key=natural_key) == [
        "2", "10", "a9b", "a10b", "B1", "\u00b2",
    ]  # fmt: skip


def test_the_split_depends_on_the_names_and_the_seed_alone():
    first = split(NAMES, 0.2, seed=0)
    assert first == split(NAMES[::-1], 0.2, seed=0)
    assert first != split(NAMES, 0.2, seed=1)
    assert sorted(first.training + first.validation) == sorted(NAMES)
    # This very split: it must not change with a version of anything.
    assert first.validation == ["slice-10", "slice-14", "slice-15", "slice-16"]


def test_a_new_image_moves_few_others():
    before, after = split(NAMES, 0.2, seed=0), split([*NAMES, "new"], 0.2, seed=0)
    assert len(set(before.validation) - set(after.validation)) <= 1


@pytest.mark.parametrize(
    ("count", "share", "kept"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.25, 2), (10, 0.0, 0)]
)
def test_both_parts_keep_an_image(count, share, kept):
    assert len(split(NAMES[:count], share, seed=3).validation) == kept


def test_validation_images_may_be_named():
    chosen = split(NAMES, ("slice-19", "slice-2"), seed=0)
    assert chosen.validation == ["slice-2", "slice-19"]
    assert len(chosen.training) == 18


def test_impossible_splits_are_refused():
    with pytest.raises(UserError, match="does not have:\n  - slice-99\nThe first ones it has"):
        split(NAMES, ("slice-1", "slice-99"), seed=0)
    with pytest.raises(
        UserError, match=r'are: 001, 002. A name .* needs quotes in YAML, as in \["001", "1e5"\].'
    ):
        split(["001", "002"], ("1",), seed=0)  # which YAML made of 001
    with pytest.raises(UserError, match="One image cannot be divided"):
        split(["only"], 0.2, seed=0)
    with pytest.raises(UserError, match="No image is left for training"):
        split(["a", "b"], ("a", "b"), seed=0)
    with pytest.raises(UserError, match="no labelled images"):
        split([], 0.2, seed=0)


def test_a_split_is_saved_and_loaded(tmp_path):
    saved = split(NAMES, 0.2, seed=0)
    saved.save(tmp_path / "split.json")
    assert Split.load(tmp_path / "split.json") == saved
    saved.check(NAMES)
    with pytest.raises(UserError, match="names 1 images that the data set does not have"):
        saved.check(NAMES[1:])


@pytest.mark.parametrize("kind", [Split, Statistics])
def test_damaged_json_is_named(tmp_path, kind):
    with pytest.raises(UserError, match=r"x\.json cannot be read: No such file"):
        kind.load(tmp_path / "x.json")
    (tmp_path / "x.json").write_text('{"training": [')
    with pytest.raises(UserError, match=r"x\.json is not a .*must be JSON with the lists"):
        kind.load(tmp_path / "x.json")


def test_statistics_are_those_of_all_pixels():
    generator = np.random.default_rng(0)
    arrays = {
        "a": generator.normal([1000.0, -3.0], [0.1, 2.0], (5, 7, 2)),
        "b": generator.normal([1001.0, 3.0], [0.1, 2.0], (3, 4, 2)),
    }
    found = statistics((a.astype(np.float32) for a in arrays.values()), 2)
    pixels = np.concatenate([a.astype(np.float32).reshape(-1, 2) for a in arrays.values()])
    np.testing.assert_allclose(found.mean, pixels.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std(axis=0, dtype=np.float64), rtol=1e-10)


def test_normalised_training_images_have_mean_0_and_deviation_1(tmp_path):
    image = np.random.default_rng(0).normal([50.0, 9.0], [3.0, 2.0], (20, 20, 2))
    found = statistics([image], 2)
    found.save(tmp_path / "statistics.json")
    normalised = Statistics.load(tmp_path / "statistics.json").normalise(image)
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised.mean(axis=(0, 1)), 0.0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=(0, 1)), 1.0, atol=1e-5)
    with pytest.raises(UserError, match="has 1 channels, but the training images had 2"):
        found.normalise(image[..., :1])


def test_a_constant_channel_becomes_zero():
    image = np.stack([np.full((4, 4), 0.1), np.arange(16.0).reshape(4, 4)], axis=-1)
    found = statistics([image], 2)
    assert found.std[0] == 1.0
    np.testing.assert_allclose(found.normalise(image)[..., 0], 0.0, atol=1e-7)


def test_folds_are_those_of_the_field():
    """scikit-learn's KFold(5, shuffle=True, random_state=12345) over sorted names, as in nnU-Net."""
    names = [f"case_{index:02d}" for index in range(12)]
    parts = [fold(names[::-1], number, 5) for number in range(5)]
    assert [part.validation for part in parts] == FOLDS_OF_TWELVE
    assert all(sorted(part.training + part.validation) == names for part in parts)
    with pytest.raises(UserError, match="3 images cannot be divided into 5 parts"):
        fold(names[:3], 0, 5)
    assert divide(names, Sampling(fold=3), seed=9) == parts[3]
    assert divide(names, Sampling(), seed=9) == split(names, 0.2, 9)
