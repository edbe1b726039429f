"""Tables of metrics, one row a case: Markdown for people, CSV and JSON for programs."""

import csv
import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.files import write_text

# A case: its name under "case", every other key is a metric. None and nan: not defined for it.
Row = Mapping[str, str | float | None]

# Metrics where less is better. Of all others, more is.
_LOWER_IS_BETTER = ("adapted_rand_error", "voi_split", "voi_merge", "loss")


def summary(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Mean and median of every metric over the cases that have it; nan if none has.

    Returns:
        {"mean": {metric: value}, "median": {metric: value}}
    """
    result: dict[str, dict[str, float]] = {"mean": {}, "median": {}}
    for metric in _metrics(rows):
        values = [row[metric] for row in rows if _known(row.get(metric))]
        result["mean"][metric] = statistics.fmean(values) if values else math.nan
        result["median"][metric] = statistics.median(values) if values else math.nan
    return result


def worst_case(rows: Sequence[Row], metric: str) -> Row | None:
    """The case with the worst value of `metric`: None if no case has one."""
    known = [row for row in rows if _known(row.get(metric))]
    worst = max if metric in _LOWER_IS_BETTER else min
    return worst(known, key=lambda row: row[metric]) if known else None


def markdown_table(rows: Sequence[Row], digits: int = 3) -> str:
    """An aligned Markdown table: the cases, their mean and median, and which case is worst.

    The worst case is that of the first metric, so put the one that matters first.

    Args:
        rows: one for each case, with its name under "case"; columns are in order of appearance.
        digits: after the decimal point.
    """
    metrics = _metrics(rows)
    cells = [["case", *metrics]]
    cells += [[str(row["case"]), *_numbers(row, metrics, digits)] for row in rows]
    for name, values in summary(rows).items():
        cells.append([f"**{name}**", *_numbers(values, metrics, digits)])

    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(cells[0]))]
    lines = [
        [cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(pair)]
        for pair in (zip(line, widths, strict=True) for line in cells)
    ]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    text = "".join(f"| {' | '.join(line)} |\n" for line in [lines[0], rule, *lines[1:]])

    worst = worst_case(rows, metrics[0]) if metrics else None
    if worst is not None:
        text += f"\nWorst {metrics[0]}: {worst['case']} ({worst[metrics[0]]:.{digits}f}).\n"
    return text


def csv_table(rows: Sequence[Row]) -> str:
    """The cases as CSV, all digits; a value that is not defined is an empty field."""
    columns = ["case", *_metrics(rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: row[name] for name in columns if _known(row.get(name))})
    return text.getvalue()


def json_table(rows: Sequence[Row], **more: object) -> str:
    """Cases and summary as JSON; a value that is not defined is null, for JSON has no nan.

    Args:
        rows: the cases.
        more: other JSON values to keep beside them, such as the thresholds of the scores.
    """
    content = {"cases": list(rows), **summary(rows), **more}
    return json.dumps(_without_nan(content), indent=2, allow_nan=False) + "\n"


def write_tables(rows: Sequence[Row], stem: Path, **more: object) -> list[Path]:
    """Write `stem`.md, .csv and .json, each completely or not at all; returns the paths."""
    texts = {
        ".md": markdown_table(rows),
        ".csv": csv_table(rows),
        ".json": json_table(rows, **more),
    }
    paths = []
    for ending, text in texts.items():
        paths.append(stem.with_name(stem.name + ending))  # a stem may have a dot in it
        write_text(paths[-1], text)
    return paths


def _metrics(rows: Sequence[Row]) -> list[str]:
    names = dict.fromkeys(name for row in rows for name in row)
    names.pop("case", None)
    return list(names)


def _known(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _numbers(row: Row, metrics: Sequence[str], digits: int) -> list[str]:
    return [f"{row[name]:.{digits}f}" if _known(row.get(name)) else "–" for name in metrics]


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return value if _known(value) else None
