"""An interactive look at a volume with its label maps: in windows of nibabel, or as a page that any browser opens.

The page holds all it needs, and asks no network for anything: the volume in 256 greys and the label maps, compressed,
and the program of `viewer.html`, which cuts slices out of them.
"""

import base64
import gzip
import html
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data.drawing.images import class_colour, grey_limits
from data.drawing.slices import middle, plane_across
from data.errors import UserError
from data.files import replacing
from data.labels.label_maps import class_masks, class_name, largest_class

# Voxels beyond which a page holds only every second one, or third, along some axes: a browser keeps some four bytes of
# each, and the file has up to one and a half. 512 x 512 x 300 are 79 million.
MAX_VOXELS = 100_000_000

# Bytes of a piece of a page before they are compressed.
PIECE = 8 * 2**20

PAGE = Path(__file__).with_suffix(".html")


@dataclass(frozen=True)
class Look:
    """A volume to look at.

    name: of the case. image: [*size, channels]; of three channels the mean is shown, of others the first.
    labels: label maps [*size], by what they are: `prediction`, `truth`.
    spacing: of the voxels along each axis.
    affine: [4, 4], from voxels to mm, of axes that lead towards Right, Anterior and Superior; None: nobody knows where
        these are, and the slices lie as those of `data.drawing.slices.slice_view` that are not oriented.
    overlapping, class_names: as of a `View`.
    """

    name: str
    image: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    spacing: Sequence[float] = (1.0, 1.0, 1.0)
    affine: np.ndarray | None = None
    overlapping: bool = False
    class_names: tuple[str, ...] | None = None

    @property
    def grey(self) -> np.ndarray:
        """The image with one value a voxel, [*size]."""
        return self.image.mean(axis=-1) if self.image.shape[-1] == 3 else self.image[..., 0]


def viewer(wanted: str | None) -> Callable[[Look, Path], None] | None:
    """The way to look at a volume: `open_windows` or `write_page`, both called with a `Look` and the path for a page.

    Args:
        wanted: `window` or `page`; `auto`: a window where there is a display; None: no way.

    Raises:
        UserError: there is no display for a window.
    """
    if wanted == "window" and not has_display():
        raise UserError("--look window needs a display, and there is none here: --look page writes a page.")
    if wanted in (None, "page"):
        return write_page if wanted else None
    return open_windows if has_display() else write_page


def has_display() -> bool:
    """True if matplotlib finds a way to open windows: a screen, and a toolkit that draws on it."""
    import matplotlib
    from matplotlib.backends import backend_registry

    _backend, toolkit = backend_registry.resolve_backend(matplotlib.get_backend())
    return toolkit not in (None, "headless")


def open_windows(look: Look, _path: Path | None = None) -> None:
    """Show image and label maps in windows of nibabel that move together, until all of them are closed."""
    from nibabel.viewers import OrthoSlicer3D

    affine = np.diag([*look.spacing, 1.0]) if look.affine is None else look.affine
    first, *others = (
        OrthoSlicer3D(values, affine, title=f"{look.name}: {what}")
        for what, values in [("image", look.grey), *look.labels.items()]
    )
    for other in others:
        first.link_to(other)
    first.show()


def write_page(look: Look, path: Path) -> None:
    """Write the page of a volume; `path` is replaced as a whole."""
    before, after = PAGE.read_text(encoding="utf-8").split("<!-- data -->")
    oriented = look.affine is not None
    step = _steps(look.image.shape[:3], look.spacing)
    kept = tuple(slice(None, None, one) for one in step)
    grey = look.grey
    limits = grey_limits(grey[..., np.newaxis], 0.5)
    pieces = {"image": list(_pieces(_greys(grey[kept], limits)))}
    facts: dict[str, Any] = {
        "name": look.name,
        "size": [-(-side // one) for side, one in zip(look.image.shape, step, strict=False)],
        "whole": list(look.image.shape[:3]),
        "step": step,
        "middle": [index // one for index, one in zip(_middle(look), step, strict=True)],
        "spacing": [length * one for length, one in zip(look.spacing, step, strict=True)],
        "unit": "mm" if oriented else "voxels",
        "limits": limits,
        "views": [_view(axis, oriented) for axis in ((2, 1, 0) if oriented else (0, 1, 2))],
        "labels": {},
    }
    classes: set[int] = set()
    for what, label in look.labels.items():
        # Numbers of label maps may be large, and sets of classes are: the page has their places in a list.
        planes = label[kept]
        values = np.unique(np.concatenate([np.unique(plane) for plane in planes]))
        kind = np.dtype(np.uint8 if len(values) <= 256 else "<u4")
        places = np.stack([np.searchsorted(values, plane).astype(kind) for plane in planes])
        pieces[what] = list(_pieces(places))
        sets = [_classes_in(value, look.overlapping) for value in values]
        facts["labels"][what] = {"bytes": places.itemsize, "classes": sets}
        classes.update(number for one in sets for number in one)
    facts["classes"] = [
        {"number": number, "name": class_name(number, look.class_names), "colour": class_colour(number)}
        for number in sorted(classes)
    ]
    told = json.dumps(facts).replace("<", "\\u003c")
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(before.replace("<!-- name -->", html.escape(look.name)))
        file.write(f'<script type="application/json" id="facts">{told}</script>\n')
        for what, of_one in pieces.items():
            for piece in of_one:
                file.write(f'<script type="text/plain" data-of="{what}">{piece}</script>\n')
        file.write(after)


def _middle(look: Look) -> tuple[int, ...]:
    """The middle of the foreground of the truth, or else of the prediction, as of `middle`."""
    known = [look.labels[what] for what in ("truth", "prediction") if what in look.labels]
    found = [labels for labels in known if labels.any()]
    return middle(found[0]) if found else tuple(side // 2 for side in look.image.shape[:3])


def _steps(size: Sequence[int], spacing: Sequence[float]) -> list[int]:
    """The steps along each axis from a voxel that is kept to the next: first fewer where they are nearest."""
    steps = [1, 1, 1]
    while math.prod(-(-side // step) for side, step in zip(size, steps, strict=True)) > MAX_VOXELS:
        lengths = [length * step for length, step in zip(spacing, steps, strict=True)]
        steps[int(np.argmin(lengths))] += 1
    return steps


def _greys(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Values as 256 greys, the limits as black and white."""
    low, high = limits
    greys = np.empty(values.shape, np.uint8)
    # One after the other: a copy in float would be eight times as large.
    for index, plane in enumerate(values):
        scaled = (plane.astype(np.float64) - low) * (255 / max(high - low, 1e-6))
        greys[index] = np.round(np.clip(scaled, 0, 255))
    return greys


def _pieces(values: np.ndarray) -> Iterator[str]:
    """The bytes of an array in the order of its axes, compressed in pieces, each as text."""
    whole = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    for start in range(0, len(whole), PIECE):
        yield base64.b64encode(gzip.compress(whole[start : start + PIECE].tobytes(), 6, mtime=0)).decode()


def _view(axis: int, oriented: bool) -> dict[str, Any]:
    plane = plane_across(axis, oriented)
    return {
        "axis": axis,
        "rows": plane.rows,
        "columns": plane.columns,
        "flipped": oriented,
        "name": plane.name,
        "sides": plane.sides,
    }


def _classes_in(value: np.integer, overlapping: bool) -> list[int]:
    """The foreground classes that a value of a label map stands for."""
    if not overlapping:
        return [int(value)] if value else []
    one = np.array([value])
    return (np.flatnonzero(class_masks(one, largest_class(one, True), True)[0]) + 1).tolist() if value else []
