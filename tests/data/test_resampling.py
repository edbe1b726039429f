"""Other grids over the same box: images and labels stay where they are, at every factor, there and back."""

import nibabel as nib
import numpy as np
import pytest
from helpers import ROOT

from data.formats.geometry import Geometry
from data.labels.label_maps import class_masks, combine
from data.preprocessing.preprocessor import Preprocessor
from data.preprocessing.resampling import resample, resample_label
from data.settings import Preprocessing
from data.source import Case

REAL = ROOT.parent / "shared/data/hippocampus/labelsTr"
SIDE = 36
FACTORS = (1 / 3, 1 / 2, 2 / 3, 3 / 2, 2, 3, 4, 6)  # voxels of the file to one of the network


def ball(centre, radius, size=(SIDE,) * 3):
    """1 inside, 0 outside, and between them over one voxel."""
    places = np.indices(size) - np.reshape(centre, (3, 1, 1, 1))
    return np.clip(radius + 0.5 - np.linalg.norm(places, axis=0), 0, 1).astype(np.float32)


def centroid(weights, factor=1.0):
    """In voxels of the file."""
    weights = np.asarray(weights, np.float64)
    places = (np.indices(weights.shape) + 0.5) * factor - 0.5
    return (places * weights).sum((1, 2, 3)) / weights.sum()


@pytest.mark.parametrize("factor", FACTORS)
def test_nothing_moves_there_or_back(factor):
    offsets = {"image": [], "label": [], "back": []}
    away = np.random.default_rng(0).uniform(-1.5, 1.5, (4, 3))
    for centre in 17.5 + np.concatenate([away, -away]):  # of two mirror images each, what is unfair adds up
        image = ball(centre, 12)
        case = Case(
            "a", image[..., None], (image > 0.5).astype(np.uint8), None, Geometry(np.eye(4), image.shape)
        )
        prepared = Preprocessor(Preprocessing(spacing=(factor,) * 3))(case)
        back = prepared.restore(np.eye(2, dtype=np.float32)[prepared.label]).argmax(-1)
        offsets["image"].append(centroid(prepared.image[..., 0], factor) - centroid(image))
        offsets["label"].append(centroid(prepared.label, factor) - centroid(case.label))
        offsets["back"].append(centroid(back) - centroid(case.label))
    for name, found in offsets.items():
        np.testing.assert_allclose(np.mean(found, axis=0), 0, atol=1e-3, err_msg=name)
        assert np.abs(found).max() < (0.05 if name == "image" else 0.2 * max(factor, 1)), name


@pytest.mark.parametrize("factor", [1 / 2, 3 / 2, 2, 4])
def test_linear_values_are_those_of_simpleitk(factor):
    sitk = pytest.importorskip("SimpleITK")
    label = np.random.default_rng(1).integers(0, 3, (12, 24, 36)).astype(np.uint8)
    size = tuple(int(side / factor) for side in label.shape)

    def theirs(values):
        image = sitk.GetImageFromArray(values)
        start = [0.5 * factor - 0.5] * 3  # the outer faces lie together, so the first centres do not
        return sitk.GetArrayFromImage(
            sitk.Resample(image, size[::-1], sitk.Transform(), sitk.sitkLinear, start, [factor] * 3)
        )

    masks = [theirs((label == value).astype(np.float32)) for value in range(3)]
    for value, mask in enumerate(masks):
        ours = resample((label == value).astype(np.float32), size, blur=False)
        np.testing.assert_allclose(ours, mask, atol=1e-5)
    found = resample_label(label, size)
    largest = np.max(masks, axis=0)
    np.testing.assert_allclose(np.choose(found, masks), largest, atol=2e-5)
    ties = (np.array(masks) > largest - 1e-5).sum(0) > 1
    np.testing.assert_array_equal(found[~ties], np.argmax(masks, axis=0)[~ties])
    if factor > 1:
        return
    np.testing.assert_allclose(
        resample(label.astype(np.float32), size), theirs(label.astype(np.float32)), atol=1e-5
    )


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("threshold", [8.0, 8.3, 9.5, 10.9])
def test_a_label_that_is_a_thresholded_image_ends_where_the_image_says(factor, threshold):
    """Of a roof, whose two slopes the threshold cuts at places that are known; both ends alike."""
    size = (48, 12, 12)
    image = np.broadcast_to(-np.abs(np.arange(48) - 23.5)[:, None, None], size).astype(np.float32)
    coarse = tuple(side // factor for side in size)
    found = resample_label((image > -threshold).astype(np.uint8), coarse)[:, 0, 0]
    np.testing.assert_array_equal(found, found[::-1])
    of_image = resample(image, coarse)[:, 0, 0]
    np.testing.assert_allclose(of_image, of_image[::-1], atol=1e-5)
    wrong = found != (of_image > -threshold)
    assert (
        np.abs(of_image[wrong] + threshold).max(initial=0) <= 0.5
    )  # between two voxels of the file nobody knows


def test_thin_parts_stay():
    """One voxel wide is half of a coarse voxel: a tie with the background."""
    label = np.zeros((16, 16, 16), np.uint8)
    label[7] = 2
    np.testing.assert_array_equal(np.flatnonzero(resample_label(label, (8, 8, 8)).any((1, 2))), [3])


def test_classes_that_overlap_are_resampled_each_by_itself():
    masks = np.stack([ball((17, 18, 16), 8), ball((20, 16, 18), 9), ball((14, 14, 18), 5)], -1) > 0.5
    label = combine(masks)
    found = resample_label(label, (18,) * 3, overlapping=True)
    assert found.dtype == label.dtype
    for number, mask in enumerate(np.moveaxis(class_masks(found, 3, True), -1, 0)):
        np.testing.assert_array_equal(mask, resample_label(masks[..., number].astype(np.uint8), (18,) * 3))
    assert (class_masks(found, 3, True).sum(-1) > 1).any()


@pytest.mark.skipif(not REAL.is_dir(), reason="the real labels are not in ../shared/data/hippocampus")
def test_real_labels_survive_coarse_voxels():
    """40 labels from 1 to 2 mm and back. With the nearest voxel the Dice was 0.868 and centroids 0.72 voxels away."""
    dice, away = [], []
    for path in sorted(REAL.glob("[!.]*.nii.gz"))[:40]:
        file = nib.load(path)
        label = np.asarray(file.dataobj).astype(np.uint8)
        case = Case("a", label[..., None].astype(np.float32), label, None, Geometry(file.affine, label.shape))
        prepared = Preprocessor(Preprocessing(spacing=(2, 2, 2)))(case)
        back = prepared.restore(np.eye(3, dtype=np.float32)[prepared.label]).argmax(-1)
        factor = np.reshape(np.divide(label.shape, prepared.label.shape), (3, 1, 1, 1))
        for number in (1, 2):
            one, other = label == number, back == number
            dice.append(2 * (one & other).sum() / (one.sum() + other.sum()))
            away.append(np.linalg.norm(centroid(prepared.label == number, factor) - centroid(one)))
    assert np.mean(dice) > 0.89 and np.mean(away) < 0.35
