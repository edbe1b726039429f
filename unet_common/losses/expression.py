"""From an expression such as `dice + 2*focal(gamma=3)[1]` to a function of targets and logits.

The expression is written as Python, so that Python's own parser reads it; what it read is only looked at and never
run.
"""

import ast
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import tensorflow as tf
from pydantic import create_model

from data.errors import UserError
from data.settings import Settings
from data.validation import validated
from unet_common.losses import borders, cross_entropies, lovasz, overlap
from unet_common.losses.pixels import Pixels
from unet_common.losses.sizes import crop_to, resolution, shrink_to

Loss = Callable[[tf.Tensor, tf.Tensor | list[tf.Tensor]], tf.Tensor]

TERMS: dict[str, Callable[..., tf.Tensor]] = {
    function.__name__: function
    for function in (
        cross_entropies.cross_entropy,
        cross_entropies.bce,
        cross_entropies.weighted_cross_entropy,
        cross_entropies.reweighted_bce,
        cross_entropies.focal,
        cross_entropies.top_k_cross_entropy,
        borders.boundary_weighted_cross_entropy,
        overlap.dice,
        overlap.jaccard,
        overlap.generalised_dice,
        overlap.hardness_weighted_dice,
        overlap.tversky,
        overlap.focal_tversky,
        borders.border_dice,
        lovasz.lovasz,
    )
}


def _arguments(function: Callable) -> type[Settings]:
    """What may be given to a term: its keyword arguments, with their types and defaults."""
    parameters = inspect.signature(function).parameters.values()
    fields = {
        parameter.name: (
            parameter.annotation,
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return create_model(function.__name__, __base__=Settings, **fields)


ARGUMENTS = {name: _arguments(function) for name, function in TERMS.items()}


@dataclass(frozen=True)
class Term:
    """A part of a sum: `weight * name(arguments)[classes]`. Without classes it is about all of them."""

    weight: float
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    classes: tuple[int, ...] = ()

    def __call__(self, pixels: Pixels) -> tf.Tensor:
        try:
            pixels = pixels.only(self.classes) if self.classes else pixels
            return self.weight * TERMS[self.name](pixels, **self.arguments)
        except UserError as error:
            raise UserError(f"loss: {self.name}: {error}") from None


def loss(expression: str, multilabel: bool = False) -> Loss:
    """The function (targets, logits) -> scalar that `expression`, a weighted sum of terms, stands for.

    Logits may be a list, of deep supervision: the finest first. Coarser ones are compared with the mean of the
    targets of the pixels they stand for, and those of half the resolution count half as much, as in nnU-Net
    (Isensee et al. 2021, Nature Methods 18:203, section "Training"). The weights add up to 1.

    Args:
        multilabel: several logits are a sigmoid each, and not a softmax.
    """
    terms = parse(expression)

    def total(targets: tf.Tensor, logits: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
        if isinstance(logits, (list, tuple)):
            shares = [resolution(targets, level) for level in logits]
            parts = [
                share * total(shrink_to(targets, level), level)
                for share, level in zip(shares, logits, strict=True)
            ]
            return tf.add_n(parts) / tf.add_n(shares)
        exclusive = logits.shape[-1] > 1 and not multilabel
        pixels = Pixels(crop_to(targets, logits), logits, exclusive)
        return tf.add_n([term(pixels) for term in terms])

    return total


def check(expression: str, classes: int, multilabel: bool = False) -> None:
    """Raises UserError if `expression` is not understood, or is not for a network with these outputs."""
    with tf.Graph().as_default():
        nothing = tf.zeros([1, 2, 2, classes])
        loss(expression, multilabel)(nothing, nothing)


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
        case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords) if name in TERMS:
            given = {keyword.arg: _value(keyword.value) for keyword in keywords if keyword.arg}
            if len(given) == len(keywords):
                return [Term(1.0, name, _validated(name, given))]
        case ast.Name(id=name) if name in TERMS:
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


def _validated(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a term. Raises UserError that names the wrong ones."""
    kind = ARGUMENTS[name]
    try:
        settings = validated(kind, arguments)
    except UserError as error:
        hint = f"it is written {_usage(name)}" if kind.model_fields else "it takes no arguments"
        raise UserError(f"loss: {name}: {error}; {hint}.") from None
    return {key: getattr(settings, key) for key in kind.model_fields}


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
        f"{', '.join(_usage(name) for name in TERMS)}."
    )
