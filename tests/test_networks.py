"""Which sizes a network accepts, and how images of other sizes are padded and cropped."""

import numpy as np
import pytest
from pydantic import ValidationError

from data.errors import UserError
from unet_common.networks import CATALOGUE, UNet


@pytest.mark.parametrize("size, output", [(188, 4), (252, 68), (444, 260), (572, 388)])
def test_the_papers_sizes_with_valid_convolutions(size, output):
    assert UNet(padding="valid").output_size((size, size)) == (output, output)


def test_same_convolutions_keep_multiples_of_the_stride():
    network = UNet(depth=4)
    assert network.stride == 8
    assert network.output_size((8, 64)) == (8, 64)


def test_a_refused_size_comes_with_the_nearest_good_ones():
    with pytest.raises(UserError) as error:
        UNet().output_size((100, 128))
    assert str(error.value) == (
        "unet does not accept inputs of size 100x128: with depth 5 every side must be a multiple of 16. "
        "Nearest good sizes: 96x128 or 112x128."
    )
    with pytest.raises(UserError, match="Nearest good sizes: 188x188"):
        UNet(padding="valid").output_size((172, 172))
    with pytest.raises(UserError, match=r"takes inputs with 2 spatial axes, got size 16x16x16"):
        UNet().output_size((16, 16, 16))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel_size", [2, 3, 5])
def test_padding_and_crop_bring_an_image_back_to_its_place(padding, kernel_size):
    network = UNet(depth=3, padding=padding, kernel_size=kernel_size)
    for side in [1, 2, 7, 16, 33, 100]:
        ((before, after),) = network.padding_for((side,))
        output = network.output_side(before + side + after)
        (crop,) = network.crop_after((side,))
        assert crop.stop - crop.start == side and crop.start >= 0 and crop.stop <= output
        lost = (before + side + after - output) // 2  # at each border of the padded image
        assert lost + crop.start == before  # pixel 0 of the crop is pixel 0 of the image


def test_context_bounds_what_a_pixel_depends_on():
    """A change beyond `context` pixels away must not show."""
    from unet_common.implementation import load

    network = UNet(depth=3, filters=2)
    model = load("lowlevel").Model(network, precision="float64")
    images = np.zeros((1, 96, 16, 1))
    before = model.predict(images)
    images[0, 0] = 1e3
    changed = np.abs(model.predict(images) - before).max(axis=(0, 2, 3)) > 0
    assert changed[0] and not changed[network.context + 1 :].any()


def test_hyperparameters_are_frozen_and_checked():
    with pytest.raises(ValidationError):
        UNet(depth=1)
    with pytest.raises(ValidationError):
        UNet(filter=3)
    with pytest.raises(ValidationError):
        UNet().depth = 3


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue_tells_what_its_networks_are(name):
    network = CATALOGUE[name]()
    assert network.name == name and "arXiv" in network.paper and network.size_rule
    assert all(field.description for key, field in type(network).model_fields.items() if key != "name")
