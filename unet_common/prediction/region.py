"""Prediction in series: the whole image, then the region around the largest object that was found in it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from data.preprocessing.regions import region_of
from unet_common.networks import Network
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import Predict, predict_probabilities


def predict_with_region(
    predict: Predict,
    image: np.ndarray,
    network: Network,
    settings: PredictionSettings,
    axes: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Class probabilities of one image by a network that takes an image with its region.

    The whole image gives all classes. What is found there says where the region is; the region says which of its
    pixels are of the last classes, and all others are not. Without an object there is no region.

    Args:
        predict: logits of `[batch, *size, 2 * channels]`, the image and its region.
        image: [*size, channels], normalised as in training.
        settings: from `threshold` on a pixel belongs to an object; with `one_look` the image is all.
        axes, progress: as those of `predict_slabs`.

    Yields:
        (all rows of the image, probabilities float32 [*size, classes]), once: a region needs the whole image.
    """
    regions = network.region_of_interest
    assert regions is not None
    looked_for = regions.classes
    whole = network.model_copy(update={"classes": network.foreground_classes})
    region = network.model_copy(update={"classes": looked_for})

    result = predict_probabilities(
        partial(_of_whole, predict, network), image, whole, settings, axes, progress=progress
    )
    masks = result >= settings.threshold
    if masks.any() and not settings.one_look:
        enlarged, window = region_of(image, masks, regions)
        found = predict_probabilities(
            partial(_of_region, predict, network), enlarged, region, settings, axes, progress=progress
        )
        result[..., -looked_for:] = window.pasted(found)
    yield slice(0, len(image)), result


def _of_whole(predict: Predict, network: Network, images: np.ndarray) -> np.ndarray:
    """The outputs for whole images. The region is not known yet; anything may stand in for it."""
    return predict(np.concatenate([images, images], axis=-1))[..., : network.foreground_classes]


def _of_region(predict: Predict, network: Network, regions: np.ndarray) -> np.ndarray:
    """The outputs for regions, whatever the whole images are."""
    return predict(np.concatenate([regions, regions], axis=-1))[..., network.foreground_classes :]
