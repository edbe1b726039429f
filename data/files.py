"""Files that are either the old one or the complete new one, never half of each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
