"""The state of a training, for programs beside it: which process trains, and how that ended."""

import os
from dataclasses import dataclass
from pathlib import Path

from data.files import write_text

NOT_STARTED = "not started"
"""The state of a run before its first step."""


@dataclass(frozen=True)
class State:
    """The content of the file at `path`: a state, and the process that was in it."""

    path: Path

    def write(self, name: str) -> None:
        """Say how the training stands in this process: `running`, or how it ended."""
        write_text(self.path, f"{name}\n{os.getpid()}\n")

    @property
    def name(self) -> str:
        """The state that was written last. A process that died while `running` gives `killed`."""
        name, process = self._read()
        return "killed" if name == "running" and not _alive(process) else name

    def process_lives(self) -> bool:
        """True if the process that wrote the state is there: it may yet begin, or go on to the next fold."""
        return _alive(self._read()[1])

    def _read(self) -> tuple[str, int]:
        try:
            name, process = self.path.read_text().split("\n")[:2]
            return name, int(process)
        except (OSError, ValueError):
            return NOT_STARTED, 0


def _alive(process: int) -> bool:
    if process <= 0:  # nobody's; and `kill` would address a group of processes
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
