"""Drawing images with label maps: colours, contours, and the three orthogonal slices of a volume.

Figures are made with `matplotlib.figure.Figure`, not with pyplot: no window, no global state, safe in
a thread beside a training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from skimage.measure import find_contours
from skimage.segmentation import find_boundaries

from data.files import replacing
from data.labels import class_masks, class_name, is_class, largest_class

# Okabe and Ito 2008, "Color Universal Design": told apart with every common colour blindness.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"

# Contours of an overlay. Where both lie on each other there is a third colour, so that what is
# right, what was missed and what was made up can be seen at a glance.
TRUTH_COLOUR, PREDICTION_COLOUR, BOTH_COLOUR = SKY, VERMILION, YELLOW

# Classes 1, 2, ... of a label map with several; they repeat after the last.
CLASS_COLOURS = (ORANGE, SKY, GREEN, PURPLE, YELLOW, BLUE, VERMILION)

STYLE = {
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

PICTURE_STYLE = {**STYLE, "axes.grid": False, "text.parse_math": False}
"""Of images. Names of cases and classes are texts, whatever is in them, and no formulas."""


def save_figure(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Writes a figure as an image file, which is replaced as a whole."""
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, facecolor="white")


# --- pixels -----------------------------------------------------------------------------------


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
    overlapping: these are sets of classes (see `data.labels`); a set has the mean of its classes' colours.
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
    """[*size, channels] of any range to [*size, 3] in 0..1.

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
    """[height, width] class indices to [height, width, 3] colours in 0..1; background is black.

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
    """[height, width] bool: the pixels of the foreground that touch another class."""
    return find_boundaries(labels, mode="inner", background=0)


def class_colour(index: int) -> str:
    """The colour of class 1, 2, ..."""
    return CLASS_COLOURS[(index - 1) % len(CLASS_COLOURS)]


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Closed lines just inside of the border of a mask [height, width], with the corners cut.

    Unlike the pixels of `contour` they cover next to nothing, however few pixels there are, and those of two
    classes that touch lie beside each other.

    Returns float [points, 2] each: x and y in pixels; the centres of pixels are whole numbers.
    """
    # Beyond the image is outside, so that lines close along its border. 0.5 would be the border itself.
    lines = find_contours(np.pad(mask.astype(np.float32), 1), 0.6)
    return [line[:, ::-1] - 1 for line in lines]


# --- views ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """A picture as it is drawn, the right way up: an image, or a slice of a volume, with its label maps.

    picture: uint8 [height, width, 3], or [height, width, 1] for grey.
    truth, prediction: class indices [height, width]; None where unknown.
    pixel: height and width of a pixel, in mm or any other unit.
    title: such as 'axial, slice 12 of 40'.
    sides: the letters of the directions left, right, up and down, as in 'RLAP'; empty where unknown.
    overlapping: truth and prediction are sets of classes (see `data.labels`).
    class_names: of the classes 1, 2, ..., for the key; None if they only have numbers.
    """

    picture: np.ndarray
    truth: np.ndarray | None = None
    prediction: np.ndarray | None = None
    pixel: tuple[float, float] = (1.0, 1.0)
    title: str = ""
    sides: str = ""
    overlapping: bool = False
    class_names: tuple[str, ...] | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Height and width in the unit of `pixel`."""
        height, width = self.picture.shape[:2]
        return height * self.pixel[0], width * self.pixel[1]

    @property
    def foreground(self) -> np.ndarray:
        """[height, width] bool: what is a class in the truth or in the prediction."""
        found = np.zeros(self.picture.shape[:2], bool)
        for labels in (self.truth, self.prediction):
            if labels is not None:
                found |= labels > 0
        return found

    def crop(self, rows: slice, columns: slice) -> "View":
        """A part of the view."""
        parts = {
            name: getattr(self, name)[rows, columns]
            for name in ("picture", "truth", "prediction")
            if getattr(self, name) is not None
        }
        return replace(self, **parts)


