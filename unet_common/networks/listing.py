"""The catalogue of networks to read, for people and for programs."""

import json
from collections.abc import Iterable
from textwrap import fill
from typing import Any

from unet_common.networks.base import Network


def listing(networks: Iterable[type[Network]], as_json: bool = False) -> str:
    """All networks: name, paper, ranks, tasks, sizes, and the hyperparameters with their defaults."""
    described = [describe(network) for network in networks]
    if as_json:
        return json.dumps(described, indent=2)
    return "\n\n".join(_table(network) for network in described)


def describe(network: type[Network]) -> dict[str, Any]:
    """The description of a class of the catalogue, in types that JSON has."""
    default = network.model_validate({})
    values = json.loads(default.model_dump_json())
    return {
        "name": values["name"],
        "summary": (network.__doc__ or "").partition("\n")[0],
        "paper": network.paper,
        "ranks": list(network.ranks()),
        "tasks": list(network.tasks),
        "sizes": default.size_rule,
        "hyperparameters": {
            key: {"default": values[key], "description": field.description}
            for key, field in network.model_fields.items()
            if key not in ("name", "rank")
        },
    }


def _table(network: dict[str, Any]) -> str:
    # The data decides on channels and classes.
    own = {
        key: entry["default"]
        for key, entry in network["hyperparameters"].items()
        if key not in ("channels", "classes")
    }
    rows = {
        "paper": network["paper"],
        "images": " and ".join(f"{rank}D" for rank in network["ranks"]),
        "tasks": ", ".join(network["tasks"]),
        "sizes": network["sizes"],
        "defaults": ", ".join(f"{key} {_short(value)}" for key, value in own.items()),
    }
    lines = [network["name"]]
    for heading, text in rows.items():
        lines.append(fill(text, 110, initial_indent=f"  {heading:9}", subsequent_indent=" " * 11))
    return "\n".join(lines)


def _short(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)
