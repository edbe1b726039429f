"""A U-Net with a backbone that looks twice: at the whole image, and at a region of it, in 2D."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from data.preprocessing.regions import Regions
from unet_common.networks.unet_backboned import UNetBackboned


class UNetFineGrained(UNetBackboned):
    """Hyperparameters of the U-Net with two inputs and two heads, for small objects on large ones.

    Both inputs go through one trunk, a `unet_backboned` without its head. One head finds all classes in the whole
    image, the other finds the small ones, which are the last, in the region around the largest object, enlarged to
    the image's size. In training the regions are known; in prediction the first look finds them. A sample of training
    should be the whole image (`sampling.crop`), so that objects have the same size there.

    Inputs lie beside each other as channels, and so do outputs: those of the whole image, then those of the region.

    In the program that it reproduces (unet_vnet_keras) the second head is trained to give the enlarged image itself, as
    the variables of its data loader are exchanged; the largest object is another one in training (of all classes) than
    in prediction (of the first); windows that reach beyond the image are cut off, so that they are pasted back at
    another scale; and it is not the second head which is judged. Here none of that is so.
    """

    paper: ClassVar[str] = f"{UNetBackboned.paper}; the second look: unet_vnet_keras"
    tasks: ClassVar[tuple[str, ...]] = ("multilabel",)

    name: Literal["unet_fine_grained"] = "unet_fine_grained"  # type: ignore[assignment]  # a name of its own
    channels: int = Field(2, ge=2, description="values per pixel of the whole image and the region together")
    classes: int = Field(
        3, ge=2, description="outputs: classes of the whole image, and again those of the region"
    )
    multilabel: Literal[True] = Field(True, description="each output has a sigmoid of its own")
    regions: Regions = Field(Regions(), description="which region is looked at, and for which classes")

    @model_validator(mode="after")
    def _inputs_and_outputs_are_pairs(self) -> "UNetFineGrained":
        if self.channels % 2:
            raise ValueError(
                f"channels is {self.channels}: the image and its region have as many each, so it must be even"
            )
        if self.auxiliary:
            raise ValueError(
                "auxiliary: this network has no other outputs than those of the image and of the region"
            )
        if "classes" not in self.left_open and self.regions.classes > self.foreground_classes:
            raise ValueError(
                f"regions.classes is {self.regions.classes}, but the data has {self.foreground_classes} classes "
                "without the background"
            )
        return self

    @property
    def foreground_classes(self) -> int:
        return self.classes - self.regions.classes

    @property
    def region_of_interest(self) -> Regions:
        return self.regions
