"""Losses that look at the borders of objects."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from scipy.ndimage import distance_transform_edt, find_objects, label

from unet_common.loss_terms import Weights
from unet_common.losses.cross_entropies import of_pixels
from unet_common.losses.overlap import soft_dice
from unet_common.losses.pixels import Pixels
from unet_common.losses.weighting import of_outcomes, weighted_mean

# In units of sigma: where the distances to two cells add up to more, the weight is below w0 * 2e-8.
REACH = 6


def border_dice(pixels: Pixels, *, squared: bool, smooth: float, weights: Weights | None) -> tf.Tensor:
    """The loss 1 - soft Dice of the borders: pixels with foreground and background among their neighbours.

    A border is the product of the largest value and the largest 1 - value of 3 x 3 (x 3) pixels.
    """
    truth, predicted = (_border(values) for values in pixels.all_foreground())
    if pixels.counted is not None:
        known = _known(pixels.counted[..., 1:] if pixels.exclusive else pixels.counted)
        truth, predicted = truth * known, predicted * known
    return 1 - weighted_mean(soft_dice(truth, predicted, pixels.axes, squared, smooth), weights)


def border_cross_entropy(pixels: Pixels, *, border: float) -> tf.Tensor:
    """Cross-entropy in which pixels on the border of a class count `border` more: 1 + border.

    They are those whose Laplacian over 3 x 3 (x 3) pixels of the truth is not 0, on either side of the border. Of a
    softmax the borders of all classes count, of sigmoids those of each class in its own question.
    """
    edges, counted = _border(pixels.targets), pixels.counted_questions
    if pixels.exclusive:
        edges = tf.reduce_max(edges, -1, keepdims=True)
    if counted is not None:
        edges *= _known(counted)
    return pixels.mean((1 + border * edges) * of_pixels(pixels))


def boundary_weighted_cross_entropy(
    pixels: Pixels,
    *,
    w0: float,
    sigma: float,
    weights: Weights | None,
    cells: int | None,
) -> tf.Tensor:
    """Ronneberger et al. 2015 (U-Net), equations 1 and 2: narrow gaps between cells count up to w0 more.

    weights: of the classes, w_c in the paper, the background first; without them all are 1.
    cells: the class whose connected parts are the cells; without it, every class but the background. Where the
        membranes are the foreground, the cells are class 0.
    sigma: in pixels; with deep supervision in pixels of each level.

    What is ignored belongs to no cell.
    """

    def extra(targets: np.ndarray) -> np.ndarray:
        return np.stack([_gaps(image, pixels.exclusive, cells, w0, sigma) for image in targets]).astype(
            targets.dtype
        )

    values, targets = of_pixels(pixels), pixels.targets
    if pixels.counted is not None:
        targets = tf.where(pixels.counted > 0, targets, -tf.ones_like(targets))
    counts = tf.numpy_function(extra, [targets], targets.dtype, stateful=False)
    counts = tf.ensure_shape(counts, values.shape)
    if weights is None:
        counts += 1
    else:
        counts += tf.reduce_sum(of_outcomes(weights, pixels) * pixels.log_probabilities()[0], -1)
    return pixels.mean(counts * values)


def _border(values: tf.Tensor) -> tf.Tensor:
    return _largest_nearby(values) * _largest_nearby(1 - values)


def _known(counted: tf.Tensor) -> tf.Tensor:
    """1 where all neighbours are counted: where one is ignored, nobody knows whether there is a border."""
    return 1 - _largest_nearby(1 - counted)


def _largest_nearby(values: tf.Tensor) -> tf.Tensor:
    """The largest of each pixel and its neighbours, axis after axis: TensorFlow has no 3D max pooling in float64."""
    for axis in range(1, values.shape.rank - 1):
        before = [slice(None)] * axis
        first, last = values[(*before, slice(0, 1))], values[(*before, slice(-1, None))]
        left = tf.concat([first, values[(*before, slice(0, -1))]], axis)
        right = tf.concat([values[(*before, slice(1, None))], last], axis)
        values = tf.maximum(tf.maximum(left, right), values)
    return values


def _gaps(targets: np.ndarray, exclusive: bool, cells: int | None, w0: float, sigma: float) -> np.ndarray:
    """The second part of equation 2 for one image: targets `[*size, classes]` -> `[*size, questions]`."""
    questions = []
    for masks in _cells(targets, exclusive, cells):
        nearest, second = np.full((2, *targets.shape[:-1]), np.inf)
        reach = int(np.ceil(REACH * sigma))
        for mask in masks:
            numbers, _count = label(mask)
            for number, box in enumerate(find_objects(numbers), 1):
                around = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
                distance = distance_transform_edt(numbers[around] != number)
                first = nearest[around]  # a view: what is found is written into `nearest`
                second[around] = np.minimum(second[around], np.maximum(first, distance))
                nearest[around] = np.minimum(first, distance)
        gap = w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2))
        questions.append(np.where(np.any(masks, axis=0), 0, gap))
    return np.stack(questions, -1)


def _cells(targets: np.ndarray, exclusive: bool, cells: int | None) -> Iterator[list[np.ndarray]]:
    """The masks, for each question, in which connected pixels are one cell."""
    if not exclusive:
        for index in range(targets.shape[-1]):
            inside, outside = (
                targets[..., index] > 0.5,
                (targets[..., index] <= 0.5) & (targets[..., index] >= 0),
            )
            yield [outside if cells == 0 else inside]
        return
    classes = np.where(targets[..., 0] >= 0, np.argmax(targets, -1), -1)
    numbers = range(1, targets.shape[-1]) if cells is None else [cells]
    yield [classes == number for number in numbers]
