"""The examination of a data set before anyone trains on it: every finding, and what it looks like."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from data.errors import UserError
from data.labels.label_maps import is_class, is_ignored
from data.source import Source


def examine(
    source: Source, progress: Callable[[list[str]], Iterable[str]] = iter
) -> tuple[list[str], list[str]]:
    """Read every case.

    progress: given the names of the cases, passes them on one by one; `tqdm` for example.
    Returns (what is wrong, one line each; what the readable cases are like, one line each).
    """
    try:
        problems = source.problems()
        names = source.names()
    except UserError as error:
        return [str(error)], []
    sizes: list[tuple[int, ...]] = []
    spacings: list[tuple[float, ...]] = []
    values, shares, ignored = [], [], []
    for name in progress(names):
        try:
            case = source.read(name)
            classes = source.classes
        except UserError:
            continue  # is among the problems
        assert case.label is not None  # it is one of the labelled cases
        sizes.append(case.image.shape[:-1])
        if case.geometry is not None:
            spacings.append(case.spacing)
        values.append((case.image.min(), case.image.max()))
        shares.append([is_class(case.label, number, case.overlapping).mean() for number in range(classes)])
        if source.ignoring:
            ignored.append(is_ignored(case.label).mean())
        if not any(shares[-1][1:]):
            problems.append(f"{case.path or case.name}: has no foreground (a warning: it may be right)")
    facts = [f"{source.name}: {len(names)} labelled cases, {len(source.test_names())} without label"]
    if sizes:
        facts += [
            f"channels: {source.channels}   classes: {classes}, background included{_named(source)}",
            f"size: {_range(sizes, '{:.0f}')}",
            f"grey values: {min(low for low, _ in values):g} to {max(high for _, high in values):g}",
            f"share of each class: {', '.join(f'{share:.2%}' for share in np.mean(shares, axis=0))}",
        ]
        if source.ignoring:
            facts.append(f"share of ignored pixels: {np.mean(ignored):.2%}")
        if source.rank == 3:
            facts.insert(3, _spacing(spacings, len(sizes)))
    facts += [f"note: {note}" for note in source.notes()]
    return problems, facts


def _named(source: Source) -> str:
    if source.class_names is None:
        return ""
    return f": {', '.join(source.class_names)}{', which may overlap' if source.overlapping else ''}"


def _spacing(known: Sequence[tuple[float, ...]], volumes: int) -> str:
    """The spacing of the volumes that tell one, and how many do not."""
    told = f"spacing in mm: {_range(known, '{:.3g}')}" if known else "spacing: none"
    if len(known) == volumes:
        return told
    of = f" of {volumes - len(known)} of {volumes} volumes" if known else ""
    return (
        f"{told}{';' if known else ','} lengths{of} are in voxels: of TIFF and generated stacks no spacing is read "
        "(for mm, convert to NIfTI)"
    )


def _range(rows: Sequence[tuple[float, ...]], form: str) -> str:
    """The smallest, median and largest value of each axis."""
    parts = [statistic(rows, axis=0) for statistic in (np.min, np.median, np.max)]
    texts = [" x ".join(form.format(number) for number in part) for part in parts]
    return texts[0] if texts[0] == texts[2] else f"{texts[0]} to {texts[2]}, median {texts[1]}"
