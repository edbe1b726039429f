"""Outputs of layers and blocks by canonical name: the tensors that functions return while a network is built.

Nobody wrote the networks to tell them. In graphs a layer is a function with an argument `name`, or an object that a
function of `tf.layers` makes and calls. In all three packages a block is such a function; Keras knows its layers, but
not the blocks. So Python itself is asked to tell of every function that returns.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import tensorflow as tf

from unet_common.weights.initial import canonical_name

v1 = tf.compat.v1

# Every call of a layer of `tf.layers`, whatever its class, runs this code.
_CALL = v1.layers.Layer.__call__.__code__


@contextmanager
def watched_blocks(package: Path, kind: type) -> Iterator[dict[str, Any]]:
    """The tensors that functions of a package with an argument `name` return in this block, by that name.

    Of one name the last, which is that of the outermost function.

    Args:
        package: its folder.
        kind: of the tensors.
    """
    tensors: dict[str, Any] = {}

    def watch(frame: FrameType, event: str, value: Any) -> None:
        if event == "return" and isinstance(value, kind) and _is_of(frame.f_code, package):
            if (name := _name_given(frame)) is not None:
                tensors[name] = value

    with _profiled(watch):
        yield tensors


@contextmanager
def watched_layers(package: Path) -> Iterator[dict[str, tf.Tensor]]:
    """The tensors of a graph that layers and blocks return in this block: as `watched_blocks`, and of `tf.layers`.

    They are there when the block is over, in the order of computation. Of layers that call each other with one name,
    such as a block and the convolution it begins with, the outer one has the output. A convolution's is the sum with
    its bias, before any activation: the networks apply that to what the layer gives, in all three packages, so that one
    name means one thing. A layer that is called several times has a number after its name from the second call on.
    """
    tensors: dict[str, tf.Tensor] = {}
    starts: dict[FrameType, int] = {}
    returned: list[tuple[str, int, tf.Tensor]] = []  # path, when the function was called, what it returned

    def watch(frame: FrameType, event: str, value: Any) -> None:
        if frame.f_code is not _CALL and not _is_of(frame.f_code, package):
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


def _is_of(code: CodeType, package: Path) -> bool:
    return code.co_filename.startswith(f"{package}{os.sep}")


def _name_given(frame: FrameType) -> str | None:
    """The argument `name` of a function that is returning."""
    code = frame.f_code
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    name = frame.f_locals.get("name") if "name" in arguments else None
    return name if isinstance(name, str) else None


def _path(frame: FrameType) -> str | None:
    """Canonical name of the layer that is returning; None if it has none, as a pooling, which has no weights."""
    if frame.f_code is _CALL:
        layer = frame.f_locals["self"]
        return layer.scope_name if layer.weights else None
    name = _name_given(frame)
    return None if name is None else canonical_name(name)


@contextmanager
def _profiled(watch: Callable[[FrameType, str, Any], None]) -> Iterator[None]:
    """Python tells `watch` of every call and return in this block."""
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


def _add(tensors: dict[str, tf.Tensor], path: str, value: tf.Tensor) -> None:
    """A function that hands on what an inner one returned does not count again."""
    number, key = 1, path
    while key in tensors:
        if tensors[key] is value:
            return
        number += 1
        key = f"{path} ({number})"
    tensors[key] = value
