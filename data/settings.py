"""Validated settings of everything that has to do with data."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Settings(BaseModel):
    """Base of all settings: immutable, and an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Sampling(Settings):
    """How training samples are cut from images, and which images are kept for validation."""

    crop: tuple[PositiveInt, ...] = Field(
        (128, 128), description="size of a training sample in pixels, one number per axis"
    )
    samples_per_image: PositiveInt = Field(1, description="random crops taken from every image in an epoch")
    validation: Fraction | tuple[str, ...] = Field(
        0.2, description="share of the images, or their names, that are kept for validation"
    )
    workers: PositiveInt = Field(2, description="samples prepared in parallel")


class Augmentation(Settings):
    """Random changes to training samples. Zero or false switches a change off."""

    flips: bool = Field(True, description="mirror each axis with probability 1/2")
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(
        0.0, description="largest rotation in degrees, either way"
    )
    scaling: Fraction = Field(0.0, description="largest relative change of size: 0.2 draws from 0.8 to 1.2")
    elastic: NonNegativeFloat = Field(
        0.0, description="standard deviation of the elastic displacement in pixels"
    )
    elastic_scale: Annotated[float, Field(gt=0)] = Field(
        20.0, description="distance in pixels over which the elastic displacement varies"
    )
    brightness: NonNegativeFloat = Field(
        0.0, description="standard deviation of the offset, in units of the image's contrast"
    )
    contrast: Fraction = Field(
        0.0, description="largest relative change of contrast: 0.2 draws from 0.8 to 1.2"
    )
    noise: NonNegativeFloat = Field(
        0.0, description="standard deviation of pixel noise, in units of the image's contrast"
    )
