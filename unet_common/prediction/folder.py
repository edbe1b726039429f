"""The folder of a prediction's results: one prediction's alone, and never within a data set."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.errors import UserError, bullet_list
from data.files import write_text
from data.sources.detect import layout
from unet_common.experiment import differences
from unet_common.prediction.inputs import find_weights
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.run import Run

RECORD = "prediction.json"
"""What was predicted with what; written before the first result, so that everything beside it is known to be ours."""


def record(
    runs: Sequence[Run],
    implementation: str | None,
    weights: str,
    settings: PredictionSettings,
    place: Path | None,
    names: Iterable[str],
    **more: bool,
) -> dict[str, Any]:
    """All that the results of a prediction depend on, as JSON values.

    place: the input; None for validation images. names: of the cases. more: what else is written.
    """
    return {
        "weights": {str(weights): [_digest(find_weights(run, weights)) for run in runs]},
        "implementation": implementation or runs[0].experiment.implementation,
        "input": None if place is None else str(place.absolute()),
        "cases": sorted(names),
        "settings": settings.model_dump(mode="json"),
        **more,
    }


def claim(wanted: Path | None, run_path: Path, about: Mapping[str, Any], data: Iterable[Path | None]) -> Path:
    """Make the folder for results with this `record`; the same ones may be written there again.

    Args:
        wanted: the folder that was asked for. None: `predictions` in the run folder, or, where other results are,
            `predictions_2` and so on.
        data: folders of data sets, or images to predict, or None.

    Raises:
        UserError: the folder lies in a data set, or holds anything that is not of the same prediction.
    """
    if wanted is not None:
        _refuse_data(wanted, run_path, [folder for folder in data if folder is not None])
        reason = _occupied(wanted, about)
        if reason:
            raise UserError(f"{wanted} {reason}\nChoose another --output.")
    else:
        wanted, number = run_path / "predictions", 2
        while _occupied(wanted, about):
            wanted, number = run_path / f"predictions_{number}", number + 1
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        write_text(wanted / RECORD, json.dumps(about, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"{wanted} cannot be written ({error.strerror}): choose another --output.") from None
    return wanted


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _occupied(folder: Path, about: Mapping[str, Any]) -> str | None:
    """The reason why results cannot go to a folder; None if they can."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        return "is a file."
    if {entry.name for entry in folder.iterdir()} <= {RECORD}:
        return None  # nothing, also where a prediction came to nothing
    if not (folder / RECORD).is_file():
        return f"is not empty, and has no {RECORD}: what is there is not of this prediction, and would be overwritten."
    try:
        before = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        before, here = dict(before), dict(about)
        # Settings that came later had their defaults before.
        before["settings"] = PredictionSettings().model_dump(mode="json") | dict(before["settings"])
        known = set(before.pop("cases")) <= set(here.pop("cases"))
    except (OSError, ValueError, KeyError, TypeError):
        return f"holds a {RECORD} that cannot be read."
    different = [f"{key}: {there} there, {now} here" for key, there, now in differences(before, here)]
    different += [] if known else ["cases: others there than here"]
    return f"holds another prediction:\n{bullet_list(different)}" if different else None


def _refuse_data(output: Path, run_path: Path, data: Sequence[Path]) -> None:
    """Refuse an output in a data set's folder, where it would be taken for a part of it, or overwrite one."""
    place = output.resolve()
    if place.is_relative_to(run_path.resolve()) and place != run_path.resolve():
        return
    inside = [folder for folder in data if place.is_relative_to(folder.resolve())]
    for folder in (place, place.parent):
        if not inside and folder.is_dir() and _is_data_set(folder):
            inside = [folder]
    if inside:
        raise UserError(
            f"{output} lies in {inside[0]}, which holds images or labels: predictions would be taken for a part of "
            "them, or overwrite them. Choose another --output."
        )


def _is_data_set(folder: Path) -> bool:
    try:
        return bool(layout(folder))
    except UserError:
        return False
