"""Heat maps of where a network looked: a slice, and the attention map of each level on it."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context

from data.drawing.images import PICTURE_STYLE, save_figure
from data.drawing.layout import WIDTH, draw_view, panels, row_of
from data.drawing.slices import View


def attention_figure(views: Sequence[View], path: Path, title: str) -> None:
    """The slice with the prediction, and beside it the maps: black is 0, bright yellow 1.

    Args:
        views: as of `unet_common.prediction.attention.attention_views`.
        path: of the PNG file; replaced as a whole.
    """
    with rc_context(PICTURE_STYLE):
        figure, (row,) = panels(
            [row_of(views, 1.5 * WIDTH)], f"{title}: attention, from 0 (black) to 1 (yellow)"
        )
        for axes, view in zip(row, views, strict=True):
            draw_view(axes, view)
            axes.set_title(view.title)
            if view is not views[0]:
                height, width = view.size
                extent = (0, width, height, 0)
                axes.imshow(view.picture[..., 0], cmap="inferno", vmin=0, vmax=255, extent=extent)
        save_figure(figure, path)
