"""The owner of a run folder: one process at a time trains in it.

A lock of the operating system, which ends with the process whatever happens to it, decides; a small file beside it says
who holds it. Where a network file system does not tell other hosts of locks, that file does.
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from data.errors import UserError
from data.files import write_text
from data.settings import Settings

LOCK, OWNER = ".lock", "owner.json"
"""The files in a run folder; the second is there as long as somebody owns it, or was killed."""

WAIT = 1.0
"""Seconds for which a lock that is held is tried: `is_owned` holds it for a moment."""


class Owner(Settings):
    """A process and what it does."""

    process: int
    host: str
    command: str

    @classmethod
    def here(cls) -> "Owner":
        """This process."""
        return cls(process=os.getpid(), host=socket.gethostname(), command=Path(sys.argv[0]).name)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host} ({self.command})"


@contextmanager
def owning(folder: Path) -> Iterator[None]:
    """Own a folder for the time of a block. Raises UserError, with the owner, if another process does."""
    try:
        with FileLock(folder / LOCK, timeout=WAIT):
            other = _told(folder)
            if other and other.host != socket.gethostname():
                raise UserError(
                    f"{folder}: {other} began to train in it, and has not ended as far as this host knows. If it is "
                    f"gone, remove {folder / OWNER}."
                )
            write_text(folder / OWNER, Owner.here().model_dump_json() + "\n")
            try:
                yield
            finally:
                (folder / OWNER).unlink(missing_ok=True)
    except Timeout:
        who = _told(folder) or "another process"
        raise UserError(
            f"{folder}: {who} trains in it just now. Wait until it has ended, or stop it first."
        ) from None


def is_owned(folder: Path) -> bool:
    """True if a process owns the folder, as far as this host knows."""
    if not (folder / LOCK).is_file():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            other = _told(folder)
            return other is not None and other.host != socket.gethostname()
    except (Timeout, OSError):
        return True


def _told(folder: Path) -> Owner | None:
    """The owner that the file names; None if there is none that can be read."""
    try:
        return Owner.model_validate_json((folder / OWNER).read_bytes())
    except (OSError, ValidationError):
        return None
