"""The U-Net with same or valid convolutions, in 2D and 3D."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from data.settings import Fraction
from unet_common.networks.base import Network


class UNet(Network):
    """Hyperparameters of the U-Net.

    Deviations from the paper, all of them common today: half-wide or narrower levels, convolutions
    that keep the size (`padding="valid"` gives the paper's), batch normalisation, ELU for ReLU,
    one logit a pixel for two classes, dropout after every convolution instead of at the bottom only.
    """

    paper: ClassVar[str] = (
        "Ronneberger et al. 2015, arXiv:1505.04597; 3D: Cicek et al. 2016, arXiv:1606.06650"
    )

    name: Literal["unet"] = "unet"
    depth: Annotated[int, Field(ge=2, le=8)] = Field(5, description="levels of resolution")
    filters: PositiveInt = Field(16, description="channels of the first level; each level doubles them")
    convolutions: PositiveInt = Field(2, description="convolutions per level and direction")
    kernel_size: PositiveInt = Field(3, description="side of the convolution kernels")
    padding: Literal["same", "valid"] = Field(
        "same", description="valid: no padding, the output is smaller than the input"
    )
    normalisation: Literal["batch", "none"] = Field(
        "batch", description="none: the convolutions have a bias instead"
    )
    activation: Literal["elu", "relu", "leaky_relu"] = Field("elu", description="after each convolution")
    dropout: Fraction = Field(0.0, description="share of activations dropped after each convolution")

    def filters_at(self, level: int) -> int:
        """Channels of the convolutions at `level`; 1 is the full resolution, `depth` the bottom."""
        return self.filters * 2 ** (level - 1)

    def output_side(self, side: int) -> int | None:
        if side < 1:
            return None
        if self.padding == "same":
            return side if side % self.stride == 0 else None
        shrinkage = self.convolutions * (self.kernel_size - 1)
        for _level in range(1, self.depth):
            side -= shrinkage
            if side < 2 or side % 2:  # an odd side would lose a pixel in pooling and misalign the skip
                return None
            side //= 2
        side -= shrinkage
        for _level in range(1, self.depth):
            side = 2 * side - shrinkage
        return side if side > 0 else None

    @property
    def size_rule(self) -> str:
        if self.padding == "same":
            return f"with depth {self.depth} every side must be a multiple of {self.stride}"
        return f"with valid convolutions every side must be even before each of the {self.depth - 1} poolings"

    @property
    def stride(self) -> int:
        return 2 ** (self.depth - 1)

    @property
    def context(self) -> int:
        per_level = self.convolutions * (self.kernel_size // 2)
        down = sum(per_level * 2**level for level in range(self.depth))
        up = sum(per_level * 2**level for level in range(self.depth - 1))
        return down + up + self.stride  # pooling windows reach up to one stride further
