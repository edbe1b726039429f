"""The validation images with the truth and the three predictions, as pictures within the page."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from PIL import Image

from data.drawing.images import coloured, displayed, grey_limits, overlay
from data.drawing.slices import middle
from data.labels.label_maps import largest_class
from unet_common.evaluation.report import predict_all
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.metrics.pixels import pixel_scores
from unet_common.prediction.predictor import Prediction
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.run import Run

# Cases that are shown, the longest side of a picture, and what all pictures together may take of the page.
MAX_CASES, MAX_SIDE, MAX_BYTES = 3, 512, 4 * 2**20


@dataclass(frozen=True)
class Layer:
    """A picture that the slider can show. `uri` holds all of it; `text` says what is seen."""

    key: str
    title: str
    text: str
    uri: str


@dataclass(frozen=True)
class ShownCase:
    """An image, or a slice of a volume, with its layers.

    size: width and height in pixels. facts: in words, how the predictions differ from truth and from each other.
    """

    title: str
    size: tuple[int, int]
    layers: tuple[Layer, ...]
    facts: tuple[str, ...]


def shown_cases(runs: Sequence[Run]) -> list[ShownCase]:
    """The first validation cases, predicted by each run with its own best weights.

    Later cases are left out when the pictures become too large for a page.
    """
    if not runs[0].split.validation:
        return []
    of_runs = [
        list(predict_all([run], None, "best", PredictionSettings(), probabilities=True, first=MAX_CASES))
        for run in runs
    ]
    shown: list[ShownCase] = []
    for of_case in zip(*of_runs, strict=True):
        predictions = dict(zip(IMPLEMENTATIONS, of_case, strict=True))
        views = list(_views(predictions, runs[0].network.rank))
        if shown and sum(len(layer.uri) for view in [*shown, *views] for layer in view.layers) > MAX_BYTES:
            break
        shown += views
    return shown


# Cuts a plane out of what belongs to a case: [*size, ...] -> [height, width, ...].
Cut = Callable[[np.ndarray], np.ndarray]


def _views(predictions: Mapping[str, Prediction], rank: int) -> Iterator[ShownCase]:
    """An image is one view, of a stack of pages its middle; a volume is three slices through its foreground."""
    first = predictions[IMPLEMENTATIONS[0]]
    case, facts = first.case, _facts(predictions)
    if case.image.ndim == 3:
        yield _shown(case.name, lambda array: array, predictions, facts)
    elif rank == 2:
        page = len(case.image) // 2
        yield _shown(f"{case.name}, page {page + 1}", lambda array: array[page], predictions, facts)
    else:
        place = middle(first.label if case.label is None else case.label)
        for axis, index in enumerate(place):
            title = f"{case.name}, slice {index + 1} of {case.image.shape[axis]} across axis {axis}"
            yield _shown(title, _across(axis, index), predictions, facts)


def _across(axis: int, index: int) -> Cut:
    """A slice; the first remaining axis leads to the right and the second up, as radiology has it."""
    return lambda array: np.flip(np.swapaxes(np.take(array, index, axis), 0, 1), 0)


def _shown(title: str, cut: Cut, predictions: Mapping[str, Prediction], facts: tuple[str, ...]) -> ShownCase:
    first = predictions[IMPLEMENTATIONS[0]]
    case, overlapping = first.case, first.outputs.overlapping
    image, truth = cut(case.image), None if case.label is None else cut(_truth(first))
    limits = grey_limits(case.image, 0.5)
    layers = [Layer("image", "image", "the image", uri(displayed(image, limits)))]
    if truth is not None:
        layers.append(Layer("truth", "truth", "the true classes", uri(coloured(truth, overlapping))))
    foregrounds = {name: cut(_foreground(prediction)) for name, prediction in predictions.items()}
    for name, foreground in foregrounds.items():
        text = f"the probability of foreground that {name} predicts, from black for 0 to white for 1"
        layers.append(Layer(name, f"{name}: probability", text, uri(foreground)))
    for name, prediction in predictions.items():
        picture = overlay(image, truth, cut(prediction.label), overlapping) / 255
        text = (
            f"contours on the image: truth sky blue, {name}'s prediction vermilion, yellow where they are one"
        )
        layers.append(Layer(f"{name}-contours", f"{name}: contours", text, uri(picture)))
    pairs = {
        pair: np.abs(foregrounds[pair[0]] - foregrounds[pair[1]]) for pair in combinations(foregrounds, 2)
    }
    largest = max(float(difference.max()) for difference in pairs.values())
    for pair, difference in pairs.items():
        name = f"{pair[0]} − {pair[1]}"
        text = f"the difference of the probabilities of {pair[0]} and {pair[1]}; white is {largest:.2g}"
        layers.append(Layer("-".join(pair), f"difference {name}", text, uri(difference / (largest or 1))))
    return ShownCase(title, (image.shape[1], image.shape[0]), tuple(layers), facts)


def _truth(prediction: Prediction) -> np.ndarray:
    """The labels as the network's classes are: one class is all that is not background."""
    label = prediction.case.label
    return label if prediction.outputs.predicted > 1 else (label > 0).astype(np.uint8)


def _foreground(prediction: Prediction) -> np.ndarray:
    """[*size] probability of the one class, of all but the background, or of the likeliest that may overlap."""
    if prediction.outputs.multilabel:
        return prediction.probability.max(axis=-1)
    first = prediction.probability[..., 0]
    return first if prediction.outputs.predicted == 1 else 1 - first


def _facts(predictions: Mapping[str, Prediction]) -> tuple[str, ...]:
    """Dice of each, and how far each pair is apart."""
    facts = []
    first = next(iter(predictions.values()))
    if first.case.label is not None:
        scores = []
        for name, prediction in predictions.items():
            maps = _truth(prediction), prediction.label
            classes = max(1, *(largest_class(labels, prediction.outputs.overlapping) for labels in maps)) + 1
            dice = pixel_scores(*maps, classes, prediction.outputs.overlapping).foreground_means()["dice"]
            scores.append(f"{name} {dice:.4f}")
        facts.append(f"Dice: {', '.join(scores)}.")
    for one, other in combinations(predictions, 2):
        maps = predictions[one].label, predictions[other].label
        count, total = int(np.count_nonzero(maps[0] != maps[1])), maps[0].size
        furthest = float(np.abs(predictions[one].probability - predictions[other].probability).max())
        facts.append(
            f"{one} and {other}: {count} of {total} {'pixels have' if count != 1 else 'pixel has'} another class; "
            f"probabilities differ by at most {furthest:.2g}."
        )
    return tuple(facts)


def uri(picture: np.ndarray) -> str:
    """A picture [height, width] or [height, width, 3] in 0..1 as a data URI; large ones are reduced."""
    pixels = Image.fromarray(np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8))
    if max(pixels.size) > MAX_SIDE:
        pixels.thumbnail((MAX_SIDE, MAX_SIDE))
    stream = io.BytesIO()
    pixels.save(stream, "WEBP", lossless=True, quality=100)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
