"""The parser of an expression such as `dice + 2*focal(gamma=3)[1]`: the terms of a loss.

The expression is written as Python, so that Python's own parser reads it; what it read is only looked at and never
run.
"""

import ast
import math
from dataclasses import dataclass, replace
from typing import Any

from data.errors import UserError
from data.validation import validated
from unet_common.loss_terms import ARGUMENTS, Arguments, Logits


@dataclass(frozen=True)
class Term:
    """A part of a sum: `weight * name(arguments)[classes]`. Without classes it is about all of them."""

    weight: float
    name: str
    arguments: Arguments
    classes: tuple[int, ...] = ()

    def check(self, outputs: Logits) -> None:
        """Refuse the term if it is not for such outputs. Raises UserError."""
        try:
            self.arguments.check(outputs.one_vs_rest(self.classes) if self.classes else outputs)
        except UserError as error:
            raise UserError(f"loss: {self.name}: {error}") from None


def check(expression: str, classes: int, multilabel: bool = False) -> None:
    """Refuse an `expression` that is not understood, or is not for a network with these outputs. Raises UserError."""
    outputs = Logits(classes, exclusive=classes > 1 and not multilabel)
    for term in parse(expression):
        term.check(outputs)


def refuse_weightless(expression: str) -> None:
    """Refuse a term that counts for nothing. Raises UserError."""
    for term in parse(expression):
        if term.weight == 0:
            raise UserError(f"loss: {term.name} has the weight 0 in '{expression}'. Leave it out.")


def parse(expression: str) -> list[Term]:
    """The terms of a weighted sum.

    Raises:
        UserError: the expression, a name or an argument in it is not understood.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
        return _terms(tree, expression)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # all that Python's parser raises
        raise _not_understood(expression, expression) from None


def _terms(node: ast.expr, expression: str) -> list[Term]:
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _terms(left, expression) + _terms(right, expression)
        case ast.BinOp(left=ast.Constant(value=int() | float() as weight), op=ast.Mult(), right=right):
            if not math.isfinite(weight):
                raise UserError(f"loss: a weight in '{expression}' is not a finite number.")
            return [replace(term, weight=weight * term.weight) for term in _terms(right, expression)]
        case ast.Subscript(value=value, slice=numbers):
            terms = _terms(value, expression)
            if not any(term.classes for term in terms):
                classes = _classes(numbers, expression)
                return [replace(term, classes=classes) for term in terms]
        case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords) if name in ARGUMENTS:
            given = {keyword.arg: _value(keyword.value) for keyword in keywords if keyword.arg}
            if len(given) == len(keywords):
                return [Term(1.0, name, _validated(name, given))]
        case ast.Name(id=name) if name in ARGUMENTS:
            return [Term(1.0, name, _validated(name, {}))]
    raise _not_understood(ast.unparse(node), expression)


def _classes(node: ast.expr, expression: str) -> tuple[int, ...]:
    numbers = _value(node)
    numbers = numbers if isinstance(numbers, tuple) else (numbers,)
    if not numbers or not all(type(number) is int and number >= 0 for number in numbers):
        raise UserError(
            f"loss: [{ast.unparse(node)}] in '{expression}' must be class numbers, such as [1] or [1, 2]."
        )
    return numbers


def _value(node: ast.expr) -> Any:
    """A number, a list or a truth value, in Python's spelling or YAML's. Raises ValueError for all else."""
    if isinstance(node, ast.Name) and node.id in ("true", "false"):
        return node.id == "true"
    return ast.literal_eval(node)


def _validated(name: str, given: dict[str, Any]) -> Arguments:
    """The arguments of a term. Raises UserError that names the wrong ones."""
    kind = ARGUMENTS[name]
    try:
        return validated(kind, given)
    except UserError as error:
        hint = f"it is written {_usage(name)}" if kind.model_fields else "it takes no arguments"
        raise UserError(f"loss: {name}: {error}; {hint}.") from None


def _usage(name: str) -> str:
    """A term with its arguments and their defaults: `focal(gamma=2.0, alpha=0.25)`."""
    shown = [
        f"{key}=[...]" if argument.is_required() else f"{key}={argument.default}"
        for key, argument in ARGUMENTS[name].model_fields.items()
    ]
    return f"{name}({', '.join(shown)})" if shown else name


def _not_understood(part: str, expression: str) -> UserError:
    return UserError(
        f"loss: '{part}' in '{expression}' is not understood. Allowed is a sum such as 'dice + 0.5*bce' or, with "
        "arguments and for single classes, 'dice[1] + 2*focal(gamma=3)[2]', of: "
        f"{', '.join(_usage(name) for name in ARGUMENTS)}."
    )
