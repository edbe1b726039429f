"""The way from the command line to an experiment, which the commands share."""

from __future__ import annotations

import argparse
import shlex
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import UserError
from data.files import at_home
from data.settings import idle_settings
from data.sources import SOURCES
from data.sources.detect import layout
from data.validation import assignment, decimal_comma, validated
from unet_common.experiment import Experiment, experiment_from, read_settings
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.networks import CATALOGUE

if TYPE_CHECKING:
    from unet_common.prediction.settings import PredictionSettings

# Flags that are short for a setting.
SETTINGS = {
    "impl": "implementation",
    "network": "network.name",
    "data": "data.name",
    "data_dir": "data.directory",
    "steps": "training.steps",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "learning_rate": "optimizer.learning_rate",
    "loss": "loss",
    "weights": "initial_weights",
    "fold": "sampling.fold",
    "seed": "seed",
}


def add_experiment_flags(parser: argparse.ArgumentParser, of_all_three: bool = False) -> None:
    """Add the flags from which `experiment_of` makes an experiment; without --impl where it is `of_all_three`."""
    add = parser.add_argument
    which = argparse.SUPPRESS if of_all_three else "which of the three trains (default: lowlevel)"
    add("--config", type=at_home, metavar="FILE", help="settings in YAML, such as configs/isbi2012.yaml")
    add("--impl", choices=IMPLEMENTATIONS, help=which)
    add("--network", choices=sorted(CATALOGUE), help="default: unet")
    add("--data", choices=sorted(SOURCES), metavar="NAME", help=f"{', '.join(SOURCES)} (default: membranes)")
    add("--data-dir", metavar="DIR", help="where the data set lies")
    add("--steps", type=int, metavar="N", help="updates of the weights")
    add("--epochs", type=number, metavar="N", help="passes over the data, instead of --steps")
    add("--batch-size", type=int, metavar="N")
    add("--learning-rate", type=number, metavar="RATE")
    add("--loss", help="a weighted sum, such as 'dice + 0.5*bce'; docs/losses.md has all terms")
    add("--weights", metavar="FILE", help="interchange file to start from")
    add("--fold", type=_fold, metavar="N|all", help="part of a cross-validation that is kept, or all in turn")
    add("--seed", type=int, metavar="N")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting, such as network.depth=4 (may be repeated; the last counts)",
    )


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that the flags give, by dotted key; --fold all is none, but a way through all of them.

    Of a flag that is there several times the last counts, as usual, so that a line can be changed by adding to it.

    Raises UserError if a setting is given by two kinds of flags, or two lengths are.
    """
    flags = {key: getattr(arguments, flag) for flag, key in SETTINGS.items()}
    flags = {key: value for key, value in flags.items() if value is not None}
    others = dict(map(assignment, arguments.set))
    for key in flags.keys() & others.keys():
        raise UserError(f"{key} is given twice, as {flags[key]} and as {others[key]}. Keep one.")
    given: dict[str, Any] = flags | others
    if given.get("training.steps") is not None and given.get("training.epochs") is not None:
        raise UserError("Give --steps or --epochs, not both.")
    return {key: value for key, value in given.items() if (key, value) != ("sampling.fold", "all")}


def experiment_of(arguments: argparse.Namespace) -> Experiment:
    """The settings of --config, overridden by the other flags.

    Of data in a folder whose layout neither names, it is found out, and printed.
    """
    settings = read_settings(arguments.config) if arguments.config else {}
    settings.pop("decided_by_data", None)  # of a run; this may be another data set
    given = given_settings(arguments)
    for key, value in given.items():
        override(settings, key, value)
    data = settings.get("data")
    if isinstance(data, dict) and data.get("directory") and not data.get("name"):
        named = {key: value for key, value in data.items() if value is not None}
        settings["data"] = {**found_layout(at_home(data["directory"])), **named}
    experiment = experiment_from(settings)
    return (
        experiment_from(settings) if _forget_idle(settings, experiment, given, arguments.fold) else experiment
    )


def _forget_idle(
    settings: dict[str, Any], experiment: Experiment, given: dict[str, Any], fold: int | str | None
) -> bool:
    """Take out settings of --config that flags made idle, such as the momentum of another optimizer; True if any.

    What else has no effect is a mistake, which `check_beginning` refuses.
    """
    if fold == "all":  # then each training has a fold
        given = {**given, "sampling.fold": fold}
        sampling = experiment.sampling.model_copy(update={"fold": 0})
        experiment = experiment.model_copy(update={"sampling": sampling})
    forgotten = False
    for idle in idle_settings(experiment):
        by_flags = any(f"{key}.".startswith(f"{owner}.") for key in given for owner in idle.owners)
        if by_flags and idle.key not in given:
            *groups, last = idle.key.split(".")
            reduce(getitem, groups, settings).pop(last)
            forgotten = True
    return forgotten


def found_layout(directory: Path) -> dict[str, Any]:
    """The settings of the layout that the data in a folder has; prints what they are.

    Raises:
        UserError: there is no such folder, or it has none of the known layouts.
    """
    if not directory.is_dir():
        raise UserError(f"There is no folder {directory} (--data-dir).")
    found = layout(directory)
    flags = ["--data", found["name"]]
    for key in sorted(found.keys() - {"name"}):
        flags += ["--set", f"data.{key}={found[key]}"]
    print(f"{directory} has the layout of {shlex.join(flags)}", flush=True)
    return found


def add_prediction_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a command that applies a trained network; `prediction_settings_of` reads part of them."""
    add = parser.add_argument
    add("--run", type=at_home, metavar="DIR", help="a run folder (default: the newest in runs/)")
    add("--impl", choices=IMPLEMENTATIONS, help="which of the three predicts (default: the one that trained)")
    add("--weights", default="best", metavar="best|final|FILE", help="default: best")
    add(
        "--tile",
        type=_tile,
        metavar="N|NxNxN",
        help="predict in tiles of N pixels a side, for large images",
    )
    add(
        "--overlap",
        type=number,
        metavar="PART",
        help="part of a tile that it shares with the next (default: 0.5)",
    )
    add("--symmetries", choices=("none", "flips", "all"), help="average over mirrored and turned copies")
    add(
        "--threshold",
        type=number,
        metavar="P",
        help="probability from which a pixel is foreground (default: 0.5)",
    )
    add(
        "--slices",
        choices=("axial", "coronal", "sagittal"),
        help="of volumes, for a network of images (default: as they were acquired)",
    )
    add("--tolerance", type=number, metavar="MM", help="of the surface Dice of volumes (default: 1)")
    add(
        "--least-size",
        type=int,
        metavar="N",
        help="pixels from which a case is said to have a class, in scores (default: 1)",
    )
    add("--level", type=int, metavar="N", help="of unet_plus_plus: only N columns of the trained network")
    add("--one-look", action="store_true", help="of unet_fine_grained: the whole image only, not the region")


