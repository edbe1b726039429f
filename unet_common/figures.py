"""Figures of a training and of its predictions, as PNG files.

They are drawn with `matplotlib.figure.Figure`, not with pyplot: no window, no global state, safe in
a thread beside a training.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from data.drawing import (
    BLUE,
    BOTH_COLOUR,
    GREEN,
    ORANGE,
    PICTURE_STYLE,
    PREDICTION_COLOUR,
    STYLE,
    TRUTH_COLOUR,
    VERMILION,
    YELLOW,
    coloured,
    displayed,
    overlay,
    save_figure,
)
from data.labels import largest_class
from unet_common.metrics import pixel_scores

# --- curves -----------------------------------------------------------------------------------

# A row of history.csv: step, epoch, loss, learning_rate, validation_loss, validation_dice. The last
# two are None, absent or nan at steps without validation.
HistoryRow = Mapping[str, float | None]


def history_figure(history: Sequence[HistoryRow], path: Path, title: str = "") -> None:
    """Loss, validation Dice and learning rate over the steps of a training.

    Args:
        history: rows in order of steps.
        path: of the PNG file; replaced as a whole.
        title: above the figure, such as the name of the run.
    """
    validated = _column(history, "validation_dice")[0].size > 0
    with rc_context(STYLE):
        figure = Figure(figsize=(10 if validated else 7, 3.4), layout="constrained")
        panels = figure.subplots(1, 3 if validated else 2, width_ratios=[3, 2, 2][: 2 + validated])
        if title:
            figure.suptitle(title, fontweight="bold", x=0.01, ha="left")
        _draw_loss(panels[0], history)
        if validated:
            _draw_dice(panels[1], history)
        _draw_learning_rate(panels[-1], history)
        save_figure(figure, path)


def _draw_loss(axes: Axes, history: Sequence[HistoryRow]) -> None:
    steps, loss = _column(history, "loss")
    axes.plot(steps, loss, color=BLUE, alpha=0.22, linewidth=0.8)
    axes.plot(steps, smooth(loss), color=BLUE, label="training, smoothed")
    steps, loss = _column(history, "validation_loss")
    if steps.size:
        axes.plot(steps, loss, color=VERMILION, marker="o", markersize=3.5, label="validation")
    axes.set(title="Loss", xlabel="step", ylim=(0, None))
    axes.legend()


def _draw_dice(axes: Axes, history: Sequence[HistoryRow]) -> None:
    steps, dice = _column(history, "validation_dice")
    best = int(np.argmax(dice))
    label = f"best {dice[best]:.3f}, step {steps[best]:.0f}"
    axes.plot(steps, dice, color=VERMILION, marker="o", markersize=3.5)
    axes.plot(steps[best], dice[best], "ko", markersize=7, fillstyle="none", label=label)
    axes.set(title="Validation Dice", xlabel="step")
    axes.legend(loc="lower right")


def _draw_learning_rate(axes: Axes, history: Sequence[HistoryRow]) -> None:
    steps, rate = _column(history, "learning_rate")
    axes.plot(steps, rate, color=GREEN)
    axes.set(title="Learning rate", xlabel="step", ylim=(0, 1.08 * rate.max(initial=1e-12)))
    axes.yaxis.set_major_formatter("{x:g}")


def comparison_figure(histories: Mapping[str, Sequence[HistoryRow]], path: Path, title: str = "") -> None:
    """Loss curves of several implementations on each other, and how far apart they are.

    Args:
        histories: rows of each implementation. The others are compared with the first, at the steps
            that both have.
        path: of the PNG file; replaced as a whole.
        title: above the figure.
    """
    # Each curve is thinner than the one below it, so that all are seen where they coincide.
    looks = [(ORANGE, 5.0, "-"), (BLUE, 2.4, "-"), ("black", 1.0, (0, (3, 3))), (GREEN, 1.0, ":")]
    columns = {name: _column(rows, "loss") for name, rows in histories.items()}
    with rc_context(STYLE):
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        curves, differences = figure.subplots(1, 2, width_ratios=[3, 2])
        if title:
            figure.suptitle(title, fontweight="bold", x=0.01, ha="left")
        smoothed = ", smoothed" if max(len(steps) for steps, _ in columns.values()) > _MANY else ""
        for (name, (steps, loss)), (colour, width, style) in zip(columns.items(), cycle(looks), strict=False):
            shown = smooth(loss) if smoothed else loss
            curves.plot(steps, shown, linestyle=style, color=colour, linewidth=width, label=name)
        curves.set(title=f"Training loss{smoothed}", xlabel="step", ylim=(0, None))
        curves.legend()
        _draw_differences(differences, columns)
        save_figure(figure, path)


# With more steps than this, the noise from batch to batch would hide a curve.
_MANY = 200


def _draw_differences(axes: Axes, columns: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """How far the losses are from those of the first, on a logarithmic axis."""
    reference, *others = columns
    equal = []
    for name, colour in zip(others, cycle((BLUE, VERMILION, GREEN)), strict=False):
        steps, at, at_reference = np.intersect1d(columns[name][0], columns[reference][0], return_indices=True)
        apart = np.abs(columns[name][1][at] - columns[reference][1][at_reference])
        if not apart.any():
            equal.append(name)
            continue
        raw = np.where(apart > 0, apart, np.nan)  # a logarithmic axis has no zero
        many = len(steps) > _MANY
        axes.plot(
            steps,
            raw,
            "." if many else "o-",
            color=colour,
            markersize=2 if many else 3,
            alpha=0.3 if many else 1,
            markeredgewidth=0,
            label=None if many else name,
        )
        if many:
            axes.plot(steps, smooth(apart), color=colour, label=f"{name}, smoothed")
    if axes.lines:
        axes.set_yscale("log")
        axes.legend()
    else:
        axes.set(yticks=[], xlim=(0, max(columns[reference][0].max(initial=1), 1)))
    if equal:
        note = f"{' and '.join(equal)}: no difference at any step"
        axes.text(0.5, 0.5, note, ha="center", transform=axes.transAxes)
    axes.set(title=f"Difference from {reference}", xlabel="step")


def smooth(values: np.ndarray, window: int | None = None) -> np.ndarray:
    """Centred running mean over `window` values, over those that exist at the ends.

    Args:
        values: [n].
        window: a fortieth of the values if None, at least 3.
    """
    window = window or max(3, len(values) // 40)
    before, after = (window - 1) // 2, window // 2
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=float)])
    at = np.arange(len(values))
    first, last = np.maximum(at - before, 0), np.minimum(at + after + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _column(history: Sequence[HistoryRow], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps that have a finite value of `name`, and the values."""
    pairs = [(row["step"], row.get(name)) for row in history]
    pairs = [(step, value) for step, value in pairs if value is not None and math.isfinite(value)]
    steps, values = np.array(pairs, float).reshape(-1, 2).T
    return steps, values


# --- predictions ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A case for `overlay_figure`. Of a volume, show a slice."""

    name: str
    image: np.ndarray  # [height, width, channels]
    prediction: np.ndarray  # [height, width] class indices
    probability: np.ndarray  # [height, width, classes]
    truth: np.ndarray | None = None  # [height, width] class indices
    overlapping: bool = False  # truth and prediction are sets of classes (see `data.labels`)
    several: bool | None = None  # the data has several foreground classes; None: as these maps have


def overlay_figure(cases: Sequence[Shown], path: Path, title: str = "") -> None:
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


def _draw_case(panels: Mapping[str, Axes], case: Shown) -> None:
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
