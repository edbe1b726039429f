"""Reversible blocks: computed again or kept, the numbers are the same; what is kept knows nothing of how many."""

from importlib import import_module

import numpy as np
import pytest
import tensorflow as tf

from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import ReversibleUNet

SMALL = {"widths": (4, 8), "groups": 2, "classes": 3, "dilated_levels": 1}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_recomputed_gradients_are_those_of_kept_activations(implementation):
    generator = np.random.default_rng(0)
    images = generator.standard_normal((2, 4, 6, 8, 1))
    targets = np.eye(3)[generator.integers(0, 3, (2, 4, 6, 8))]
    results = []
    for recompute in (True, False):
        network = ReversibleUNet(**SMALL, encoder_blocks=3, decoder_blocks=2, recompute=recompute)
        model = load(implementation).Model(network, precision="float64")
        loss, gradients = model.loss_and_gradients(images, targets, "cross_entropy")
        results.append({"logits": model.predict(images), "loss": np.array(loss), **gradients})
    assert results[0].keys() == results[1].keys()
    for name, value in results[0].items():
        assert np.abs(value).max() > 1e-6, name
        np.testing.assert_allclose(value, results[1][name], rtol=0, atol=1e-10, err_msg=name)


def kept_between_the_passes(implementation, network):
    """Number of activations that operations of the forward pass give and operations of the gradient take."""
    package, size = load(implementation), [2, 4, 4, 4, 1]
    if implementation == "keras":
        model, before = package.Model(network).keras_model, set()

        @tf.function
        def step(images):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model(images, training=True))
                before.update(op.name for op in tf.compat.v1.get_default_graph().get_operations())
            return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

        graph = step.get_concrete_function(tf.TensorSpec(size)).graph
    else:
        with tf.Graph().as_default() as graph:
            tf.compat.v1.set_random_seed(0)
            images = tf.compat.v1.placeholder(tf.float32, size)
            build = import_module(f"{package.__name__}.model").build
            loss = tf.reduce_mean(build(images, network, True))
            before = {op.name for op in graph.get_operations()}
            tf.gradients(loss, tf.compat.v1.trainable_variables())
    taken = {
        tensor.name: tensor.shape
        for operation in graph.get_operations()
        if operation.name not in before
        for tensor in operation.inputs
        if tensor.op.name in before
    }
    # Kernels have five axes, too, the first of them 1 or 3.
    return sum(shape.rank is None or (shape.rank > 4 and shape[0] in (2, None)) for shape in taken.values())


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_is_kept_for_the_gradient_does_not_depend_on_the_number_of_blocks(implementation):
    kept = {
        (recompute, blocks): kept_between_the_passes(
            implementation,
            ReversibleUNet(**SMALL, encoder_blocks=blocks, decoder_blocks=blocks, recompute=recompute),
        )
        for recompute in (True, False)
        for blocks in (1, 3)
    }
    assert 4 <= kept[True, 1] == kept[True, 3]
    assert kept[False, 3] > 2 * kept[False, 1] > 2 * kept[True, 1]
