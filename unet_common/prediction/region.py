"""Prediction in series: the whole image, then the region around the largest object that was found in it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from data.preprocessing.regions import region_of
from unet_common.networks import Network
from unet_common.prediction.sliding_window import Predict, predict_probabilities


def look_twice(
    predict: Predict,
    image: np.ndarray,
    network: Network,
    *arguments: Any,
    threshold: float = 0.5,
    one_look: bool = False,
    **settings: Any,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Class probabilities of one image by a network that takes an image with its region.

    The first look gives all classes. What it finds says where the region is; the second look says which pixels of
    the region are of the last classes, and all others are not. Without an object there is no second look.

    Args:
        predict: logits of `[batch, *size, 2 * channels]`, the image and its region.
        image: [*size, channels], normalised as in training.
        threshold: from this probability on a pixel belongs to an object.
        one_look: leave out the second.
        arguments, settings: as those of `predict_slabs`.

    Yields:
        (all rows of the image, probabilities float32 [*size, classes]), once: a region needs the whole image.
    """
    looked_for = network.second_look.classes
    whole = network.model_copy(update={"classes": network.foreground_classes})
    region = network.model_copy(update={"classes": looked_for})

    result = predict_probabilities(partial(_first, predict, network), image, whole, *arguments, **settings)
    masks = result >= threshold
    if masks.any() and not one_look:
        enlarged, window = region_of(image, masks, network.second_look)
        found = predict_probabilities(
            partial(_second, predict, network), enlarged, region, *arguments, **settings
        )
        result[..., -looked_for:] = window.pasted(found)
    yield slice(0, len(image)), result


def _first(predict: Predict, network: Network, images: np.ndarray) -> np.ndarray:
    """The outputs for whole images. The region is not known yet; anything may stand in for it."""
    return predict(np.concatenate([images, images], axis=-1))[..., : network.foreground_classes]


def _second(predict: Predict, network: Network, regions: np.ndarray) -> np.ndarray:
    """The outputs for regions, whatever the whole images are."""
    return predict(np.concatenate([regions, regions], axis=-1))[..., network.foreground_classes :]
