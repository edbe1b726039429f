"""MedPatchNet: a patch network of valid convolutions whose kernels may depend on where in the body the patch lies."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from data.settings import BelongsTo, Fraction
from unet_common.networks.base import EVERYWHERE, Network

DYNAMIC = BelongsTo(("dynamic_middle", "dynamic_end"))

LEVELS = (1, 2, 3)  # those of encoder and decoder; the bottleneck lies below

HIDDEN = (64, 128)
"""Units of the layers between a position and the kernel that is generated for it."""


class MedPatchNet(Network):
    """Hyperparameters of MedPatchNet.

    Pre-activated valid convolutions (batch normalisation, leaky ReLU, convolution without bias); ESP blocks, which see
    far with few weights; and convolutions whose kernel is generated for the position of the patch. Kernels that know
    the position can tell left from right and top from bottom, which look alike in a patch.

    One patch has one position and so one kernel. Therefore all inputs have the `patch_size` where a convolution is
    dynamic, and larger volumes are cut into such patches, in validation and in prediction, as in training. Without
    dynamic convolutions there is no second input, and volumes go through in one piece. A position is that of the voxel
    in the middle of the patch in the whole volume, -1 to 1 along each axis: `preprocessing.positions` appends it to
    the channels of every voxel. A flipped or rotated patch keeps the position of the place that it was taken from.

    The published program (medseg_dl, with ESP and dynamic convolutions left out of its graph though their switches
    were on) is the source of the counts. Its mistakes are not kept:
    - The generated kernel stood alone: at first it was zero in the middle of a volume, and far too small elsewhere.
      Here it is a change that is added to a static kernel, drawn with the deviation that He's rule asks of a kernel;
      `dynamic_kernel` has the published form, too.
    - Positions were scaled by another size in training than in evaluation, so that the same place was at two positions.
    - The batch had a fixed size and one convolution for each of its samples. Here it is one product of matrices.
    - Transposed convolutions had their middle one voxel beside the skips that they are joined to, at each level; here
      they lie on them. The crops follow from the sizes, and widths are a hyperparameter.
    """

    paper: ClassVar[str] = (
        "Fischer et al. 2019, ISMRM abstract 840; ESP: Mehta et al. 2018, arXiv:1803.06815; dynamic convolutions: "
        "Jia et al. 2016, arXiv:1605.09673"
    )

    name: Literal["medpatchnet"] = "medpatchnet"
    rank: Literal[3] = Field(3, description="spatial axes: volumes only")
    channels: PositiveInt = Field(
        4,
        description="values per pixel of the input, with the three of the position if a convolution is dynamic",
    )
    filters: PositiveInt = Field(32, description="channels of the first level; each level doubles them")
    esp: bool = Field(
        True, description="ESP blocks of dilated convolutions after those of the second and third level"
    )
    dynamic_middle: bool = Field(
        True, description="at the bottleneck, a convolution whose kernel depends on the patch's position"
    )
    dynamic_end: bool = Field(False, description="such a convolution between the last two of 3 x 3 x 3, too")
    dynamic_kernel: Annotated[Literal["static_and_change", "generated"], DYNAMIC] = Field(
        "static_and_change",
        description="a static kernel to which what is generated is added; or generated alone, as published",
    )
    patch_size: Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], DYNAMIC] = Field(
        (96, 96, 96),
        description="sides of all inputs of dynamic convolutions; the output is 48 voxels shorter (published: 64)",
    )
    position_noise: Annotated[NonNegativeFloat, DYNAMIC] = Field(
        0.08, description="standard deviation of what is added to a position in training"
    )
    leak: Fraction = Field(0.2, description="slope of the leaky ReLUs below zero")

    @model_validator(mode="after")
    def _has_what_dynamic_convolutions_need(self) -> "MedPatchNet":
        if not self.takes_positions:
            return self
        if self.channels <= self.rank:
            raise ValueError(
                f"channels is {self.channels}: the last {self.rank} are the position of dynamic convolutions, so there "
                f"must be more"
            )
        if any(self._output_side(side) is None for side in self.patch_size):
            raise ValueError(f"patch_size: {list(self.patch_size)}; {self._rule_of_sides}")
        return self

    @property
    def takes_positions(self) -> bool:
        return self.dynamic_middle or self.dynamic_end

    @property
    def image_channels(self) -> int:
        """Channels of the input that are not positions."""
        return self.channels - (self.rank if self.takes_positions else 0)

    def filters_at(self, level: int) -> int:
        """Channels at `level`; 1 is the full resolution, 4 the bottleneck."""
        return self.filters * 2 ** (level - 1)

    def branches_at(self, level: int) -> int:
        """Branches of the ESP blocks at `level`, each with twice the dilation of the one before; 0: there is none."""
        return {2: 3, 3: 2}.get(level, 0) if self.esp else 0

    @property
    def fixed_size(self) -> tuple[int, ...] | None:
        return self.patch_size if self.takes_positions else None

    def refusal(self, size: tuple[int, ...]) -> str | None:
        if self.fixed_size in (None, size):
            return None
        return f"its kernels are generated for the position of a patch of {list(self.patch_size)}, as patch_size says"

    def output_side(self, side: int, axis: int) -> int | None:
        if self.takes_positions and side < self.patch_size[axis]:
            return None
        return self._output_side(side)

    @staticmethod
    def _output_side(side: int) -> int | None:
        """Length of the output, convolution for convolution; None if skips and what is joined to them do not align.

        An even side before each halving leaves the voxel that the strided convolution does not reach at the end. Then
        what a skip has more than what it is joined to is as much before as after, and the output is the middle of the
        input. With another side it would not be.
        """
        skips = []
        side -= 4  # the stem's kernel of 5
        for _level in LEVELS:
            side -= 2
            if side % 2:
                return None
            skips.append(side)
            side = (side - 3) // 2 + 1
        for skip in reversed(skips):
            side = 2 * side - 2
            if side < 1 or (skip - side) % 2:
                return None
        side -= 2  # the first level has two convolutions on the way up
        return side if side > 0 else None

    @property
    def _rule_of_sides(self) -> str:
        first = next(side for side in range(1, 2**12) if self._output_side(side))
        return f"every side must be {first} plus a multiple of {self.stride[0]}"

    @property
    def size_rule(self) -> str:
        if self.takes_positions:
            return f"with dynamic convolutions the size is {list(self.patch_size)}, as patch_size says"
        return f"{self._rule_of_sides}, so that skips lie on what they are joined to"

    @property
    def stride(self) -> tuple[int, ...]:
        return (2 ** len(LEVELS),) * self.rank

    @property
    def context(self) -> tuple[int, ...]:
        if self.takes_positions:  # which is read in the middle, however far away that is
            return (EVERYWHERE,) * self.rank
        reach = 2 + 1  # of the stem, and of the second convolution of the first level's decoder
        for level in LEVELS:
            scale = 2 ** (level - 1)
            # A convolution on the way down and one on the way up, each with its change of the size.
            reach += 4 * scale
            if branches := self.branches_at(level):
                reach += 2 * 2 ** (branches - 1) * scale
        return (reach,) * self.rank
