"""Feature maps beside predictions: which channels, of which pixels, where, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers import command
from PIL import Image

import predict
from data.errors import UserError
from data.labels.label_maps import combine
from data.labels.outputs import Outputs
from data.source import Case
from unet_common.evaluation.report import predict_files
from unet_common.experiment import experiment_from
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE, UNet
from unet_common.prediction import inside
from unet_common.prediction.inputs import check_effects
from unet_common.prediction.inside import _factor, all_together, feature_maps
from unet_common.prediction.outputs import Contrast
from unet_common.prediction.predictor import Predictor
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.run import Run


def test_channels_are_judged_by_the_standardised_difference_of_their_means():
    generator = np.random.default_rng(0)
    values = generator.standard_normal((40, 3)) * (1, 5, 1) + (0, 3, 0)
    values[:10, 0] += 3
    values[:, 2] = 7
    first, second = np.arange(40) < 10, np.arange(40) >= 20  # of the pixels between, nobody asks
    differences, together = all_together(values, first.astype(int), second.astype(int))
    one, other = values[first], values[second]
    deviations = np.sqrt((one.var(0) + other.var(0)) / 2)[:2]
    np.testing.assert_allclose(differences[:2], (one.mean(0) - other.mean(0))[:2] / deviations)
    assert differences[2] == 0 and abs(differences[0]) > abs(differences[1])
    assert together[first].mean() == pytest.approx(1) and together[second].mean() == pytest.approx(-1)


def test_a_cell_counts_as_often_as_it_has_pixels():
    values = np.array([[0.0], [1.0], [4.0]])
    repeated = np.repeat(values, (1, 3, 5), axis=0)
    of_cells = all_together(values, np.array([1, 2, 0]), np.array([0, 1, 5]))
    is_first = np.arange(9) < 3
    of_pixels = all_together(repeated, is_first, ~is_first)
    np.testing.assert_allclose(of_cells[0], of_pixels[0])
    np.testing.assert_allclose(np.repeat(of_cells[1], (1, 3, 5)), of_pixels[1])


OUTPUTS = Outputs(3, names=("liver", "spleen"))


@pytest.mark.parametrize(
    "classes, names, first, second",
    [
        ((), ("foreground", "background"), [0, 1, 1], [1, 0, 0]),
        (("spleen",), ("spleen", "anything else"), [0, 0, 1], [1, 1, 0]),
        (("1", "2"), ("liver", "spleen"), [0, 1, 0], [0, 0, 1]),
        (("background", "liver"), ("background", "liver"), [1, 0, 0], [0, 1, 0]),
    ],
)
def test_classes_are_told_by_name_or_number(classes, names, first, second):
    contrast = Contrast.of(classes, OUTPUTS)
    masks = contrast.masks(np.array([0, 1, 2]), overlapping=False)
    assert contrast.names == names
    np.testing.assert_array_equal(masks, np.array([first, second], bool))


def test_pixels_of_both_classes_count_for_neither():
    label = combine(np.array([[1, 0], [1, 1], [0, 1], [0, 0]], bool))
    masks = Contrast.of(("1", "2"), OUTPUTS).masks(label, overlapping=True)
    np.testing.assert_array_equal(masks, [[1, 0, 0, 0], [0, 0, 1, 0]])


@pytest.mark.parametrize(
    "classes, message",
    [
        (("lung",), "--contrast: there is no class 'lung'; there are 0 background, 1 liver, 2 spleen."),
        (("liver", "1"), "--contrast is of one class, or of two different ones; got liver, 1."),
        (("0", "1", "2"), "--contrast is of one class, or of two"),
    ],
)
def test_classes_that_are_none_are_refused(classes, message):
    with pytest.raises(UserError) as error:
        Contrast.of(classes, OUTPUTS)
    assert str(error.value).startswith(message)


# Padded side, that of the level, stride of the network, pixels of a value.
@pytest.mark.parametrize(
    "padded, level, stride, factor",
    [(16, 4, 16, 4), (9, 2, 32, 8), (5, 3, 2, 2), (18, 6, 9, 3), (7, 7, 4, 1), (10, 4, 4, 2.5)],
)
def test_a_value_covers_a_divisor_of_the_stride(padded, level, stride, factor):
    assert _factor(padded, level, stride) == factor


def fake_run(network):
    """What feature maps ask of a run, without a training."""

    def prepare(case):
        return SimpleNamespace(image=case.image, label=case.label, spacing=case.spacing, padding=None)

    prepare.network_input = lambda image: image
    return SimpleNamespace(network=network, prepare=prepare)


def maps_of(network, weights, size, level, label=None, **settings):
    """The feature maps of an image of random values, as `weights(of the model)` make them."""
    model = load("lowlevel").Model(network, precision="float64")
    model.set_weights({**model.weights(), **weights(model.weights())})
    image = np.random.default_rng(0).random((*size, network.channels))
    label = (image[..., 0] > 0.6).astype(np.uint8) if label is None else label
    case = Case("case", image, label)
    settings = PredictionSettings(features=level, **settings)
    return image, feature_maps(model, fake_run(network), case, label, settings, Outputs(network.classes))


def copying(weights):
    """Every kernel hands on the pixel in its middle, from the first channel to the first."""
    result = {}
    for name, value in weights.items():
        result[name] = np.zeros_like(value)
        if name.endswith("kernel"):
            result[name][(*(side // 2 for side in value.shape[:-2]), 0, 0)] = 1
    return result


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("rank, size", [(2, (13, 18)), (3, (9, 10, 12))])
def test_maps_lie_on_the_pixels_that_they_are_of(padding, rank, size):
    """Also where valid convolutions have lost the borders, at a level with half the size."""
    network = UNet(
        rank=rank,
        depth=2,
        filters=2,
        padding=padding,
        normalisation="none",
        activation="relu",
        convolutions=1,
    )
    image, shown = maps_of(network, copying, size, "encoder1")
    discriminant, first, *_others = shown.maps
    expected = shown.image.picture.astype(int)
    np.testing.assert_allclose(first.picture, np.round(255 * rescaled(image, rank)), atol=1)
    assert np.corrcoef(expected.ravel(), first.picture.ravel())[0, 1] > 0.99
    assert (discriminant.limits, discriminant.colours) == ((-2, 2), "RdBu_r")
    image, shown = maps_of(network, copying, size, "bottleneck")
    pooled = shown.maps[1].picture[..., 0].astype(int)
    assert pooled.shape == shown.image.picture.shape[:2]
    # A value covers two pixels, the larger of which it is (the largest of all within one slice's pairs in 3D).
    if rank == 2:
        assert (np.diff(pooled, axis=0) == 0).mean() > 0.4
        greater = image[..., 0][: pooled.shape[0], : pooled.shape[1]]
        limits = shown.maps[1].limits
        assert (limits[0] + pooled / 255 * (limits[1] - limits[0]) >= greater - 0.01).all()


def rescaled(image, rank):
    """The slice that is drawn, from its least to its greatest value in 0 to 1."""
    shown = image
    if rank == 3:
        counts = np.cumsum((image[..., 0] > 0.6).sum((1, 2)))
        shown = image[np.searchsorted(counts, counts[-1] / 2)]
    return (shown - shown.min()) / np.ptp(shown)


def test_of_a_large_image_it_is_the_part_around_the_class(monkeypatch):
    monkeypatch.setitem(inside.MAX_SIDE, 2, 8)
    label = np.zeros((30, 40), np.uint8)
    label[20:23, 30:33] = 1
    _image, shown = maps_of(UNet(depth=2, filters=2), dict, (30, 40), "decoder1", label)
    assert shown.image.title == "part of 30 x 40 pixels"
    np.testing.assert_array_equal(shown.image.truth, label[17:25, 27:35])
    assert shown.heading == "features of decoder1 (2 channels), foreground against background"


def test_what_cannot_be_compared_is_said():
    network = UNet(depth=2, filters=2, classes=3)
    label = np.zeros((8, 8), np.uint8)
    label[2:4] = 1
    with pytest.raises(UserError, match=r"^there is no class 2 in the truth$"):
        maps_of(network, dict, (8, 8), "encoder1", label, contrast=("1", "2"))
    attending = UNet(depth=2, filters=2, non_local=[1])
    inside_limit = next(side for side in (64, 128, 256) if not attending.in_one_piece((side, side)))
    with pytest.raises(
        UserError, match=f"^unet does not take {inside_limit} x {inside_limit} pixels in one piece$"
    ):
        maps_of(attending, dict, (inside_limit, inside_limit), "encoder1")


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def run(request, tmp_path_factory):
    """A short training on images."""
    settings = {
        "implementation": request.param,
        "network": {"depth": 2, "filters": 3},
        "data": {"images": 4, "size": [40, 36]},
        "sampling": {"validation": 0.5, "crop": [16, 16]},
        "training": {"steps": 4, "validate_every": 4, "batch_size": 2},
    }
    run = Run.create(tmp_path_factory.mktemp("run") / "run", experiment_from(settings))
    load(request.param).train(run)
    return run


def test_the_maps_are_drawn_beside_a_prediction(run, tmp_path, capsys):
    command(
        predict,
        "--run",
        run.path,
        "--output",
        tmp_path / "out",
        "--features",
        "decoder1/conv1",
        "--contrast",
        "1",
    )
    pictures = sorted((tmp_path / "out" / "features").glob("*.png"))
    assert [path.stem for path in pictures] == sorted(run.split.validation)
    assert min(Image.open(pictures[0]).size) > 200
    assert f"features: {tmp_path / 'out' / 'features'}/" in capsys.readouterr().out
    case = run.source.read(run.split.validation[0])
    (shown,) = Predictor([run])(case, PredictionSettings(features="decoder1")).inside
    assert shown.heading == "features of decoder1 (3 channels), foreground against background"
    assert {view.picture.shape for view in (shown.image, *shown.maps)} == {(40, 36, 1)}
    assert next(one.title for one in shown.maps) == "all channels together" and len(shown.maps) == 4
    np.testing.assert_array_equal(shown.image.truth, case.label)


def test_of_a_stack_it_is_a_page(run):
    stack = np.random.default_rng(0).random((3, 40, 36, 1)).astype(np.float32)
    prediction = Predictor([run])(Case("stack", stack), PredictionSettings(features="encoder1"))
    if prediction.inside:
        assert prediction.inside[0].image.title.endswith(" of 3")
    else:
        assert prediction.remarks[-1].startswith("No feature maps: there is no ")


def test_an_image_without_the_class_has_no_maps_and_that_is_said(run):
    case = Case("empty", np.zeros((16, 16, 1), np.float32), np.zeros((16, 16), np.uint8))
    prediction = Predictor([run])(case, PredictionSettings(features="encoder1"))
    assert (
        prediction.inside == ()
        and prediction.remarks[-1] == "No feature maps: there is no foreground in the truth"
    )


def test_a_level_that_no_function_gives_is_refused_before_anything_is_predicted(tmp_path):
    network = CATALOGUE["no_new_net"](widths=(2, 4), groups=2)
    model = load("lowlevel").Model(network)
    predictor = SimpleNamespace(check_level=model.check_level)
    with pytest.raises(
        UserError, match=r"^no_new_net has no features 'encoder1'. It has bottleneck/block1, "
    ):
        list(predict_files(predictor, {"a": tmp_path}, PredictionSettings(features="encoder1"), False, []))


def test_a_contrast_without_features_is_refused(run):
    with pytest.raises(UserError, match=r"^--contrast is of feature maps: give --features as well\.$"):
        check_effects([run], PredictionSettings(contrast=("1",)))
