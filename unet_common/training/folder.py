"""The folder of a run before there is a run in it: its name, and who may make it."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import UserError
from unet_common.experiment import Experiment
from unet_common.training.owner import LOCK, OWNER, owning

PATTERNS = re.compile(r"[*?\[\]\\\\]")
"""Characters with which TensorFlow looks for several files, where one was meant: it would find no checkpoint again."""

MADE = {LOCK, OWNER, "state.txt", "split.json", "statistics.json", "data.json", "weights"}
"""Whatever a run folder holds before its `experiment.yaml`, which is written last."""


def new_run_path(experiment: Experiment, root: Path = Path("runs")) -> Path:
    """A new folder whose name sorts by time and says what is in it; made at once, so that nobody else gets it."""
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    name = f"{stamp}_{experiment.network.name}_{experiment.data.name}_{experiment.implementation}"
    path, number = root / name, 2
    while True:
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            path, number = root / f"{name}_{number}", number + 1


def run_folder(path: Path) -> Path:
    """The run folder that a path means: itself, or that of the `experiment.yaml` in it."""
    return path.parent if path.name == "experiment.yaml" and path.is_file() else path


def check_path(path: Path) -> None:
    """Refuse a path in which TensorFlow would find no checkpoint. Raises UserError."""
    found = PATTERNS.search(str(path.absolute()))
    if found:
        raise UserError(
            f"{path.absolute()} has the character {found[0]} in it, by which TensorFlow looks for several files: it "
            "would not find the checkpoints again. Choose another --run, or rename the folder."
        )


def check_new(path: Path) -> None:
    """Refuse a path at which no new run can be made. Raises UserError.

    What another process left that was killed while it made a run there is in nobody's way.
    """
    check_path(path)
    if path.is_dir() and {entry.name for entry in path.iterdir()} <= MADE:
        return
    if path.exists():
        hint = f"continue it with --resume {path}, or " if (path / "experiment.yaml").exists() else ""
        raise UserError(f"The run folder {path} exists already: {hint}choose another --run.")


@contextmanager
def making(path: Path) -> Iterator[None]:
    """Own the folder of a new run while it is made; if that fails, nothing is left.

    Raises UserError if no run can be made there, or another process is about to.
    """
    check_new(path)
    path.mkdir(parents=True, exist_ok=True)
    try:
        with owning(path):
            check_new(path)  # another process may have made a run meanwhile
            try:
                yield
            except BaseException:
                for name in MADE - {LOCK, OWNER}:
                    _remove(path / name)
                raise
    finally:
        if {entry.name for entry in path.iterdir()} <= {LOCK}:
            shutil.rmtree(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
