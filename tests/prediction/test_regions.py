"""The region of interest: where it is cut, how it comes back, and prediction in series."""

import numpy as np
import pytest

from data.labels.outputs import Outputs
from data.preprocessing.regions import (
    Regions,
    Window,
    beside_region,
    largest_object,
    region_of,
    window_around,
)
from data.sampling.sampler import Sampler
from data.settings import Augmentation, Sampling
from data.sources.generated.discs import Discs
from unet_common.experiment import experiment_from, resolve
from unet_common.networks import UNetFineGrained
from unet_common.prediction.region import predict_with_region
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import WHOLE


def box(size, rows, columns):
    mask = np.zeros(size, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def test_the_window_of_the_program_it_reproduces():
    """unet_vnet_keras: rows 30 to 50, columns 40 to 80 give a half side of 40, so a window of 80 x 80."""
    window = window_around(box((100, 100), (30, 50), (40, 80)), margin=20)
    assert window == Window((0, 20), (80, 80))


def test_a_window_has_the_ratio_of_the_image_and_may_reach_beyond_it():
    window = window_around(box((50, 100), (0, 10), (0, 4)), margin=2)
    assert window.sides == (14, 28) and window.start == (-2, -12)
    image = np.arange(50 * 100, dtype=np.float32).reshape(50, 100, 1)
    cut = window.cut(image)
    assert cut.shape == (14, 28, 1)
    np.testing.assert_array_equal(cut[2:, 12:], image[:12, :16])
    np.testing.assert_array_equal(
        cut[0], cut[4]
    )  # mirrored at row 2 of the window, which is row 0 of the image


def test_the_largest_object_is_one_of_all_classes():
    masks = np.zeros((20, 20, 2))
    masks[2:6, 2:6, 0] = 1  # 16 pixels, and 8 of the other class that touch them
    masks[6:8, 2:6, 1] = 1
    masks[10:14, 10:15, 0] = 1  # 20 pixels
    np.testing.assert_array_equal(largest_object(masks), box((20, 20), (2, 8), (2, 6)))
    assert not largest_object(np.zeros((4, 4, 1))).any()


def test_without_an_object_the_region_is_the_image():
    image = np.random.default_rng(0).normal(size=(8, 12, 2)).astype(np.float32)
    region, window = region_of(image, np.zeros((8, 12, 1)), Regions())
    assert window == Window((0, 0), (8, 12))
    np.testing.assert_allclose(region, image, atol=1e-6)


@pytest.mark.parametrize("start, side", [((10, 20), 16), ((-5, 50), 24)])
def test_what_is_enlarged_and_pasted_back_comes_to_its_place(start, side):
    smooth = np.add.outer(np.arange(64.0), 2 * np.arange(64.0))[..., np.newaxis].astype(np.float32)
    window = Window(start, (side, side))
    back = window.pasted(window.enlarged(smooth))
    inside = np.zeros((64, 64), bool)
    inside[max(start[0], 0) : start[0] + side, start[1] : start[1] + side] = True
    assert (back[~inside] == 0).all()
    middle = np.zeros_like(inside)
    middle[start[0] + 6 : start[0] + side - 2, start[1] + 2 : min(start[1] + side, 64) - 6] = True
    np.testing.assert_allclose(back[middle], smooth[middle], atol=0.5)  # a slope of 1 and 2 per pixel


def test_a_mask_stays_a_mask_and_goes_with_its_image():
    case = Discs(size=(96, 96)).read("discs-01")
    target = np.stack([case.label == 1, case.label == 2], -1).astype(np.float32)
    image, with_region = beside_region(case.image, target, Regions(margin=5))
    assert image.shape == (96, 96, 2) and with_region.shape == (96, 96, 3)
    np.testing.assert_array_equal(image[..., :1], case.image)
    np.testing.assert_array_equal(with_region[..., :2], target)
    assert set(np.unique(with_region[..., 2])) == {0, 1}
    assert with_region[..., 2].sum() > 1.5 * target[..., 1].sum()  # the same object, larger
    window = region_of(case.image, target, Regions(margin=5))[1]
    np.testing.assert_array_equal(window.pasted(with_region[..., 2:]) > 0.5, target[..., 1:] > 0.5)


def test_a_masked_region_shows_only_its_object():
    case = Discs(size=(96, 96)).read("discs-01")
    masks = np.stack([case.label == 1, case.label == 2], -1)
    region, window = region_of(case.image, masks, Regions(margin=10, masked=True))
    belongs = window.enlarged_masks(masks.any(-1, keepdims=True))
    assert (region[~belongs] < case.image.max() / 2).mean() > 0.95 and (region[0] == 0).all()
    assert region[belongs].mean() > 100


def test_samples_hold_the_region_too():
    settings = {"network": "unet_fine_grained", "data": {"name": "discs", "size": (64, 64)}}
    experiment = resolve(experiment_from({**settings, "sampling": {"crop": [64, 64]}}))
    assert (experiment.network.channels, experiment.network.classes) == (2, 3)
    from data.preprocessing.preprocessor import Preprocessor

    sampler = Sampler(
        experiment.data,
        experiment.data.names()[:3],
        Sampling(crop=(64, 64)),
        Augmentation(),
        Preprocessor(experiment.preprocessing),
        seed=0,
        outputs=Outputs(3, multilabel=True, region=experiment.network.region_of_interest),
    )
    image, target = sampler.sample(0)
    assert image.shape == (64, 64, 2) and target.shape == (64, 64, 3)
    again = beside_region(image[..., :1], target[..., :2], experiment.network.regions)
    np.testing.assert_array_equal(again[0], image)
    np.testing.assert_array_equal(again[1], target)


def perfect(images):
    """A network that finds bright pixels (2 and more) in the whole image, and very bright ones (4) in both."""
    whole, region = images[..., :1], images[..., 1:]
    bright = [np.where(whole >= 2, 9.0, -9.0), np.where(whole >= 4, 9.0, -9.0)]
    return np.concatenate([*bright, np.where(region >= 3.5, 9.0, -9.0)], axis=-1)


def test_the_second_look_decides_on_the_small_class():
    network = UNetFineGrained(regions={"margin": 4})
    image = np.zeros((64, 64, 1), np.float32)
    image[20:40, 10:30] = 2
    image[24:30, 14:20] = 4
    image[50:53, 50:53] = 4  # away from the largest object: the first look alone finds it
    ((rows, twice),) = predict_with_region(perfect, image, network, WHOLE)
    assert rows == slice(0, 64) and twice.shape == (64, 64, 2)
    ((_rows, once),) = predict_with_region(perfect, image, network, PredictionSettings(one_look=True))
    np.testing.assert_array_equal(once[..., 0], twice[..., 0])
    np.testing.assert_array_equal(once[..., 1] > 0.5, image[..., 0] == 4)
    found = twice[..., 1] > 0.5
    assert not found[45:, 45:].any()
    expected = (image[..., 0] == 4) & (np.arange(64) < 45)
    assert (found & expected).sum() >= 0.9 * expected.sum() and (
        found & ~expected
    ).sum() <= 0.2 * expected.sum()


def test_tiles_and_mirrored_copies_reach_both_looks():
    """The network is a function of single pixels: tiles and copies give what the whole gives."""
    network = UNetFineGrained(regions={"margin": 4})
    generator = np.random.default_rng(0)
    image = np.where(generator.random((96, 64, 1)) < 0.6, 2, 0).astype(np.float32)
    image[30:40, 30:40] = 4
    ((_rows, whole),) = predict_with_region(perfect, image, network, WHOLE)
    ((_rows, tiled),) = predict_with_region(
        perfect, image, network, PredictionSettings(tile=32, symmetries="flips")
    )
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_an_image_without_objects_is_looked_at_once():
    looks = []

    def nothing(images):
        looks.append(images)
        return np.full((*images.shape[:-1], 3), -9.0)

    image = np.zeros((32, 32, 1), np.float32)
    ((_rows, result),) = predict_with_region(nothing, image, UNetFineGrained(), WHOLE)
    assert len(looks) == 1 and not (result > 0.5).any()


@pytest.mark.parametrize("implementation", ["lowlevel", "highlevel", "keras"])
def test_image_and_region_do_not_see_each_other(implementation):
    from unet_common.implementation import load

    network = UNetFineGrained(encoder="vgg16", filters=4, centre_filters=4)
    model = load(implementation).Model(network)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 2)).astype(np.float32)
    before = model.predict(images)
    images[..., 1] += 1
    after = model.predict(images)
    np.testing.assert_allclose(after[..., :2], before[..., :2], atol=1e-5)
    assert np.abs(after[..., 2] - before[..., 2]).max() > 1e-3
