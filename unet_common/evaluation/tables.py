"""Tables of metrics, one row a case or a fold: Markdown for people, CSV and JSON for programs.

A metric of a single class is called `dice_1`, which programs can rely on. People read `dice Anterior` where the names
of the classes are known; JSON lists them.
"""

import csv
import io
import json
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.files import write_text
from data.labels.label_maps import class_name
from unet_common.prediction.settings import PredictionSettings

# A case, a fold or a class: its name is under "case", "fold" or "class", every other key is a metric. None and nan: not
# defined for it.
Row = Mapping[str, Any]

# Metrics where less is better. Of all others, more is.
_LOWER_IS_BETTER = (
    "adapted_rand_error", "voi_split", "voi_merge", "loss", "assd", "hd95", "assd_border", "hd95_border"
)  # fmt: skip

# Below a table that has the metric: what its numbers are.
_NOTES = {
    "dice": "A class that is neither there nor predicted has no score (–); one that is predicted and not there has "
    "Dice and IoU 0. The score of a case is the mean over its classes, but the background, that have one; **mean** and "
    "**median** are those of the cases that have one.",
    "hd95": "hd95 and assd are weighted by the area of surfaces (Nikolov et al. 2018); infinite (inf) where only one "
    "of truth and prediction is empty.",
    "hd95_border": "hd95_border and assd_border are between border voxels, as MedPy measures them.",
    "surface_dice": "surface_dice: distances up to {tolerance:g} mm are no error.",
}

# Above a table of folds.
FOLDS = "Means over the cases of each fold; their mean and standard deviation (n - 1)."


def summary(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Mean and median of every metric over the cases that have it; nan if none has.

    Returns:
        {"mean": {metric: value}, "median": {metric: value}}
    """
    return _statistics(rows, mean=statistics.fmean, median=statistics.median)


def fold_rows(rows: Sequence[Row], folds: Mapping[str, int]) -> list[Row]:
    """A row for each fold of a cross-validation: the means over its cases.

    Args:
        rows: the cases of all folds.
        folds: the fold of each case, by its name.
    """
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(folds[row["case"]], []).append(row)
    return [{"fold": fold, **summary(groups[fold])["mean"]} for fold in sorted(groups)]


def fold_summary(folds: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of every metric over the folds that have it, as papers report them.

    Each fold counts as much as the others, however many cases it has, so this mean may differ from that of the cases.
    The deviation is that of a sample (n - 1): nan for a single fold, or if a value is infinite.

    Returns:
        {"mean": {metric: value}, "std": {metric: value}}
    """
    return _statistics(folds, mean=statistics.fmean, std=_deviation)


def worst_case(rows: Sequence[Row], metric: str) -> Row | None:
    """The case with the worst value of `metric`: None if no case has one."""
    known = [row for row in rows if _known(row.get(metric))]
    worst = max if metric in _LOWER_IS_BETTER else min
    return worst(known, key=lambda row: row[metric]) if known else None


def markdown_table(rows: Sequence[Row], digits: int = 3, class_names: Sequence[str] | None = None) -> str:
    """An aligned Markdown table: the cases, their mean and median, and which case is worst.

    The worst case is that of the first metric, so put the one that matters first.

    Args:
        rows: one for each case, with its name under "case"; columns are in order of appearance.
        digits: after the decimal point.
        class_names: of the classes 1, 2, ...
    """
    text = _aligned("case", rows, summary(rows), digits, class_names)
    metrics = _metrics(rows)
    worst = worst_case(rows, metrics[0]) if metrics else None
    if worst is not None:
        text += f"\nWorst {metrics[0]}: {worst['case']} ({worst[metrics[0]]:.{digits}f}).\n"
    return text


def fold_table(folds: Sequence[Row], digits: int = 3, class_names: Sequence[str] | None = None) -> str:
    """An aligned Markdown table: the folds, their mean and standard deviation; arguments as of `markdown_table`."""
    return _aligned("fold", folds, fold_summary(folds), digits, class_names)


def decision_table(decisions: Sequence[Row], least: int, class_names: Sequence[str] | None = None) -> str:
    """Scores of what was said of whole cases: a text and an aligned Markdown table, or nothing if nothing was open.

    Args:
        decisions: a row for each class, from `unet_common.metrics.cases.decisions`, with its number as `class`.
        least: pixels from which a case has a class.
        class_names: of the classes 1, 2, ...
    """
    open_questions = [row for row in decisions if row["cases_with"] < row["cases"] or row["recall"] < 1]
    if not open_questions:
        return ""
    scores = ("recall", "precision", "specificity")
    rows = [
        {
            "class": f"{class_name(row['class'], class_names)} (in {row['cases_with']} of {row['cases']})",
            **{name: row[name] for name in scores},
        }
        for row in open_questions
    ]
    pixels = "a pixel" if least == 1 else f"{least} pixels"
    text = f"Of whole cases: is there at least {pixels} of the class? – has no case to judge it by."
    return f"{text}\n\n{_aligned('class', rows, {}, 3, None)}"


def notes(rows: Sequence[Row], tolerance: float) -> str:
    """Explain the metrics of a table, a paragraph each. tolerance: of the surface Dice in mm."""
    said = {name: text for name, text in _NOTES.items() if name in _metrics(rows)}
    return "\n\n".join(text.format(tolerance=tolerance) for text in said.values())


def _aligned(
    key: str,
    rows: Sequence[Row],
    summaries: Mapping[str, Row],
    digits: int,
    class_names: Sequence[str] | None,
) -> str:
    metrics = _metrics(rows)
    cells = [[key, *(_heading(metric, class_names) for metric in metrics)]]
    cells += [[str(row[key]), *_numbers(row, metrics, digits)] for row in rows]
    for name, values in summaries.items():
        cells.append([f"**{name}**", *_numbers(values, metrics, digits)])

    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(cells[0]))]
    lines = [
        [cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(pair)]
        for pair in (zip(line, widths, strict=True) for line in cells)
    ]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in [lines[0], rule, *lines[1:]])


