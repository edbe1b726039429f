"""The state of a training, for programs beside it: which process trains, and how that ended."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from data.files import write_text
from unet_common.training.owner import is_owned

NOT_STARTED = "not started"
"""The state of a run before its first step."""


@dataclass(frozen=True)
class State:
    """The content of the file at `path`: a state, and the process that was in it."""

    path: Path

    def write(self, name: str) -> None:
        """Say how the training stands in this process: `running`, or how it ended."""
        write_text(self.path, f"{name}\n{os.getpid()}\n{socket.gethostname()}\n")

    @property
    def name(self) -> str:
        """The state that was written last. A process that died while `running` gives `killed`."""
        name, lives = self._read()
        return "killed" if name == "running" and not (lives and is_owned(self.path.parent)) else name

    def process_lives(self) -> bool:
        """True if the process that wrote the state is there: it may yet begin, or go on to the next fold."""
        return self._read()[1]

    def _read(self) -> tuple[str, bool]:
        """The state, and whether the process that wrote it lives; of one on another host nobody knows better."""
        try:
            name, process, *host = self.path.read_text().split("\n")
            elsewhere = bool(host) and host[0] not in ("", socket.gethostname())
            return name, elsewhere or _alive(int(process))
        except (OSError, ValueError):
            return NOT_STARTED, False


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
