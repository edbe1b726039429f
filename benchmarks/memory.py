"""Memory and time of a step of the reversible network: python -m benchmarks.memory [--output FIGURE.png]

Its activations recomputed, against kept, in all three: by the number of blocks in each sequence of the encoder, and by
the voxels of the volume. Prints tables of docs/performance.md, and draws its figure.

The peak is that of TensorFlow's allocator within one step. On the CPU it is the sum, over time, of what operations
allocate and free, as a full trace of the step records it, without the weights; on a GPU the allocator tells it itself,
and what was taken before the step is subtracted. Keras's step is traced as the graph that `tf.function` makes of it,
with the weights as constants, since only a session can trace so.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import unet_common  # noqa: F401  isort: skip  (first: it sets TensorFlow up)
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from data.drawing.images import BLUE, GREEN, STYLE, VERMILION, save_figure
from unet_common import losses
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import ReversibleUNet

v1 = tf.compat.v1

BLOCKS, SIDE = (1, 2, 4, 8), 32
"""The blocks of a sequence, with a volume of this side."""

SIDES, OF_SIDES = (16, 32, 48, 64), 4
"""The sides of a volume, with so many blocks."""

REPEATS = 5
LOSS = losses.loss("dice + bce")


def batch(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A volume of noise, and a random truth."""
    volume = np.random.default_rng(0).standard_normal((1, side, side, side, 1)).astype(np.float32)
    return volume, (volume > 0.5).astype(np.float32)


def peak(step: Callable[..., Any]) -> float:
    """MiB that are allocated at most at a time within a step, which takes options of `Session.run`."""
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.reset_memory_stats("GPU:0")
        before = tf.config.experimental.get_memory_info("GPU:0")["current"]
        step()
        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"] - before) / 2**20
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


@dataclass(frozen=True)
class Measured:
    """A step of an implementation: MiB at most, and the ratio of its time to that which keeps its activations."""

    name: str
    blocks: int
    side: int
    recomputed: float
    kept: float
    time: float


def measured(name: str, blocks: int, side: int) -> Measured:
    """The peaks of a step, and seconds of processor time or, on a GPU, of the clock; the two forms take turns."""
    clock = time.perf_counter if tf.config.list_physical_devices("GPU") else time.process_time
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
            start = clock()
            step()
            times.append(clock() - start)
    low, high = (peak(step) for step in steps)
    for session in sessions:
        session.close()
    return Measured(name, blocks, side, low, high, median(seconds[0]) / median(seconds[1]))


def print_table(rows: Sequence[Measured]) -> None:
    """Print measurements in Markdown."""
    print("\n| | blocks | voxels | recomputed, MiB | kept, MiB | share | time of a step |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.name} | {row.blocks} | {row.side}³ | {row.recomputed:.1f} | {row.kept:.1f} "
            f"| {row.recomputed / row.kept:.2f} | {row.time:.2f} |",
            flush=True,
        )


def draw(by_blocks: Sequence[Measured], by_side: Sequence[Measured], output: Path) -> None:
    """Draw the peaks of the three: by the blocks, and by the voxels of a volume."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        panel(left, by_blocks, lambda row: row.blocks)
        left.set(xticks=BLOCKS, xlabel="blocks of a sequence", title=f"{SIDE} x {SIDE} x {SIDE} voxels")
        panel(right, by_side, lambda row: row.side**3 / 1000)
        right.set(xlabel="thousand voxels", title=f"{OF_SIDES} blocks of a sequence")
        left.set_ylabel("peak of a step, MiB")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        save_figure(figure, output)


def panel(axes: Axes, rows: Sequence[Measured], position: Callable[[Measured], float]) -> None:
    """Draw two lines for each implementation."""
    for name, colour in zip(IMPLEMENTATIONS, (BLUE, VERMILION, GREEN), strict=True):
        own = [row for row in rows if row.name == name]
        where = [position(row) for row in own]
        axes.plot(where, [row.kept for row in own], "o--", color=colour, label=f"{name}, kept", markersize=3)
        axes.plot(
            where,
            [row.recomputed for row in own],
            "o-",
            color=colour,
            label=f"{name}, recomputed",
            markersize=3,
        )
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, metavar="FIGURE.png", help="where to draw them")
    output = parser.parse_args().output
    by_blocks = [measured(name, blocks, SIDE) for name in IMPLEMENTATIONS for blocks in BLOCKS]
    print_table(by_blocks)
    by_side = [measured(name, OF_SIDES, side) for name in IMPLEMENTATIONS for side in SIDES]
    print_table(by_side)
    if output:
        draw(by_blocks, by_side, output)
