"""A network in a TensorFlow 1 graph with a session: what the `Model` of both graph packages does alike."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unet_common.initialisation import Initialisation
from unet_common.layer_outputs import watched_layers
from unet_common.losses import finest
from unet_common.losses import loss as parse_loss
from unet_common.model import Model
from unet_common.weights.initial import canonical_name, choose_initialisation, stateless_seed
from unet_common.weights.interchange import Weights, is_weight

v1 = tf.compat.v1


def canonical_variables(graph: tf.Graph) -> dict[str, tf.Variable]:
    """The weights of the network in `graph` by canonical name: without global step and optimizer slots."""
    variables = graph.get_collection(v1.GraphKeys.GLOBAL_VARIABLES)
    return {v.op.name: v for v in variables if is_weight(v.op.name)}


def assign(session: v1.Session, values: Sequence[tuple[tf.Variable, np.ndarray | int]]) -> None:
    """Set variables without adding an operation to the graph: their initialisers run on fed values."""
    feed = {variable.initializer.inputs[1]: value for variable, value in values}
    session.run([variable.initializer for variable, _value in values], feed)


BATCHES = "batches"
"""The collection of a graph that holds its counter of batches, if a step has several."""


def batches_so_far() -> tf.Tensor:
    """Batches of the training before this one, int64: the global step, unless a step has several."""
    counters = v1.get_collection(BATCHES)
    return counters[0] if counters else v1.train.get_or_create_global_step()


def draw_key(name: str) -> list[int | tf.Tensor]:
    """The pair that keys what the layer `name` of the current scope draws for a batch: for `tf.random.stateless_*`.

    Of the graph's seed and the layer's canonical name, and of the number of the batch; of nothing else.
    """
    seed = stateless_seed(v1.get_default_graph().seed, canonical_name(name))
    return [seed, tf.cast(batches_so_far(), tf.int32)]


def count_batches() -> None:
    """Add the counter that `batches_so_far` finds to the current graph, before a network asks for it."""
    collections = [v1.GraphKeys.GLOBAL_VARIABLES, BATCHES]
    zero = v1.zeros_initializer()
    v1.get_variable("optimizer/batches", [], tf.int64, zero, trainable=False, collections=collections)


@dataclass(frozen=True)
class TrainingStep:
    """The operations that a session runs for one step.

    loss: of the batch, before the step. update: changes the weights. rate: takes the learning rate, float64.
    accumulate: of a step of several batches: takes in one; the last one needs `update` alone.
    """

    loss: tf.Tensor
    update: tf.Operation
    rate: tf.Tensor
    accumulate: tf.Operation | None = None


class GraphModel(Model):
    """A network in a graph of its own, and a session. Subclasses say how it is built: `logits(images, training)`."""

    def _build(self, seed: int, initialisation: Initialisation) -> None:
        network = self.network
        self.graph = tf.Graph()
        with self.graph.as_default():
            v1.set_random_seed(seed)
            choose_initialisation(initialisation)
            self.step = v1.train.get_or_create_global_step()
            size = [None] * network.rank
            self.images = v1.placeholder(self.precision, [None, *size, network.channels], "images")
            self.targets = v1.placeholder(self.precision, [None, *size, network.classes], "targets")
            # The same variables serve both modes; only batch normalisation and dropout differ.
            self.outputs = {}
            for training in (True, False):
                with v1.variable_scope("", reuse=v1.AUTO_REUSE):
                    self.outputs[training] = self.logits(self.images, training)
            initialise = v1.global_variables_initializer()
        self.variables = canonical_variables(self.graph)
        self.session = v1.Session(graph=self.graph)
        self.session.run(initialise)
        self._tensors: dict[bool, dict[str, tf.Tensor]] = {}
        self._fetches: dict[tuple[str, bool], tuple[tf.Tensor, dict[str, tf.Tensor]]] = {}

    @abstractmethod
    def logits(self, images: tf.Tensor, training: bool) -> tf.Tensor | list[tf.Tensor]:
        """Add the network to the current graph; a list if there are more outputs than its logits."""

    def _weights(self) -> Weights:
        return self.session.run(self.variables)

    def _assign(self, weights: Weights) -> None:
        assign(self.session, [(variable, weights[name]) for name, variable in self.variables.items()])

    def _predict(self, images: np.ndarray, training: bool, step: int) -> np.ndarray:
        assign(self.session, [(self.step, step)])
        return self.session.run(finest(self.outputs[training]), {self.images: images})

    def _attention(self, images: np.ndarray) -> list[np.ndarray]:
        return self.session.run(self.outputs[False][1:], {self.images: images})

    def _named_tensors(self, training: bool) -> dict[str, tf.Tensor]:
        """The network is built once more, on the same variables: any tensor of a graph can be fetched."""
        if training not in self._tensors:
            watched = watched_layers(self._package)
            with self.graph.as_default(), v1.variable_scope("", reuse=True), watched as tensors:
                self.logits(self.images, training)
            self._tensors[training] = tensors
        return self._tensors[training]

    def _evaluate(
        self, tensors: Mapping[str, tf.Tensor], images: np.ndarray, training: bool
    ) -> dict[str, np.ndarray]:
        assign(self.session, [(self.step, 0)])
        return self.session.run(dict(tensors), {self.images: images})

    def _loss_and_gradients(
        self, images: np.ndarray, targets: np.ndarray, loss: str, ignoring: bool, step: int
    ) -> tuple[float, Weights]:
        if (loss, ignoring) not in self._fetches:  # each loss adds its operations once
            with self.graph.as_default():
                network = self.network
                judge = parse_loss(loss, network.multilabel, ignoring, network.attention_weight)
                value = judge(self.targets, self.outputs[True])
                trainable = {v.op.name: v for v in v1.trainable_variables()}
                gradients = tf.gradients(value, list(trainable.values()))
                self._fetches[loss, ignoring] = value, dict(zip(trainable, gradients, strict=True))
        assign(self.session, [(self.step, step)])
        return self.session.run(self._fetches[loss, ignoring], {self.images: images, self.targets: targets})
