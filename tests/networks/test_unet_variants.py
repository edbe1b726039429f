"""What the U-Nets beside `unet` promise: sizes, skips in their place, sums that are sums, heads that can be cut off."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, softmax

from data.errors import UserError
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import UNetOriginal, UNetPadding, UNetPlusPlus
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import predict_probabilities


@pytest.mark.parametrize("size, output", [(188, 4), (204, 20), (252, 68), (444, 260), (572, 388)])
def test_the_papers_sizes(size, output):
    assert UNetOriginal().output_size((size, size)) == (output, output)


def test_a_size_at_which_skips_are_out_of_place_is_refused():
    with pytest.raises(UserError) as error:
        UNetOriginal().output_size((256, 256))
    assert str(error.value) == (
        "unet_original does not accept inputs of size 256x256: every side must be 188 plus a multiple of 16, so that "
        "each of the 4 poolings comes out even. Nearest good sizes: 252x252 or 268x268."
    )


@pytest.mark.parametrize("level", range(1, 6))
def test_all_paths_lead_to_the_same_place(level):
    """An image of its own coordinates comes out in place, whichever level it took: 92 pixels are lost at the border."""
    network = UNetOriginal(filters=1)
    model = load("lowlevel").Model(network, precision="float64")
    weights = {name: np.zeros_like(value) for name, value in model.weights().items()}
    for name, value in weights.items():
        if name.endswith("kernel"):
            value[tuple(side // 2 if side == 3 else 0 for side in value.shape[:2])][0, 0] = 1
    for above in range(1, level):  # of [skip, what comes from below] the latter
        weights[f"decoder{above}/conv1/kernel"][1, 1, :, 0] = (
            [0] * 2 ** (above - 1) + [1] + [0] * (2 ** (above - 1) - 1)
        )
    model.set_weights(weights)
    image = np.arange(1.0, 205)[:, np.newaxis] * np.ones(204)
    output = model.predict(image[np.newaxis, ..., np.newaxis])[0, :, 0, 0]
    # Pooling kept the largest of 2 ** (level - 1) coordinates, and up-sampling repeats it.
    block = 2 ** (level - 1)
    late = output - image[92:-92, 0]
    assert output.shape == (20,) and set(late) == set(range(block))
    assert late[:16].mean() == (block - 1) / 2


@pytest.mark.parametrize("size", [(256, 256), (517, 389)])
@pytest.mark.parametrize(
    "network",
    [UNetOriginal(filters=1), UNetPadding(depth=3, filters=2), UNetPlusPlus(depth=3, filters=2)],
    ids=lambda network: network.name,
)
def test_tiles_give_what_the_whole_image_gives(network, size):
    predict = load("lowlevel").Model(network, precision="float64").predict
    image = np.random.default_rng(0).standard_normal((*size, 1))
    whole = predict_probabilities(predict, image, network)
    tiled = predict_probabilities(predict, image, network, PredictionSettings(tile=240))
    assert whole.shape == (*size, 1) and whole.std() > 1e-3
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "network",
    [
        UNetOriginal(depth=3, filters=2),
        UNetPadding(depth=3, filters=2, residual=True),
        UNetPlusPlus(depth=3, filters=2),
        # Every step to the right on row 1 reaches further than the deeper rows do.
        UNetPlusPlus(depth=4, filters=2, kernel_size=[[7, 7], [1, 1], [1, 1], [1, 1]]),
    ],
    ids=["original", "padding", "plus_plus", "plus_plus_rows"],
)
def test_context_bounds_what_a_pixel_depends_on(network):
    """A change beyond `context` pixels away must not show, from either side: some kernels look to one only."""
    model = load("lowlevel").Model(network, precision="float64")
    side = 20
    (before, after), *_ = network.padding_for((side + 2 * network.context[0],) * 2)
    length = before + side + 2 * network.context[0] + after
    lost = (length - network.output_side(length, 0)) // 2
    generator = np.random.default_rng(0)
    image = generator.standard_normal((1, length, length, 1))
    plain, reach = model.predict(image), []
    for end in (0, -1):
        changed = image.copy()
        changed[:, end] += 1e3
        rows = np.flatnonzero(np.abs(model.predict(changed) - plain).max(axis=(0, 2, 3)))
        reach.append(rows.max() + lost if end == 0 else length - 1 - (rows.min() + lost))
    assert network.context[0] / 2 < max(reach) <= network.context[0]


def test_the_residual_option_adds():
    """With convolutions that give nothing what is left of a block is its shortcut."""
    network = UNetPadding(depth=2, filters=2, residual=True)
    model = load("lowlevel").Model(network, precision="float64")
    weights = model.weights()
    for name in weights:
        if "/norm2/" in name and not name.endswith("moving_variance"):
            weights[name] = np.zeros_like(weights[name])
    model.set_weights(weights)
    image = np.random.default_rng(0).standard_normal((1, 4, 4, 1))
    skip = image @ weights["encoder1/shortcut/kernel"][0, 0] + weights["encoder1/shortcut/bias"]
    blocks = skip.reshape(1, 2, 2, 2, 2, 2).max(axis=(2, 4))
    bottom = blocks @ weights["bottleneck/shortcut/kernel"][0, 0] + weights["bottleneck/shortcut/bias"]
    large = np.pad(bottom.repeat(2, 1).repeat(2, 2), [(0, 0), (0, 1), (0, 1), (0, 0)])
    kernel = weights["decoder1/up/kernel"]
    up = sum(large[:, i : i + 4, j : j + 4] @ kernel[i, j] for i in (0, 1) for j in (0, 1))
    both = np.concatenate([np.maximum(up + weights["decoder1/up/bias"], 0), skip], -1)
    last = both @ weights["decoder1/shortcut/kernel"][0, 0] + weights["decoder1/shortcut/bias"]
    expected = last @ weights["head/kernel"][0, 0] + weights["head/bias"]
    np.testing.assert_allclose(model.predict(image), expected, rtol=0, atol=1e-12)


def heads_of(network, images):
    """A model, and the logits of each head, the last column first."""
    model = load("lowlevel").Model(network, precision="float64")
    return model, model.session.run(model.outputs[True], {model.images: images})


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_pruned_network_is_a_head_of_the_whole_one_which_is_their_mean(implementation):
    whole = UNetPlusPlus(depth=3, filters=2, normalisation="none")
    images = np.random.default_rng(0).standard_normal((1, 16, 24, 1))
    model, heads = heads_of(whole, images)
    assert len(heads) == 2
    for level, expected in zip((2, 1), heads, strict=True):
        pruned = load(implementation).Model(whole.model_copy(update={"level": level}), precision="float64")
        pruned.set_weights({name: model.weights()[name] for name in pruned.weights()})
        np.testing.assert_allclose(pruned.predict(images), expected, rtol=0, atol=1e-12)
    assert len(pruned.weights()) < len(model.weights()) / 2

    same = load(implementation).Model(whole, precision="float64")
    same.set_weights(model.weights())
    mean = np.mean([expit(head) for head in heads], axis=0)
    np.testing.assert_allclose(expit(same.predict(images)), mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "outputs, activation",
    [({}, expit), ({"classes": 3}, softmax), ({"classes": 3, "multilabel": True}, expit)],
    ids=["binary", "multiclass", "multilabel"],
)
def test_means_are_those_of_probabilities(outputs, activation):
    network = UNetPlusPlus(depth=3, filters=2, normalisation="none", **outputs)
    images = np.random.default_rng(0).standard_normal((1, 16, 24, 1))
    model, heads = heads_of(network, images)
    across = {"axis": -1} if activation is softmax else {}
    mean = np.mean([activation(head, **across) for head in heads], axis=0)
    predicted = activation(model.predict(images), **across)
    np.testing.assert_allclose(predicted, mean, rtol=0, atol=1e-12)
    assert np.abs(predicted - activation(heads[0], **across)).max() > 1e-3


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"depth": 4, "level": 4}, "level is 4; with depth 4 there are 3"),
        (
            {"level": 2, "deep_supervision": False},
            "only networks with deep_supervision have a head at every level",
        ),
    ],
)
def test_levels_that_do_not_exist(settings, message):
    with pytest.raises(ValidationError, match=message):
        UNetPlusPlus(**settings)
