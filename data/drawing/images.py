"""Images with label maps as pictures: colours, overlays, contours.

Figures are made with `matplotlib.figure.Figure`, not with pyplot: no window, no global state, safe in
a thread beside a training.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from skimage.measure import find_contours
from skimage.segmentation import find_boundaries

from data.files import replacing
from data.labels.label_maps import class_masks, largest_class

# Okabe and Ito 2008, "Color Universal Design": told apart with every common colour blindness.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"

# Contours of an overlay. Where both lie on each other there is a third colour, so that what is
# right, what was missed and what was made up can be seen at a glance.
TRUTH_COLOUR, PREDICTION_COLOUR, BOTH_COLOUR = SKY, VERMILION, YELLOW

# Classes 1, 2, ... of a label map with several; they repeat after the last.
CLASS_COLOURS = (ORANGE, SKY, GREEN, PURPLE, YELLOW, BLUE, VERMILION)

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
}
"""Of curves, for `matplotlib.rc_context`."""

PICTURE_STYLE: dict[Any, Any] = {**STYLE, "axes.grid": False, "text.parse_math": False}
"""Of images. Names of cases and classes are texts, whatever is in them, and no formulas."""


def save_figure(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write a figure as an image file, which is replaced as a whole."""
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, facecolor="white")


def overlay(
    image: np.ndarray,
    truth: np.ndarray | None,
    prediction: np.ndarray,
    overlapping: bool = False,
    several: bool | None = None,
) -> np.ndarray:
    """Contours of truth and prediction on an image.

    The truth's outline is sky blue, the prediction's vermilion, yellow where they lie on each other. Where there are
    several classes, the predicted ones are also tinted, each in its colour.

    image: [height, width, channels], any range; stretched to its 1st..99th percentile. One channel is grey, three
        are colour, of others the first is shown.
    truth: [height, width] class indices, or None if unknown. prediction: [height, width] class indices.
    overlapping: these are sets of classes (see `data.labels.label_maps`); a set has the mean of its classes' colours.
    several: as of `coloured`.
    Returns uint8 [height, width, 3]. Raises ValueError for other heights and widths.
    """
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if labels is not None and labels.shape != image.shape[:2]:
            raise ValueError(f"{name} has shape {labels.shape}, the image {image.shape[:2]}")
    picture = 0.8 * displayed(image)  # darker, so that the brightest thing is the contours
    if _several(prediction, several):
        inside = prediction > 0
        picture[inside] = 0.65 * picture[inside] + 0.35 * coloured(prediction, overlapping, several)[inside]

    predicted = contour(prediction)
    true = np.zeros_like(predicted) if truth is None else contour(truth)
    picture[predicted] = to_rgb(PREDICTION_COLOUR)
    picture[true] = to_rgb(TRUTH_COLOUR)
    picture[predicted & true] = to_rgb(BOTH_COLOUR)
    return np.round(picture * 255).astype(np.uint8)


def displayed(image: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    """An image [*size, channels] of any range as colours [*size, 3] in 0..1.

    limits: values that become black and white; the `grey_limits` of the image if None.
    """
    shown = _shown_channels(image)
    low, high = limits or grey_limits(image)
    scaled = np.clip((shown - low) / max(high - low, 1e-6), 0, 1)
    return np.array(np.broadcast_to(scaled, (*image.shape[:-1], 3)), dtype=np.float64)


def grey_limits(image: np.ndarray, percent: float = 1.0) -> tuple[float, float]:
    """Percentiles of an image [*size, channels]: a stretch of the greys that outliers cannot spoil.

    percent: of the values that are below the lower limit, and above the upper one.
    """
    values = np.ravel(_shown_channels(image))
    step = values.size // 1_000_000 | 1  # a sample is enough; odd, so that it is none of single columns
    low, high = np.percentile(values[::step], (percent, 100 - percent))
    return float(low), float(high)


def _shown_channels(image: np.ndarray) -> np.ndarray:
    return image if image.shape[-1] == 3 else image[..., :1]


def coloured(labels: np.ndarray, overlapping: bool = False, several: bool | None = None) -> np.ndarray:
    """The colours, [height, width, 3] in 0..1, of class indices [height, width]; background is black.

    One foreground class is white; several have the colours of `CLASS_COLOURS`, and sets of classes the mean of theirs.

    several: whether the data has several foreground classes, which an image need not show; None: as this one has.
    """
    several = _several(labels, several)
    if overlapping and several and labels.any():
        masks = class_masks(labels, largest_class(labels, True), True)
        palette = np.array([to_rgb(class_colour(index + 1)) for index in range(masks.shape[-1])])
        return masks @ palette / np.maximum(masks.sum(-1, keepdims=True), 1)
    colours = CLASS_COLOURS if several else ("white",)
    palette = np.array([to_rgb(colour) for colour in colours])
    return np.where((labels > 0)[..., None], palette[(labels.astype(int) - 1) % len(palette)], 0.0)


def _several(labels: np.ndarray, known: bool | None) -> bool:
    return bool(labels.max(initial=0) > 1) if known is None else known


def contour(labels: np.ndarray) -> np.ndarray:
    """The pixels of the foreground that touch another class, bool [height, width]."""
    return find_boundaries(labels, mode="inner", background=0)


def class_colour(index: int) -> str:
    """The colour of class 1, 2, ..."""
    return CLASS_COLOURS[(index - 1) % len(CLASS_COLOURS)]


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Closed lines just inside the border of a mask [height, width], with the corners cut.

    Unlike the pixels of `contour` they cover next to nothing, however few pixels there are, and those of two
    classes that touch lie beside each other.

    Returns float [points, 2] each: x and y in pixels; the centres of pixels are whole numbers.
    """
    # Beyond the image is outside, so that lines close along its border. 0.5 would be the border itself.
    lines = find_contours(np.pad(mask.astype(np.float32), 1), 0.6)
    return [line[:, ::-1] - 1 for line in lines]
