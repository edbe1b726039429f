"""Cross-validation: a folder of runs, each of which keeps another part of the cases, and their ensemble."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data.errors import UserError, bullet_list
from unet_common.experiment import Experiment, differences, resolve
from unet_common.training.run import Run
from unet_common.training.state import NOT_STARTED


def fold_path(path: Path, fold: int) -> Path:
    """The run of a fold."""
    return path / f"fold{fold}"


def is_cross_validation(path: Path) -> bool:
    """True if a folder holds the runs of folds."""
    return (fold_path(path, 0) / "experiment.yaml").is_file()


def newest(root: Path = Path("runs")) -> Path:
    """The run or cross-validation that was started last. Raises UserError if there is none."""
    started = [*root.glob("*/experiment.yaml"), *root.glob("*/fold*/experiment.yaml")]
    if not started:
        raise UserError(f"There is no run in {root}/ yet. Train one first: python train.py")
    last = max(started, key=lambda file: file.stat().st_mtime).relative_to(root)
    return root / last.parts[0]


def open_runs(path: Path) -> list[Run]:
    """The run in a folder, or those of all folds that have begun. Raises UserError if there is none."""
    if not is_cross_validation(path):
        return [Run.open(path)]
    folds = Run.open(fold_path(path, 0)).experiment.sampling.folds
    paths = (fold_path(path, fold) for fold in range(folds))
    return [Run.open(run) for run in paths if (run / "experiment.yaml").is_file()]


def fold_of_cases(runs: Sequence[Run]) -> dict[str, int]:
    """The fold of each case by its name: the only one that was not trained on it."""
    folds: dict[str, int] = {}
    for run in runs:
        fold = run.experiment.sampling.fold
        assert fold is not None
        folds.update(dict.fromkeys(run.split.validation, fold))
    return folds


def runs_as_they_begin(path: Path, wait: Callable[[], Any]) -> Iterator[Run]:
    """The run in a folder, or those of all folds, each once it has begun, for a program beside the training.

    It ends at the last fold, or if the process that trained the last one is gone: nobody begins another one then.

    Args:
        wait: called while there is nothing to do but to look again later.
    """
    begun = open_runs(path)
    yield begun[0]
    if not is_cross_validation(path):
        return
    for fold in range(1, begun[0].experiment.sampling.folds):
        of_fold, before = fold_path(path, fold), Run.open(fold_path(path, fold - 1))
        lives = True
        while not (of_fold / "experiment.yaml").is_file():
            if not lives:
                return
            wait()
            lives = (
                before.state.process_lives()
            )  # then one more look: the fold may have begun before the process ended
        yield Run.open(of_fold)


def train_folds(path: Path, experiment: Experiment, train: Callable[[Run], Any]) -> None:
    """Train the folds one after the other. Those that are finished are left alone, a begun one goes on.

    Ctrl-C ends the training of a fold and all that would follow.

    Raises:
        UserError: folds that have begun have other settings, so that their mean would be one of different things.
    """
    finished = True
    for run in _runs(path, experiment):
        finished = False
        train(run)
        if run.state.name == "interrupted":
            print(f"Go on with: python train.py --resume {path}")
            return
    if finished:
        print(
            f"All {experiment.sampling.folds} folds in {path} are finished. Next: python predict.py --run {path}"
        )


def resume_folds(path: Path, changes: dict[str, Any], train: Callable[[Run], Any]) -> None:
    """Go on with a cross-validation that was interrupted. Raises UserError if a setting is changed."""
    if changes:
        raise UserError(f"A cross-validation keeps its settings; {', '.join(sorted(changes))} cannot change.")
    train_folds(path, Run.open(fold_path(path, 0)).experiment, train)


def _runs(path: Path, experiment: Experiment) -> Iterator[Run]:
    """The runs that are not finished yet, created when their turn comes."""
    if is_cross_validation(path):
        _check_same(path, experiment)
    for fold in range(experiment.sampling.folds):
        of_fold = fold_path(path, fold)
        if not (of_fold / "experiment.yaml").is_file():
            sampling = experiment.sampling.model_copy(update={"fold": fold})
            yield Run.create(of_fold, experiment.model_copy(update={"sampling": sampling}))
        elif Run.open(of_fold).state.name not in ("finished", "stopped early"):
            begun = Run.open(of_fold)
            yield begun if begun.state.name == NOT_STARTED else Run.resume(of_fold, {})


def _check_same(path: Path, experiment: Experiment) -> None:
    """Compare settings with those of the fold that began first. Raises UserError if they differ."""
    begun = Run.open(fold_path(path, 0)).experiment
    other = resolve(experiment) if not experiment.decided_by_data else experiment
    different = [
        f"{key}: {there!r} there, {here!r} here"
        for key, there, here in differences(_comparable(begun), _comparable(other))
    ]
    if different:
        raise UserError(
            f"{path} holds folds that were trained with other settings:\n{bullet_list(different)}\nTheir mean would be "
            f"one of different things. Go on with theirs: --resume {path}, or choose another --run."
        )


def _comparable(experiment: Experiment) -> dict[str, Any]:
    """The settings that all folds have in common."""
    settings = experiment.model_dump(mode="json")
    settings["sampling"].pop("fold")
    settings.pop("decided_by_data")
    return settings
