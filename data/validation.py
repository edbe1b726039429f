"""The validation of settings, which come as nested dictionaries from YAML and flags."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from data.errors import UserError, bullet_list
from data.settings import Settings, idle_settings

Kind = TypeVar("Kind", bound=Settings)


class DoubleKeyError(yaml.YAMLError):
    """A key that stands twice in one group: YAML forbids it, and its reader takes the last without a word."""


class _Loader(yaml.SafeLoader):
    """The reader of plain values, which refuses a key that is there twice. Raises DoubleKeyError."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value in seen and key.value != "<<":
                raise DoubleKeyError(
                    f"the setting '{key.value}' is there twice, in the lines {seen[key.value]} and {line}. Keep one."
                )
            seen[str(key.value)] = line
        return super().construct_mapping(node, deep)


def parsed(text: str) -> Any:
    """The value of a YAML text. Raises yaml.YAMLError, DoubleKeyError among them, or ValueError."""
    return yaml.load(text, _Loader)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The settings in a YAML file as nested dictionaries, not yet validated. Raises UserError with its name."""
    try:
        settings = parsed(Path(path).read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UserError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except DoubleKeyError as error:
        raise UserError(f"{path}: {error}") from None
    except (
        yaml.YAMLError,
        ValueError,
    ) as error:  # the latter for a date such as 2024-99-99, and other encodings
        raise UserError(f"{path} is not YAML: {error}") from None
    if not isinstance(settings, dict):
        raise UserError(f"{path} must hold settings such as 'seed: 1', one per line.")
    return settings


def assignment(text: str) -> tuple[str, Any]:
    """The dotted key and the value of a KEY=VALUE of --set. Raises UserError for what is none, or no YAML."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set takes KEY=VALUE, such as network.depth=4; got '{text}'.")
    try:
        return key.strip(), parsed(value)
    except DoubleKeyError as error:
        raise UserError(f"--set {key}: {error}") from None
    except (yaml.YAMLError, ValueError):  # the latter for a date such as 2024-99-99
        raise UserError(f"--set {key}: '{value}' is not understood as YAML{decimal_comma(value)}.") from None


def decimal_comma(text: object) -> str:
    """The end of a complaint about a number: if it has a decimal comma, how it is written here; else nothing."""
    found = re.fullmatch(r"\s*([-+]?\d*),(\d+(?:[eE][-+]?\d+)?)\s*", str(text))
    return f": write a decimal point, {found[1] or 0}.{found[2]}" if found else ""


def validated(kind: type[Kind], settings: dict[str, Any]) -> Kind:
    """An object of the class `kind` made of `settings`. Raises UserError with a line for each mistake."""
    problems: list[str] = []
    result = attempt(kind, settings, "", problems)
    refuse(problems)
    assert result is not None  # or there would have been problems
    return result


def refuse_idle(group: Settings, prefix: str = "") -> None:
    """Raise a UserError if a setting of a group has no effect beside the others."""
    refuse([idle.reason for idle in idle_settings(group, prefix)])


def refuse(problems: list[str]) -> None:
    """Raise a UserError that tells one mistake in a line, more in a list."""
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        raise UserError(f"The settings have {len(problems)} mistakes:\n{bullet_list(problems)}")


def attempt(kind: type[Kind], settings: dict[str, Any], prefix: str, problems: list[str]) -> Kind | None:
    """An object of the class `kind` made of `settings`; on mistakes, None and a line each in `problems`."""
    if numbered := list(_numbers_for_names(settings, prefix)):
        problems.extend(numbered)
        return None
    try:
        return kind(**settings)
    except ValidationError as error:
        explained = dict(_explain(mistake, kind, prefix) for mistake in reversed(error.errors()))
        problems.extend(f"{key}: {reason}" for key, reason in reversed(explained.items()))
    return None


def _numbers_for_names(settings: dict[Any, Any], prefix: str) -> Iterator[str]:
    """The mistakes of settings whose names are numbers, as YAML reads them: {rate: 0,001} is {rate: 0, 1: null}."""
    before: Any = None
    for key, value in settings.items():
        if not isinstance(key, str):
            halves = value is None and isinstance(settings.get(before), (int, float))
            yield (
                f"{prefix}{before}: a comma begins the next setting here. Write numbers with a decimal point, such as "
                "0.001"
                if halves
                else f"{prefix}{key}: the names of settings are words"
            )
        elif isinstance(value, dict):
            yield from _numbers_for_names(value, f"{prefix}{key}.")
        before = key


def _explain(mistake: dict, kind: type[Settings], prefix: str) -> tuple[str, str]:
    """One of pydantic's errors: the key, and what is wrong and what is allowed."""
    # Where several types are allowed, pydantic reports each of them, as a part of the place that is no key.
    place = [part for part in mistake["loc"] if isinstance(part, int) or part.isidentifier()]
    place = [part for part in place if part not in ("int", "float", "str", "bool")]
    key = (prefix + ".".join(str(part) for part in place)).rstrip(".") or "settings"
    if mistake["type"] == "extra_forbidden":
        for part in place[:-1]:  # the group the unknown key stands in
            group = kind.model_fields[part].annotation
            assert isinstance(group, type) and issubclass(group, Settings)
            kind = group
        # What the program alone writes is not shown.
        allowed = sorted(name for name, field in kind.model_fields.items() if field.repr)
        return key, f"unknown; allowed here: {', '.join(allowed)}"
    reason = mistake["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if of_group := re.match(r"(\w+): ", reason):  # what a group says of one of its settings
        key = (prefix + ".".join([*map(str, place), of_group[1]])).rstrip(".")
        reason = reason.removeprefix(of_group[0])
    reason = reason[0].lower() + reason[1:]
    if mistake["type"] == "value_error" or not isinstance(mistake["input"], (str, int, float, list, tuple)):
        return key, reason
    told = f"{reason}; got {mistake['input']!r}"
    return key, told + decimal_comma(mistake["input"]) if mistake["type"].endswith("_parsing") else told
