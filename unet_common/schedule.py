"""Learning rates as a function of the step and of the validations so far.

The rate is computed here, in Python, and each implementation feeds it to its optimizer, so the three follow
the same schedule to the last digit and a resumed training continues it: there is no state but the history.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from data.errors import UserError
from data.settings import BelongsTo, Settings

STEP, POLYNOMIAL, COSINE, PLATEAU, REDUCTIONS = (
    BelongsTo(("name",), names)
    for names in (("step",), ("polynomial",), ("cosine",), ("plateau",), ("step", "plateau"))
)


class Schedule(Settings):
    """The course of the learning rate over a training."""

    name: Literal["constant", "step", "cosine", "polynomial", "plateau"] = "constant"
    warmup: NonNegativeInt = Field(0, description="steps over which the rate rises linearly at the start")
    factor: Annotated[float, Field(gt=0, lt=1), REDUCTIONS] = Field(
        0.1, description="of step and plateau: each reduction"
    )
    every: Annotated[PositiveInt, STEP] = Field(1000, description="of step: steps between two reductions")
    power: Annotated[NonNegativeFloat, POLYNOMIAL] = Field(
        0.9, description="of polynomial: (1 - progress) ** power"
    )
    final: Annotated[float, Field(ge=0, le=1), COSINE] = Field(
        0.0, description="of cosine: last rate / first rate"
    )
    patience: Annotated[PositiveInt, PLATEAU] = Field(
        5, description="of plateau: validations without a better Dice; those of the warm-up do not count"
    )

    def check_length(self, steps: int) -> None:
        """Refuse a training of so many steps, if the rate would never reach its value. Raises UserError."""
        if self.warmup > steps:
            raise UserError(
                f"schedule.warmup is {self.warmup} steps, but the training has only {steps}. Train longer, or set it "
                "lower."
            )

    def rate(self, base: float, step: int, steps: int, validations: Sequence[tuple[int, float]]) -> float:
        """Learning rate of update number `step` (from 0) of `steps`.

        Args:
            base: the optimizer's learning rate.
            validations: the steps and Dice values of the validations so far, or their `moving_average`, oldest first;
                only `plateau` looks at them. A Dice that is not defined (nan) is none.
        """
        if step < self.warmup:
            return base * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, steps - self.warmup)
        judged = [dice for after, dice in validations if after > self.warmup and not math.isnan(dice)]
        scale = {
            "constant": lambda: 1.0,
            "step": lambda: self.factor ** ((step - self.warmup) // self.every),
            "cosine": lambda: self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2,
            "polynomial": lambda: (1 - min(progress, 1.0)) ** self.power,
            "plateau": lambda: self.factor ** _reductions(judged, self.patience),
        }[self.name]()
        return base * scale


def moving_average(values: Sequence[float], past: float) -> list[float]:
    """Each value averaged with those before it: the last average counts `past`, the value what is left of 1.

    It starts at the first value. With `past` 0 the values stay what they are.
    """
    return list(accumulate(values, lambda average, value: past * average + (1 - past) * value))


def _reductions(validations: Sequence[float], patience: int) -> int:
    """The number of times that `patience` validations in a row brought nothing better."""
    best, waited, reductions = -math.inf, 0, 0
    for value in validations:
        if value > best:
            best, waited = value, 0
        else:
            waited += 1
            if waited == patience:
                waited, reductions = 0, reductions + 1
    return reductions
