"""The networks that exist for volumes only: what reaches an output voxel, and what data they refuse."""

import numpy as np
import pytest
from pydantic import ValidationError

from data.errors import UserError
from unet_common.experiment import experiment_from, resolve
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE, UNet3D, UNet25D, VNet3D, VNet3DBottleneck, VNet3DDepthwise
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import predict_probabilities

SMALL = [
    UNet25D(depth=3, in_plane_levels=1, filters=2),
    UNet25D(depth=3, in_plane_levels=1, filters=2, slice_axis=0),
    UNet3D(depth=3, filters=2, normalisation="batch"),
    UNet3D(depth=3, filters=2, upsampling="transpose"),
    VNet3D(depth=3, filters=2, kernel_size=3),
    VNet3D(depth=3, filters=2, kernel_size=2, upsampling="linear"),
    VNet3DDepthwise(depth=3, filters=2),
    VNet3DDepthwise(depth=3, filters=2, kernel_size=2, upsampling="transpose", unit="separable_narrow"),
    VNet3DDepthwise(depth=3, filters=2, kernel_size=5, unit="depthwise"),
    VNet3DBottleneck(depth=3, bottom_filters=16),
]
FOR_VOLUMES = [name for name in CATALOGUE if CATALOGUE[name].ranks() == (3,)]


def named(network):
    """The name and the words among its settings, as the name of a test."""
    given = {key: getattr(network, key) for key in sorted(network.model_fields_set)}
    axis = ["pages"] if getattr(network, "slice_axis", 2) == 0 else []
    return "-".join([network.name, *axis, *(value for value in given.values() if isinstance(value, str))])


def model_of(network):
    """With weights of usual size, and none so small that what is far away would not be seen."""
    model = load("lowlevel").Model(network, precision="float64")
    generator = np.random.default_rng(1)
    model.set_weights(
        {
            name: value + generator.uniform(0.1, 0.3, value.shape) if "kernel" in name else value
            for name, value in model.weights().items()
        }
    )
    return model


@pytest.mark.parametrize("network", SMALL, ids=named)
def test_context_bounds_what_a_voxel_depends_on(network):
    """A change beyond `context` voxels away must not show, from either side: some kernels look to one only."""
    model = model_of(network)
    for axis in (1, 2, 3):
        context, stride = network.context[axis - 1], network.stride[axis - 1]
        length = 4 * stride + -(-2 * context // stride) * stride
        shape = [1, *network.stride, network.channels]
        shape[axis] = length
        volume = np.random.default_rng(0).standard_normal(shape)
        plain, reach = model.predict(volume), []
        for end in (0, -1):
            changed = np.swapaxes(volume.copy(), 1, axis)
            changed[:, end] += 1e3
            difference = model.predict(np.swapaxes(changed, 1, axis)) - plain
            slices = np.flatnonzero(np.abs(np.swapaxes(difference, 1, axis)).max(axis=(0, 2, 3, 4)))
            reach.append(slices.max() if end == 0 else length - 1 - slices.min())
        assert context / 2 < max(reach) <= context


@pytest.mark.parametrize("network", SMALL, ids=named)
def test_tiles_give_what_a_whole_volume_of_an_awkward_size_gives(network):
    predict = load("lowlevel").Model(network, precision="float64").predict
    tile = 4 * network.context[2]
    volume = np.random.default_rng(0).standard_normal((9, 7, tile + 29, 1))
    whole = predict_probabilities(predict, volume, network)
    tiled = predict_probabilities(predict, volume, network, PredictionSettings(tile=tile, overlap=0.5))
    assert whole.shape == (*volume.shape[:3], 1) and whole.std() > 1e-3
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("unit", ["separable_narrow", "depthwise"])
def test_units_that_leave_channels_apart(implementation, unit):
    """What the units of a stage give has fewer channels than what they are added to; or each is of one channel."""
    network = VNet3DDepthwise(depth=3, filters=2, unit=unit)
    weights = load(implementation).Model(network).weights()
    assert weights["encoder2/unit1/depthwise/kernel"].shape == (3, 3, 3, 1, 4)
    assert ("encoder2/unit1/pointwise/kernel" in weights) == (unit == "separable_narrow")
    if unit == "separable_narrow":
        assert weights["encoder2/unit1/pointwise/kernel"].shape[-2:] == (4, 2)
        assert weights["bottleneck/unit2/pointwise/kernel"].shape[-2:] == (4, 4)
        assert weights["down2/kernel"].shape[-2:] == (4, 8)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_cannot_be_added_is_projected(implementation):
    network = VNet3DBottleneck(depth=2, bottom_filters=16, channels=8)
    projected = {
        name.split("/shortcut")[0]
        for name in load(implementation).Model(network).weights()
        if "/shortcut/" in name
    }
    assert projected == {"decoder1/unit1"}  # 8 channels come in, and the bottom starts from as many as it has


def test_channels_that_cannot_be_divided_are_refused():
    with pytest.raises(ValidationError, match="bottom_filters: 48; with depth 4 it must be a multiple of 32"):
        VNet3DBottleneck(bottom_filters=48)


@pytest.mark.parametrize("name", FOR_VOLUMES)
def test_images_are_refused_by_one_sentence_and_volumes_are_taken_without_being_told(name):
    with pytest.raises(
        UserError, match=f"^{name} is for volumes, and 'membranes' has images. Choose another"
    ):
        resolve(experiment_from({"network": name, "data": "membranes"}))
    resolved = resolve(experiment_from({"network": name, "data": "blobs3d"}))
    assert resolved.network.rank == 3 and len(resolved.sampling.crop) == 3


def test_volumes_are_refused_by_a_network_for_images():
    with pytest.raises(
        UserError, match=r"^unet_padding is for images, and 'blobs3d' has volumes. Choose another"
    ):
        resolve(experiment_from({"network": "unet_padding", "data": "blobs3d"}))
