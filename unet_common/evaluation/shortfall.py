"""The files of a prediction of which there is none, and why."""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from data.errors import UserError, bullet_list, divided, grouped
from data.formats.unread import unread


def report_unread(folder: Path, read: Collection[Path]) -> None:
    """Say what lies in a folder beside the files that were read, and why it was not; nothing if all was."""
    if folder.is_dir():
        lines = grouped(unread(folder, list(read)))
        if lines:
            print(f"Not read in {folder}:\n{bullet_list(lines, most=200)}")


def report_failures(failures: Sequence[str], files: int) -> int:
    """Say which of the files could not be predicted; the status of the command.

    Raises:
        UserError: none could.
    """
    if files == len(failures) == 1:
        raise UserError(failures[0])
    listed = bullet_list(grouped(divided(failure) for failure in failures), most=200)
    if len(failures) == files:
        raise UserError(f"None of the {files} files could be predicted:\n{listed}")
    print(f"error: {len(failures)} of {files} files could not be predicted:\n{listed}", file=sys.stderr)
    return 1
