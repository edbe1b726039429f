"""A network in a TensorFlow 1 graph with a session: what the `Model` of both graph packages does alike."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from unet_common import weights as interchange
from unet_common.initialisation import Initialisation
from unet_common.losses import finest
from unet_common.losses import loss as parse_loss
from unet_common.networks import Network
from unet_common.randomness import choose_initialisation

v1 = tf.compat.v1


def canonical_variables(graph: tf.Graph) -> dict[str, tf.Variable]:
    """The weights of the network in `graph` by canonical name: without global step and optimizer slots."""
    variables = graph.get_collection(v1.GraphKeys.GLOBAL_VARIABLES)
    return {v.op.name: v for v in variables if interchange.is_weight(v.op.name)}


def assign(session: v1.Session, values: list[tuple[tf.Variable, np.ndarray]]) -> None:
    """Set variables without adding an operation to the graph: their initialisers run on fed values."""
    feed = {variable.initializer.inputs[1]: value for variable, value in values}
    session.run([variable.initializer for variable, _value in values], feed)


class GraphModel:
    """Subclasses say how the network is built: `logits(images, training)`."""

    def __init__(
        self,
        network: Network,
        seed: int = 0,
        precision: str = "float32",
        initialisation: Initialisation = "he_normal",
    ):
        """Build `network` in `float32` or `float64`, with initial weights drawn from `seed` by a rule."""
        self.network = network
        self.graph = tf.Graph()
        with self.graph.as_default():
            v1.set_random_seed(seed)
            choose_initialisation(initialisation)
            self.step = v1.train.get_or_create_global_step()
            size = [None] * network.rank
            self.images = v1.placeholder(precision, [None, *size, network.channels], "images")
            self.targets = v1.placeholder(precision, [None, *size, network.classes], "targets")
            # The same variables serve both modes; only batch normalisation and dropout differ.
            self.outputs = {}
            for training in (True, False):
                with v1.variable_scope("", reuse=v1.AUTO_REUSE):
                    self.outputs[training] = self.logits(self.images, training)
            initialise = v1.global_variables_initializer()
        self.variables = canonical_variables(self.graph)
        self.session = v1.Session(graph=self.graph)
        self.session.run(initialise)
        self._loss_and_gradients = {}

    def logits(self, images: tf.Tensor, training: bool) -> tf.Tensor | list[tf.Tensor]:
        """Add the network to the current graph; a list if its training has deep supervision."""
        raise NotImplementedError

    def weights(self) -> interchange.Weights:
        """The weights under their canonical names, moving statistics included."""
        return self.session.run(self.variables)

    def set_weights(self, weights: interchange.Weights, origin: str = "memory") -> None:
        """Replace all weights. Raises UserError if names or shapes differ; `origin` is for its message."""
        shapes = {name: tuple(variable.shape) for name, variable in self.variables.items()}
        interchange.check_weights(weights, shapes, origin)
        assign(self.session, [(variable, weights[name]) for name, variable in self.variables.items()])

    def load(self, path: Path | str) -> None:
        """Read an interchange file."""
        self.set_weights(interchange.load_weights(path, self.network), str(path))

    def save(self, path: Path | str) -> None:
        """Write an interchange file."""
        interchange.save_weights(path, self.weights(), self.network)

    def predict(self, images: np.ndarray, training: bool = False, step: int = 0) -> np.ndarray:
        """Images `[batch, *size, channels]` -> logits `[batch, *output size, classes]`.

        `training` uses the batch's statistics and the dropout masks of `step`; no state changes.

        Raises:
            UserError: the network does not accept the size.
        """
        self.network.output_size(images.shape[1:-1])
        assign(self.session, [(self.step, step)])
        return self.session.run(finest(self.outputs[training]), {self.images: images})

    def loss_and_gradients(
        self, images: np.ndarray, targets: np.ndarray, loss: str, step: int = 0
    ) -> tuple[float, interchange.Weights]:
        """The loss of a batch in training mode, and its gradient with respect to every trainable weight."""
        self.network.output_size(images.shape[1:-1])
        if loss not in self._loss_and_gradients:
            with self.graph.as_default():
                value = parse_loss(loss, self.network.multilabel)(self.targets, self.outputs[True])
                trainable = {v.op.name: v for v in v1.trainable_variables()}
                gradients = tf.gradients(value, list(trainable.values()))
                self._loss_and_gradients[loss] = value, dict(zip(trainable, gradients, strict=True))
        assign(self.session, [(self.step, step)])
        feed = {self.images: images, self.targets: targets}
        return self.session.run(self._loss_and_gradients[loss], feed)
