"""Augmentation: what moves where, that labels follow images, that draws are reproducible."""

import numpy as np
import pytest

from data.noise import smooth_noise
from data.preprocessing.positions import append_positions
from data.sampling.augmentation import augment, corner_around, random_corner, rotation_matrix
from data.settings import Augmentation

OFF = {"flips": False}
EVERYTHING = {
    "rotation": 180, "scaling": 0.25, "elastic": 4, "brightness": 0.1, "contrast": 0.2, "noise": 0.1
}  # fmt: skip


def augmented(image, label, crop, seed=0, **settings):
    generator = np.random.default_rng(seed)
    corner = random_corner(label.shape, crop, generator)
    return augment(image, label, corner, crop, Augmentation(**settings), generator)


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


def test_a_sample_is_mirrored_or_shifted_never_both():
    """A fair coin: a horizontal flip, or a vertical shift with the image's reflection behind it."""
    image, label = ramps((21, 30)), np.zeros((21, 30), int)
    settings = {"flips": 1.0, "flip_axes": (1,), "shift": 6, "shift_axes": (0,), "flip_or_shift": True}
    shifts = []
    for seed in range(200):
        changed, _ = augmented(image, label, (21, 30), seed, **settings)
        if changed[0, 0, 1] == 29:
            np.testing.assert_array_equal(changed, image[:, ::-1])
        else:
            np.testing.assert_allclose(changed[..., 1], image[..., 1], atol=1e-4)
            shifts.append(float(changed[10, 0, 0] - 10))
            rows = np.abs(np.arange(21) + shifts[-1])
            np.testing.assert_allclose(changed[:, 0, 0], np.minimum(rows, 40 - rows), atol=1e-4)
    assert 70 < len(shifts) < 130
    assert -6 < min(shifts) < -5 and 5 < max(shifts) < 6


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


def test_an_image_smaller_than_the_crop_is_continued_by_its_reflection():
    image, label = ramps((5, 9)), np.arange(45).reshape(5, 9)
    for seed in range(10):
        generator = np.random.default_rng(seed)
        corner = random_corner((5, 9), (12, 4), generator)
        assert -7 <= corner[0] <= 0 <= corner[1] <= 5
        piece, part = augment(image, label, corner, (12, 4), Augmentation(flips=False), generator)
        padded = np.pad(label, [(7, 7), (0, 0)], mode="reflect")
        rows = slice(7 + corner[0], 19 + corner[0])
        np.testing.assert_array_equal(part, padded[rows, corner[1] : corner[1] + 4])
        # Resampled by nothing, the same pixels come out of the interpolation.
        still, same = augment(image, label, corner, (12, 4), Augmentation(flips=False, shift=1e-9), generator)
        np.testing.assert_array_equal(same, part)
        np.testing.assert_allclose(still, piece, atol=1e-5)


def test_a_crop_around_a_pixel_holds_it_and_stays_inside():
    generator = np.random.default_rng(0)
    corners = np.array([corner_around((30, 2), (40, 50), (16, 8), generator) for _ in range(200)])
    assert (corners >= 0).all() and (corners <= [24, 42]).all()
    assert (corners[:, 0] <= 30).all() and (corners[:, 0] > 30 - 16).all()
    assert len(np.unique(corners[:, 0])) > 4  # not always in the middle
    small = corner_around((3, 3), (6, 6), (16, 4), generator)
    assert -10 <= small[0] <= 0 <= small[1] <= 2


def test_mirroring_swaps_the_labels_of_sides():
    label = np.array([[1, 1, 0, 3], [2, 2, 0, 4]])
    image = label[..., np.newaxis].astype(np.float32)
    settings = {"flips": 1.0, "flip_axes": (0,), "swap_labels": ((1, 2), (3, 4))}
    _, same = augmented(image, label, (2, 4), **settings)
    np.testing.assert_array_equal(same, label)  # mirrored along the first axis, and renamed
    _, along = augmented(image, label, (2, 4), **{**settings, "flip_axes": (1,)})
    np.testing.assert_array_equal(along, label[:, ::-1])  # the other axis has no sides
    _, turned = augmented(image, label, (2, 4), shift=1e-9, **settings)
    np.testing.assert_array_equal(turned, label)


def test_a_shift_moves_along_each_axis():
    image = ramps((40, 50, 45))
    label = np.zeros((40, 50, 45), np.uint8)
    shifts = []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        corner = np.array([10, 12, 14])
        moved, _ = augment(image, label, corner, (8, 8, 8), Augmentation(flips=False, shift=5), generator)
        shifts.append(moved[0, 0, 0] - corner)
        np.testing.assert_allclose(moved - moved[0, 0, 0], ramps((8, 8, 8)), atol=1e-4)
    assert np.abs(shifts).max() <= 5 and np.std(shifts, axis=0).min() > 2


