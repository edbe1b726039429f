"""The evaluation beside a training, in a process of its own: every checkpoint, on whole images, the best one kept."""

import json
import math
import time
from pathlib import Path
from typing import Any

from data.errors import UserError, bullet_list
from data.files import write_text
from unet_common.evaluation.report import predict_each
from unet_common.evaluation.scores import Scores
from unet_common.evaluation.tables import Row, csv_table, for_json, summary, write_tables
from unet_common.experiment import differences
from unet_common.prediction.inputs import validation_cases
from unet_common.prediction.predictor import Predictor
from unet_common.prediction.settings import PredictionSettings
from unet_common.training import checkpoints
from unet_common.training.cross_validation import runs_as_they_begin
from unet_common.training.run import Run
from unet_common.training.state import NOT_STARTED
from unet_common.weights.interchange import Weights, save_weights

# Seconds between two looks.
WATCH_EVERY = 2.0


class Watch:
    """The folder `evaluation/` of a run: the scores of every checkpoint, and of the best one everything.

    `best.h5` are the weights with the best mean foreground Dice over the cases, `best.json` says which and how good,
    `best_metrics` are their tables, `checkpoints.csv` has a row for every checkpoint. A watch that is started again
    reads what the last one found and goes on from there.
    """

    def __init__(self, run: Run, implementation: str | None, settings: PredictionSettings):
        """Go on in the run's `evaluation/`. Raises UserError if what it holds was made with other settings."""
        self.run, self.settings = run, settings
        self.directory = run.path / "evaluation"
        self._check_settings()
        self._implementation = implementation
        self._predictor: Predictor | None = None
        self.rows: list[Row] = []
        if (self.directory / "checkpoints.json").is_file():
            rows = json.loads((self.directory / "checkpoints.json").read_text())
            self.rows = [{name: _number(value) for name, value in row.items()} for row in rows]

    def _check_settings(self) -> None:
        """Compare the settings with those of the watch before, and keep them."""
        file, here = self.directory / "settings.json", self.settings.model_dump(mode="json")
        if file.is_file():
            defaults = PredictionSettings().model_dump(mode="json")  # of what came later
            there = defaults | json.loads(file.read_text(encoding="utf-8"))
            different = [f"{key}: {one} there, {other} here" for key, one, other in differences(there, here)]
            if different:
                raise UserError(
                    f"{self.directory} holds the evaluation of other settings:\n{bullet_list(different)}\nWatch with "
                    f"those, or move {self.directory} away."
                )
        write_text(file, json.dumps(here, indent=1) + "\n")

    @property
    def best(self) -> Row | None:
        """The row of the best checkpoint so far."""
        known = [row for row in self.rows if not math.isnan(row["dice"])]
        return max(known, key=lambda row: row["dice"], default=None)

    def new_checkpoints(self) -> list[str]:
        """The checkpoints that were not evaluated yet, oldest first."""
        seen = {row["step"] for row in self.rows}
        return [
            path
            for path in checkpoints.saved_checkpoints(self.run.checkpoints)
            if checkpoints.step_of(path) not in seen
        ]

    def evaluate(self, checkpoint: str) -> Row | None:
        """Score the validation cases with a checkpoint; None if it was deleted by the training meanwhile."""
        step = checkpoints.step_of(checkpoint)
        weights = _read(checkpoint)
        if weights is None:
            print(
                f"Step {step}: the checkpoint was replaced by newer ones before it could be read; left out."
            )
            return None
        if self._predictor is None:
            self._predictor = Predictor([self.run], self._implementation, None, self.settings.level)
        self._predictor.set_weights([weights], checkpoint)
        scores = Scores(self.run.about.foreground_is_membrane, self.settings)
        cases, count = validation_cases(self.run), len(self.run.split.validation)
        for prediction in predict_each(self._predictor, cases, count, self.settings, False):
            scores.add(prediction)
        rows, _thresholds = scores.result()
        means = {name: float(value) for name, value in summary(rows)["mean"].items()}
        row: dict[str, Any] = {"case": f"step {step}", "step": step, **means}
        before = self.best
        self.rows.append(row)
        is_best = not math.isnan(row["dice"]) and (before is None or row["dice"] > before["dice"])
        if is_best:
            save_weights(self.directory / "best.h5", weights, self.run.network)
            write_tables(
                rows,
                self.directory / "best_metrics",
                self.run.about.class_names,
                decisions=scores.decisions,
                settings=self.settings,
                made_with={"settings": self.settings.model_dump(mode="json")},
            )
            write_text(self.directory / "best.json", json.dumps(for_json(row), indent=2) + "\n")
        # Last: a checkpoint that is listed here is dealt with completely.
        write_text(self.directory / "checkpoints.csv", csv_table(self.rows))
        write_text(self.directory / "checkpoints.json", json.dumps(for_json(self.rows), indent=2) + "\n")
        dice = "not defined" if math.isnan(row["dice"]) else f"{row['dice']:.4f}"
        print(f"Step {step}: mean Dice {dice}{', the best so far' if is_best else ''}")
        return row


def follow_all(path: Path, implementation: str | None, settings: PredictionSettings) -> None:
    """Follow the run in a folder, or the folds of a cross-validation, which are trained one after the other."""
    for run in runs_as_they_begin(path, lambda: time.sleep(WATCH_EVERY)):
        print(f"Run folder: {run.path}")
        follow(run, implementation, settings)


def follow(run: Run, implementation: str | None, settings: PredictionSettings) -> None:
    """Evaluate every new checkpoint until the training has ended."""
    watch = Watch(run, implementation, settings)
    if watch.best:
        print(f"Going on after {len(watch.rows)} checkpoints; the best is {watch.best['case']}.")
    lost: set[str] = set()
    while True:
        # Both before the look at the checkpoints: the last one is not missed.
        lives, state = run.state.process_lives(), run.state.name
        found = [path for path in watch.new_checkpoints() if path not in lost]
        for path in found:
            if watch.evaluate(path) is None:
                lost.add(path)
        if not found:
            if not (state == "running" or (state == NOT_STARTED and lives)):
                break
            time.sleep(WATCH_EVERY)
    print(f"The training has ended: {state}.")
    if watch.best:
        print(f"Best: {watch.best['case']}, mean Dice {watch.best['dice']:.4f}: {watch.directory}/")
        print((watch.directory / "best_metrics.md").read_text())


def _read(checkpoint: str) -> Weights | None:
    try:
        return checkpoints.weights_in(checkpoint)
    except (UserError, OSError, *checkpoints.UNREADABLE):
        return None


def _number(value: Any) -> Any:
    """A value of a row as it was before `for_json`."""
    return math.nan if value is None else math.inf if value == "Infinity" else value
