"""The U-Net of the paper: valid convolutions, and an output smaller than the input."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from data.settings import Fraction
from unet_common.networks.base import Network
from unet_common.networks.unet import UNet


class UNetOriginal(Network):
    """Hyperparameters of the U-Net as it was published, channel for channel.

    Its up-convolution is read as the paper words it (section 2): up-sampling, by repeated pixels, and a 2 x 2
    convolution. Unlike the program whose parameter counts we reproduce (unet_vnet_keras), this one refuses sizes at
    which a pooling would lose a row: there, encoder and decoder are two pixels apart in the coarser skips. The
    paper's overlap-tile strategy is what prediction does by itself.
    """

    paper: ClassVar[str] = "Ronneberger et al. 2015, arXiv:1505.04597"

    name: Literal["unet_original"] = "unet_original"
    rank: Literal[2] = Field(2, description="spatial axes")
    depth: Annotated[int, Field(ge=2, le=6)] = Field(5, description="levels of resolution")
    filters: PositiveInt = Field(64, description="channels of the first level; each level doubles them")
    dropout: Fraction = Field(
        0.5, description="share of activations dropped at the end of the contracting path"
    )

    @property
    def _sizes(self) -> UNet:
        """A network with the same convolutions and poolings."""
        return UNet(depth=self.depth, padding="valid")

    def filters_at(self, level: int) -> int:
        """Channels of the convolutions at `level`; 1 is the full resolution, `depth` the bottom."""
        return self.filters * 2 ** (level - 1)

    def output_side(self, side: int, axis: int) -> int | None:
        return self._sizes.output_side(side, axis)

    @property
    def size_rule(self) -> str:
        first = next(side for side in range(1, 2**12) if self.output_side(side, 0))
        return (
            f"every side must be {first} plus a multiple of {self.stride[0]}, so that each of the {self.depth - 1} "
            "poolings comes out even"
        )

    @property
    def stride(self) -> tuple[int, ...]:
        return self._sizes.stride

    @property
    def context(self) -> tuple[int, ...]:
        up_convolutions = sum(2**level for level in range(self.depth - 1))  # one pixel further at every level
        return tuple(side + up_convolutions for side in self._sizes.context)
