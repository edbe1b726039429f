"""Curves of trainings as PNG files: loss, Dice and learning rate, and how far several trainings lie apart.

They are drawn with `matplotlib.figure.Figure`, not with pyplot: no window, no global state, safe in
a thread beside a training.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data.drawing.images import (
    BLUE,
    GREEN,
    ORANGE,
    STYLE,
    VERMILION,
    save_figure,
)

# A row of history.csv: step, epoch, loss, learning_rate, validation_loss, validation_dice, validation_iou. The last
# three are None, absent or nan at steps without validation.
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
    steps, iou = _column(history, "validation_iou")
    if steps.size:  # a history of before has none
        axes.plot(steps, iou, color=GREEN, linewidth=1, label="IoU")
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
    styles = [(ORANGE, 5.0, "-"), (BLUE, 2.4, "-"), ("black", 1.0, (0, (3, 3))), (GREEN, 1.0, ":")]
    columns = {name: _column(rows, "loss") for name, rows in histories.items()}
    with rc_context(STYLE):
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        curves, differences = figure.subplots(1, 2, width_ratios=[3, 2])
        if title:
            figure.suptitle(title, fontweight="bold", x=0.01, ha="left")
        smoothed = ", smoothed" if max(len(steps) for steps, _ in columns.values()) > _MANY else ""
        for (name, (steps, loss)), (colour, width, style) in zip(
            columns.items(), cycle(styles), strict=False
        ):
            shown = smooth(loss) if smoothed else loss
            curves.plot(steps, shown, linestyle=style, color=colour, linewidth=width, label=name)
        curves.set(title=f"Training loss{smoothed}", xlabel="step", ylim=(0, None))
        curves.legend()
        _draw_differences(differences, columns)
        save_figure(figure, path)


# With more steps than this, the noise from batch to batch would hide a curve.
_MANY = 200


def _draw_differences(axes: Axes, columns: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw how far the losses are from those of the first, on a logarithmic axis."""
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
