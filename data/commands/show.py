"""Pictures of a data set, to look at before training: its images, and what augmentation makes of one."""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import rc_context

from data.drawing.images import PICTURE_STYLE, grey_limits, save_figure
from data.drawing.layout import GAP, draw_key, draw_view, key_size, panels, row_of, view_figure
from data.drawing.slices import View, middle, orthogonal_views, picture, slice_view
from data.labels.label_maps import known
from data.preprocessing.preprocessor import Prepared, Preprocessor
from data.preprocessing.statistics import statistics
from data.sampling.augmentation import augment
from data.sampling.sampler import check_crop
from data.settings import OFF, Augmentation, Change, Preprocessing, Sampling
from data.source import Case, Source

ROWS, COLUMNS = 3, 3
"""Of the picture of augmentation; the first place is that of the unchanged crop."""

UNCHANGED = Augmentation(flips=0.0)


def show(
    source: Source,
    names: Sequence[str],
    output: Path,
    sampling: Sampling | None = None,
    augmentation: Augmentation | None = None,
    preprocessing: Preprocessing | None = None,
    seed: int = 0,
) -> list[Path]:
    """Draw cases, each as its file has it, and augmented crops of the first of them that has a label.

    names: of cases with or without a label.
    output: gets cases/NAME.png, and augmentation.png.
    sampling: its crop; None is the whole image, up to 128 pixels a side, 64 in volumes.
    seed: of the augmentation.
    Returns the files in the order in which they were written. Raises UserError where a case cannot be read or
    prepared, or is smaller than the crop.
    """
    sampling, augmentation = sampling or Sampling(), augmentation or Augmentation()
    written, example = [], None
    for name in names:
        case = source.read(name)
        if source.ignoring and case.label is not None:
            case = replace(case, label=known(case.label))
        if example is None or (example.label is None and case.label is not None):
            example = case
        written.append(output / "cases" / f"{name}.png")
        _draw_case(case, written[-1], source.class_names)
    if example is not None:
        written.append(output / "augmentation.png")
        preprocessing = (preprocessing or Preprocessing()).for_rank(source.rank)
        _draw_augmentation(
            example, written[-1], sampling, augmentation, preprocessing, seed, source.class_names
        )
    return written


def _draw_case(case: Case, path: Path, class_names: tuple[str, ...] | None) -> None:
    size = " x ".join(str(side) for side in case.image.shape[:-1])
    title = f"{case.name}: {size}"
    if case.geometry is not None:
        title += f", voxels of {' x '.join(f'{length:.3g}' for length in case.spacing)} mm"
    if case.image.ndim == 4:
        oriented = case.geometry is not None
        views = orthogonal_views(case.image, case.label, None, case.spacing, oriented, case.overlapping)
    else:
        views = (View(picture(case.image), case.label, overlapping=case.overlapping),)
    views = tuple(replace(view, class_names=class_names) for view in views)
    with rc_context(PICTURE_STYLE):
        figure, _ = view_figure(views, title)
        save_figure(figure, path)


def _draw_augmentation(
    case: Case,
    path: Path,
    sampling: Sampling,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    seed: int,
    class_names: tuple[str, ...] | None,
) -> None:
    """Draw the same crop again and again, so that nothing differs but what augmentation did."""
    prepared = _normalised(case, preprocessing)
    assert prepared.label is not None
    size = prepared.label.shape
    crop = sampling.crop or tuple(min(side, 128 if len(size) == 2 else 64) for side in size)
    check_crop({case.name: size}, crop, sampling.pad)
    place = np.array(middle(prepared.label))
    room = np.subtract(size, crop)
    corner = np.clip(place - np.array(crop) // 2, np.minimum(room, 0), np.maximum(room, 0))

    samples = []
    for number in range(ROWS * COLUMNS):
        settings = augmentation if number else UNCHANGED
        generator = np.random.default_rng([seed, number])
        samples.append(
            augment(
                prepared.image,
                prepared.label,
                corner,
                crop,
                settings,
                generator,
                prepared.spacing,
                overlapping=case.overlapping,
            )
        )
    limits = grey_limits(samples[0][0], 0.5)  # of all, so that changes of brightness and contrast are seen
    oriented = case.geometry is not None
    axis = 2 if oriented else 0
    index = int(np.clip(place - corner, 0, np.array(crop) - 1)[axis])
    views = []
    for image, label in samples:
        if len(crop) == 2:
            view = View(picture(image, limits), label)
        else:
            view = slice_view(image, label, None, axis, index, prepared.spacing, oriented, limits)
        # After a flip, right is left: no letters at the sides.
        shown = replace(view, title="", sides="", overlapping=case.overlapping, class_names=class_names)
        views.append(shown)
    views[0] = replace(views[0], title="unchanged")
    _draw_grid(views, f"{case.name}: augmentation", _description(augmentation), path)


def _normalised(case: Case, preprocessing: Preprocessing) -> Prepared:
    """The case as prepared for a training on it alone; without a label all is background."""
    if case.label is None:
        case = replace(case, label=np.zeros(case.image.shape[:-1], np.uint8))
    prepared = Preprocessor(preprocessing)(case)
    if preprocessing.normalisation != "case":
        of_case = statistics([prepared.measured], prepared.image.shape[-1])
        prepared = replace(prepared, image=of_case.normalise(prepared.image))
    return prepared


def _draw_grid(views: Sequence[View], title: str, description: str, path: Path) -> None:
    rows = [views[first : first + COLUMNS] for first in range(0, len(views), COLUMNS)]
    sizes = [row_of(row, most=2.9) for row in rows]
    width = max(4.0, COLUMNS * sizes[0][0][1] + (COLUMNS - 1) * GAP)
    lines = textwrap.wrap(description, int(13 * width))
    with rc_context(PICTURE_STYLE):
        figure, (*grid, (key,), (text,)) = panels(
            [*sizes, [key_size(views, width)], [(0.18 * len(lines), width)]], title
        )
        for row, tiles in zip(rows, grid, strict=True):
            for view, axes in zip(row, tiles, strict=True):
                draw_view(axes, view)
                axes.set_title(view.title)
        draw_key(key, views, width)
        text.set_axis_off()
        text.text(0, 1, "\n".join(lines), va="top", linespacing=1.3)
        save_figure(figure, path)


def _description(augmentation: Augmentation) -> str:
    """The changes that are switched on, with their amount, and how often they happen unless always."""
    changes = [f"flips {augmentation.flips:g}"] if augmentation.flips else []
    for name in Augmentation.model_fields:
        change = getattr(augmentation, name)
        if isinstance(change, Change) and change != OFF:
            often = "" if change.probability == 1 else f" ({change.probability:.0%} of the samples)"
            changes.append(f"{name.replace('_', ' ')} {change.amount:g}{often}")
    return ", ".join(changes) or "nothing is changed"
