"""What every layer gives for one batch, by canonical name, in each API: nobody wrote the networks to tell it.

In graphs a layer is a function with an argument `name`, or an object that a function of `tf.layers` makes and calls:
both are watched while they add operations, and what they return is fetched. In Keras a layer is an object with a path:
its calls are watched.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

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
    return _of_keras(model, images) if hasattr(model, "keras_model") else _of_graph(package, model, images)


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

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield tensors
    finally:
        sys.setprofile(before)
        for path, _start, value in returned:
            _add(tensors, path, value)


def _path(frame: FrameType) -> str | None:
    """Canonical name of the layer that is returning; None if it has none, as a pooling, which has no weights."""
    if frame.f_code is _CALL:
        layer = frame.f_locals["self"]
        return layer.scope_name if layer.weights else None
    name = frame.f_locals.get("name")
    return canonical_name(name) if isinstance(name, str) else None


def _of_keras(model: Any, images: np.ndarray) -> Outputs:
    tensors: dict[str, tf.Tensor] = {}
    call: Callable = keras.layers.Layer.__call__

    def watched(layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
        value = call(layer, *arguments, **options)
        if (
            isinstance(value, tf.Tensor) and layer.path
        ):  # an `Identity` that was called outside of a layer has none
            _add(tensors, layer.path, value)
        return value

    with mock.patch.object(keras.layers.Layer, "__call__", watched):
        model.predict(images, training=True, step=0)
    return {path: tensor.numpy() for path, tensor in tensors.items()}


def _add(tensors: dict[str, tf.Tensor], path: str, value: tf.Tensor) -> None:
    """A function that hands on what an inner one returned does not count again."""
    number, key = 1, path
    while key in tensors:
        if tensors[key] is value:
            return
        number += 1
        key = f"{path} ({number})"
    tensors[key] = value
