"""The house rules: the three packages mirror each other, and imports point one way."""

import ast
import re
from pathlib import Path

import pytest

from unet_common.networks import CATALOGUE

ROOT = Path(__file__).parent.parent
PACKAGES = ("unet_lowlevel", "unet_highlevel", "unet_keras")
# Files that belong to one API, and the pair that its idiom names differently.
OWN = {"unet_highlevel": {"estimator_compat.py"}}
SAME = {"ops.py": "layers.py"}
# `tf.nn` wants a list of the sides of a kernel; where an API takes a number for all of them, nothing has to make it.
BY_HAND = {"sides"}


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def public_names(path):
    """Functions and classes of a file in order; a Keras layer class plays the part of a function."""
    names = []
    for node in tree(path).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            names.append(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower())
    return list(dict.fromkeys(names))


def imported(path):
    """Top-level packages that a file imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def test_the_packages_have_the_same_files():
    listings = []
    for package in PACKAGES:
        files = {str(path.relative_to(ROOT / package)) for path in (ROOT / package).rglob("*.py")}
        listings.append({SAME.get(file, file) for file in files - OWN.get(package, set())})
    assert listings[0] == listings[1] == listings[2]


@pytest.mark.parametrize("network", CATALOGUE)
def test_the_files_of_a_network_have_the_same_names_in_the_same_order(network):
    first, *others = (public_names(ROOT / package / "networks" / f"{network}.py") for package in PACKAGES)
    assert first[-1] == network  # the assembled network comes last
    for other in others:
        assert other == first


@pytest.mark.parametrize("network", CATALOGUE)
def test_the_files_of_a_network_are_short(network):
    for package in PACKAGES:
        lines = (ROOT / package / "networks" / f"{network}.py").read_text().splitlines()
        assert len(lines) <= 200, package


def test_so_do_the_files_of_blocks_that_are_shared_by_networks():
    folder = ROOT / "unet_lowlevel" / "networks"
    blocks = (
        {path.name for path in folder.glob("*.py")} - {f"{name}.py" for name in CATALOGUE} - {"__init__.py"}
    )
    assert "encoders.py" in blocks
    for file in blocks:
        paths = [ROOT / package / "networks" / file for package in PACKAGES]
        first, *others = ([name for name in public_names(path) if name not in BY_HAND] for path in paths)
        assert first and others == [first, first], file
        assert max(len(path.read_text().splitlines()) for path in paths) <= 200, file


def test_layers_and_optimizers_have_the_same_names_in_the_same_order():
    for files in (("ops.py", "layers.py", "layers.py"), ("optimizers.py",) * 3):
        lists = [public_names(ROOT / package / file) for package, file in zip(PACKAGES, files, strict=True)]
        shared = [name for name in lists[0] if all(name in names for names in lists)]
        assert {"adam", "sgd", "rmsprop"} <= set(shared) or {"normalise", "dropout"} <= set(shared)
        for names in lists:
            assert [name for name in names if name in shared] == shared


def test_imports_point_one_way():
    forbidden = {"data": {"unet_common", *PACKAGES}, "unet_common": set(PACKAGES)}
    for package in PACKAGES:
        forbidden[package] = set(PACKAGES) - {package}
    for package, others in forbidden.items():
        for path in (ROOT / package).rglob("*.py"):
            assert not others & set(imported(path)), path


def test_one_function_imports_by_name():
    """What `test_imports_point_one_way` cannot see happens in one place, which turns a name into a package."""
    found = [
        path.relative_to(ROOT)
        for package in ("data", "unet_common", *PACKAGES)
        for path in (ROOT / package).rglob("*.py")
        if "import_module" in path.read_text() or "__import__" in path.read_text()
    ]
    assert found == [Path("unet_common/implementation.py")]


def test_the_lower_layers_do_not_know_the_commands():
    commands = {path.stem for path in ROOT.glob("*.py")} | {"benchmarks", "comparison", "tests"}
    for package in ("data", "unet_common", *PACKAGES):
        for path in (ROOT / package).rglob("*.py"):
            assert not commands & set(imported(path)), path


def test_no_layers_object_in_the_low_level_package():
    for path in (ROOT / "unet_lowlevel").rglob("*.py"):
        assert "layers" not in {
            node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)
        }, path
        assert not {"keras", "tf_keras", "tensorflow_estimator"} & set(imported(path)), path


def rooms():
    """Arrows between the rooms of `data` and `unet_common`: a room is a folder, or a file that lies in none."""
    arrows = {}
    for path in [*(ROOT / "data").rglob("*.py"), *(ROOT / "unet_common").rglob("*.py")]:
        room = ".".join(path.relative_to(ROOT).with_suffix("").parts[:2])
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                other = ROOT.joinpath(*name.split(".")[:2])
                if name.split(".")[0] in ("data", "unet_common") and (
                    other.is_dir() or other.with_suffix(".py").is_file()
                ):
                    arrows.setdefault(room, set()).add(".".join(name.split(".")[:2]))
    return {room: others - {room, "data", "unet_common"} for room, others in arrows.items()}


def test_no_two_rooms_need_each_other():
    arrows = rooms()
    assert (
        "data.source" in arrows["data.sources"] and "unet_common.training" in arrows["unet_common.prediction"]
    )

    def reached(room):
        found, waiting = set(), [room]
        while waiting:
            for other in arrows.get(waiting.pop(), set()) - found:
                found.add(other)
                waiting.append(other)
        return found

    assert [room for room in arrows if room in reached(room)] == []


def test_no_room_is_a_street():
    """A dozen files can be looked through; the networks are a catalogue, which grows."""
    for package in ("data", "unet_common"):
        for folder in [ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir())]:
            if folder.name not in ("networks", "__pycache__"):
                assert len(list(folder.glob("*.py"))) <= 12, folder


def test_tests_lie_in_the_rooms_of_what_they_test():
    of_code = {path.name for package in ("data", "unet_common") for path in (ROOT / package).iterdir()}
    of_code |= {"data", "comparison", "docs"}
    for folder in (ROOT / "tests").iterdir():
        if folder.is_dir() and any(folder.glob("test_*.py")):
            assert folder.name in of_code, folder


def test_tests_take_helpers_from_one_file():
    for path in (ROOT / "tests").rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith("test_")], path


def test_what_outputs_mean_is_handed_on_as_one():
    """`data.labels.outputs.Outputs` knows all of these; no function takes two of them beside each other."""
    of_outputs = {"multilabel", "overlapping", "soft", "softened", "region", "regions", "auxiliary"}
    for package in ("data", "unet_common", *PACKAGES):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.FunctionDef):
                    names = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
                    assert len(names & of_outputs) < 2, f"{path}: {node.name}"
