"""Predictions of images as PNG files: image, truth, prediction and their contours side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from data.drawing.images import (
    BOTH_COLOUR,
    PICTURE_STYLE,
    PREDICTION_COLOUR,
    TRUTH_COLOUR,
    YELLOW,
    coloured,
    displayed,
    overlay,
    save_figure,
)
from data.labels.label_maps import largest_class
from unet_common.metrics.pixels import pixel_scores


@dataclass(frozen=True)
class ShownImage:
    """A case for `overlay_figure`. Of a volume, show a slice."""

    name: str
    image: np.ndarray  # [height, width, channels]
    prediction: np.ndarray  # [height, width] class indices
    probability: np.ndarray  # [height, width, classes]
    truth: np.ndarray | None = None  # [height, width] class indices
    overlapping: bool = False  # truth and prediction are sets of classes (see `data.labels.label_maps`)
    several: bool | None = None  # the data has several foreground classes; None: as these maps have


def overlay_figure(cases: Sequence[ShownImage], path: Path, title: str = "") -> None:
    """A row for each case: image, truth, probability, and contours, with the case's Dice.

    The probability is that of the foreground: of the one class, of all but the background, or of the likeliest of
    classes that may overlap. Of a
    large image the contours are shown for the middle, which is framed in the image: thin lines
    would be lost in a reduced picture. `overlay` gives them for all of it.

    Args:
        cases: at least one; the column of truths is left out if no case has one.
        path: of the PNG file; replaced as a whole.
        title: above the figure.
    """
    with_truth = any(case.truth is not None for case in cases)
    columns = ["image", "truth", "probability", "contours"]
    if not with_truth:
        columns.remove("truth")
    side = 3.0  # inches
    with rc_context(PICTURE_STYLE):
        heights = [side * case.image.shape[0] / case.image.shape[1] + 0.3 for case in cases]
        figure = Figure(figsize=(side * len(columns), sum(heights) + 0.4), layout="constrained")
        rows = figure.subplots(len(cases), len(columns), squeeze=False, height_ratios=heights)
        if title:
            figure.suptitle(title, fontweight="bold", x=0.005, ha="left")
        for case, row in zip(cases, rows, strict=True):
            _draw_case(dict(zip(columns, row, strict=True)), case)
        _draw_key(figure, with_truth)
        save_figure(figure, path, dpi=170)


def _draw_case(panels: Mapping[str, Axes], case: ShownImage) -> None:
    foreground = case.probability[..., 0]
    if case.overlapping:
        foreground = case.probability.max(axis=-1)
    elif case.probability.shape[-1] > 1:
        foreground = 1 - foreground
    middle = _middle(case.image.shape[:2])
    contours = overlay(case.image, case.truth, case.prediction, case.overlapping, case.several)[middle]
    panels["image"].imshow(displayed(case.image))
    panels["probability"].imshow(foreground, cmap="gray", vmin=0, vmax=1)
    panels["contours"].imshow(contours, interpolation="nearest")
    if contours.shape[:2] != case.image.shape[:2]:
        rows, columns = middle
        frame = (columns.start, rows.start), columns.stop - columns.start, rows.stop - rows.start
        panels["image"].add_patch(Rectangle(*frame, fill=False, edgecolor=YELLOW, linewidth=1.2))
    panels["image"].set_title(case.name)
    panels["probability"].set_title("probability")
    panels["contours"].set_title("contours")
    if "truth" in panels and case.truth is not None:
        maps = case.truth, case.prediction
        classes = max(1, *(largest_class(labels, case.overlapping) for labels in maps)) + 1
        dice = pixel_scores(*maps, classes, case.overlapping).foreground_means()["dice"]
        panels["truth"].imshow(coloured(case.truth, case.overlapping, case.several))
        panels["truth"].set_title("truth")
        panels["contours"].set_title("contours" if math.isnan(dice) else f"Dice {dice:.3f}")
    for axes in panels.values():
        axes.set_axis_off()


def _middle(size: tuple[int, int], most: int = 320) -> tuple[slice, slice]:
    """All of an image with sides up to `most`, of a larger one the middle half of both axes."""
    if max(size) <= most:
        return slice(0, size[0]), slice(0, size[1])
    return slice(size[0] // 4, size[0] * 3 // 4), slice(size[1] // 4, size[1] * 3 // 4)


def _draw_key(figure: Figure, with_truth: bool) -> None:
    entries = {"contour of the prediction": PREDICTION_COLOUR}
    if with_truth:
        entries = {
            "contour of the truth": TRUTH_COLOUR,
            **entries,
            "both on each other": BOTH_COLOUR,
        }
    lines = [Line2D([], [], color=colour, linewidth=4, label=name) for name, colour in entries.items()]
    figure.legend(handles=lines, loc="outside lower right", ncols=len(lines))
