"""The V-Net for volumes in a later form: leaky ReLUs, and a decoder whose stages add all they start from."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from unet_common.networks.base import EVERYWHERE, Halving
from unet_common.networks.vnet import VNet


class VNet3D(Halving):
    """Hyperparameters of the later V-Net.

    AmberzzZZ's V-Net for volumes (unet_vnet_keras, origin/3d_vnet.py). Deviations from the paper, and from `vnet`:
    batch normalisation and leaky ReLUs with a slope of 0.3 after each convolution of a stage, though these keep their
    biases; neither follows the convolutions that change the size; a stage of the decoder adds all that it starts from,
    skip and up-convolution side by side; and `upsampling` may interpolate instead.

    Its mistakes are not kept: inputs may have any number of channels, and zeros make up the difference in the first
    addition (more channels than `filters` failed); a kernel of any size keeps the size of the volume; interpolation
    has one grid, that of half-pixel centres (two at once were asked for, and prediction failed); one class is a sigmoid
    (a softmax of one class is 1 everywhere); there is no decay that nothing reads. Where batch normalisation was
    switched off, one mean over all channels took its place, with one scale and one shift; here `instance` has them for
    each channel.
    """

    paper: ClassVar[str] = "Milletari et al. 2016, arXiv:1606.04797"

    name: Literal["vnet_3d"] = "vnet_3d"
    rank: Literal[3] = Field(3, description="spatial axes: volumes only")
    depth: Annotated[int, Field(ge=2, le=8)] = Field(5, description="levels of resolution")
    filters: PositiveInt = Field(16, description="channels of the first level; each level doubles them")
    kernel_size: PositiveInt = Field(5, description="side of the kernels; those that change the size have 2")
    normalisation: Literal["batch", "instance", "none"] = Field(
        "batch", description="between a convolution of a stage and its leaky ReLU"
    )
    upsampling: Literal["transpose", "linear"] = Field(
        "transpose",
        description="a transposed convolution, or interpolation and a convolution of 1 x 1 x 1",
    )

    def filters_at(self, level: int) -> int:
        """Channels of the encoder at `level`, 1 is the full resolution; the decoder has twice as many."""
        return self.filters * 2 ** (level - 1)

    def convolutions_at(self, level: int) -> int:
        """Convolutions of a stage at `level`, those of the paper's encoder: one, two, and three from there on."""
        return min(level, 3)

    @property
    def context(self) -> tuple[int, ...]:
        if self.normalisation == "instance":
            return (EVERYWHERE,) * self.rank
        return tuple(side + self._interpolated for side in self._plan.context)

    @property
    def _interpolated(self) -> int:
        """Voxels that interpolation adds to the context: at each level it reads the next voxel of the level below."""
        return sum(2**level for level in range(1, self.depth)) if self.upsampling == "linear" else 0

    @property
    def _plan(self) -> VNet:
        """The V-Net with the same convolutions, whose sizes and context are the same but for the interpolation."""
        return VNet(rank=3, depth=self.depth, kernel_size=self.kernel_size)
