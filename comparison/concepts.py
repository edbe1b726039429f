"""Sections of the page's part on concepts: prose, and for each the functions that play the same part.

What is said, and which source stands beside it, are the files of `comparison/content`, in the order of their names:
whoever edits them needs no Python. What depends on the chosen network, loss and optimizer fills their `$placeholders`
here. A test cuts every reference, for every network of the catalogue: a function that was renamed is named anew there.
"""

import re
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, field_validator, model_validator

from comparison.source import body, cut, imported_names, public_names, snake_case
from data.errors import UserError, bullet_list
from data.settings import Settings
from data.validation import read_yaml
from unet_common import losses
from unet_common.experiment import Experiment
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.networks import Network

CONTENT = Path(__file__).parent / "content"


def _split(given: str | list[str] | tuple[str, ...]) -> list[str]:
    return (given if isinstance(given, str) else " ".join(given)).split()


# To source (see `comparison.source`): in a file with spaces between them, or as a list.
References = Annotated[tuple[str, ...], BeforeValidator(_split)]


class Cell(Settings):
    """What one implementation has in a row: references, and words where there is nothing to cut, or more to say.

    In a file it may be the references alone.
    """

    references: References = ()
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _references_alone(cls, given: Any) -> Any:
        return {"references": given} if isinstance(given, str | list | tuple) else given

    @model_validator(mode="after")
    def _not_empty(self) -> "Cell":
        if not self.references and not self.note:
            raise ValueError("neither references nor a note: say why there is nothing to show")
        return self


class Row(Settings):
    """Functions that play the same part, by implementation; `title` says which."""

    title: str
    lowlevel: Cell
    highlevel: Cell
    keras: Cell

    @property
    def cells(self) -> dict[str, Cell]:
        """By implementation."""
        return {name: getattr(self, name) for name in IMPLEMENTATIONS}


class Concept(Settings):
    """A section of the page.

    key: unique, for links. look: what to look for.
    api: what each API did for you, or wanted to be told, by implementation. shared: references to what all three use.
    """

    key: str
    title: str
    look: str
    api: dict[str, str]
    rows: tuple[Row, ...]
    shared: References = ()

    @field_validator("api")
    @classmethod
    def _of_all_three(cls, given: dict[str, str]) -> dict[str, str]:
        if set(given) != set(IMPLEMENTATIONS):
            raise ValueError(f"{', '.join(given)} are told about; it should be {', '.join(IMPLEMENTATIONS)}")
        return given

    @property
    def references(self) -> list[str]:
        """All of them."""
        cells = (cell for row in self.rows for cell in row.cells.values())
        return [*(reference for cell in cells for reference in cell.references), *self.shared]


def concepts(experiment: Experiment) -> list[Concept]:
    """The sections in their order, from a single weight to several machines.

    Raises:
        UserError: a file of `comparison/content` has mistakes.
    """
    values = placeholders(experiment)
    return [read(path, values, experiment.network) for path in sorted(CONTENT.glob("*.yaml"))]


def read(path: Path, values: dict[str, str], network: Network) -> Concept:
    """The section in a file such as `03_transposed.yaml`, whose name holds place and key.

    Raises:
        UserError: it is no such section, or has a placeholder that is not in `values`.
    """
    given = _filled(read_yaml(path), values, path)
    if isinstance(given.get("rows"), str):
        if given["rows"] not in GENERATED:
            raise UserError(
                f"{path}: rows are a list, or one of {', '.join(GENERATED)}; not '{given['rows']}'."
            )
        given["rows"] = GENERATED[given["rows"]](network)
    try:
        return Concept(key=path.stem.partition("_")[2], **given)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise UserError(f"{path} has mistakes:\n{bullet_list(mistakes)}") from None


def placeholders(experiment: Experiment) -> dict[str, str]:
    """What a file can ask for, by name."""
    network, optimizer = experiment.network, experiment.optimizer.name
    functions = [losses.TERMS[term.name] for term in losses.parse(experiment.loss)]
    return {
        "network": network.name,
        "network_class": type(network).__name__,
        "paper": network.paper,
        "loss_terms": " ".join(f"{f.__module__.replace('.', '/')}.py:{f.__name__}" for f in functions),
        "optimizer": optimizer,
        **{f"{name}_rule": _rule(f"unet_{name}/optimizers.py", optimizer) for name in IMPLEMENTATIONS},
    }


def _filled(given: Any, values: dict[str, str], path: Path) -> Any:
    """Nested dictionaries and lists, with the placeholders in their texts replaced."""
    if isinstance(given, dict):
        return {key: _filled(value, values, path) for key, value in given.items()}
    if isinstance(given, list):
        return [_filled(value, values, path) for value in given]
    if not isinstance(given, str):
        return given
    try:
        return Template(given).substitute(values).strip()
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{path}: {error} is no placeholder. There are ${', $'.join(values)}; a dollar is written $$."
        ) from None


def _rule(file: str, optimizer: str) -> str:
    """References to an optimizer's function, and to the class of its file that it uses where a rule is changed."""
    text = cut(f"{file}:{optimizer}").runs[0][1]
    used = [name for name in public_names(file) if re.search(rf"\b{name}\(", "\n".join(text[1:]))]
    return " ".join(f"{file}:{name}" for name in used if name[0].isupper()) + f" {file}:{optimizer}"


def _blocks(network: Network) -> list[Row]:
    """The blocks of the network's file, or, if it has none, those that all three import from others."""
    columns = []
    for name in IMPLEMENTATIONS:
        file = _network_file(name, network)
        blocks = [(file, block) for block in public_names(file)[:-1]]
        columns.append(blocks or imported_names(file, f"unet_{name}.networks"))
    by_title = [{snake_case(name): f"{file}:{name}" for file, name in column} for column in columns]
    shared = [title for title in by_title[0] if all(title in column for column in by_title)]
    return [_row(title, [column[title] for column in by_title]) for title in shared]


def _network(network: Network) -> list[Row]:
    """The assembled network, which comes last in its file."""
    return [
        _row(network.name, [f"{_network_file(name, network)}:{network.name}" for name in IMPLEMENTATIONS])
    ]


# Rows that a file asks for by these words.
GENERATED: dict[str, Callable[[Network], list[Row]]] = {"blocks": _blocks, "network": _network}


def _row(title: str, references: list[str]) -> Row:
    """Three functions of one name. Where a graph package composes blocks, the other may do so in the same words."""
    low, high, keras = references
    same = body(low) == body(high)
    note = "The same lines as in `lowlevel`: no layer is called here, and a graph is a graph." if same else ""
    return Row(title=title, lowlevel=low, highlevel={"references": high, "note": note}, keras=keras)


def _network_file(implementation: str, network: Network) -> str:
    return f"unet_{implementation}/networks/{network.name}.py"