def _heading(metric: str, class_names: Sequence[str] | None) -> str:
    """The heading of a column: `dice Anterior` for `dice_1`, if class 1 has a name."""
    of_class, names = re.fullmatch(r"(.+)_(\d+)", metric), class_names or ()
    if not of_class or int(of_class[2]) > len(names):
        return metric
    return f"{of_class[1]} {names[int(of_class[2]) - 1]}"


def csv_table(rows: Sequence[Row]) -> str:
    """The cases as CSV, all digits; a value that is not defined is an empty field."""
    columns = ["case", *_metrics(rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: row[name] for name in columns if _known(row.get(name))})
    return text.getvalue()


def for_json(value: Any) -> Any:
    """The value as JSON can hold it, which has neither nan nor infinity: what is not defined is null.

    An infinite number, of a distance to what is not there, is the string "Infinity", which Python's `float` and
    JavaScript's `Number` take for what it is.
    """
    if isinstance(value, Mapping):
        return {name: for_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [for_json(part) for part in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def json_table(rows: Sequence[Row], **more: object) -> str:
    """Cases and summary as JSON, as of `for_json`.

    Args:
        rows: the cases.
        more: other JSON values to keep beside them, such as the thresholds of the scores.
    """
    content = {"cases": list(rows), **summary(rows), **more}
    return json.dumps(for_json(content), indent=2, allow_nan=False) + "\n"


def write_tables(
    rows: Sequence[Row],
    stem: Path,
    class_names: Sequence[str] | None = None,
    folds: Sequence[Row] = (),
    decisions: Sequence[Row] = (),
    settings: PredictionSettings | None = None,
    **more: object,
) -> list[Path]:
    """Write `stem`.md, .csv and .json, each completely or not at all; returns the paths.

    Args:
        rows: the cases.
        class_names: of the classes 1, 2, ...; also listed in JSON.
        folds: those of a cross-validation, from `fold_rows`: a second table, and `folds` in JSON.
        decisions: what was said of whole cases, as of `decision_table`; in JSON whether there is such a table or not.
        settings: of the scores; the tolerance of the surface Dice is also in JSON, as `surface_dice_tolerance`.
        more: other JSON values.
    """
    text = markdown_table(rows, class_names=class_names)
    if folds:
        more["folds"] = {"rows": list(folds), **fold_summary(folds)}
        text += f"\n{FOLDS}\n\n{fold_table(folds, class_names=class_names)}"
    settings = settings or PredictionSettings()
    if explained := notes(rows, settings.tolerance):
        text += f"\n{explained}\n"
    if said := decision_table(decisions, settings.least_size, class_names):
        text += f"\n{said}"
    if decisions:
        more["decisions"] = list(decisions)
    if "surface_dice" in _metrics(rows):
        more["surface_dice_tolerance"] = settings.tolerance
    texts = {
        ".md": text,
        ".csv": csv_table(rows),
        ".json": json_table(rows, class_names=class_names, **more),
    }
    paths = []
    for ending, text in texts.items():
        paths.append(stem.with_name(stem.name + ending))  # a stem may have a dot in it
        write_text(paths[-1], text)
    return paths


def _metrics(rows: Sequence[Row]) -> list[str]:
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if name not in ("case", "fold", "class")]


def _statistics(
    rows: Sequence[Row], **functions: Callable[[list[float]], float]
) -> dict[str, dict[str, float]]:
    """Functions of the values of every metric, by name; nan for a metric without values."""
    metrics = _metrics(rows)
    values = {metric: [row[metric] for row in rows if _known(row.get(metric))] for metric in metrics}
    return {
        name: {metric: function(values[metric]) if values[metric] else math.nan for metric in metrics}
        for name, function in functions.items()
    }


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else math.nan


def _known(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _numbers(row: Row, metrics: Sequence[str], digits: int) -> list[str]:
    return [f"{row[name]:.{digits}f}" if _known(row.get(name)) else "–" for name in metrics]
