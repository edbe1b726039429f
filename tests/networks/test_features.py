"""The features of any level: of every network, under the same names and the same numbers in all three."""

from importlib import import_module

import numpy as np
import pytest

from data.errors import UserError
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE


def smallest(name):
    """The configuration of a network with the fewest weights, and images for it."""
    hyperparameters, size, _count = min(
        import_module(f"expected.{name}").CONFIGURATIONS, key=lambda configuration: configuration[2]
    )
    network = CATALOGUE[name](**hyperparameters)
    return network, np.random.default_rng(0).standard_normal((2, *size, network.channels))


# More than a hundred layers, each of which is an output.
SLOW = ("hrnet", "vnet_3d_bottleneck")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CATALOGUE]
)
def test_the_features_of_every_level_are_equal_in_float64(name):
    network, images = smallest(name)
    models = [
        load(implementation).Model(network, seed=1, precision="float64") for implementation in IMPLEMENTATIONS
    ]
    first, *others = models
    levels = first.levels()
    layers = {weight.rpartition("/")[0] for weight in first.weights()}
    assert [model.levels() for model in others] == [levels, levels]
    assert layers <= set(levels) or name == "reversible_unet"  # whose sequences are one layer in Keras
    outputs = [model.layer_outputs(images) for model in models]
    for level in levels:
        expected = outputs[0][level]
        assert expected.ndim == network.rank + 2 and len(expected) in (2, 4)  # of two inputs both
        for other in outputs[1:]:
            bound = 1e-12 * max(np.abs(expected).max(), 1e-30)
            np.testing.assert_allclose(other[level], expected, rtol=0, atol=bound, err_msg=level)
    np.testing.assert_array_equal(first.features(images, levels[0]), outputs[0][levels[0]])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_features_follow_the_weights_and_change_nothing(implementation):
    network = CATALOGUE["unet"](depth=2, filters=2, dropout=0.5)
    model = load(implementation).Model(network, precision="float64")
    images = np.random.default_rng(0).standard_normal((2, 8, 8, 1))
    np.testing.assert_allclose(model.features(images, "head"), model.predict(images), rtol=0, atol=1e-12)
    np.testing.assert_array_less(-1, model.features(images, "encoder1"))  # behind the activation, an ELU
    weights = {name: value + 0.5 for name, value in model.weights().items()}
    model.set_weights(weights)
    np.testing.assert_allclose(model.features(images, "head"), model.predict(images), rtol=0, atol=1e-12)
    training = model.layer_outputs(images, training=True)
    assert (training["encoder1/dropout1"] == 0).any() and np.abs(
        training["head"] - model.predict(images)
    ).max() > 1e-3
    for name, value in model.weights().items():
        np.testing.assert_array_equal(value, weights[name], err_msg=name)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_there_is_is_told(implementation):
    model = load(implementation).Model(CATALOGUE["unet"](depth=2, filters=2))
    with pytest.raises(
        UserError, match=r"^unet has no features 'x'. It has bottleneck, decoder1, encoder1, head, and"
    ):
        model.features(np.zeros((1, 4, 4, 1)), "x")
    with pytest.raises(UserError, match="Nearest good sizes: 4x4 or 6x4"):
        model.features(np.zeros((1, 5, 4, 1)), "encoder1")
