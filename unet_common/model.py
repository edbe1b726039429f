"""The contract of `Model`: a network with its weights, whatever API computes it."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from data.errors import UserError
from data.files import natural_key
from unet_common.networks import CATALOGUE, Network
from unet_common.weights import interchange
from unet_common.weights.initial import Initialisation
from unet_common.weights.interchange import Weights

AXES = {
    2: "[batch, height, width, channels]",
    3: "[batch, depth0, depth1, depth2, channels]",
}
"""The axes of images by their spatial rank, as in messages."""


class Model(ABC):
    """A network with its weights: predict, loss and gradients, interchange.

    Each implementation has a class `Model` of this kind, and the consistency tests compare what they give. Several
    threads may call one: a call waits until those of other threads are done, since each sets the step that dropout
    masks belong to. The API's own objects, such as `session` and `keras_model`, do not wait.

    network: its hyperparameters.
    precision: `float32` or `float64`.
    variables: the API's own variables by canonical name, moving statistics included.
    """

    variables: dict[str, Any]

    def __init__(
        self,
        network: Network,
        seed: int = 0,
        precision: str = "float32",
        initialisation: Initialisation = "he_normal",
    ):
        """Build `network` in `float32` or `float64`, with initial weights drawn from `seed` by a rule."""
        self.network, self.precision = network, precision
        self._one_call = Lock()
        self._build(seed, initialisation)

    @property
    def _package(self) -> Path:
        """The folder of the implementation."""
        return Path(inspect.getfile(type(self))).parent

    def weights(self) -> Weights:
        """The weights under their canonical names, moving statistics included."""
        with self._one_call:
            return self._weights()

    def set_weights(self, weights: Weights, origin: str = "memory") -> None:
        """Replace all weights.

        Args:
            origin: where they come from, for the message.

        Raises:
            UserError: names or shapes differ from the network's.
        """
        shapes = {name: tuple(variable.shape) for name, variable in self.variables.items()}
        interchange.check_weights(weights, shapes, origin)
        with self._one_call:
            self._assign(weights)

    def load(self, path: Path | str) -> None:
        """Read an interchange file. Raises UserError as `unet_common.weights.interchange.load_weights`."""
        self.set_weights(interchange.load_weights(path, self.network), str(path))

    def save(self, path: Path | str) -> None:
        """Write an interchange file."""
        interchange.save_weights(path, self.weights(), self.network)

    def predict(self, images: ArrayLike, training: bool = False, step: int = 0) -> np.ndarray:
        """Images `[batch, *size, channels]` -> logits `[batch, *output size, classes]`.

        `training` uses the batch's statistics and the dropout masks of `step`; no state changes.

        Raises:
            UserError: the images are no numbers or none, or their axes, channels or size do not fit the network.
        """
        images = checked_images(images, self.network, self.precision)
        with self._one_call:
            return self._predict(images, training, step)

    def attention(self, images: ArrayLike) -> list[np.ndarray]:
        """Images `[batch, *size, channels]` -> attention maps `[batch, *size of the level, 1]`, the finest first.

        Values in [0, 1], in inference mode.

        Raises:
            UserError: the network has no such maps, or the images do not fit it, as in `predict`.
        """
        if self.network.attention_weight is None:
            having = [
                name for name, of in CATALOGUE.items() if of.model_validate({}).attention_weight is not None
            ]
            raise UserError(f"{self.network.name} has no attention maps; {', '.join(having)} has.")
        images = checked_images(images, self.network, self.precision)
        with self._one_call:
            return [scipy.special.expit(logits) for logits in self._attention(images)]

    def levels(self) -> list[str]:
        """The blocks and layers whose `features` can be had, by canonical name: `encoder1`, `encoder1/conv1`, ..."""
        with self._one_call:
            tensors = self._named_tensors(False)
        parts = interchange.parts_of(self.variables)
        return sorted((name for name in tensors if name in parts), key=natural_key)

    def check_level(self, level: str) -> None:
        """Raise UserError, with what there is, if no block or layer is called so."""
        levels = self.levels()
        if level not in levels:
            within = [name for name in levels if any(name.startswith(f"{other}/") for other in levels)]
            first = [name for name in levels if name not in within]
            raise UserError(
                f"{self.network.name} has no features '{level}'. It has {', '.join(first)}, and layers within some of "
                "them, written as LEVEL/LAYER."
            )

    def features(self, images: ArrayLike, level: str) -> np.ndarray:
        """Images `[batch, *size, channels]` -> what a block or layer gives, `[batch, *size of the level, channels]`.

        In inference mode. A network with two inputs has a batch of both, those of the first first.

        Args:
            level: one of `levels`.

        Raises:
            UserError: there is no such level, or the images do not fit the network, as in `predict`.
        """
        self.check_level(level)
        images = checked_images(images, self.network, self.precision)
        with self._one_call:
            tensors = {level: self._named_tensors(False)[level]}
            return self._evaluate(tensors, images, False)[level]

    def layer_outputs(self, images: ArrayLike, training: bool = False) -> dict[str, np.ndarray]:
        """The outputs of all blocks and layers for images, by name, with some that only this API has a name for.

        `training` uses the batch's statistics and the dropout masks of step 0; no state changes.

        Raises:
            UserError: the images do not fit the network, as in `predict`.
        """
        images = checked_images(images, self.network, self.precision)
        with self._one_call:
            return self._evaluate(self._named_tensors(training), images, training)

    def loss_and_gradients(
        self, images: ArrayLike, targets: ArrayLike, loss: str, step: int = 0
    ) -> tuple[float, Weights]:
        """The loss of a batch in training mode, and its gradient with respect to every trainable weight.

        Args:
            images: `[batch, *size, channels]`.
            targets: `[batch, *size, classes]`, or the middle of that with the size of the logits, if they are smaller.
                Deep supervision takes the same. Values in [0, 1]: of one class, and of each with `multilabel`, 1 in it
                and 0 outside, between them for soft labels; of several classes without, 1 at the pixel's, 0 at the
                others. Below 0 a target is ignored, with a softmax in all classes of the pixel.
                `data.labels.outputs.Outputs.encode` makes them of label maps.
            loss: an expression as in `unet_common.losses`.
            step: keys the dropout masks.

        Raises:
            UserError: the images do not fit the network, the targets not the images, or the loss is not understood.
        """
        images = checked_images(images, self.network, self.precision)
        targets = checked_targets(targets, images, self.network, self.precision)
        ignoring = bool((targets < 0).any())
        with self._one_call:
            return self._loss_and_gradients(images, targets, loss, ignoring, step)

    @abstractmethod
    def _build(self, seed: int, initialisation: Initialisation) -> None:
        """Make the network in `precision`, with its initial weights, and fill `variables`."""

    @abstractmethod
    def _weights(self) -> Weights: ...

    @abstractmethod
    def _assign(self, weights: Weights) -> None:
        """Set all variables to values of the right names and shapes."""

    @abstractmethod
    def _predict(self, images: np.ndarray, training: bool, step: int) -> np.ndarray: ...

    @abstractmethod
    def _attention(self, images: np.ndarray) -> list[np.ndarray]:
        """The logits of all attention maps, which are the outputs after the first."""

    @abstractmethod
    def _named_tensors(self, training: bool) -> dict[str, Any]:
        """The API's own tensors that layers and blocks give, by canonical name."""

    @abstractmethod
    def _evaluate(
        self, tensors: Mapping[str, Any], images: np.ndarray, training: bool
    ) -> dict[str, np.ndarray]:
        """The values of some of the `_named_tensors` for images."""

    @abstractmethod
    def _loss_and_gradients(
        self, images: np.ndarray, targets: np.ndarray, loss: str, ignoring: bool, step: int
    ) -> tuple[float, Weights]: ...


