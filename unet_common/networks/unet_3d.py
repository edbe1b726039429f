"""The 3D U-Net as its paper has it: the second convolution of a level doubles the channels."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from unet_common.networks.base import Halving
from unet_common.networks.unet import UNet


class UNet3D(Halving):
    """Hyperparameters of the 3D U-Net.

    Channels grow before each pooling and not after it, so that little is lost there: that, and not the third axis, is
    what it has before `unet` with `rank` 3. Deviations from the paper, which are those of AmberzzZZ's program
    (unet_vnet_keras, origin/3d_unet.py): convolutions are padded, voxels are repeated where the paper has transposed
    convolutions, and nothing is normalised. `upsampling` and `normalisation` give the paper's back. Convolutions keep
    their biases before a normalisation, since the published counts have them. The paper's network has 19,069,955
    weights; this one 896 more, the biases of the transposed convolutions.

    Its mistakes are not kept: one class is a sigmoid (a softmax of one class is 1 everywhere, and learns nothing); and
    its instance normalisation, with one mean for all channels, could not be chosen.
    """

    paper: ClassVar[str] = "Cicek et al. 2016, arXiv:1606.06650"

    name: Literal["unet_3d"] = "unet_3d"
    rank: Literal[3] = Field(3, description="spatial axes: volumes only")
    depth: Annotated[int, Field(ge=2, le=8)] = Field(4, description="levels of resolution")
    filters: PositiveInt = Field(
        32, description="channels of the very first convolution; every level doubles them"
    )
    normalisation: Literal["batch", "instance", "none"] = Field(
        "none", description="between a convolution and its ReLU"
    )
    upsampling: Literal["nearest", "transpose"] = Field(
        "nearest", description="voxels are repeated, or spread by a transposed convolution with weights"
    )

    def filters_at(self, level: int) -> int:
        """Channels of the first convolution at `level`, 1 is the finest; the others there have twice as many."""
        return self.filters * 2 ** (level - 1)

    @property
    def context(self) -> tuple[int, ...]:
        return self._plan.context

    @property
    def _plan(self) -> UNet:
        """The U-Net with the same convolutions and poolings: channels change nothing about sizes."""
        return UNet(rank=3, depth=self.depth, normalisation=self.normalisation)
