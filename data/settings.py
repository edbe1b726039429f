"""Validated settings of everything that has to do with data."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Settings(BaseModel):
    """Base of all settings: immutable, and an unknown key or a wrong type is an error.

    There are some fifty kinds, of which a command uses a few: so pydantic builds a validator at its first use.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, settings: Any) -> Any:
        """Refuse what Python would take for 1: who writes `rotation: true` did not mean one degree."""
        for name in _numbers(cls) & settings.keys() if isinstance(settings, dict) else ():
            if _holds_truth(settings[name]):
                raise ValueError(f"{name}: should be a number; got {str(settings[name]).lower()}")
        return settings


@cache
def _numbers(kind: type[Settings]) -> frozenset[str]:
    """The settings that take numbers, and not true or false."""
    types = {name: set(_types(field.annotation)) for name, field in kind.model_fields.items()}
    return frozenset(
        name for name, allowed in types.items() if {int, float} & allowed and bool not in allowed
    )


def _types(annotation: Any) -> Iterator[Any]:
    """All types in an annotation such as tuple[int, ...] | None."""
    yield annotation
    for part in get_args(annotation):
        yield from _types(part)


def _holds_truth(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, (list, tuple)) and any(map(_holds_truth, value)))


@dataclass(frozen=True)
class BelongsTo:
    """A mark on a setting that has an effect only beside others of its group.

    settings: names of these; one of them is enough.
    values: that one of them must have; without values it must not be off: null, false, 0.0 or empty. (A whole number
        is a choice, 0 as well.)
    """

    settings: tuple[str, ...]
    values: tuple[Any, ...] = ()

    def fulfilled(self, group: Settings) -> bool:
        """True if the marked setting has an effect in this group."""
        return any(
            value in self.values if self.values else type(value) is int or bool(value)
            for value in (getattr(group, name) for name in self.settings)
        )

    def told(self, prefix: str) -> str:
        """The others, and what they must be, in words."""
        allowed = " or ".join("null" if value is None else str(value) for value in self.values)
        return " or ".join(f"{prefix}{name}{f'={allowed}' if allowed else ''}" for name in self.settings)


@dataclass(frozen=True)
class Idle:
    """A setting that was given and has no effect: its dotted key, those of the settings that it belongs to, and why."""

    key: str
    owners: tuple[str, ...]
    reason: str


def idle_settings(group: Settings, prefix: str = "") -> Iterator[Idle]:
    """The settings of a group, and of the groups in it, that differ from their defaults and have no effect."""
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, Settings):
            yield from idle_settings(value, f"{prefix}{name}.")
        if value == field.get_default(call_default_factory=True):
            continue
        for mark in field.metadata:
            if isinstance(mark, BelongsTo) and not mark.fulfilled(group):
                owners = tuple(prefix + owner for owner in mark.settings)
                reason = f"has no effect, since it belongs to {mark.told(prefix)}. Leave it out, or set that"
                yield Idle(prefix + name, owners, f"{prefix}{name}: {reason}")


class Preprocessing(Settings):
    """The preparation of every image, before training and prediction alike."""

    spacing: tuple[PositiveFloat, ...] | None = Field(
        None, description="resample volumes to voxels of this size in mm, one number per axis"
    )
    crop: bool = Field(False, description="cut off the borders that are zero in all channels")
    clip: tuple[Annotated[float, Field(ge=0, le=100)], Annotated[float, Field(ge=0, le=100)]] | None = Field(
        None,
        description="percentiles of an image's own values to which they are limited, such as [0.5, 99.5]",
    )
    normalisation: Literal["dataset", "case"] | None = Field(
        None,
        description="to mean 0 and deviation 1: over the training set, or each image and channel by itself (where "
        "values have no unit, as in MRI); without it dataset for images, case for volumes",
    )
    positions: bool = Field(
        False,
        description="append each pixel's position in the whole image, -1 to 1 along each axis, as channels",
    )

    def for_rank(self, rank: int) -> "Preprocessing":
        """The settings with the normalisation filled in, if it was left open, for images with `rank` spatial axes."""
        usual = "case" if rank == 3 else "dataset"
        return self.model_copy(update={"normalisation": self.normalisation or usual})

    @model_validator(mode="after")
    def _low_before_high(self) -> "Preprocessing":
        if self.clip and self.clip[0] >= self.clip[1]:
            raise ValueError(f"clip: {self.clip[0]:g} is not below {self.clip[1]:g}")
        return self


def _words(value: Any) -> Any:
    """A list of names, as words: YAML takes one that is all digits for a number."""
    if not isinstance(value, (list, tuple)):
        return value
    return tuple(str(each) if type(each) in (int, float) else each for each in value)


