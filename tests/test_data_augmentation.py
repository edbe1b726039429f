"""Augmentation: what moves where, that labels follow images, that draws are reproducible."""

import numpy as np
import pytest

from data.augmentation import augment, rotation_matrix
from data.noise import smooth_noise
from data.settings import Augmentation

OFF = {"flips": False}
EVERYTHING = {
    "rotation": 180, "scaling": 0.25, "elastic": 4, "brightness": 0.1, "contrast": 0.2, "noise": 0.1
}  # fmt: skip


def augmented(image, label, crop, seed=0, **settings):
    return augment(image, label, crop, Augmentation(**settings), np.random.default_rng(seed))


def ramps(size):
    """An image whose channels are its own coordinates."""
    return np.stack(np.indices(size), axis=-1).astype(np.float32)


@pytest.mark.parametrize("size", [(20, 30), (8, 9, 10)])
def test_without_changes_a_crop_is_a_piece_of_the_image(size):
    image, label = ramps(size), np.arange(np.prod(size)).reshape(size)
    crop = tuple(length - 3 for length in size)
    corners = set()
    for seed in range(30):
        piece, part = augmented(image, label, crop, seed, **OFF)
        corner = tuple(int(value) for value in piece[(0,) * len(size)])
        window = tuple(slice(c, c + n) for c, n in zip(corner, crop, strict=True))
        np.testing.assert_array_equal(piece, image[window])
        np.testing.assert_array_equal(part, label[window])
        corners.add(corner)
    assert len(corners) > 10
    assert {corner[0] for corner in corners} == {0, 1, 2, 3}


def test_flips_mirror_each_axis_half_of_the_time():
    image = ramps((4, 6))
    label = np.arange(24).reshape(4, 6)
    seen = []
    for seed in range(200):
        flipped, part = augmented(image, label, (4, 6), seed, flips=True)
        axes = tuple(axis for axis in (0, 1) if flipped[0, 0, axis] != 0)
        np.testing.assert_array_equal(flipped, np.flip(image, axes))
        np.testing.assert_array_equal(part, np.flip(label, axes))
        seen.append(axes)
    for axes in ((), (0,), (1,), (0, 1)):
        assert 25 < seen.count(axes) < 75


def test_a_rotation_carries_a_landmark_where_the_drawn_angle_says():
    landmark = np.array([40, 22])
    image = np.zeros((65, 65, 1), np.float32)
    image[tuple(landmark)] = 1.0
    label = (image[..., 0] > 0).astype(np.uint8)
    centre = np.array([32.0, 32.0])
    for seed in range(10):
        turned, _ = augmented(image, label, (65, 65), seed, flips=False, rotation=180)
        draws = np.random.default_rng(seed)
        draws.integers(0, [0, 0], endpoint=True)
        draws.random(2)
        angle = np.deg2rad(180) * draws.uniform(-1, 1, 1)[0]
        expected = centre + rotation_matrix([angle], 2) @ (landmark - centre)
        found = np.average(np.indices((65, 65)).reshape(2, -1), axis=1, weights=turned.ravel())
        np.testing.assert_allclose(found, expected, atol=0.35)


def test_a_quarter_turn_is_exact():
    matrix = rotation_matrix([np.pi / 2], 2)
    np.testing.assert_allclose(matrix @ [1.0, 0.0], [0.0, 1.0], atol=1e-15)
    turn = rotation_matrix([0.3, -1.2, 2.0], 3)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-15)
    np.testing.assert_allclose(np.linalg.det(turn), 1.0)


def test_scaling_changes_distances_by_the_factor():
    image = ramps((101, 101))
    label = np.zeros((101, 101), np.uint8)
    factors = []
    for seed in range(50):
        scaled, _ = augmented(image, label, (21, 21), seed, flips=False, scaling=0.2)
        steps = np.diff(scaled[..., 0], axis=0)
        if steps.min() > 0:  # otherwise the crop shows the mirrored border
            np.testing.assert_allclose(steps, steps.mean(), atol=1e-4)
            factors.append(1 / steps.mean())
    assert 0.8 <= min(factors) < 0.85
    assert 1.15 < max(factors) <= 1.2


