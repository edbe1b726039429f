"""The V-Net: residual stages, large kernels and strided convolutions; in 2D as in 3D."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from unet_common.networks.base import Halving


class VNet(Halving):
    """Hyperparameters of the V-Net.

    The paper's is for volumes; with these defaults it is AmberzzZZ's for images (unet_vnet_keras, origin/vnet.py), and
    `rank` decides. Deviations from the paper, which are that program's: batch normalisation after each convolution,
    though these keep their biases; in the decoder a stage adds what the up-convolution gave, not what was
    concatenated, and nothing follows the addition.

    Its mistakes are not kept: the deepest stage is residual like the others (its sum was thrown away); inputs may have
    any number of channels, and channels of zeros make up the difference in the first addition (one channel was
    broadcast, three failed); any depth can be built (only five levels could); no threshold is asked for that nothing
    reads.
    """

    paper: ClassVar[str] = "Milletari et al. 2016, arXiv:1606.04797"

    name: Literal["vnet"] = "vnet"
    depth: Annotated[int, Field(ge=2, le=8)] = Field(5, description="levels of resolution")
    filters: PositiveInt = Field(16, description="channels of the first level; each level doubles them")
    kernel_size: PositiveInt = Field(5, description="side of the kernels; those that change the size have 2")
    prelu: Literal["channel", "element", "none"] = Field(
        "channel",
        description="what has a slope of its own: a channel as in the paper, or each element of a map, which fixes the "
        "size of the input; none: ReLU",
    )
    input_size: tuple[PositiveInt, ...] | None = Field(
        None,
        description="with prelu 'element': the size of all inputs; larger images are cut into such tiles",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "VNet":
        if self.prelu != "element":
            if self.input_size:
                raise ValueError(f"input_size is for prelu 'element'; with '{self.prelu}' leave it out")
            return self
        if self.input_size is None:
            raise ValueError("prelu 'element' has slopes for each pixel: give input_size, as in [128, 128]")
        if len(self.input_size) != self.rank:
            raise ValueError(
                f"input_size: {list(self.input_size)} has {len(self.input_size)} axes, the rank is {self.rank}"
            )
        if any(side % 2 ** (self.depth - 1) for side in self.input_size):
            raise ValueError(
                f"input_size: {list(self.input_size)}; with depth {self.depth} every side must be a multiple of "
                f"{2 ** (self.depth - 1)}"
            )
        return self

    def filters_at(self, level: int) -> int:
        """Channels of the encoder at `level`, 1 is the full resolution; the decoder has twice as many."""
        return self.filters * 2 ** (level - 1)

    def convolutions_at(self, level: int) -> int:
        """Convolutions of a stage at `level` (the paper's figure 2): one, two, and three from there on."""
        return min(level, 3)

    @property
    def fixed_size(self) -> tuple[int, ...] | None:
        return self.input_size

    def output_side(self, side: int, axis: int) -> int | None:
        least = self.input_size[axis] if self.input_size else 1
        return super().output_side(side, axis) if side >= least else None

    @property
    def size_rule(self) -> str:
        if self.input_size:
            return f"with prelu 'element' the size is {list(self.input_size)}, as input_size says"
        return super().size_rule

    @property
    def context(self) -> tuple[int, ...]:
        reach = [
            self.convolutions_at(level) * (self.kernel_size // 2) * 2 ** (level - 1)
            for level in range(1, self.depth + 1)
        ]
        # Down and up again; the blocks of the strided convolutions reach up to one stride further.
        return tuple(sum(reach) + sum(reach[:-1]) + stride for stride in self.stride)
