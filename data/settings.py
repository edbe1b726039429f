"""Validated settings of everything that has to do with data."""

from typing import Annotated, Any, Literal

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
    validation: Annotated[Fraction | tuple[str, ...], BeforeValidator(_words)] = Field(
        0.2, description="share of the images, or their names, that are kept for validation"
    )
    fold: NonNegativeInt | None = Field(
        None, description="instead of validation: the part of a cross-validation that is kept, from 0 on"
    )
    folds: Annotated[int, Field(ge=2)] = Field(5, description="parts of a cross-validation")
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
    probability: Probability = Field(1.0, description="share of the samples that it happens to")

    @model_validator(mode="before")
    @classmethod
    def _number_is_amount(cls, value: Any) -> Any:
        return {"amount": value} if isinstance(value, (int, float)) and not isinstance(value, bool) else value

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


def _probability_of_flips(value: Any) -> Any:
    return {True: 0.5, False: 0.0}[value] if isinstance(value, bool) else value


class Augmentation(Settings):
    """Random changes to training samples. Zero switches a change off; `{amount: ..., probability: ...}` makes it
    happen to some of the samples only."""

    # Geometry: one map of coordinates, one interpolation.
    flips: Annotated[Probability, BeforeValidator(_probability_of_flips)] = Field(
        0.5, description="probability with which each axis is mirrored; true is 0.5"
    )
    flip_axes: tuple[NonNegativeInt, ...] | None = Field(
        None, description="the axes that may be mirrored; without it all"
    )
    swap_labels: tuple[tuple[NonNegativeInt, NonNegativeInt], ...] = Field(
        (), description="pairs of classes, left and right, that change places when the first axis is mirrored"
    )
    rotation: Annotated[Change, _at_most(180)] = Field(
        OFF, description="largest rotation in degrees, either way, in each plane of two axes"
    )
    scaling: Annotated[Change, _at_most(0.9)] = Field(
        OFF, description="largest relative change of size: 0.2 draws from 0.8 to 1.2"
    )
    shift: Change = Field(OFF, description="largest shift along each axis in pixels, either way")
    shift_axes: tuple[NonNegativeInt, ...] | None = Field(
        None, description="the axes along which crops are shifted; without it all"
    )
    flip_or_shift: bool = Field(
        False,
        description="a sample is either mirrored or shifted: a fair coin decides which of them may happen",
    )
    elastic: Change = Field(
        OFF,
        description="standard deviation of the elastic displacement in pixels at the nodes of its grid; over all "
        "pixels it is about 0.86 of that, in volumes 0.79",
    )
    elastic_scale: Annotated[float, Field(gt=0)] = Field(
        20.0, description="distance in pixels over which the elastic displacement varies"
    )
    label_interpolation: Literal["nearest", "linear"] = Field(
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
