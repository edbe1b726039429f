"""Source that is shown on the page: cut from the files by the names of functions at the time of writing.

A reference names a file and what to cut from it:

    unet_lowlevel/ops.py:convolution          a function or class
    unet_keras/model.py:Model.predict         a method
    unet_lowlevel/training.py:train#3         of a function the section below its comment `# 3.`
    unet_lowlevel/training.py:train~saver     of a function the statements that mention `saver`
    unet_lowlevel/training.py:train~Saver+save    that mention either
"""

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from textwrap import dedent

from data.errors import UserError

ROOT = Path(__file__).resolve().parent.parent

# A compound statement with a body of no more lines is shown whole; of a longer one, the header and what matters.
SHORT = 3

_REFERENCE = re.compile(
    r"(?P<file>[\w/]+\.py):(?P<name>[\w.]+)(?:#(?P<section>\d+)|~(?P<words>\w+(?:\+\w+)*))?"
)
_SECTION = re.compile(r"\s*# (\d+)\. ")

Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Snippet:
    """A part of a source file.

    file: relative to the root of the repository.
    name: of the function or class, as in `Model.predict`.
    runs: pieces that follow each other in the file, with the number of their first line; indentation that all
        lines share is taken off.
    code_lines: lines that are neither blank, nor comment, nor docstring.
    """

    file: str
    name: str
    runs: tuple[tuple[int, tuple[str, ...]], ...]
    code_lines: int

    @property
    def first(self) -> int:
        return self.runs[0][0]

    @property
    def last(self) -> int:
        start, lines = self.runs[-1]
        return start + len(lines) - 1


@cache
def cut(reference: str) -> Snippet:
    """The source that `reference` stands for.

    Raises:
        UserError: there is no such file, function, section or statement.
    """
    match = _REFERENCE.fullmatch(reference)
    if not match:
        raise UserError(f"'{reference}' is no reference to source: write FILE.py:NAME, NAME#1 or NAME~word.")
    path = ROOT / match["file"]
    if not path.is_file():
        raise UserError(f"There is no file {path}, which comparison/content shows on the page.")
    text = path.read_text(encoding="utf-8")
    lines, tree = text.splitlines(), ast.parse(text)
    node = _find(tree, match["name"].split("."), reference)
    if match["section"]:
        numbers = _section(lines, node, int(match["section"]), reference)
    elif match["words"]:
        numbers = _mentions(node, match["words"].split("+"), reference)
    else:
        numbers = list(range(_first_line(node), node.end_lineno + 1))
    return Snippet(match["file"], match["name"], _runs(lines, numbers), len(code_lines(text) & {*numbers}))


def body(reference: str) -> str:
    """The statements of a function without docstring and comments, written in one way: what it does."""
    match = _REFERENCE.fullmatch(reference)
    tree = ast.parse((ROOT / match["file"]).read_text(encoding="utf-8"))
    node = _find(tree, match["name"].split("."), reference)
    return "\n".join(ast.unparse(statement) for statement in node.body[ast.get_docstring(node) is not None :])


def code_lines(text: str) -> set[int]:
    """Numbers of the lines of a file that are neither blank, nor comment, nor docstring."""
    lines = enumerate(text.splitlines(), 1)
    written = {number for number, line in lines if line.strip() and line.strip()[0] != "#"}
    return written - {*_docstring_lines(ast.parse(text))}


def count_code_lines(file: str, names: Collection[str] | None = None) -> int:
    """How many lines of code a file has; or its imports, and the definitions of some names."""
    text = (ROOT / file).read_text(encoding="utf-8")
    counted = code_lines(text)
    if names is not None:
        imports = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
        nodes = [*imports, *(node for name, node in _defined(text).items() if name in names)]
        counted &= {line for node in nodes for line in range(_first_line(node), node.end_lineno + 1)}
    return len(counted)


def lines_of_program(implementation: str, network: str) -> int:
    """Lines of code of what trains a network: the one count of README and of the page, each line once.

    These are its file, those whose blocks it takes, optimizers, `Model`, training, and of the layers those that all
    this needs: a package has more, for other networks.
    """
    package = f"unet_{implementation}"
    networks = [f"{package}/networks/{network}.py"]
    for file in networks:  # which grows
        others = dict.fromkeys(other for other, _name in imported_names(file, f"{package}.networks"))
        networks += [other for other in others if other not in networks]
    layers = f"{package}/{'ops' if implementation == 'lowlevel' else 'layers'}.py"
    files = [*networks, *(f"{package}/{name}.py" for name in ("optimizers", "model", "training"))]
    used = {name for file in files for of, name in imported_names(file, package) if of == layers}
    defined = _defined((ROOT / layers).read_text(encoding="utf-8"))
    while (
        more := {word for name in used & defined.keys() for word in _words(defined[name]) & defined.keys()}
        - used
    ):
        used |= more
    return sum(map(count_code_lines, files)) + count_code_lines(layers, used)


