"""Reasons why a prediction may be worse than it could be, in words."""

import numpy as np

from data.preprocessing.preprocessor import Prepared
from data.source import Case
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.run import Run

FAR = 4.0
"""Deviations of the training images. An image whose mean lies further away than this, or whose own deviation is larger,
or smaller than the inverse of the square, is of another depth or kind."""


def remarks_on(
    run: Run, case: Case, prepared: Prepared, settings: PredictionSettings, in_tiles: bool
) -> tuple[str, ...]:
    """Facts on the image of a prediction, and on the way it was looked at, for those who read it."""
    remarks = []
    if "overlap" in settings.model_fields_set and not in_tiles:
        remarks.append("--overlap had no effect: predicted in one piece, not in tiles (--tile)")
    if in_tiles and run.network.sees_everything and not run.network.fixed_size:
        remarks.append(
            "Predicted in tiles, which is not what the whole would give: this network normalises, or attends to, each "
            "tile by itself"
        )
    if run.prepare.settings.normalisation != "case" and is_far(prepared.measured):
        remarks.append(
            f"Warning: values far from those of the training images, here {_range_of(case.image)}, there "
            f"{run.statistics}: another bit depth, or another kind of image?"
        )
    return tuple(remarks)


def is_far(normalised: np.ndarray) -> bool:
    """True if pixels [pixels, channels] are not near mean 0 and deviation 1, those of the training images."""
    mean, deviation = normalised.mean(axis=0), normalised.std(axis=0)
    return bool((np.abs(mean) > FAR).any() or (deviation > FAR).any() or (deviation < FAR**-2).any())


def _range_of(image: np.ndarray) -> str:
    """The values of an image [*size, channels], channel by channel."""
    return " and ".join(
        f"{channel.min():.4g} to {channel.max():.4g} (mean {channel.mean():.4g})"
        for channel in np.moveaxis(image, -1, 0)
    )