def number(text: str) -> float:
    """A number, written with a decimal point. Raises ArgumentTypeError for what is none."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number{decimal_comma(text)}") from None


def _tile(text: str) -> int | tuple[int, ...]:
    """The sides of a tile, written as '64' or '64x64x32'. Raises ArgumentTypeError for what is written otherwise."""
    try:
        sides = tuple(int(side) for side in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no size: write one side, such as 64, or all of them, such as 64x64x32"
        ) from None
    return sides[0] if len(sides) == 1 else sides


def _fold(text: str) -> int | str:
    """A fold, written as its number or 'all'. Raises ArgumentTypeError for another word."""
    if text == "all":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no fold: write its number, from 0 on, or 'all'"
        ) from None


def prediction_settings_of(arguments: argparse.Namespace) -> PredictionSettings:
    """The settings of prediction that the flags give."""
    from unet_common.prediction.settings import PredictionSettings

    given = {
        name: getattr(arguments, name)
        for name in PredictionSettings.model_fields
        if getattr(arguments, name, None) is not None
    }
    return validated(PredictionSettings, given)


def override(settings: dict[str, Any], key: str, value: Any) -> None:
    """Set `group.key` in nested settings. Another network or data set forgets the settings of the first."""
    *groups, last = key.split(".")
    for group in groups:
        inner = settings.get(group)
        if not isinstance(inner, dict):
            inner = {"name": inner} if isinstance(inner, str) else {}
        settings[group] = inner
        settings = inner
    if last == "name" and settings.get("name", value) != value:
        settings.clear()
    if last in ("steps", "epochs"):
        settings.pop("epochs" if last == "steps" else "steps", None)
    settings[last] = value