def public_names(file: str) -> list[str]:
    """Functions and classes of a file, in order."""
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, Definition) and not node.name.startswith("_")]


def snake_case(name: str) -> str:
    """`ReshapeLike` -> `reshape_like`: a class of layers plays the part of a function."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def imported_names(file: str, package: str) -> list[tuple[str, str]]:
    """(file, name) of what a file imports from the modules below `package`, in order."""
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    return [
        (f"{node.module.replace('.', '/')}.py", alias.name)
        for node in body
        if isinstance(node, ast.ImportFrom) and node.module.startswith(f"{package}.")
        for alias in node.names
    ]


def _find(tree: ast.Module, names: list[str], reference: str) -> Definition:
    node: ast.AST = tree
    for name in names:
        found = [child for child in node.body if isinstance(child, Definition) and child.name == name]
        if not found:
            raise UserError(
                f"{reference}: there is no {name}. Was it renamed? Then name it anew in comparison/content."
            )
        node = found[0]
    return node


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])


def _defined(text: str) -> dict[str, ast.stmt]:
    """What a file defines, by name: functions, classes, and what is assigned."""
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        targets = [node] if isinstance(node, Definition) else getattr(node, "targets", ())
        found |= {getattr(target, "id", None) or getattr(target, "name", ""): node for target in targets}
    return found


def _words(node: ast.AST) -> set[str]:
    """The names that a piece of source mentions."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


def _section(lines: list[str], node: Definition, wanted: int, reference: str) -> list[int]:
    """Lines from the comment `# N.` to the next such comment, or to the end of the function."""
    starts = {
        int(match[1]): number
        for number in range(node.lineno, node.end_lineno + 1)
        if (match := _SECTION.match(lines[number - 1]))
    }
    if wanted not in starts:
        raise UserError(f"{reference}: the function has no section '# {wanted}.'; it has {sorted(starts)}.")
    later = [start for start in starts.values() if start > starts[wanted]]
    last = min(later, default=node.end_lineno + 1) - 1
    while not lines[last - 1].strip():
        last -= 1
    return list(range(starts[wanted], last + 1))


def _mentions(node: Definition, words: list[str], reference: str) -> list[int]:
    """The lines of the smallest statements that mention one of the words."""
    numbers = set()
    for word in words:
        statements = list(_mentioning(node, word))
        if not statements:
            raise UserError(f"{reference}: no statement mentions '{word}'. Was it renamed?")
        numbers.update(number for first, last in statements for number in range(first, last + 1))
    return sorted(numbers)


def _mentioning(node: ast.AST, word: str) -> Iterator[tuple[int, int]]:
    """First and last lines of statements; of a compound statement that mentions the word, its header."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt):
            continue
        body = getattr(child, "body", None)
        if body and child.end_lineno - body[0].lineno < SHORT:
            body = None  # read as a whole
        parts = [part for part in ast.iter_child_nodes(child) if not (body and isinstance(part, ast.stmt))]
        leaves = [leaf for part in parts for leaf in ast.walk(part)]
        if any(_is(word, leaf) for leaf in leaves):
            header_end = max(getattr(leaf, "end_lineno", 0) for leaf in leaves)
            yield child.lineno, header_end if body else child.end_lineno
        if body:
            yield from _mentioning(child, word)


def _is(word: str, leaf: ast.AST) -> bool:
    names = (getattr(leaf, "id", None), getattr(leaf, "attr", None), getattr(leaf, "arg", None))
    return word in names


def _docstring_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *Definition.__args__)) and ast.get_docstring(node) is not None:
            yield from range(node.body[0].lineno, node.body[0].end_lineno + 1)


def _runs(lines: list[str], numbers: list[int]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Groups of consecutive lines, all of them moved to the left together."""
    shifted = dedent("\n".join(lines[number - 1] for number in numbers)).split("\n")
    runs = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        pairs = list(group)
        runs.append((pairs[0][1], tuple(shifted[index] for index, _number in pairs)))
    return tuple(runs)
