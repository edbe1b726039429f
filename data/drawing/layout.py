"""Figures of several views: their places, frames, contours and the key of their colours."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from data.drawing.images import YELLOW, class_colour, outlines
from data.drawing.slices import View, foreground_windows
from data.labels.label_maps import class_masks, class_name, is_class, largest_class

# Inches: of a row of panels, between panels, and above them for their headings.
WIDTH, GAP, HEADING = 9.0, 0.1, 0.26

Size = tuple[float, float]
"""Height and width of a panel in inches."""


def row_of(views: Sequence[View], width: float = WIDTH, most: float = 4.5) -> list[Size]:
    """Sizes of panels that show views side by side on one scale, together `width` wide, at most `most` high."""
    height = max(view.size[0] for view in views)
    scale = min((width - GAP * (len(views) - 1)) / sum(view.size[1] for view in views), most / height)
    return [(scale * height, scale * view.size[1]) for view in views]


def panels(rows: Sequence[Sequence[Size]], title: str) -> tuple[Figure, list[list[Axes]]]:
    """A figure with rows of empty panels, each with room for a heading, as large as they need.

    matplotlib's own layouts tear pictures apart that have fixed and different aspect ratios.
    """
    margin, top = 0.15, 0.4
    width = 2 * margin + max(sum(size[1] for size in row) + GAP * (len(row) - 1) for row in rows)
    height = top + sum(max(size[0] for size in row) + HEADING for row in rows) + margin
    figure = Figure(figsize=(width, height))
    figure.text(margin / width, 1 - 0.12 / height, title, fontweight="bold", fontsize=11, va="top")
    axes: list[list[Axes]] = []
    y = height - top
    for row in rows:
        y -= HEADING
        axes.append([])
        x = margin
        for panel_height, panel_width in row:
            place = (x / width, (y - panel_height) / height, panel_width / width, panel_height / height)
            axes[-1].append(figure.add_axes(place))
            x += panel_width + GAP
        y -= max(size[0] for size in row)
    return figure, axes


def view_figure(
    views: Sequence[View], title: str, more: Sequence[Sequence[Size]] = ()
) -> tuple[Figure, list[list[Axes]]]:
    """Views of one case, and of each the part around the foreground, framed in it, with the classes; a key.

    The parts are below their views, of a single view beside it.
    more: rows of panels below, which are returned empty with the figure.
    """
    windows = foreground_windows(views)
    details = [view.crop(*window) for view, window in zip(views, windows, strict=True)]
    pictures = [[*views, *details]] if len(views) == 1 else [views, details]
    figure, rows = panels([*map(row_of, pictures), [key_size(details)], *more], title)
    above, below = (rows[0][:1], rows[0][1:]) if len(views) == 1 else rows[:2]
    for axes, view, window in zip(above, views, windows, strict=True):
        draw_view(axes, view, contours=False)
        draw_frame(axes, view, window)
        axes.set_title(view.title)
    for axes, detail in zip(below, details, strict=True):
        draw_view(axes, detail)
    draw_key(rows[len(pictures)][0], details)
    return figure, rows[len(pictures) + 1 :]


def draw_view(axes: Axes, view: View, contours: bool = True) -> None:
    """Draw a view in the middle of a panel, in its true proportions, with the letters of its sides.

    contours: also the classes, each in its colour: the truth as a line, the prediction as a tint.
    """
    height, width = view.size
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    inches = figure.get_size_inches()
    place = axes.get_position()
    panel = place.height * inches[1] / (place.width * inches[0])  # height over width
    extent = (0, width, height, 0)
    left, top = max(height / panel - width, 0) / 2, max(width * panel - height, 0) / 2
    greys = np.broadcast_to(view.picture, (*view.picture.shape[:2], 3))
    axes.imshow(greys, extent=extent, interpolation="antialiased")  # nearest where pixels are seen
    if contours:
        points = 72 * place.width * inches[0] / (width + 2 * left) * min(view.pixel)  # of a pixel's side
        _draw_classes(axes, view, extent, float(np.clip(points, 0.7, 1.3)))
    axes.set(xlim=(-left, width + left), ylim=(height + top, -top), xticks=[], yticks=[])
    # Black beside the picture, but no black line where it fills the panel up to rounding.
    axes.set_facecolor("black" if max(left / width, top / height) > 0.003 else "none")
    axes.spines[:].set_visible(False)
    borders = ((0, height / 2), (width, height / 2), (width / 2, 0), (width / 2, height))
    inwards = ((3, 0), (-3, 0), (0, -3), (0, 3))  # points
    alignments = (("left", "center"), ("right", "center"), ("center", "top"), ("center", "bottom"))
    for letter, border, offset, (across, up) in zip(view.sides, borders, inwards, alignments, strict=False):
        text = axes.annotate(
            letter, border, offset, textcoords="offset points", ha=across, va=up, color="white", fontsize=8
        )
        text.set_path_effects([withStroke(linewidth=2, foreground="black")])  # legible on white, too


def draw_frame(axes: Axes, view: View, window: tuple[slice, slice]) -> None:
    """Draw the frame of a part of a view; nothing if it is all of it."""
    rows, columns = window
    size = rows.stop - rows.start, columns.stop - columns.start
    if size != view.picture.shape[:2]:
        y, x = rows.start * view.pixel[0], columns.start * view.pixel[1]
        height, width = np.multiply(size, view.pixel)
        frame = Rectangle((x, y), width, height, fill=False, edgecolor=YELLOW, linewidth=1.2, clip_on=False)
        axes.add_patch(frame)


def _draw_classes(
    axes: Axes, view: View, extent: tuple[float, float, float, float], linewidth: float
) -> None:
    if view.prediction is not None:
        tint = np.zeros((*view.prediction.shape, 4))
        for index in classes([view]):
            tint[is_class(view.prediction, index, view.overlapping)] = to_rgba(class_colour(index), 0.4)
        axes.imshow(tint, extent=extent, interpolation="nearest")
    if view.truth is not None:
        for index in classes([view]):
            mask = is_class(view.truth, index, view.overlapping)
            lines = [(line + 0.5) * view.pixel[::-1] for line in outlines(mask)]
            axes.add_collection(LineCollection(lines, colors=class_colour(index), linewidths=linewidth))


def classes(views: Sequence[View]) -> list[int]:
    """The foreground classes that are seen in any of the views."""
    found: set[int] = set()
    for view in views:
        for labels in (view.truth, view.prediction):
            if labels is not None and view.overlapping:
                masks = class_masks(labels, largest_class(labels, True) or 1, True)
                found.update((np.flatnonzero(masks.any((0, 1))) + 1).tolist())
            elif labels is not None:
                found.update(map(int, np.unique(labels)))  # bool, too
    return sorted(found - {0})


def key_size(views: Sequence[View], width: float = WIDTH) -> Size:
    """The size of the panel that `draw_key` needs."""
    entries = _key(views)
    return 0.2 * max(1, -(-len(entries) // _per_line(entries, width))), width


def draw_key(axes: Axes, views: Sequence[View], width: float = WIDTH) -> None:
    """The meaning of the colours, lines and tints of views, in a panel of its own."""
    axes.set_axis_off()
    entries = _key(views)
    if entries:
        columns = min(len(entries), _per_line(entries, width))
        axes.legend(handles=entries, loc="center left", ncols=columns, borderaxespad=0, borderpad=0)


def _per_line(entries: Sequence[Artist], width: float) -> int:
    """The entries of a line. One is about an inch long, and longer if its name is longer than 'prediction'."""
    longest = max((len(str(entry.get_label())) for entry in entries), default=0)
    return max(1, int(width / max(1.1, 0.4 + 0.07 * longest)))


def _key(views: Sequence[View]) -> list[Artist]:
    shown = classes(views)
    names = views[0].class_names if views else None  # all views of a figure are of one data set
    entries: list[Artist] = [
        Patch(color=class_colour(index), label=class_name(index, names)) for index in shown
    ]
    if shown and any(view.prediction is not None for view in views):
        entries.append(Patch(color="#CCCCCC", label="prediction"))
        if any(view.truth is not None for view in views):
            entries.append(Line2D([], [], color="#444444", linewidth=1.3, label="truth"))
    return entries