def checked_images(images: ArrayLike, network: Network, dtype: str) -> np.ndarray:
    """The images `[batch, *size, channels]` as an array of `dtype`: an array that does not fit is refused here.

    An API would refuse some of it in words of its own, and take some without a word: TensorFlow's convolutions take
    channels for groups, and losses repeat a single target for all images. Images without channels end the process. The
    batches of a training are not checked: `data.pipeline` makes them, of static shapes.

    Raises:
        UserError: they are no numbers, have other axes or channels than the network, are none, or have a size that it
            does not accept.
    """
    array = _numbers(images, "images")
    given = f"their shape is {array.shape}"
    if array.ndim != network.rank + 2:
        raise UserError(f"The images must be {AXES[network.rank]}; {given}.")
    if array.shape[-1] != network.channels:
        channels = "1 channel" if network.channels == 1 else f"{network.channels} channels"
        raise UserError(f"The images must have {channels} on their last axis; {given}.")
    if len(array) == 0:
        raise UserError(f"The images must be one at least; {given}.")
    network.output_size(array.shape[1:-1])
    return array.astype(dtype, copy=False)


def checked_targets(targets: ArrayLike, images: np.ndarray, network: Network, dtype: str) -> np.ndarray:
    """The targets of `images`, which are checked, as an array of `dtype`.

    Raises:
        UserError: they are no numbers, have another shape than `Model.loss_and_gradients` says, or are above 1.
    """
    array = _numbers(targets, "targets")
    batch, *size = images.shape[:-1]
    sizes = dict.fromkeys((tuple(size), network.output_size(tuple(size))))
    shapes = [(batch, *size, network.classes) for size in sizes]
    if array.shape not in shapes:
        hint = ""
        if array.shape in [shape[:-1] for shape in shapes]:
            hint = ", and `Outputs.encode` makes targets of a label map"
        raise UserError(
            f"The targets of these images must have the shape {' or '.join(map(str, shapes))}; theirs is "
            f"{array.shape}{hint}."
        )
    if (largest := array.max()) > 1:
        raise UserError(
            f"The targets must lie in 0 to 1, or below where they are ignored; the largest is {largest}."
        )
    return array.astype(dtype, copy=False)


def _numbers(values: ArrayLike, name: str) -> np.ndarray:
    """The values as an array of booleans, whole or real numbers. Raises UserError if they are none."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise UserError(f"The {name} must be an array of numbers; {error}") from None
    if array.dtype.kind not in "biuf":
        raise UserError(f"The {name} must be an array of numbers; their type is {array.dtype}.")
    return array