def test_rotations_turn_the_body_and_not_its_voxels():
    """A ball that is a spheroid in oblong voxels stays a ball in the body."""
    spacing = (1.0, 1.0, 3.0)
    places = (np.indices((45, 45, 15)).T - [22, 22, 7]).T * np.reshape(spacing, (3, 1, 1, 1))
    ball = (np.linalg.norm(places, axis=0) < 15).astype(np.uint8)
    image = ball[..., np.newaxis].astype(np.float32)
    for seed in range(5):
        generator = np.random.default_rng(seed)
        corner, settings = np.zeros(3, int), Augmentation(flips=False, rotation=90)
        _, turned = augment(image, ball, corner, ball.shape, settings, generator, spacing)
        assert 2 * (turned & ball).sum() / (turned.sum() + ball.sum()) > 0.9  # 0.3 to 0.6 if voxels turned


def test_linear_labels_keep_thin_structures():
    label = np.zeros((40, 40), np.uint8)
    label[20], label[:, 20] = 1, 2
    image = np.zeros((40, 40, 1), np.float32)
    for interpolation in ("nearest", "linear"):
        _, turned = augmented(image, label, (40, 40), 3, rotation=30, label_interpolation=interpolation)
        assert set(np.unique(turned)) == {0, 1, 2} and turned.dtype == np.uint8
    _, still = augmented(image, label, (40, 40), flips=False, shift=1e-9, label_interpolation="linear")
    np.testing.assert_array_equal(still, label)


@pytest.mark.parametrize(
    "change",
    ["blur", "low_resolution", "contrast", "brightness", "channel_offset", "gamma", "noise"],
)
def test_each_change_of_intensity_happens_with_its_probability(change):
    image = np.random.default_rng(0).normal(size=(12, 10, 8, 2)).astype(np.float32)
    label = np.zeros((12, 10, 8), np.uint8)

    def changed(seed, probability):
        settings = {"flips": False, change: {"amount": 0.9, "probability": probability}}
        return (augmented(image, label, (12, 10, 8), seed, **settings)[0] != image).any()

    always = sum(changed(seed, 1.0) for seed in range(60))
    assert always > 45  # a blur or a loss of resolution that is drawn small changes nothing
    assert not any(changed(seed, 0.0) for seed in range(5))
    assert 0.3 * always < sum(changed(seed, 0.5) for seed in range(60)) < 0.7 * always


def test_changes_of_intensity_do_what_they_say():
    image = np.random.default_rng(0).normal(size=(32, 32, 2)).astype(np.float32)
    label = np.zeros((32, 32), np.uint8)

    def change(**settings):
        return augmented(image, label, (32, 32), 1, flips=False, **settings)[0]

    offset = change(channel_offset=1) - image
    assert np.ptp(offset[..., 0]) < 1e-6 < abs(offset[0, 0, 0] - offset[0, 0, 1])
    assert change(blur=3).std() < 0.8 * image.std()
    coarse = change(low_resolution=0.9)
    assert coarse.shape == image.shape and np.abs(np.diff(coarse, axis=0)).mean() < 0.7
    curved = change(gamma=1)
    assert np.corrcoef(curved.ravel(), image.ravel())[0, 1] > 0.9
    assert curved.mean() == pytest.approx(image.mean(), abs=1e-5)
    assert curved.std() == pytest.approx(image.std(), rel=1e-4)
    assert (np.argsort(curved.ravel()) == np.argsort(image.ravel())).all()  # monotonous
    flat = np.ones((4, 4, 1), np.float32)
    np.testing.assert_array_equal(augmented(flat, np.zeros((4, 4)), (4, 4), gamma=1)[0], flat)


@pytest.mark.parametrize("geometry", [{}, {"rotation": 20, "shift": 3}])
def test_positions_travel_with_the_pixels(geometry):
    """A ramp and the positions of its pixels stay in step, whatever happens; beyond borders both are mirrored."""
    size = (30, 20, 25)
    image = ramps(size)
    for seed in range(5):
        generator = np.random.default_rng(seed)
        corner = random_corner(size, (12, 28, 12), generator)
        sample, _ = augment(
            image, np.zeros(size), corner, (12, 28, 12), Augmentation(**geometry), generator, positions=True
        )
        assert sample.shape == (12, 28, 12, 6)
        expected = 2 * sample[..., :3] / (np.array(size) - 1) - 1
        np.testing.assert_allclose(sample[..., 3:], expected, atol=1e-4)


def test_positions_of_a_whole_image():
    whole = append_positions(np.zeros((3, 5, 2), np.float32))
    np.testing.assert_array_equal(whole[:, 0, 2], [-1, 0, 1])
    np.testing.assert_array_equal(whole[0, :, 3], [-1, -0.5, 0, 0.5, 1])
    assert append_positions(np.zeros((1, 1, 1))).shape == (1, 1, 3)
