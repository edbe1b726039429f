"""What the type checker leaves out, and what it found."""

import ast
import itertools
import sys
from pathlib import Path

import pytest

import data
from data.errors import UserError
from unet_common.experiment import experiment_from
from unet_common.training.history import COLUMNS, read_history

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(data.__file__).resolve().parents[1]


def test_where_methods_may_be_without_types_public_functions_have_them():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    untyped = [part["module"] for part in settings["overrides"] if part.get("disallow_untyped_defs") is False]
    for module in itertools.chain(*untyped):
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                assert node.returns and all(argument.annotation for argument in arguments), node.name


def test_a_history_with_a_row_of_no_step_is_damaged(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(f"{','.join(COLUMNS)}\n,0.5,0.25,0.001,,,\n")
    with pytest.raises(UserError, match="damaged"):
        read_history(path)


@pytest.mark.parametrize("key", ["network", "data"])
def test_a_name_that_is_a_list_is_refused(key):
    with pytest.raises(UserError, match=rf"{key}.name: must be one of .*; got \['unet'\]"):
        experiment_from({key: {"name": ["unet"]}})
