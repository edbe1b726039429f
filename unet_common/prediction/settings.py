"""Settings of a prediction: how a trained network is applied to whole images."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from data.settings import Fraction, Settings


class PredictionSettings(Settings):
    """The manner in which the network is applied to whole images, and in which that is judged."""

    tile: PositiveInt | tuple[PositiveInt, ...] | None = Field(
        None,
        description="side of a tile in pixels, or one number per axis; without it images stay whole, and large "
        "volumes, or what the network does not take in one piece, are cut into tiles of the training's crop",
    )
    overlap: Fraction = Field(0.5, description="part of a tile that it shares with the next")
    symmetries: Literal["none", "flips", "all"] = Field(
        "none",
        description="average over mirrored (flips) or also turned (all) copies of the image; only along the axes "
        "that augmentation mirrors",
    )
    threshold: Fraction = Field(
        0.5, description="of a sigmoid: a pixel is of its class from this probability on"
    )
    tolerance: PositiveFloat = Field(
        1.0,
        description="of the surface Dice of volumes, in mm: borders that are as near as this are the same",
    )
    least_size: PositiveInt = Field(
        1, description="pixels from which a case is said to have a class, in the scores of such decisions"
    )
    level: PositiveInt | None = Field(
        None, description="of unet_plus_plus: columns of the pruned network, which is faster"
    )
    values: Literal["data", "classes"] = Field(
        "data",
        description="numbers in masks: those of the data set's own labels, or those of the classes, from 0 on",
    )
    slices: Literal["axial", "coronal", "sagittal"] | None = Field(
        None,
        description="of a network for images on volumes: the slices that it sees; without it those of the acquisition",
    )
    attention: bool = Field(False, description="of unet_25d: draw its attention maps beside each prediction")
    features: str | None = Field(
        None, description="block or layer of the network whose feature maps are drawn beside each prediction"
    )
    contrast: tuple[str, ...] = Field(
        (),
        description="one class, or two, by name or number, that these feature maps tell from all else, or from each "
        "other; without any the foreground from the background",
    )
    one_look: bool = Field(
        False, description="of unet_fine_grained: predict from the whole image alone, not from the region"
    )
