"""The U-Net with padded convolutions and batch normalisation, as most programs call it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from unet_common.networks.base import Halving
from unet_common.networks.unet import UNet


class UNetPadding(Halving):
    """Hyperparameters of the U-Net whose output is as large as its input.

    `unet_original` with padding, and batch normalisation after every 3 x 3 convolution; no dropout. The convolutions
    keep their biases, useless before a normalisation, because the parameter counts of unet_vnet_keras, which we
    reproduce, include them. There, only five levels could be built, and the residual option did nothing (and would
    have concatenated); here any depth can, and the option adds, as in He et al. 2016, arXiv:1512.03385.
    """

    paper: ClassVar[str] = "Ronneberger et al. 2015, arXiv:1505.04597"

    name: Literal["unet_padding"] = "unet_padding"
    rank: Literal[2] = Field(2, description="spatial axes")
    depth: Annotated[int, Field(ge=2, le=8)] = Field(5, description="levels of resolution")
    filters: PositiveInt = Field(64, description="channels of the first level; each level doubles them")
    residual: bool = Field(
        False, description="add a block's input, through a 1 x 1 convolution, to what its convolutions give"
    )

    def filters_at(self, level: int) -> int:
        """Channels of the convolutions at `level`; 1 is the full resolution, `depth` the bottom."""
        return self.filters * 2 ** (level - 1)

    @property
    def context(self) -> tuple[int, ...]:
        up_convolutions = sum(2**level for level in range(self.depth - 1))  # one pixel further at every level
        return tuple(side + up_convolutions for side in UNet(depth=self.depth).context)
