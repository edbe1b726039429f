"""Experiments in YAML files: those that people write, and those of run folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from data.errors import UserError
from data.files import write_text
from data.validation import read_yaml
from unet_common.experiment.settings import Experiment, experiment_from

FORMAT_VERSION = 1


def load_experiment(path: Path | str) -> Experiment:
    """Read an experiment from YAML, with what the data decided. Raises UserError with the file's name."""
    settings = read_settings(path)
    for group, values in settings.get("decided_by_data", {}).items():
        settings[group] = {**settings[group], **values}
    return experiment_from(settings)


def read_settings(path: Path | str) -> dict[str, Any]:
    """The settings in a YAML file as nested dictionaries, not yet validated."""
    settings = read_yaml(path)
    version = settings.pop("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}, this program reads {FORMAT_VERSION}. Use the version of "
            "the program that wrote it."
        )
    return settings


def save_experiment(path: Path, experiment: Experiment) -> None:
    """Write all settings, defaults included, as YAML.

    What the data decided stands apart, and null in its place, or nothing where null is no value: given to another data
    set, the file leaves it open again.
    """
    settings = {"format_version": FORMAT_VERSION, **experiment.model_dump(mode="json")}
    for group, values in experiment.decided_by_data.items():
        fields = type(getattr(experiment, group)).model_fields
        for name in values:
            if group == "network" or fields[name].default is None:
                settings[group][name] = None
            else:
                del settings[group][name]
    write_text(path, yaml.safe_dump(settings, sort_keys=False))


def differences(
    first: dict[str, Any], second: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """The settings in which two nested dictionaries of settings differ: the dotted key, and both values."""
    for key in [*first, *(key for key in second if key not in first)]:
        one, other = first.get(key), second.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from differences(one, other, f"{prefix}{key}.")
        elif one != other:
            yield prefix + key, one, other
