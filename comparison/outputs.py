"""What every layer gives for one batch, by canonical name, in each API: nobody wrote the networks to tell it.

In graphs a layer is a function with an argument `name`, or an object that a function of `tf.layers` makes and calls:
both are watched while they add operations, and what they return is fetched. In Keras a layer is an object with a name,
and a model knows its layers; blocks are functions there, too.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from data.tensorflow_setup import keras_settings
from unet_common.graph_model import assign
from unet_common.weights.initial import canonical_name

v1 = tf.compat.v1

Outputs = dict[str, np.ndarray]

# Every call of a layer of `tf.layers`, whatever its class, runs this code.
_CALL = v1.layers.Layer.__call__.__code__


def layer_outputs(package: ModuleType, model: Any, images: np.ndarray) -> Outputs:
    """The output of each layer and block in training mode, in the order in which they are computed.

    A layer that is called several times has a number after its name from the second call on.

    Args:
        model: of `package`, in the precision of the images `[batch, *size, channels]`.
    """
    of_one = _of_keras if hasattr(model, "keras_model") else _of_graph
    return of_one(package, model, images)


def _of_graph(package: ModuleType, model: Any, images: np.ndarray) -> Outputs:
    """The network is built once more, on the same variables."""
    with model.graph.as_default(), v1.variable_scope("", reuse=True), _watched_layers(package) as tensors:
        model.logits(model.images, training=True)
    assign(model.session, [(model.step, 0)])
    return model.session.run(tensors, {model.images: images})


@contextmanager
def _watched_layers(package: ModuleType) -> Iterator[dict[str, tf.Tensor]]:
    """Tensors that layers return in this block: functions of `package` with an argument `name`, and `tf.layers`.

    Of layers that call each other with one name, such as a block and the convolution it begins with, the outer one has
    the output. A convolution's is the sum with its bias, before any activation: the networks apply that to what the
    layer gives, in all three packages, so that one name means one thing.
    """
    folder, tensors = str(Path(package.__file__).parent), {}
    starts: dict[FrameType, int] = {}
    returned: list[tuple[str, int, tf.Tensor]] = []  # path, when the function was called, what it returned

    def watch(frame: FrameType, event: str, value: Any) -> None:
        if frame.f_code is not _CALL and not frame.f_code.co_filename.startswith(folder):
            return
        if event == "call":
            starts[frame] = len(starts)
        elif event == "return" and isinstance(value, tf.Tensor) and (path := _path(frame)):
            start = starts[frame]
            returned[:] = [one for one in returned if one[0] != path or one[1] < start]
            returned.append((path, start, value))

    with _profiled(watch):
        yield tensors
    for path, _start, value in returned:
        _add(tensors, path, value)


def _path(frame: FrameType) -> str | None:
    """Canonical name of the layer that is returning; None if it has none, as a pooling, which has no weights."""
    if frame.f_code is _CALL:
        layer = frame.f_locals["self"]
        return layer.scope_name if layer.weights else None
    name = frame.f_locals.get("name")
    return canonical_name(name) if isinstance(name, str) else None


def _of_keras(package: ModuleType, model: Any, images: np.ndarray) -> Outputs:
    """The network is built once more: all its layers have outputs in one model, and its blocks are watched."""
    from unet_keras.layers import canonical_name
    from unet_keras.model import build

    with keras_settings(model.precision):
        with _watched_blocks(package) as blocks:
            network = build(model.network, model.randomness)
        network.set_weights(model.keras_model.get_weights())
        layers = {layer.name: layer.output for layer in network.layers}
        tensors = {canonical_name(name): value for name, value in (layers | blocks).items() if _is_one(value)}
        outputs = keras.Model(network.input, tensors)
        with model.randomness.at(0):
            return {name: tensor.numpy() for name, tensor in outputs(images, training=True).items()}


@contextmanager
def _watched_blocks(package: ModuleType) -> Iterator[dict[str, keras.KerasTensor]]:
    """Tensors that functions of `package` with an argument `name` return in this block; of one name, the last."""
    folder, tensors = str(Path(package.__file__).parent), {}

    def watch(frame: FrameType, event: str, value: Any) -> None:
        if event == "return" and _is_one(value):
            name = frame.f_locals.get("name")
            if isinstance(name, str) and frame.f_code.co_filename.startswith(folder):
                tensors[name] = value

    with _profiled(watch):
        yield tensors


@contextmanager
def _profiled(watch: Callable[[FrameType, str, Any], None]) -> Iterator[None]:
    """Python tells `watch` of every call and return in this block."""
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


def _is_one(value: Any) -> bool:
    """Not a list or a dictionary of several."""
    return isinstance(value, keras.KerasTensor)


def _add(tensors: dict[str, tf.Tensor], path: str, value: tf.Tensor) -> None:
    """A function that hands on what an inner one returned does not count again."""
    number, key = 1, path
    while key in tensors:
        if tensors[key] is value:
            return
        number += 1
        key = f"{path} ({number})"
    tensors[key] = value
