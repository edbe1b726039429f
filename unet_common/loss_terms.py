"""The terms of a loss: what may be given to each, and which outputs it is for.

The settings of an experiment need this and no more, so nothing here imports TensorFlow; the functions of the same
names are in `losses/`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from data.errors import UserError
from data.settings import Probability, Settings

Share = Annotated[float, Field(gt=0, le=1)]
Weights = Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)]
"""A number for each class."""

SMOOTH = 1.0
"""The default of what is added to both sides of a ratio of sums over pixels; docs/losses.md has what it does."""


@dataclass(frozen=True)
class Logits:
    """The logits of a pixel, `count` of them.

    exclusive: a pixel is of one class, and class 0 is the background (softmax). Otherwise each class is a question
        of its own, yes or no (sigmoid), and the background is where all answers are no: classes count from 1.
    """

    count: int
    exclusive: bool

    @property
    def classes(self) -> range:
        """The numbers of the classes that have a logit."""
        first = 0 if self.exclusive else 1
        return range(first, first + self.count)

    def one_vs_rest(self, classes: tuple[int, ...]) -> "Logits":
        """Each of `classes` as a question of its own. Raises UserError if the network has no such class."""
        for number in classes:
            if number not in self.classes:
                first, last = self.classes[0], self.classes[-1]
                has = f"only class {last}" if first == last else f"the classes {first} to {last}"
                raise UserError(f"there is no class {number}: the network has {has}.")
        return Logits(len(classes), exclusive=False)


class Arguments(Settings):
    """The arguments of a term. This one takes none, and is for all outputs."""

    def check(self, outputs: Logits) -> None:
        """Refuse the term if, with these arguments, it is not for such outputs. Raises UserError."""


class BinaryCrossEntropy(Arguments):
    def check(self, outputs: Logits) -> None:
        _require_questions(outputs, "bce", "cross_entropy")


class WeightedCrossEntropy(Arguments):
    weights: Weights

    def check(self, outputs: Logits) -> None:
        _require_weight_of_each_class(self.weights, outputs)


class ReweightedBinaryCrossEntropy(Arguments):
    alpha: Probability = 0.99

    def check(self, outputs: Logits) -> None:
        _require_questions(outputs, "reweighted_bce", "weighted_cross_entropy(weights=[...])")


class Focal(Arguments):
    gamma: NonNegativeFloat = 2.0
    alpha: Probability = 0.25


class TopKCrossEntropy(Arguments):
    share: Share = 0.1


class BorderCrossEntropy(Arguments):
    border: NonNegativeFloat = 5.0


class BoundaryWeightedCrossEntropy(Arguments):
    w0: NonNegativeFloat = 10.0
    sigma: PositiveFloat = 5.0
    weights: Weights | None = None
    cells: NonNegativeInt | None = None

    def check(self, outputs: Logits) -> None:
        last = outputs.count - 1 if outputs.exclusive else 1
        if self.cells is not None and self.cells > last:
            raise UserError(f"cells: must be a class, 0 to {last}; got {self.cells}")
        if self.weights is not None:
            _require_weight_of_each_class(self.weights, outputs)


class Overlap(Arguments):
    """The arguments of a mean over the classes but the background. Subclasses say where `weights` stands in theirs."""

    if TYPE_CHECKING:  # a field here would be the first argument of all subclasses
        weights: Weights | None

    def check(self, outputs: Logits) -> None:
        foreground = outputs.count - 1 if outputs.exclusive else outputs.count
        if self.weights is None:
            return
        if len(self.weights) != foreground:
            raise UserError(
                f"weights: must be one for each class but the background, {foreground}; got {self.weights}"
            )
        _require_one_above_0(self.weights)


class Dice(Overlap):
    squared: bool = False
    smooth: PositiveFloat = SMOOTH
    weights: Weights | None = None
    background: bool = False
    per_sample: bool = False

    def check(self, outputs: Logits) -> None:
        if not self.background or self.weights is None:
            super().check(outputs)
        elif not outputs.exclusive and outputs.count > 1:
            raise UserError(
                "weights: with background=true there is one for each class of a softmax, or for yes and no of a single "
                "class; these classes may overlap, and each has a background of its own"
            )
        else:
            _require_weight_of_each_class(self.weights, outputs)
            _require_one_above_0(self.weights)


class BorderDice(Overlap):
    squared: bool = False
    smooth: PositiveFloat = SMOOTH
    weights: Weights | None = None


class Jaccard(Overlap):
    smooth: PositiveFloat = SMOOTH
    weights: Weights | None = None


class HardnessWeightedDice(Overlap):
    hardness: Probability = 0.6
    smooth: PositiveFloat = SMOOTH
    weights: Weights | None = None


class Tversky(Overlap):
    alpha: NonNegativeFloat = 0.3
    beta: NonNegativeFloat = 0.7
    smooth: PositiveFloat = SMOOTH
    weights: Weights | None = None


class FocalTversky(Overlap):
    alpha: NonNegativeFloat = 0.3
    beta: NonNegativeFloat = 0.7
    gamma: PositiveFloat = 4 / 3
    smooth: PositiveFloat = SMOOTH
    weights: Weights | None = None


ARGUMENTS: dict[str, type[Arguments]] = {
    "cross_entropy": Arguments,
    "bce": BinaryCrossEntropy,
    "weighted_cross_entropy": WeightedCrossEntropy,
    "reweighted_bce": ReweightedBinaryCrossEntropy,
    "focal": Focal,
    "top_k_cross_entropy": TopKCrossEntropy,
    "mse": Arguments,
    "border_cross_entropy": BorderCrossEntropy,
    "boundary_weighted_cross_entropy": BoundaryWeightedCrossEntropy,
    "dice": Dice,
    "jaccard": Jaccard,
    "generalised_dice": Arguments,
    "hardness_weighted_dice": HardnessWeightedDice,
    "tversky": Tversky,
    "focal_tversky": FocalTversky,
    "border_dice": BorderDice,
    "lovasz": Arguments,
}
"""What may be given to each term, by its name."""


def _require_questions(outputs: Logits, name: str, instead: str) -> None:
    if outputs.exclusive:
        raise UserError(
            f"is for one class or for classes that may overlap, and the {outputs.count} of this network "
            f"exclude each other; use {instead} or compare one class with all others, as in {name}[1]."
        )


def _require_one_above_0(weights: Weights) -> None:
    if not any(weights):
        raise UserError("weights: at least one must be above 0")


def _require_weight_of_each_class(weights: Weights, outputs: Logits) -> None:
    classes = outputs.count + (0 if outputs.exclusive else 1)
    if len(weights) != classes:
        raise UserError(
            f"weights: must be one for each class, the background first, {classes}; got {weights}"
        )