def picture(image: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    """An image [height, width, channels] as the picture of a `View`; `limits` as of `displayed`."""
    pixels = np.round(255 * displayed(image, limits)).astype(np.uint8)
    return pixels if image.shape[-1] == 3 else pixels[..., :1].copy()


def slice_view(
    image: np.ndarray,
    truth: np.ndarray | None,
    prediction: np.ndarray | None,
    axis: int,
    index: int,
    spacing: Sequence[float],
    oriented: bool = True,
    limits: tuple[float, float] | None = None,
    overlapping: bool = False,
) -> View:
    """A slice of a volume.

    image: [*size, channels]. truth, prediction: class indices [*size], or None.
    axis, index: the slice has the place `index` along `axis`.
    spacing: of the voxels along each axis, in mm.
    oriented: the axes lead towards Right, Anterior and Superior. Then the slice is seen from the feet, from the
        front or from the left side, as radiology has it: what is right or anterior is on the left, what is anterior
        or superior is up. Otherwise the first remaining axis leads down and the second to the right.
    limits: as of `displayed`. overlapping: as of a `View`.
    """

    def cut(array: np.ndarray | None) -> np.ndarray | None:
        if array is None:
            return None
        plane = np.take(array, index, axis)  # a copy, which does not hold on to the volume
        return np.flip(np.swapaxes(plane, 0, 1), (0, 1)) if oriented else plane

    rows, columns = (other for other in range(3) if other != axis)
    name, sides = f"axis {axis}", ""
    if oriented:
        name, rows, columns = _ACROSS[axis], columns, rows
        sides = _HIGH[columns] + _LOW[columns] + _HIGH[rows] + _LOW[rows]
    title = f"{name}, slice {index + 1} of {image.shape[axis]}"
    pixel = (float(spacing[rows]), float(spacing[columns]))
    return View(picture(cut(image), limits), cut(truth), cut(prediction), pixel, title, sides, overlapping)


# Across which axis a plane lies; the letters of the directions at the high and the low end of the axes.
_ACROSS, _HIGH, _LOW = ("sagittal", "coronal", "axial"), "RAS", "LPI"


def orthogonal_views(
    image: np.ndarray,
    truth: np.ndarray | None,
    prediction: np.ndarray | None,
    spacing: Sequence[float],
    oriented: bool = True,
    overlapping: bool = False,
) -> tuple[View, View, View]:
    """Axial, coronal and sagittal slice through the middle of the foreground, as of `slice_view`.

    The foreground is that of the truth, or of the prediction where the truth is unknown or empty. All slices
    have the grey scale of the volume.
    """
    known = [labels for labels in (truth, prediction) if labels is not None and labels.any()]
    place = middle(known[0]) if known else tuple(side // 2 for side in image.shape[:3])
    limits = grey_limits(image, 0.5)  # an organ may be one percent of the volume
    return tuple(
        slice_view(image, truth, prediction, axis, place[axis], spacing, oriented, limits, overlapping)
        for axis in ((2, 1, 0) if oriented else (0, 1, 2))
    )


def middle(labels: np.ndarray) -> tuple[int, ...]:
    """A place in the middle of the foreground of [*size]; the centre if there is none.

    It is the median of the foreground's places along each axis. So at least the slice there has foreground, which
    the one through the centre of mass, between two kidneys, might lack.
    """
    place = []
    for axis, side in enumerate(labels.shape):
        others = tuple(other for other in range(labels.ndim) if other != axis)
        counts = np.cumsum(np.count_nonzero(labels, axis=others))
        place.append(int(np.searchsorted(counts, counts[-1] / 2)) if counts[-1] else side // 2)
    return tuple(place)


def foreground_windows(views: Sequence[View]) -> list[tuple[slice, slice]]:
    """Rows and columns of each view around its foreground, all as long in mm as far as the views reach.

    The whole of a view without foreground.
    """
    boxes = []
    for view in views:
        found = view.foreground
        lines = [np.flatnonzero(found.any(axis=axis)) for axis in (1, 0)]
        boxes.append([(line[0], line[-1] + 1) for line in lines] if found.any() else None)
    longest = max(
        (
            (last - first) * length
            for view, box in zip(views, boxes, strict=True)
            for (first, last), length in zip(box or (), view.pixel, strict=False)
        ),
        default=0,
    )
    windows = []
    for view, box in zip(views, boxes, strict=True):
        # Half as much again for the surroundings, and no structure so near that only pixels are left to see.
        wanted = max(1.5 * longest, 0.2 * max(view.size))
        window = []
        for axis, side in enumerate(view.picture.shape[:2]):
            length = min(side, int(np.ceil(wanted / view.pixel[axis]))) if box else side
            start = (sum(box[axis]) - length) // 2 if box else 0
            start = int(np.clip(start, 0, side - length))
            window.append(slice(start, start + length))
        windows.append(tuple(window))
    return windows


# --- figures of views -------------------------------------------------------------------------

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
    axes, y = [], height - top
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
    """Draws a view in the middle of a panel, in its true proportions, with the letters of its sides.

    contours: also the classes, each in its colour: the truth as a line, the prediction as a tint.
    """
    height, width = view.size
    inches = axes.get_figure().get_size_inches()
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
    """Where a part of a view lies; nothing if it is all of it."""
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
    """Of the panel that `draw_key` needs."""
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
    """An entry is about an inch long, and longer if its name is longer than 'prediction'."""
    longest = max((len(entry.get_label()) for entry in entries), default=0)
    return max(1, int(width / max(1.1, 0.4 + 0.07 * longest)))


def _key(views: Sequence[View]) -> list[Artist]:
    shown = classes(views)
    names = views[0].class_names if views else None  # all views of a figure are of one data set
    entries = [Patch(color=class_colour(index), label=class_name(index, names)) for index in shown]
    if shown and any(view.prediction is not None for view in views):
        entries.append(Patch(color="#CCCCCC", label="prediction"))
        if any(view.truth is not None for view in views):
            entries.append(Line2D([], [], color="#444444", linewidth=1.3, label="truth"))
    return entries