@pytest.mark.parametrize("size", [(90, 80), (30, 32, 34)])
def test_labels_follow_images_exactly(size):
    """The image is a ramp, whose linear resampling is exact: the label must be its rounding."""
    crop = tuple(length // 2 for length in size)
    for axis in range(len(size)):
        ramp = ramps(size)[..., axis : axis + 1]
        geometry = {"rotation": 180, "scaling": 0.2, "elastic": 3, "elastic_scale": 8}
        image, label = augmented(ramp, ramp[..., 0].astype(np.int32), crop, axis, **geometry)
        distinct = np.abs(image[..., 0] % 1 - 0.5) > 1e-3  # halves may round either way
        np.testing.assert_array_equal(label[distinct], np.rint(image[..., 0])[distinct])
        assert distinct.mean() > 0.98
        assert label.dtype == np.int32


def test_elastic_displacements_have_the_asked_size_and_smoothness():
    image = ramps((300, 300))
    label = np.zeros((300, 300), np.uint8)
    elastic = {"flips": False, "elastic": 5, "elastic_scale": 30}
    displacements = []
    for seed in range(40):
        plain, _ = augmented(image, label, (128, 128), seed, **OFF)
        if plain.min() > 25 and plain.max() < 275:  # no part of the mirrored border is seen
            displacements.append(augmented(image, label, (128, 128), seed, **elastic)[0] - plain)
    assert len(displacements) > 10
    assert 3.5 < np.std(displacements) < 5.5
    assert np.abs(np.diff(displacements, axis=1)).max() < 1.2


def test_smooth_noise_passes_through_standard_normal_nodes():
    field = smooth_noise(np.random.default_rng(0), (61, 41), 10.0, 3)
    nodes = np.random.default_rng(0).standard_normal((3, 9, 7))
    assert field.shape == (3, 61, 41)
    np.testing.assert_allclose(field[:, ::10, ::10], nodes[:, 1:-1, 1:-1], atol=1e-12)


def test_borders_are_mirrored_when_a_turned_crop_leaves_the_image():
    image = ramps((32, 32)) + 1.0
    turned, _ = augmented(image, np.zeros((32, 32), np.uint8), (32, 32), 1, rotation=45)
    assert turned.min() >= 1.0
    assert turned.max() <= 32.0


def test_intensity_changes_come_after_geometry_and_spare_the_label():
    image, label = ramps((40, 40)), np.arange(1600).reshape(40, 40)
    geometry = {"rotation": 90, "scaling": 0.1, "elastic": 2}
    plain, where = augmented(image, label, (20, 20), 5, **geometry)
    changed, same = augmented(image, label, (20, 20), 5, contrast=0.5, brightness=2, **geometry)
    np.testing.assert_array_equal(where, same)
    slope, offset = np.polyfit(plain.ravel(), changed.ravel(), 1)
    np.testing.assert_allclose(changed, slope * plain + offset, atol=1e-4)
    assert 0.5 <= slope <= 1.5
    assert abs(offset) > 1e-3


def test_noise_has_the_asked_deviation():
    image = np.zeros((128, 128, 1), np.float32)
    noisy, _ = augmented(image, np.zeros((128, 128), np.uint8), (128, 128), noise=0.3)
    assert noisy.dtype == np.float32
    np.testing.assert_allclose(noisy.std(), 0.3, rtol=0.03)
    assert abs(noisy.mean()) < 0.01


@pytest.mark.parametrize("size", [(50, 60), (20, 18, 22)])
def test_the_same_generator_gives_the_same_sample(size):
    image = np.random.default_rng(0).standard_normal((*size, 2)).astype(np.float32)
    label = (image[..., 0] > 0).astype(np.uint8)
    original = image.copy()
    crop = (16,) * len(size)
    first, again, other = (augmented(image, label, crop, seed, **EVERYTHING) for seed in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first[0] != other[0]).all()
    np.testing.assert_array_equal(image, original)
    assert first[0].shape == (*crop, 2)
    assert first[1].shape == crop
