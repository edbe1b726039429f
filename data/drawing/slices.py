"""Slices of an image or volume with its label maps: the three orthogonal views, and windows around what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.drawing.images import displayed, grey_limits


@dataclass(frozen=True)
class View:
    """A picture as it is drawn, the right way up: an image, or a slice of a volume, with its label maps.

    picture: uint8 [height, width, 3], or [height, width, 1] for grey.
    truth, prediction: class indices [height, width]; None where unknown.
    pixel: height and width of a pixel, in mm or any other unit.
    title: such as 'axial, slice 12 of 40'.
    sides: the letters of the directions left, right, up and down, as in 'RLAP'; empty where unknown.
    overlapping: truth and prediction are sets of classes (see `data.labels.label_maps`).
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
        """The pixels that have a class in the truth or in the prediction, bool [height, width]."""
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

    plane = plane_across(axis, oriented)

    def cut(array: np.ndarray) -> np.ndarray:
        pixels = np.take(array, index, axis)  # a copy, which does not hold on to the volume
        return np.flip(np.swapaxes(pixels, 0, 1), (0, 1)) if oriented else pixels

    truth, prediction = (None if labels is None else cut(labels) for labels in (truth, prediction))
    title = f"{plane.name}, slice {index + 1} of {image.shape[axis]}"
    pixel = (float(spacing[plane.rows]), float(spacing[plane.columns]))
    return View(picture(cut(image), limits), truth, prediction, pixel, title, plane.sides, overlapping)


@dataclass(frozen=True)
class Plane:
    """The manner in which slices across an axis are seen.

    rows, columns: the axes that lead downwards and to the right, or upwards and to the left if they are oriented.
    name: such as 'axial'. sides: as of a `View`.
    """

    rows: int
    columns: int
    name: str
    sides: str


def plane_across(axis: int, oriented: bool) -> Plane:
    """The slices across an axis of a volume; `oriented` as of `slice_view`."""
    first, second = (other for other in range(3) if other != axis)
    if not oriented:
        return Plane(first, second, f"axis {axis}", "")
    sides = _HIGH[first] + _LOW[first] + _HIGH[second] + _LOW[second]
    return Plane(second, first, _ACROSS[axis], sides)


# Across which axis a plane lies; the letters of the directions at the high and the low end of the axes.
_ACROSS, _HIGH, _LOW = ("sagittal", "coronal", "axial"), "RAS", "LPI"


def orthogonal_views(
    image: np.ndarray,
    truth: np.ndarray | None,
    prediction: np.ndarray | None,
    spacing: Sequence[float],
    oriented: bool = True,
    overlapping: bool = False,
) -> tuple[View, ...]:
    """The axial, coronal and sagittal slice through the middle of the foreground, as of `slice_view`.

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
        windows.append((window[0], window[1]))
    return windows