class Sampling(Settings):
    """The choice of training samples within images, and of the images kept for validation."""

    crop: tuple[PositiveInt, ...] | None = Field(
        None,
        description="size of a training sample in pixels, one number per axis; without it 128 a side, 48 in volumes",
    )
    pad: bool = Field(
        False,
        description="continue images that are smaller than the crop by their reflection, instead of refusing",
    )
    samples_per_image: PositiveInt = Field(1, description="random crops taken from every image in an epoch")
    samples_per_class: tuple[NonNegativeInt, ...] | None = Field(
        None,
        description="instead of samples_per_image: crops around a pixel of each class, as in [1, 2, 2]; random ones "
        "where an image lacks the class",
    )
    soften: tuple[PositiveInt, ...] = Field(
        (),
        description="classes of thin lines, which the network also learns blurred over 3, 7 and 15 pixels: three more "
        "outputs each, behind those of the classes; needs network.multilabel",
    )
    validation: Annotated[
        Fraction | tuple[str, ...], BeforeValidator(_words), BelongsTo(("fold",), (None,))
    ] = Field(0.2, description="share of the images, or their names, that are kept for validation")
    fold: NonNegativeInt | None = Field(
        None, description="instead of validation: the part of a cross-validation that is kept, from 0 on"
    )
    folds: Annotated[int, Field(ge=2), BelongsTo(("fold",))] = Field(
        5, description="parts of a cross-validation"
    )
    workers: PositiveInt = Field(2, description="samples prepared in parallel")

    @model_validator(mode="after")
    def _fits_together(self) -> "Sampling":
        if self.fold is not None and self.fold >= self.folds:
            raise ValueError(f"fold: must be 0 to {self.folds - 1}; got {self.fold}")
        if self.samples_per_class is not None:
            if not any(self.samples_per_class):
                raise ValueError("samples_per_class: at least one number must be above 0")
            if self.samples_per_image != 1:
                raise ValueError("samples_per_class and samples_per_image exclude each other")
        return self


class Change(Settings):
    """A random change: how strong it is at most, and how often it happens. A bare number is its amount."""

    amount: NonNegativeFloat = Field(0.0, description="0 switches it off")
    probability: Annotated[Probability, BelongsTo(("amount",))] = Field(
        1.0, description="share of the samples that it happens to"
    )

    @model_validator(mode="before")
    @classmethod
    def _number_is_amount(cls, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return {"amount": value}
        if not isinstance(value, (dict, Change)):
            raise ValueError("should be a number, or {amount: ..., probability: ...}")
        return value

    def __bool__(self) -> bool:
        return self.amount > 0 and self.probability > 0


def _at_most(largest: float) -> AfterValidator:
    def check(change: Change) -> Change:
        if change.amount > largest:
            raise ValueError(f"should be less than or equal to {largest:g}; got {change.amount:g}")
        return change

    return AfterValidator(check)


OFF = Change()
"""No change."""


def _probability_of_flips(value: bool | float) -> float:
    return {True: 0.5, False: 0.0}[value] if isinstance(value, bool) else value


FLIPS = BelongsTo(("flips",))
SHIFT = BelongsTo(("shift",))
ELASTIC = BelongsTo(("elastic",))
GEOMETRY = BelongsTo(("rotation", "scaling", "shift", "elastic"))


class Augmentation(Settings):
    """Random changes to training samples. Zero switches a change off; `{amount: ..., probability: ...}` makes it
    happen to some of the samples only."""

    # Geometry: one map of coordinates, one interpolation.
    flips: Annotated[bool | Probability, AfterValidator(_probability_of_flips)] = Field(
        0.5, description="probability with which each axis is mirrored; true is 0.5"
    )
    flip_axes: Annotated[tuple[NonNegativeInt, ...] | None, FLIPS] = Field(
        None, description="the axes that may be mirrored; without it all"
    )
    swap_labels: Annotated[tuple[tuple[NonNegativeInt, NonNegativeInt], ...], FLIPS] = Field(
        (), description="pairs of classes, left and right, that change places when the first axis is mirrored"
    )
    rotation: Annotated[Change, _at_most(180)] = Field(
        OFF, description="largest rotation in degrees, either way, in each plane of two axes"
    )
    scaling: Annotated[Change, _at_most(0.9)] = Field(
        OFF, description="largest relative change of size: 0.2 draws from 0.8 to 1.2"
    )
    shift: Change = Field(OFF, description="largest shift along each axis in pixels, either way")
    shift_axes: Annotated[tuple[NonNegativeInt, ...] | None, SHIFT] = Field(
        None, description="the axes along which crops are shifted; without it all"
    )
    flip_or_shift: Annotated[bool, FLIPS, SHIFT] = Field(
        False,
        description="a sample is either mirrored or shifted: a fair coin decides which of them may happen",
    )
    elastic: Change = Field(
        OFF,
        description="standard deviation of the elastic displacement in pixels at the nodes of its grid; over all "
        "pixels it is about 0.86 of that, in volumes 0.79",
    )
    elastic_scale: Annotated[float, Field(gt=0), ELASTIC] = Field(
        20.0, description="distance in pixels over which the elastic displacement varies"
    )
    label_interpolation: Annotated[Literal["nearest", "linear"], GEOMETRY] = Field(
        "nearest", description="linear: of each class's mask, for structures a few pixels wide"
    )

    # Intensity, in units of the image's contrast.
    blur: Change = Field(OFF, description="largest standard deviation of a Gaussian blur in pixels")
    low_resolution: Annotated[Change, _at_most(0.9)] = Field(
        OFF, description="largest share of the resolution that is lost: 0.5 draws from a half to all of it"
    )
    contrast: Annotated[Change, _at_most(0.99)] = Field(
        OFF, description="largest relative change of contrast: 0.2 draws from 0.8 to 1.2"
    )
    brightness: Change = Field(OFF, description="standard deviation of an offset of all channels")
    channel_offset: Change = Field(OFF, description="standard deviation of an offset of each channel")
    gamma: Change = Field(
        OFF, description="grey values to the power of 1 / (1 + gamma) to 1 + gamma, between their extremes"
    )
    noise: Change = Field(OFF, description="standard deviation of pixel noise")
