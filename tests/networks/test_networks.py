"""Which sizes a network accepts, and how images of other sizes are padded and cropped."""

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from data.errors import UserError
from unet_common.networks import CATALOGUE, UNet
from unet_common.weights.interchange import load_weights, save_weights


@pytest.mark.parametrize("size, output", [(188, 4), (252, 68), (444, 260), (572, 388)])
def test_the_papers_sizes_with_valid_convolutions(size, output):
    assert UNet(padding="valid").output_size((size, size)) == (output, output)


def test_same_convolutions_keep_multiples_of_the_stride():
    network = UNet(depth=4)
    assert network.stride == (8, 8)
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
        output = network.output_side(before + side + after, axis=0)
        (crop,) = network.crop_after((side,))
        assert crop.stop - crop.start == side and crop.start >= 0 and crop.stop <= output
        lost = (before + side + after - output) // 2  # at each border of the padded image
        assert lost + crop.start == before  # pixel 0 of the crop is pixel 0 of the image


def test_context_bounds_what_a_pixel_depends_on():
    """A change beyond `context` pixels away must not show."""
    from unet_common.implementation import load

    network = UNet(depth=3, filters=2, kernel_size=[3, 1], pooling=[[2, 2], [2, 1]])
    model = load("lowlevel").Model(network, precision="float64")
    before = model.predict(np.zeros((1, 96, 96, 1)))
    for axis in range(2):
        images = np.zeros((1, 96, 96, 1))
        np.moveaxis(images, axis + 1, 0)[0] = 1e3
        changed = np.moveaxis(np.abs(model.predict(images) - before), axis + 1, 0).max(axis=(1, 2, 3)) > 0
        assert changed[0] and not changed[network.context[axis] + 1 :].any()
    assert network.context[1] < network.context[0]


def test_kernels_and_poolings_of_axes_and_levels():
    network = UNet(
        rank=3, depth=3, kernel_size=[[1, 3, 3], [3, 3, 3], [3, 3, 3]], pooling=[[1, 2, 2], [2, 2, 2]]
    )
    assert network.kernel_at(1) == (1, 3, 3) and network.kernel_at(3) == (3, 3, 3)
    assert [network.scale_at(level) for level in (1, 2, 3)] == [(1, 1, 1), (1, 2, 2), (2, 4, 4)]
    assert network.output_size((2, 8, 12)) == (2, 8, 12)
    with pytest.raises(UserError, match=r"multiples of 2, 4, 4. Nearest good sizes: 2x8x12 or 4x12x12"):
        network.output_size((3, 9, 12))
    assert UNet(rank=3, kernel_size=[1, 3, 3]).kernel_at(4) == (1, 3, 3)
    assert UNet(filters=8, max_filters=20).filters_at(4) == 20


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"kernel_size": [3, 3, 3]}, r"kernel_size: \[3, 3, 3\] has 3 axes, the rank is 2"),
        ({"pooling": [[2, 2]]}, "pooling lists 1 levels; with depth 5 it takes 4"),
        (
            {"normalisation": "group", "filters": 12},
            "groups is 8, which does not divide the 12 channels of level 1",
        ),
        ({"deep_supervision": 4}, "with depth 5 the decoder has 3 levels below the first"),
        ({"deep_supervision": 1, "padding": "valid"}, "deep_supervision needs padding 'same'"),
    ],
)
def test_hyperparameters_that_do_not_fit_together(settings, message):
    with pytest.raises(ValidationError, match=message):
        UNet(**settings)


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


def test_the_old_name_of_a_hyperparameter_is_read(tmp_path):
    """`max_filters` was called `most_filters` in settings and weight files of before."""
    network = CATALOGUE["unet"](depth=2, filters=2, max_filters=3)
    assert CATALOGUE["unet"](depth=2, filters=2, most_filters=3) == network
    save_weights(tmp_path / "weights.h5", {"head/bias": np.zeros(1)}, network)
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        file.attrs["hyperparameters"] = file.attrs["hyperparameters"].replace("max_filters", "most_filters")
    assert list(load_weights(tmp_path / "weights.h5", network)) == ["head/bias"]
    with pytest.raises(UserError, match="max_filters: 3 in the file, None here"):
        load_weights(tmp_path / "weights.h5", CATALOGUE["unet"](depth=2, filters=2))
