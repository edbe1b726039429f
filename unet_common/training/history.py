"""The file history.csv: the loss of every step and the results of every validation, appended as they come."""

import csv
from pathlib import Path
from typing import Any

from data.errors import UserError
from data.files import replacing

COLUMNS = ("step", "epoch", "loss", "learning_rate", "validation_loss", "validation_dice", "validation_iou")

# What came later: files of before do not have it.
LATER = ("validation_iou",)

# The step is an int, all else a float; None is an empty cell.
Row = dict[str, Any]


class History:
    """The file, and the `validations` so far. A row is a step or a validation.

    Step n is the n-th update: its loss was computed before it; a validation at n happened after it.
    """

    def __init__(self, path: Path, last_step: int = 0):
        """Continue the file at `path` after `last_step`: later rows belong to updates that were lost."""
        self.path = path
        rows = [row for row in read_history(path) if row["step"] <= last_step] if last_step else []
        # Only these are kept in memory: the training loop asks for them at every step.
        self.validations = [row for row in rows if row["validation_dice"] is not None]
        with replacing(path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        self._file = open(path, "a", newline="")  # noqa: SIM115  (closed by `close`)
        self._writer = csv.DictWriter(self._file, COLUMNS)

    def append(self, **values: float) -> None:
        """Add a row and write it at once, so that other programs see it and a kill loses nothing."""
        row: Row = {column: values.get(column) for column in COLUMNS}
        if row["validation_dice"] is not None:
            self.validations.append(row)
        self._writer.writerow(row)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_history(path: Path) -> list[Row]:
    """All complete rows of a history file; empty cells are None. No file: no rows.

    Raises:
        UserError: the file is something else.
    """
    if not path.is_file():
        return []
    lines = path.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()  # of a process that was killed, or is still writing
    reader = csv.DictReader(lines)
    found = tuple(reader.fieldnames or ())
    if found not in (COLUMNS, tuple(name for name in COLUMNS if name not in LATER)):
        raise UserError(f"{path} is not a history of this program: its columns are {reader.fieldnames}.")
    rows: list[Row] = []
    for cells in reader:
        try:
            row: Row = {name: float(cells[name]) if cells[name] else None for name in found}
            row |= {name: None for name in LATER if name not in found}
            row["step"] = int(row["step"])
        except (TypeError, ValueError):
            raise UserError(f"{path}: the line {','.join(map(str, cells.values()))} is damaged.") from None
        rows.append(row)
    return rows
