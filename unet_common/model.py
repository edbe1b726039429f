"""The contract of `Model`: a network with its weights, whatever API computes it."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from unet_common.networks import Network
from unet_common.weights import interchange
from unet_common.weights.initial import Initialisation
from unet_common.weights.interchange import Weights


class Model(ABC):
    """A network with its weights: predict, loss and gradients, interchange.

    Each implementation has a class `Model` of this kind, and the consistency tests compare what they give.

    network: its hyperparameters.
    variables: the API's own variables by canonical name, moving statistics included.
    """

    network: Network
    variables: dict[str, Any]

    @abstractmethod
    def __init__(
        self,
        network: Network,
        seed: int = 0,
        precision: str = "float32",
        initialisation: Initialisation = "he_normal",
    ):
        """Build `network` in `float32` or `float64`, with initial weights drawn from `seed` by a rule."""

    @abstractmethod
    def weights(self) -> Weights:
        """The weights under their canonical names, moving statistics included."""

    def set_weights(self, weights: Weights, origin: str = "memory") -> None:
        """Replace all weights.

        Args:
            origin: where they come from, for the message.

        Raises:
            UserError: names or shapes differ from the network's.
        """
        shapes = {name: tuple(variable.shape) for name, variable in self.variables.items()}
        interchange.check_weights(weights, shapes, origin)
        self._assign(weights)

    def load(self, path: Path | str) -> None:
        """Read an interchange file. Raises UserError as `unet_common.weights.interchange.load_weights`."""
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
        return self._predict(images, training, step)

    def loss_and_gradients(
        self, images: np.ndarray, targets: np.ndarray, loss: str, step: int = 0
    ) -> tuple[float, Weights]:
        """The loss of a batch in training mode, and its gradient with respect to every trainable weight.

        Args:
            images: `[batch, *size, channels]`.
            targets: `[batch, *size, classes]`.
            loss: an expression as in `unet_common.losses`.
            step: keys the dropout masks.

        Raises:
            UserError: the network does not accept the size.
        """
        self.network.output_size(images.shape[1:-1])
        return self._loss_and_gradients(images, targets, loss, step)

    @abstractmethod
    def _assign(self, weights: Weights) -> None:
        """Set all variables to values of the right names and shapes."""

    @abstractmethod
    def _predict(self, images: np.ndarray, training: bool, step: int) -> np.ndarray: ...

    @abstractmethod
    def _loss_and_gradients(
        self, images: np.ndarray, targets: np.ndarray, loss: str, step: int
    ) -> tuple[float, Weights]: ...
