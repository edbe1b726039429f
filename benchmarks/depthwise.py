"""The depthwise convolution of volumes against its alternatives: python -m benchmarks.depthwise

Milliseconds of the values alone, and of values and both gradients, in float32: of `depthwise_convolution3d`, of one
convolution for each channel, as the programs have it that this project replaces, of a sum over shifted copies of the
volume, and of a dense convolution, which computes another function with as many weights as channels squared. They take
turns in one process, compiled with `tf.function`; the median of five. Prints the table of docs/networks.md.
"""

import time
from collections.abc import Callable
from itertools import product
from statistics import median

import tensorflow as tf

from unet_common.operations.depthwise import depthwise_convolution3d

# Batch, sides and channels of levels of `vnet_3d_depthwise`, and the side of the kernel.
CASES = [((1, 64, 64, 64, 16), 3), ((1, 32, 32, 32, 64), 3), ((1, 8, 8, 8, 256), 3), ((1, 32, 32, 32, 64), 5)]
TURNS = 5


def by_channel(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """One convolution for each channel."""
    channels = [
        tf.nn.conv3d(x[..., c : c + 1], kernel[..., c : c + 1], [1] * 5, "SAME") for c in range(x.shape[-1])
    ]
    return tf.concat(channels, -1)


def shifted(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The sum over the places of the kernel: a shifted copy of the volume, times the weights there."""
    before, after = (kernel.shape[0] - 1) // 2, kernel.shape[0] // 2
    padded = tf.pad(x, [[0, 0], *[[before, after]] * 3, [0, 0]])
    places = product(range(kernel.shape[0]), repeat=3)
    return tf.add_n([tf.slice(padded, [0, *place, 0], x.shape) * kernel[(*place, 0)] for place in places])


def dense(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Every channel into every channel."""
    return tf.nn.conv3d(x, tf.tile(kernel, [1, 1, 1, x.shape[-1], 1]), [1] * 5, "SAME")


FUNCTIONS = {
    "ours": depthwise_convolution3d,
    "a channel at a time": by_channel,
    "shifted": shifted,
    "dense": dense,
}


def with_gradients(function: Callable) -> Callable:
    """A function that also computes the gradients of a sum of its values."""

    def compute(x: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            value = function(x, kernel)
        return [value, *tape.gradient(value, [x, kernel], output_gradients=x)]

    return compute


def milliseconds(size: tuple[int, ...], side: int) -> dict[str, tuple[float, float]]:
    """Times of each function: of its values, and of values and gradients."""
    x = tf.random.stateless_normal(size, [0, 0])
    kernel = tf.random.stateless_normal([side] * 3 + [1, size[-1]], [0, 1])
    calls = [
        tf.function(change(function))
        for function in FUNCTIONS.values()
        for change in (lambda function: function, with_gradients)
    ]
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(TURNS + 1):
        for call, of_call in zip(calls, times, strict=True):
            start = time.perf_counter()
            for result in tf.nest.flatten(call(x, kernel)):
                result.numpy()
            if turn:  # the first traces and compiles
                of_call.append(1000 * (time.perf_counter() - start))
    medians = [median(of_call) for of_call in times]
    return dict(zip(FUNCTIONS, zip(medians[::2], medians[1::2], strict=True), strict=True))


if __name__ == "__main__":
    print(f"| size and channels | kernel | {' | '.join(FUNCTIONS)} |\n|---|---:{'|---:' * len(FUNCTIONS)}|")
    for size, side in CASES:
        columns = [f"{forward:.0f} / {both:.0f}" for forward, both in milliseconds(size, side).values()]
        print(f"| {' x '.join(map(str, size[1:]))} | {side} | {' | '.join(columns)} |", flush=True)
