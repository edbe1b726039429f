"""Heat maps of the inside of a network: a slice, and beside it what the network made of it."""

from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from data.drawing.images import PICTURE_STYLE, save_figure
from data.drawing.layout import GAP, WIDTH, draw_key, draw_view, key_size, panels, row_of
from data.drawing.slices import View
from unet_common.prediction.inside import HeatMap, Inside

# Panels side by side, and inches of a colour bar's height.
COLUMNS, BAR = 4, 0.09


def heat_map_figure(inside: Inside, path: Path, name: str) -> None:
    """The slice with truth and prediction, and the maps, each with its colour bar; the key of the classes.

    Args:
        path: of the PNG file; replaced as a whole.
        name: of the case.
    """
    views = [inside.image, *inside.maps]
    rows = [views[first : first + COLUMNS] for first in range(0, len(views), COLUMNS)]
    panel_sizes = row_of(views[:COLUMNS], 1.4 * WIDTH, 3.2)
    width = max(WIDTH, sum(across + GAP for _height, across in panel_sizes) - GAP)  # room for the title
    sizes = [
        size
        for row in rows
        for size in (panel_sizes[: len(row)], [(BAR, across) for _height, across in panel_sizes[: len(row)]])
    ]
    with rc_context(PICTURE_STYLE):
        figure, axes = panels([*sizes, [key_size([inside.image], width)]], f"{name}: {inside.heading}")
        for row, panels_of_row, bars in zip(rows, axes[::2], axes[1::2], strict=False):
            for view, panel, bar in zip(row, panels_of_row, bars, strict=True):
                _draw(view, panel, bar)
        draw_key(axes[-1][0], [inside.image], width)
        save_figure(figure, path)


def _draw(view: View, panel: Axes, bar: Axes) -> None:
    draw_view(panel, view)
    panel.set_title(view.title)
    if not isinstance(view, HeatMap):
        bar.set_axis_off()
        return
    height, width = view.size
    panel.imshow(view.picture[..., 0], cmap=view.colours, vmin=0, vmax=255, extent=(0, width, height, 0))
    low, high = view.limits
    scale = Normalize(low, high if high > low else low + 1)
    figure = panel.get_figure()
    assert isinstance(figure, Figure)
    figure.colorbar(ScalarMappable(scale, view.colours), cax=bar, orientation="horizontal")
    bar.xaxis.set_ticks_position("top")
    bar.set_xticks([low, (low + high) / 2, high], [f"{value:.3g}" for value in (low, (low + high) / 2, high)])
    bar.tick_params(labelsize=7, length=2, pad=1)
    first, *_, last = bar.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
