"""One step of training in each API, apart from its loop: what is timed, and weighed.

Each package has a function `training_step`, which its training loop uses, too; only what stands around it is another
here, without files, hooks and callbacks, so that the three can take turns.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from data.tensorflow_setup import keras_settings
from unet_common.graph_model import TrainingStep
from unet_common.training.run import Run

v1 = tf.compat.v1

# Images [batch, *size, channels] and targets [batch, *output size, classes].
Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Step:
    """A step that was built and compiled.

    run: makes one step with the batch it was built for, and returns the loss.
    build: seconds until the graph was there. first: seconds of the first step, which allocates and optimizes.
    operations: in the graph. needed: of these, what a single step runs.
    """

    run: Callable[[], float]
    build: float
    first: float
    operations: int
    needed: int


def build(run: Run, batch: Batch) -> Step:
    """The step of the implementation that the experiment of `run` names."""
    return {"lowlevel": _lowlevel, "highlevel": _highlevel, "keras": _keras}[run.experiment.implementation](
        run, batch
    )


def one_batch(run: Run) -> Batch:
    """The first batch of the training."""
    images, targets = next(iter(run.training_batches(0)))
    return images.numpy(), targets.numpy()


def _lowlevel(run: Run, batch: Batch) -> Step:
    from unet_lowlevel.training import training_step

    return _in_session(training_step, run, batch)


def _highlevel(run: Run, batch: Batch) -> Step:
    from unet_highlevel.model import training_step

    return _in_session(training_step, run, batch)


def _in_session(
    training_step: Callable[[tf.Tensor, tf.Tensor, Run], TrainingStep], run: Run, batch: Batch
) -> Step:
    """The step of a graph package: in a graph of its own, fed with one batch again and again."""
    start = time.perf_counter()
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(run.experiment.seed)
        v1.train.get_or_create_global_step()
        # Of fixed shapes, as in the training loops.
        inputs = [v1.placeholder(array.dtype, array.shape) for array in batch]
        step = training_step(*inputs, run)
        initialise = v1.global_variables_initializer()
    built = time.perf_counter() - start
    session = v1.Session(graph=graph)
    session.run(initialise)
    feed = {step.rate: run.experiment.optimizer.learning_rate, **dict(zip(inputs, batch, strict=True))}

    def once() -> float:
        return float(session.run([step.loss, step.update], feed)[0])

    start = time.perf_counter()
    once()
    first = time.perf_counter() - start
    return Step(once, built, first, len(graph.get_operations()), _ancestors([step.loss.op, step.update]))


def _ancestors(operations: list[tf.Operation]) -> int:
    """How many operations these need, themselves included. `extract_sub_graph` takes minutes for thousands."""
    found, waiting = set(), list(operations)
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found.add(operation.name)
            waiting += [*operation.control_inputs, *(tensor.op for tensor in operation.inputs)]
    return len(found)


def _keras(run: Run, batch: Batch) -> Step:
    from unet_keras.training import training_step

    start = time.perf_counter()
    with keras_settings(run.experiment.precision):
        unet = training_step(run).keras_model
        unet.optimizer.learning_rate = run.experiment.optimizer.learning_rate
        data = tuple(tf.constant(array) for array in batch)
        # What `fit` compiles, without its iterator.
        step = tf.function(unet.train_step, jit_compile=False).get_concrete_function(data)
    built = time.perf_counter() - start

    def once() -> float:
        unet.reset_metrics()  # else the loss is the mean of all steps so far
        return float(step(data)["loss"])

    start = time.perf_counter()
    once()
    first = time.perf_counter() - start
    count = len(step.graph.get_operations())
    return Step(once, built, first, count, count)
