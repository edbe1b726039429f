"""The loss of inference mode by the moving statistics of batch normalisation, early in a training.

    python -m benchmarks.moving_statistics [--weights FILE]

Trains the default experiment by `lowlevel`. Moving statistics change nothing in a training, so one training tells how
each rule for their momentum would have done: the batches' statistics are read after every step, and averaged here. At
some steps the validation cases are predicted with each average, and with the statistics of the image itself, as in
training mode. Prints a table of docs/developing.md.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import tensorflow as tf

from data.errors import run_command
from unet_common import losses
from unet_common.experiment import experiment_from
from unet_common.graph_model import assign, canonical_variables
from unet_common.moving_statistics import momentum_at
from unet_common.training.run import Run
from unet_common.weights.interchange import Weights
from unet_lowlevel import Model
from unet_lowlevel.training import training_step

v1 = tf.compat.v1

SEEDS = (0, 1)
STEPS = (1, 10, 60, 100, 200, 400)
# What a moving statistic keeps of its old value in the update of a step that comes after `step` others.
RULES: dict[str, Callable[[int], float]] = {
    "0.99": lambda step: 0.99,
    "step / (step + 1)": lambda step: min(0.99, step / (step + 1)),
    "(1 + step) / (10 + step)": lambda step: float(momentum_at(tf.constant(step), 0.99)),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="to start from; default: random ones")
    arguments = parser.parse_args()
    print(f"| seed | step | the image's own | {' | '.join(RULES)} |\n|---|---{'|---' * (len(RULES) + 1)}|")
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            settings = {"seed": seed, "initial_weights": arguments.weights, "training": {"steps": STEPS[-1]}}
            measure(Run.create(Path(folder) / "run", experiment_from(settings)))


def measure(run: Run) -> None:
    """Train, and print a row of Dice and loss at each of `STEPS`."""
    judge, seed, rate = Judge(run), run.experiment.seed, run.experiment.optimizer.learning_rate
    # A momentum of 0: after each step the moving statistics are those of its batch.
    batchs_own = mock.patch("unet_lowlevel.ops.momentum_at", lambda step, momentum: 0.0)
    with tf.Graph().as_default() as graph, batchs_own:
        v1.set_random_seed(seed)
        v1.train.get_or_create_global_step()
        images, targets = v1.data.make_one_shot_iterator(run.training_batches(0)).get_next()
        step = training_step(images, targets, run)
        initialise = v1.global_variables_initializer()
        variables = canonical_variables(graph)
    moving = {name: variable for name, variable in variables.items() if "/moving_" in name}
    session = v1.Session(graph=graph)
    session.run(initialise)
    assign(session, [(variables[name], value) for name, value in run.initial_weights.items()])
    averages = {rule: session.run(moving) for rule in RULES}
    for number in range(STEPS[-1]):
        session.run(step.update, {step.rate: rate})
        batch = session.run(moving)
        for rule, momentum in RULES.items():
            kept, average = momentum(number), averages[rule]
            averages[rule] = {name: kept * average[name] + (1 - kept) * batch[name] for name in batch}
        if number + 1 in STEPS:
            weights = session.run(variables)
            cells = [judge(weights, training=True)]
            cells += [judge({**weights, **average}, training=False) for average in averages.values()]
            print(f"| {seed} | {number + 1} | {' | '.join(cells)} |", flush=True)


class Judge:
    """Dice and loss of weights on the validation cases, as the training loops report them."""

    def __init__(self, run: Run):
        self.run, self.model = run, Model(run.network)
        self.cases = list(run.validation_batches())
        self.loss = run.loss

    def __call__(self, weights: Weights, training: bool) -> str:
        self.model.set_weights(weights)
        values, counts = [], 0
        for images, targets in self.cases:
            logits = tf.constant(self.model.predict(images.numpy(), training=training))
            values.append(self.loss(targets, logits).numpy())
            counts += losses.confusion(targets, logits, self.run.outputs)
        return f"{losses.pooled_dice(counts):.3f} ({np.mean(values):.3f})"


if __name__ == "__main__":
    run_command(main)
