"""Docstrings name a thing or say what to do: each public module, class and function has one that begins so.

The docstring of a module speaks for its `parse` and `main`. A subclass may leave it to a base in the same file, and a
method to the one that it overrides, ours or that of Keras, `tf.layers` and the Estimator.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import data

ROOT = Path(data.__file__).resolve().parents[1]
PACKAGES = ("data", "unet_common", "unet_lowlevel", "unet_highlevel", "unet_keras", "benchmarks")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
FILES += [ROOT / f"{command}.py" for command in ("train", "evaluate", "predict", "compare")]

# What begins neither a noun phrase nor an imperative: questions, fragments, verbs in the third person.
WRONG = {
    *("What", "Whether", "Which", "Who", "Whose", "Why", "When", "Where", "How", "If"),
    *(
        "After",
        "Along",
        "As",
        "Before",
        "Below",
        "Beyond",
        "By",
        "For",
        "From",
        "In",
        "Of",
        "On",
        "To",
        "Under",
        "With",
    ),
    *("Such", "That", "Those", "Because"),
    *(
        "Adds",
        "Builds",
        "Collects",
        "Computes",
        "Draws",
        "Gives",
        "Has",
        "Is",
        "Makes",
        "Prepares",
        "Raises",
        "Reads",
    ),
    *("Returns", "Saves", "Says", "Takes", "Tells", "Writes"),
}

Definition = ast.ClassDef | ast.FunctionDef


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    """The public classes and functions of a module that need a docstring, and methods of those classes."""
    classes = {node.name for node in body if isinstance(node, ast.ClassDef)}
    for node in body:
        if not isinstance(node, Definition) or node.name.startswith("_") or node.name in ("parse", "main"):
            continue
        if isinstance(node, ast.FunctionDef):
            yield node
            continue
        if not classes & {ast.unparse(base) for base in node.bases}:
            yield node
        if not node.bases:  # or any method may override another
            yield from public(node.body)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert not [node.name for node in public(tree.body) if ast.get_docstring(node) is None]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_begin_with_a_noun_or_an_imperative(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, ast.Module | Definition))
    assert not [text for text in texts if text and text.split()[0].strip(",:.") in WRONG]
