"""Mean and standard deviation of the training images, with which every image is normalised."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from data.errors import UserError
from data.files import write_text
from data.settings import Settings


class Statistics(Settings):
    """Mean, standard deviation and range of every channel, in the images' own units.

    minimum, maximum: None in files from before they were kept.
    """

    mean: list[float]
    std: list[float]
    minimum: list[float] | None = None
    maximum: list[float] | None = None

    def __str__(self) -> str:
        if self.minimum is None or self.maximum is None:
            return " and ".join(
                f"mean {mean:.4g}, deviation {std:.4g}" for mean, std in zip(self.mean, self.std, strict=True)
            )
        return " and ".join(
            f"{low:.4g} to {high:.4g} (mean {mean:.4g})"
            for low, high, mean in zip(self.minimum, self.maximum, self.mean, strict=True)
        )

    def normalise(self, image: np.ndarray) -> np.ndarray:
        """The image, float32 [*size, channels], with mean 0 and standard deviation 1 over the training set.

        Raises UserError if the image has another number of channels.
        """
        if image.shape[-1] != len(self.mean):
            raise UserError(
                f"The image has {image.shape[-1]} channels, but the training images had {len(self.mean)}."
            )
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return (image.astype(np.float32) - mean) / std

    def save(self, path: Path) -> None:
        """Write the statistics as JSON."""
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Read saved statistics. Raises UserError if the file is missing or damaged."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(f"The statistics {path} cannot be read: {error.strerror}.") from error
        except ValidationError as error:
            raise UserError(
                f"{path} is not a file of statistics: it must be JSON with the lists 'mean' and "
                "'std', one number a channel."
            ) from error


def statistics(images: Iterable[np.ndarray], channels: int) -> Statistics:
    """Statistics over all pixels of (training) images [..., channels], one of them in memory at a time.

    A channel that is constant gets the standard deviation 1: normalised, it is 0.
    """
    count, mean = 0, np.zeros(channels)
    squares = np.zeros(channels)  # sum of the squared deviations from the mean
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    for image in images:
        pixels = image.reshape(-1, channels).astype(np.float64)
        # Chan, Golub & LeVeque 1983: merges two sets without the cancellation of E[x^2] - E[x]^2.
        total = count + len(pixels)
        shift = pixels.mean(axis=0) - mean
        squares = squares + pixels.var(axis=0) * len(pixels) + shift**2 * count * len(pixels) / total
        mean = mean + shift * len(pixels) / total
        count = total
        low, high = np.minimum(low, pixels.min(axis=0)), np.maximum(high, pixels.max(axis=0))
    std = np.sqrt(squares / max(count, 1))
    negligible = std <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
    return Statistics(
        mean=mean.tolist(),
        std=np.where(negligible, 1.0, std).tolist(),
        minimum=low.tolist() if count else None,
        maximum=high.tolist() if count else None,
    )
