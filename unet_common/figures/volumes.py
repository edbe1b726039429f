"""Figures of predicted volumes, as PNG files: slices of one case, and the worst and best cases of many."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from data.drawing.images import PICTURE_STYLE, save_figure
from data.drawing.layout import GAP, WIDTH, draw_key, draw_view, key_size, panels, view_figure
from data.drawing.slices import View, foreground_windows, orthogonal_views
from data.labels.label_maps import class_name
from data.source import Case

Scores = Mapping[str, Any]
"""As a row of the tables: `dice`, the mean over the foreground; `dice_1`, `dice_2`, ... of each class."""

# Scores below the slices, with their headings.
_HEADINGS = {
    "dice": "Dice",
    "surface_dice": "surface Dice",
    "hd95": "HD95 [{}]",
    "assd": "ASSD [{}]",
    "volume_error": "volume error",
    "precision": "precision",
    "recall": "recall",
}


@dataclass(frozen=True)
class ShownVolume:
    """The part of a predicted volume that figures need: three slices, and nothing that is as large as the volume.

    name: of the case.
    views: axial, coronal and sagittal slice through the middle of the foreground.
    scores: empty where the truth is not known.
    unit: of lengths: mm, or voxels of volumes without a spacing.
    """

    name: str
    views: tuple[View, ...]
    scores: Scores = field(default_factory=dict)
    unit: str = "mm"

    @classmethod
    def of(
        cls,
        case: Case,
        prediction: np.ndarray | None,
        scores: Scores | None = None,
        class_names: tuple[str, ...] | None = None,
    ) -> "ShownVolume":
        """Cut the slices.

        case: of three axes; its label is the truth, with the classes of the prediction. Without a geometry nobody
            knows where Right, Anterior and Superior are: the slices lie across the axes 0, 1 and 2.
        prediction: class indices [*size], or None.
        class_names: of the classes 1, 2, ...; None if they only have numbers.

        Raises:
            ValueError: truth or prediction have another size than the image.
        """
        for name, labels in (("truth", case.label), ("prediction", prediction)):
            if labels is not None and labels.shape != case.image.shape[:3]:
                raise ValueError(
                    f"{case.name}: the {name} has the size {labels.shape}, the image {case.image.shape[:3]}"
                )
        oriented = case.geometry is not None
        views = orthogonal_views(case.image, case.label, prediction, case.spacing, oriented, case.overlapping)
        views = tuple(replace(view, class_names=class_names) for view in views)
        return cls(case.name, views, dict(scores or {}), "mm" if oriented else "voxels")

    @property
    def dice(self) -> float:
        """The mean Dice over the foreground; nan if it is not known."""
        dice = self.scores.get("dice")
        return math.nan if dice is None else float(dice)


def orthogonal_figure(case: ShownVolume, path: Path, title: str = "") -> None:
    """Three orthogonal slices; below each, its part around the foreground with truth and prediction; the scores.

    Args:
        path: of the PNG file; replaced as a whole.
        title: above the figure; the name of the case if empty.
    """
    table = _table(case.scores, case.views[0].class_names, case.unit)
    more = [[(0.22 * len(table), WIDTH)]] if table else []
    with rc_context(PICTURE_STYLE):
        figure, below = view_figure(case.views, title or case.name, more)
        if table:
            _draw_table(below[0][0], table)
        save_figure(figure, path)


def _table(scores: Scores, class_names: tuple[str, ...] | None, unit: str) -> list[list[str]]:
    """The table of scores: headings; a line for each class if there are several; their mean. Empty without scores."""
    columns = [name for name in _HEADINGS if scores.get(name) is not None]
    if not columns:
        return []
    found = sorted({int(name.rpartition("_")[2]) for name in scores if name.startswith("dice_")})
    lines = [["", *(_HEADINGS[name].format(unit) for name in columns)]]
    for index in found:
        numbers = (_number(scores.get(f"{name}_{index}")) for name in columns)
        lines.append([_shortened(class_name(index, class_names), 16), *numbers])
    lines.append(["mean" if found else "foreground", *(_number(scores[name]) for name in columns)])
    return lines


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def _draw_table(axes: Axes, lines: list[list[str]]) -> None:
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(len(lines), 0))
    for row, line in enumerate(lines):
        for column, text in enumerate(line):
            if column == 0:
                axes.text(0, row + 0.5, text, va="center")
            else:
                axes.text(0.6 + 1.15 * column, row + 0.5, text, va="center", ha="right")
    axes.axhline(1, color="#999999", linewidth=0.8)


def contact_sheet(cases: Sequence[ShownVolume], path: Path, title: str = "", most: int = 12) -> None:
    """A tile for each of the worst and of the best cases, the worst first: one slice around the foreground.

    Args:
        cases: at least one, in any order; those without a Dice are left out, unless none has one.
        path: of the PNG file; replaced as a whole.
        title: above the figure.
        most: how many are shown: where there are more, one half of them the worst, the other the best.
    """
    ranked = sorted((case for case in cases if not math.isnan(case.dice)), key=lambda case: case.dice)
    ranked = ranked or list(cases)
    groups, order = [ranked], "worst Dice first"
    if len(ranked) > most:
        half = most // 2
        groups = [ranked[:half], ranked[-half:]]
        order = f"the {half} with the worst Dice and the {half} with the best, of {len(ranked)}"
    columns = min(6, len(groups[0]))
    side = min(2.2, (WIDTH - GAP * (columns - 1)) / columns)
    width = max(4.5, columns * side + (columns - 1) * GAP)
    rows = [group[first : first + columns] for group in groups for first in range(0, len(group), columns)]
    views = [[_around_foreground(case.views[0]) for case in row] for row in rows]
    every = [view for row in views for view in row]
    with rc_context(PICTURE_STYLE):
        sizes = [*([(side, side)] * len(row) for row in rows), [key_size(every, width)]]
        figure, (*grid, (key,)) = panels(sizes, f"{title}: {order}" if title else order)
        for of_cases, of_views, tiles in zip(rows, views, grid, strict=True):
            for case, view, axes in zip(of_cases, of_views, tiles, strict=True):
                draw_view(axes, view)
                name = _shortened(case.name, int(16 * side) - 7)
                axes.set_title(f"{name}  {_number(case.dice)}", fontsize=8)
        draw_key(key, every, width)
        save_figure(figure, path)


def _around_foreground(view: View) -> View:
    (window,) = foreground_windows([view])
    return view.crop(*window)


def _shortened(name: str, most: int) -> str:
    """A long name cut to both its ends: cases often differ in their last characters alone."""
    half = most // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"
