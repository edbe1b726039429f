"""Files: written whole or not at all, and in the order in which people count."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import UserError


def at_home(path: Path | str) -> Path:
    """The path that a person means: `~` is the home folder, also where no shell has replaced it."""
    return Path(os.path.expanduser(path))


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, to be written; renamed to `path` when the block ends well.

    The temporary name keeps the ending, by which writers choose their format. If writing fails (a
    full disk, Ctrl-C), the temporary file goes and what was at `path` stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # on the disk before the name points to it
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file through `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def natural_key(text: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key with which '10' comes after '2': numbers in names compare as numbers."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    numbered = [(0, int(p), "") if p[0] in "0123456789" else (1, 0, p.lower()) for p in parts]
    return numbered, text  # the text itself puts 'A' and 'a', '1' and '01' in one order


OF_SYSTEMS = ("Thumbs.db", "desktop.ini", "__MACOSX")
"""The names of files and folders that operating systems leave among those of people."""


def paths_in(directory: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """The `wanted` files and folders directly in a directory, in natural order (2.png before 10.png).

    Neither hidden ones nor those `OF_SYSTEMS`. Raises UserError if the directory is missing.
    """
    if not directory.is_dir():
        raise UserError(f"The folder {directory} does not exist.")
    visible = [path for path in directory.iterdir() if path.name[0] != "." and path.name not in OF_SYSTEMS]
    return sorted(filter(wanted, visible), key=lambda path: natural_key(path.name))
