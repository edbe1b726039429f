"""Memory and time of a step of the reversible network: python -m benchmarks.memory [--side N]

Its activations recomputed, against kept, by the number of blocks in each sequence of the encoder, in all three. Prints
a table of docs/networks.md. The peak is that of TensorFlow's allocator within one step: the sum, over time, of what its
operations allocate and free, as a full trace of the step records it. Weights are not in it. Keras's step is traced as
the graph that `tf.function` makes of it, with the weights as constants, since only a session can trace so.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from statistics import median
from typing import Any

import numpy as np

import unet_common  # noqa: F401  isort: skip  (first: it sets TensorFlow up)
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from unet_common import losses
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import ReversibleUNet

v1 = tf.compat.v1

BLOCKS = (1, 2, 4, 8)
REPEATS = 5
LOSS = losses.loss("dice + bce")


def batch(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A volume of noise, and a random truth."""
    volume = np.random.default_rng(0).standard_normal((1, side, side, side, 1)).astype(np.float32)
    return volume, (volume > 0.5).astype(np.float32)


def peak(step: Callable[..., Any]) -> float:
    """MiB that are allocated at most at a time within a step, which takes options of `Session.run`."""
    metadata = v1.RunMetadata()
    step(options=v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE), run_metadata=metadata)
    records = sorted(
        (record.alloc_micros, record.alloc_bytes)
        for device in metadata.step_stats.dev_stats
        for node in device.node_stats
        for memory in node.memory
        for record in memory.allocation_records
    )
    assert records, "this TensorFlow records no allocations"
    return float(np.cumsum([size for _when, size in records]).max()) / 2**20


def step_in_graph(name: str, network: ReversibleUNet, side: int, session: Any) -> Callable[..., Any]:
    """A step of gradient descent of a graph package, in the session's graph."""
    images, targets = (tf.constant(values) for values in batch(side))
    v1.train.get_or_create_global_step()
    value = LOSS(targets, import_module(f"unet_{name}.model").build(images, network, True))
    variables = v1.trainable_variables()
    pairs = zip(variables, tf.gradients(value, variables), strict=True)
    update = tf.group([one.assign_sub(0.001 * gradient) for one, gradient in pairs])
    session.run(v1.global_variables_initializer())
    return lambda **options: session.run(update, **options)


def traced_by_keras(network: ReversibleUNet, side: int) -> Any:
    """The same step of Keras, as a function whose weights are constants."""
    model = load("keras").Model(network).keras_model

    @tf.function
    def step(images: tf.Tensor, targets: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            value = LOSS(targets, model(images, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        pairs = zip(model.trainable_variables, gradients, strict=True)
        return [one - 0.001 * gradient for one, gradient in pairs]

    signature = [tf.TensorSpec(array.shape, tf.float32) for array in batch(side)]
    return convert_variables_to_constants_v2(step.get_concrete_function(*signature))


def imported(traced: Any, side: int, session: Any) -> Callable[..., Any]:
    """The traced step, in the session's graph."""
    v1.import_graph_def(traced.graph.as_graph_def(), name="")
    feed = {one.name: array for one, array in zip(traced.inputs, batch(side), strict=True)}
    fetches = [one.name for one in traced.outputs]
    return lambda **options: session.run(fetches, feed, **options)


def measured(name: str, blocks: int, side: int) -> Sequence[tuple[float, float]]:
    """The peak in MiB and the seconds of processor time of a step, recomputed and kept, which take turns."""
    steps: list[Callable[..., Any]] = []
    sessions: list[Any] = []
    for recompute in (True, False):
        network = ReversibleUNet(
            widths=(16, 32, 64), groups=8, encoder_blocks=blocks, decoder_blocks=1, recompute=recompute
        )
        traced = traced_by_keras(network, side) if name == "keras" else None
        with tf.Graph().as_default() as graph:
            sessions.append(v1.Session(graph=graph))
            step = (
                step_in_graph(name, network, side, sessions[-1])
                if not traced
                else imported(traced, side, sessions[-1])
            )
            steps.append(step)
        steps[-1]()
    seconds: list[list[float]] = [[], []]
    for _ in range(REPEATS):
        for step, times in zip(steps, seconds, strict=True):
            start = time.process_time()
            step()
            times.append(time.process_time() - start)
    results = [(peak(step), median(times)) for step, times in zip(steps, seconds, strict=True)]
    for session in sessions:
        session.close()
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--side", type=int, default=32, metavar="N", help="voxels along each axis (default: 32)"
    )
    side = parser.parse_args().side
    print(
        "| | blocks | recomputed, MiB | kept, MiB | share | time of a step |\n|---|---:|---:|---:|---:|---:|"
    )
    for name in IMPLEMENTATIONS:
        for blocks in BLOCKS:
            (low, again), (high, once) = measured(name, blocks, side)
            print(
                f"| {name} | {blocks} | {low:.1f} | {high:.1f} | {low / high:.2f} | {again / once:.2f} |",
                flush=True,
            )
