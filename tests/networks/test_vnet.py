"""The V-Net's own rules: additions of unequal channels, and inputs of one size where each element has its slope."""

import numpy as np
import pytest
from helpers import Operation, command, images
from PIL import Image
from pydantic import ValidationError

import predict
import train
from data.errors import UserError
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import VNet
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import predict_probabilities
from unet_common.training.run import Run
from unet_lowlevel.networks.vnet import add

ELEMENT = VNet(depth=2, filters=2, kernel_size=3, prelu="element", input_size=[16, 24])


def test_the_narrower_of_two_summands_gets_channels_of_zeros():
    x = images(2, channels=5)
    y = Operation(lambda x: add(x[..., :2], x), x)(x)
    np.testing.assert_array_equal(y, Operation(lambda x: add(x, x[..., :2]), x)(x))
    np.testing.assert_array_equal(y, x * [2, 2, 1, 1, 1])


@pytest.mark.parametrize("stage", ["encoder1", "bottleneck", "decoder1"])
def test_every_stage_passes_on_what_it_starts_from(stage):
    """With nothing from its convolutions the image still comes through: also the deepest stage is residual."""
    model = load("lowlevel").Model(VNet(depth=2, filters=4, channels=3), precision="float64")
    weights = model.weights()
    blocked = {
        "encoder1": ("encoder1/", "decoder1/unit1/"),
        "bottleneck": ("bottleneck/", "encoder1/", "decoder1/unit1/"),
        "decoder1": ("decoder1/",),
    }[stage]
    for name in weights:
        if name.startswith(blocked) and name.endswith(("gamma", "beta")):
            weights[name] = np.zeros_like(weights[name])
    model.set_weights(weights)
    one, other = (model.predict(images(2, size=(8, 8)) * scale) for scale in (1, 2))
    assert np.abs(one - other).max() > 1e-3


def test_sizes_of_a_network_with_slopes_for_elements():
    assert ELEMENT.output_size((16, 24)) == (16, 24) and ELEMENT.fixed_size == (16, 24)
    message = "vnet does not take 32x24 pixels in one piece: it has weights for each pixel of 16x24"
    with pytest.raises(UserError, match=message):
        ELEMENT.output_size((32, 24))
    assert ELEMENT.in_one_piece((10, 24)) and not ELEMENT.in_one_piece((17, 24))
    assert ELEMENT.padding_for((10, 25)) == [(3, 3), (0, 1)]  # up to the size, and beyond it in strides
    assert VNet(depth=4).output_size((8, 16)) == (8, 16)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"prelu": "element"}, r"slopes for each pixel: give input_size, as in \[128, 128\]"),
        ({"prelu": "element", "input_size": [64]}, r"input_size: \[64\] has 1 axes, the rank is 2"),
        ({"prelu": "element", "input_size": [64, 72]}, "with depth 5 every side must be a multiple of 16"),
        ({"input_size": [64, 64]}, "input_size is for prelu 'element'; with 'channel' leave it out"),
    ],
)
def test_hyperparameters_that_do_not_fit_together(settings, message):
    with pytest.raises(ValidationError, match=message):
        VNet(**settings)


def test_context_bounds_what_a_pixel_depends_on():
    network = VNet(depth=3, filters=2, kernel_size=3)
    model = load("lowlevel").Model(network, precision="float64")
    before = model.predict(np.zeros((1, 96, 8, 1)))
    changed = np.zeros((1, 96, 8, 1))
    changed[:, 0] = 1e3
    difference = np.abs(model.predict(changed) - before).max(axis=(0, 2, 3))
    assert difference[0] > 0 and not difference[network.context[0] + 1 :].any()


@pytest.mark.parametrize("size", [(16, 24), (9, 11), (37, 25)])
def test_tiles_of_the_only_size_cover_an_image_of_any(size):
    def constant(tiles):
        assert tiles.shape[1:] == (16, 24, 1)
        return np.full((*tiles.shape[:-1], 1), np.log(3), np.float32)

    image = np.zeros((*size, 1), np.float32)
    result = predict_probabilities(constant, image, ELEMENT, PredictionSettings(tile=ELEMENT.fixed_size))
    np.testing.assert_allclose(result, np.full((*size, 1), 0.75), atol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_slopes_for_elements_train_and_predict_images_of_other_sizes(implementation, tmp_path):
    """The crop is the network's size by itself; larger images are validated and predicted in tiles."""
    settings = ["name=vnet", "depth=2", "filters=2", "kernel_size=3", "prelu=element", "input_size=[16, 16]"]
    arguments = [argument for setting in settings for argument in ("--set", f"network.{setting}")]
    arguments += ["--set", "data.size=[40, 40]", "--set", "data.images=3", "--batch-size", "2"]
    command(train, "--impl", implementation, "--run", tmp_path / "run", "--steps", 2, *arguments)
    run = Run.open(tmp_path / "run")
    assert run.experiment.sampling.crop == (16, 16)
    ((batch, targets),) = run.validation_batches()
    assert batch.shape == targets.shape == (9, 16, 16, 1)  # 40 pixels in three tiles a side
    image = np.random.default_rng(0).integers(0, 255, (37, 11)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "image.png")
    command(predict, "--run", run.path, "--input", tmp_path / "image.png", "--output", tmp_path / "out")
    assert Image.open(tmp_path / "out" / "masks" / "image.png").size == (11, 37)
