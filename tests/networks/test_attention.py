"""Attention gates and non-local blocks: against NumPy, and what the U-Net says and refuses of them."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import RANKS, Operation, images
from pydantic import ValidationError

from data.errors import UserError
from unet_common.experiment import experiment_from
from unet_common.graph_model import assign
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import UNet
from unet_common.resizing import upsample
from unet_lowlevel.networks.attention import attention_gate, non_local_block

FACTORS = {2: (2, 2), 3: (1, 2, 2)}
SIZES = {2: (4, 6), 3: (3, 4, 2)}


def smaller(rank):
    """Size of the level below."""
    return tuple(np.floor_divide(SIZES[rank], FACTORS[rank]))


def gate_of(rank):
    return tf.constant(np.random.default_rng(3).standard_normal((2, *smaller(rank), 4)))


def build_gate(rank):
    return lambda x: attention_gate(x, gate_of(rank), FACTORS[rank], "attention")


def blocks(x, factor):
    """[batch, *size, channels] -> [batch, *size / factor, pixels of a block, channels], the pixels in order."""
    batch, *size, channels = x.shape
    split = [number for side, step in zip(size, factor, strict=True) for number in (side // step, step)]
    rank = len(factor)
    order = (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
    pooled = np.floor_divide(size, factor)
    return x.reshape(batch, *split, channels).transpose(order).reshape(batch, *pooled, -1, channels)


@RANKS
def test_an_attention_gate_multiplies_with_a_mask_made_a_level_below(rank):
    x = images(rank, channels=4, size=SIZES[rank])
    operation = Operation(build_gate(rank), x)
    weights = {name.removeprefix("attention/"): value for name, value in operation.weights().items()}
    assert {name: value.shape for name, value in weights.items()} == {
        "w_x/kernel": (*FACTORS[rank], 4, 2),
        "w_g/kernel": (*[1] * rank, 4, 2),
        "w_g/bias": (2,),
        "psi/kernel": (*[1] * rank, 2, 1),
        "psi/bias": (1,),
    }
    of_x = np.einsum("...pc,pcf->...f", blocks(x, FACTORS[rank]), weights["w_x/kernel"].reshape(-1, 4, 2))
    of_gate = gate_of(rank).numpy() @ weights["w_g/kernel"].reshape(4, 2) + weights["w_g/bias"]
    logits = np.maximum(of_x + of_gate, 0) @ weights["psi/kernel"].reshape(2, 1) + weights["psi/bias"]
    mask = 1 / (1 + np.exp(-logits))
    enlarged = Operation(lambda mask: upsample(mask, FACTORS[rank], "linear"), mask)(mask)
    np.testing.assert_allclose(operation(x), x * enlarged, rtol=0, atol=1e-12)


@RANKS
def test_the_mask_stays_between_zero_and_one(rank):
    x = np.ones((2, *SIZES[rank], 4))
    operation = Operation(build_gate(rank), x)
    values = {"w_x/kernel": 0, "w_g/kernel": 50, "w_g/bias": 0, "psi/kernel": 1, "psi/bias": -20}
    for name, value in values.items():  # very sure of itself: fully open here, shut there
        variable = operation.variables[f"attention/{name}"]
        assign(operation.session, [(variable, np.full(variable.shape, value, float))])
    mask = operation(x)
    assert mask.min() >= 0 and mask.max() <= 1 and np.ptp(mask) > 0.5


@RANKS
@pytest.mark.parametrize("pooled", [True, False])
def test_a_non_local_block_adds_a_mean_over_all_pixels(rank, pooled):
    x, factor = images(rank, channels=4, size=SIZES[rank]), FACTORS[rank] if pooled else (1,) * rank
    operation = Operation(lambda x: non_local_block(x, factor, "block"), x)
    theta, phi, g = (
        operation.weights()[f"block/{name}/kernel"].reshape(4, 2) for name in ("theta", "phi", "g")
    )
    w_z = operation.weights()["block/w_z/kernel"].reshape(2, 4)
    expected = x.copy()
    others = blocks(x, factor).max(-2)
    for image, seen, result in zip(x, others.reshape(2, -1, 4), expected, strict=True):
        for pixel in np.ndindex(SIZES[rank]):
            affinity = np.exp((image[pixel] @ theta) @ (seen @ phi).T / np.sqrt(2))
            result[pixel] += (affinity / affinity.sum()) @ (seen @ g) @ w_z
    np.testing.assert_allclose(operation(x), expected, rtol=0, atol=1e-12)


@RANKS
def test_gradients_by_finite_differences(rank):
    x = images(rank, channels=2, size=SIZES[rank])
    Operation(build_gate(rank), x).check_gradients(x)
    Operation(lambda x: non_local_block(x, FACTORS[rank], "block"), x).check_gradients(x)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_non_local_block_has_twice_the_square_of_its_channels(implementation):
    def kernels(**settings):
        weights = load(implementation).Model(UNet(depth=3, filters=32, **settings)).weights()
        return {name: value.size for name, value in weights.items()}

    without = kernels()
    added = {name: size for name, size in kernels(non_local=[2, 3]).items() if name not in without}
    assert sum(size for name, size in added.items() if name.startswith("non_local2/")) == 8_192
    assert sum(size for name, size in added.items() if name.startswith("non_local3/")) == 32_768
    assert sum(added.values()) == 8_192 + 32_768


def test_attention_gates_look_no_further_than_they_say():
    """A change beyond `context` pixels away must not show."""
    network = UNet(depth=3, filters=4, convolutions=1, attention_gates=[1, 2], pooling=[[2, 2], [2, 1]])
    model = load("lowlevel").Model(network, precision="float64")
    before = model.predict(np.zeros((1, 64, 64, 1)))
    for axis in range(2):
        changed = np.zeros((1, 64, 64, 1))
        np.moveaxis(changed, axis + 1, 0)[0] = 1e3
        difference = np.moveaxis(np.abs(model.predict(changed) - before), axis + 1, 0).max(axis=(1, 2, 3))
        assert difference[0] > 0 and not difference[network.context[axis] + 1 :].any()
    without = network.model_copy(update={"attention_gates": ()}).context
    assert network.context == (without[0] + 2 + 4, without[1] + 2 + 2)


def test_with_a_non_local_block_everything_influences_everything():
    model = load("lowlevel").Model(UNet(depth=3, filters=4, non_local=[2]), precision="float64")
    images = np.zeros((1, 64, 64, 1))
    before = model.predict(images)
    images[0, 0, 0] = 10
    assert np.abs(model.predict(images) - before)[0, -1, -1] > 0
    assert min(model.network.context) > 10**6


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"attention_gates": [2, 5]}, r"attention_gates: \[2, 5\]; with depth 5 levels 1 to 4 have skip"),
        ({"non_local": [4], "depth": 3}, r"non_local: \[4\]; there are levels 1 to 3"),
    ],
)
def test_levels_that_do_not_exist(settings, message):
    with pytest.raises(ValidationError, match=message):
        UNet(**settings)


def test_pairs_of_too_many_pixels_are_refused_before_they_take_memory():
    network = UNet(non_local=[3])
    assert network.output_size((512, 512)) == (512, 512)
    assert network.in_one_piece((500, 512)) and not network.in_one_piece((513, 512))
    message = (
        "1024x512 pixels in one piece: the non-local block at level 3 would compare 32,768 pixels with 8,192"
    )
    with pytest.raises(UserError, match=f"unet does not take {message}, and 67,108,864 pairs are the most"):
        network.output_size((1024, 512))
    assert UNet(rank=3, non_local=[5]).in_one_piece((128, 128, 128))
    with pytest.raises(UserError, match=r"sampling\.crop: unet does not take 128x128x128 .* at level 2"):
        experiment_from({"network": {"rank": 3, "non_local": [2]}, "sampling": {"crop": [128, 128, 128]}})
