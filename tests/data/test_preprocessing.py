"""From a case to what a network sees, and back to where it came from."""

import numpy as np
import pytest
from pydantic import ValidationError

from data.errors import UserError
from data.formats.geometry import Geometry
from data.preprocessing.preprocessor import Preprocessor
from data.settings import Preprocessing
from data.source import Case


def case(size=(12, 10, 8), spacing=(1.0, 1.0, 2.0), border=2, channels=1):
    """A volume with values in its middle and zeros around."""
    generator = np.random.default_rng(0)
    image, label = np.zeros((*size, channels), np.float32), np.zeros(size, np.uint8)
    inner = (slice(border, -border),) * 3
    image[inner] = generator.uniform(50, 150, image[inner].shape)
    label[inner] = generator.integers(0, 3, label[inner].shape)
    return Case("a", image, label, None, Geometry(np.diag([*spacing, 1.0]), size))


def prepare(which, **settings):
    return Preprocessor(Preprocessing(**settings))(which)


def test_without_settings_nothing_changes():
    original = case()
    prepared = prepare(original)
    np.testing.assert_array_equal(prepared.image, original.image)
    np.testing.assert_array_equal(prepared.label, original.label)
    assert prepared.spacing == (1.0, 1.0, 2.0) and not prepared.resampled
    np.testing.assert_array_equal(prepared.restore_label(prepared.label), original.label)


def test_borders_of_zeros_are_cut_off_and_come_back_as_background():
    original = case()
    prepared = prepare(original, crop=True)
    assert prepared.image.shape == (8, 6, 4, 1) and prepared.label.shape == (8, 6, 4)
    np.testing.assert_array_equal(prepared.restore_label(prepared.label), original.label)
    probability = np.eye(3, dtype=np.float32)[prepared.label]
    restored = prepared.restore(probability)
    np.testing.assert_array_equal(restored.argmax(-1), original.label)
    np.testing.assert_array_equal(restored.sum(-1), 1)
    one_class = prepared.restore(probability[..., 1:2])
    np.testing.assert_array_equal(one_class[..., 0], original.label == 1)
    empty = prepare(Case("empty", np.zeros((4, 4, 4, 1), np.float32)), crop=True)
    assert empty.image.shape == (4, 4, 4, 1)


def test_each_case_to_mean_0_and_deviation_1():
    for scale, offset in ((1, 0), (1000, -300)):
        original = case(border=1, channels=2)
        changed = Case("b", original.image * scale + offset)
        image = prepare(changed, normalisation="case").image
        assert image.dtype == np.float32
        np.testing.assert_allclose(image.mean((0, 1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(image.std((0, 1, 2)), 1, atol=1e-5)
        np.testing.assert_allclose(image, prepare(original, normalisation="case").image, atol=1e-4)
    constant = prepare(Case("c", np.full((4, 4, 4, 1), 7, np.float32)), normalisation="case")
    np.testing.assert_array_equal(constant.image, 0)


def test_zeros_outside_of_the_body_do_not_count_where_they_are_cropped():
    original = case(border=2)
    image = prepare(original, crop=True, normalisation="case").image
    np.testing.assert_allclose(image.std(), 1, atol=1e-5)
    original.image[5, 5, 4] = 0  # a hole in the body
    holed = prepare(original, crop=True, normalisation="case").image
    body = holed[holed != holed[3, 3, 2]]
    np.testing.assert_allclose([body.mean(), body.std()], [0, 1], atol=1e-5)


def test_values_beyond_percentiles_are_limited():
    image = np.arange(1000, dtype=np.float32).reshape(10, 10, 10, 1)
    image[0, 0, 0] = 1e9
    clipped = prepare(Case("a", image), clip=(1, 99)).image
    assert clipped.min() == pytest.approx(np.percentile(image, 1))
    assert clipped.max() == pytest.approx(np.percentile(image, 99))
    with pytest.raises(ValidationError, match="clip: 99 is not below 1"):
        Preprocessing(clip=(99, 1))


def test_resampling_keeps_places_and_comes_back():
    size, spacing = (24, 20, 10), (1.0, 1.0, 2.0)
    places = np.indices(size).T * spacing
    ball = (np.linalg.norm(places - [12, 10, 10], axis=-1).T < 7).astype(np.uint8)
    image = np.stack([ball * 100.0, np.indices(size)[0]], -1).astype(np.float32)
    original = Case("a", image, ball, None, Geometry(np.diag([*spacing, 1.0]), size))
    prepared = prepare(original, spacing=(1.0, 1.0, 1.0))
    assert prepared.image.shape == (24, 20, 20, 2) and prepared.spacing == (1.0, 1.0, 1.0)
    assert prepared.resampled and set(np.unique(prepared.label)) == {0, 1}
    assert prepared.label.sum() == 2 * ball.sum()  # twice as many voxels in the same body
    np.testing.assert_allclose(prepared.image[..., 1], np.indices((24, 20, 20))[0], atol=1e-4)
    restored = prepared.restore(prepared.label[..., np.newaxis].astype(np.float32))
    assert restored.shape == (*size, 1)
    np.testing.assert_array_equal(restored[..., 0] > 0.5, ball)
    coarse = prepare(original, spacing=(2.0, 2.0, 2.0))
    assert coarse.image.shape == (12, 10, 10, 2)


def test_resampling_needs_to_know_the_voxels():
    with pytest.raises(UserError, match=r"preprocessing\.spacing needs the size of the voxels"):
        prepare(Case("a", np.zeros((4, 4, 4, 1), np.float32)), spacing=(1, 1, 1))
