"""A network of this package with its weights: predict, loss, gradients, interchange."""

import math
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import unet_common.model
from data.tensorflow_setup import keras_settings
from unet_common.initialisation import Initialisation, rule_of
from unet_common.layer_outputs import watched_blocks
from unet_common.losses import finest
from unet_common.losses import loss as parse_loss
from unet_common.networks import Network
from unet_common.weights.initial import initial_kernel, stateless_seed
from unet_common.weights.interchange import Weights
from unet_keras.layers import (
    BatchNormalization,
    DepthwiseConv3D,
    Dropout,
    PatchPosition,
    Randomness,
    canonical_name,
    registered,
)
from unet_keras.networks import NETWORKS


@registered
class SegmentationModel(keras.Model):
    """A functional model whose loss gets all outputs in training, and else the finest, as the metrics do.

    Keras wants a loss and targets for every output; ours is one of all of them together, those of deep supervision or
    attention maps.
    """

    randomness: Randomness | None = None

    def compile(self, *arguments, **options):
        """Compile as Keras does; from then on the training's step is the optimizer's counter of iterations.

        That is the first of its variables, and counts batches. `iterations` is made of it where a step has several.
        """
        super().compile(*arguments, **options)
        if self.randomness:
            self.randomness.step = self.optimizer.variables[0]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not training:
            return self.loss(y, finest(y_pred))
        return sum(self.losses, self.loss(y, y_pred))  # those of the weights, where L2 regularisation is on

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, finest(y_pred), sample_weight)

    def get_compile_config(self):
        """Leave loss and optimizer out of the model's JSON: they are the experiment's, which has a file of its own."""


def build(network: Network, randomness: Randomness) -> SegmentationModel:
    """The `network` as a functional model with its initial weights: images `[batch, *size, channels]` -> logits."""
    images = keras.Input([*[None] * network.rank, network.channels], name="images")
    model = SegmentationModel(images, NETWORKS[network.name](images, network), name=network.name)
    initialise(model, randomness)
    return model


# What a layer has that was told no initialiser: Glorot's, whose draws know shape and seed, and not the weight's name.
UNTOLD = type(layers.Conv2D(1, 1).kernel_initializer)


def initialise(model: keras.Model, randomness: Randomness) -> None:
    """Draw each kernel by its canonical name, and let dropout and moving statistics follow `randomness`.

    Keras tells an initialiser the shape of a weight and never its name, so this is done when the names are there. A
    network that wants another kernel says so where it makes the layer (`kernel_initializer`), and keeps it.
    """
    model.randomness = randomness
    for layer in model._flatten_layers(include_self=False):  # those within layers, too
        if isinstance(layer, BatchNormalization | Dropout | PatchPosition):
            layer.randomness = randomness
        if isinstance(getattr(layer, "kernel_initializer", None), UNTOLD):
            kernel = layer.kernel
            name = canonical_name(kernel.path)
            seed, rule = stateless_seed(randomness.seed, name), rule_of(randomness.initialisation, name)
            drawn = initial_kernel(kernel.shape, *fans(layer), rule, seed, kernel.dtype)
            kernel.assign(drawn)


def fans(layer: layers.Layer) -> tuple[int, int]:
    """Values that an output value of a convolution is a sum of, and values that an input value is added to."""
    *sides, last, first = layer.kernel.shape
    area = math.prod(sides)
    if isinstance(layer, DepthwiseConv3D):  # channels do not meet
        return area, area
    if isinstance(layer, layers.Conv2DTranspose | layers.Conv3DTranspose):  # `[*sides, filters, channels]`
        # An output pixel sees the input through a part of the kernel only.
        return first * area // math.prod(layer.strides), last * area
    return last * area, first * area  # `[*sides, channels, filters]`


class Model(unet_common.model.Model):
    """A functional Keras model, as `keras_model`, with the names the other two packages use."""

    def _build(self, seed: int, initialisation: Initialisation) -> None:
        self.randomness = Randomness(seed, initialisation)
        with keras_settings(self.precision):
            self.keras_model = build(self.network, self.randomness)
        self.variables = {canonical_name(variable.path): variable for variable in self.keras_model.weights}
        self._twin: tuple[SegmentationModel, dict[str, keras.KerasTensor]] | None = None

    def _weights(self) -> Weights:
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def _assign(self, weights: Weights) -> None:
        for name, variable in self.variables.items():
            variable.assign(weights[name])

    def _predict(self, images: np.ndarray, training: bool, step: int) -> np.ndarray:
        if not training:
            return finest(self.keras_model.predict_on_batch(images))
        with self.randomness.at(step):
            return finest(self._training_logits(self.keras_model.trainable_variables, images)).numpy()

    def _attention(self, images: np.ndarray) -> list[np.ndarray]:
        return self.keras_model.predict_on_batch(images)[1:]

    def _named_tensors(self, training: bool) -> dict[str, keras.KerasTensor]:
        """The network is built once more: a model has the outputs of its layers, but those of blocks nobody kept."""
        if self._twin is None:
            with keras_settings(self.precision), watched_blocks(self._package, keras.KerasTensor) as blocks:
                twin = build(self.network, self.randomness)
            named = {layer.name: layer.output for layer in twin.layers} | blocks
            one = {name: value for name, value in named.items() if isinstance(value, keras.KerasTensor)}
            self._twin = twin, {canonical_name(name): value for name, value in one.items()}
        return self._twin[1]

    def _evaluate(
        self, tensors: Mapping[str, keras.KerasTensor], images: np.ndarray, training: bool
    ) -> dict[str, np.ndarray]:
        """Any tensors within a functional model are the outputs of another one, which shares its layers."""
        assert self._twin is not None
        twin, _tensors = self._twin
        twin.set_weights(self.keras_model.get_weights())
        with keras_settings(self.precision):
            part = keras.Model(twin.input, dict(tensors))
        with self.randomness.at(0):
            return {
                name: value.numpy() for name, value in part(tf.constant(images), training=training).items()
            }

    def _loss_and_gradients(
        self, images: np.ndarray, targets: np.ndarray, loss: str, ignoring: bool, step: int
    ) -> tuple[float, Weights]:
        trainable = {
            canonical_name(variable.path): variable.value for variable in self.keras_model.trainable_variables
        }
        with self.randomness.at(step), tf.GradientTape() as tape:
            logits = self._training_logits(list(trainable.values()), images)
            judge = parse_loss(loss, self.network.multilabel, ignoring, self.network.attention_weight)
            value = judge(tf.constant(targets), logits)
        gradients = tape.gradient(value, trainable)
        return value.numpy(), {name: gradient.numpy() for name, gradient in gradients.items()}

    def _training_logits(self, trainable, images) -> tf.Tensor | list[tf.Tensor]:
        """Logits in training mode. A call would update the moving statistics; a stateless one returns them instead."""
        state = self.keras_model.non_trainable_variables
        logits, _new_state = self.keras_model.stateless_call(
            trainable, state, tf.constant(images), training=True
        )
        return logits
