"""The 2.5D U-Net with spatial attention, for volumes whose slices lie further apart than their pixels."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from unet_common.networks.base import Network


class UNet25D(Network):
    """Hyperparameters of the 2.5D U-Net.

    While pixels are smaller than the distance of slices, kernels stay within a slice (3 x 3 x 1) and slices are not
    pooled: these are the first `in_plane_levels`. Below them voxels are about cubes, and all is three-dimensional.
    Attention at the bottom and at every level of the decoder: a map with one value for each voxel, by which its
    features are amplified.

    The slices lie across `slice_axis`. The project turns a volume that tells where it lies towards Right, Anterior and
    Superior, so slices that were taken axially lie across axis 2, coronal ones across axis 1 and sagittal ones across
    axis 0; a stack of pages has its slices across axis 0.

    Deviations from the paper, which are those of AmberzzZZ's program (unet_vnet_keras, unet25d.py): ReLU for PReLU,
    interpolation and a convolution for the transposed one, one class is a sigmoid, poolings of the 3D levels have
    windows of 3. Convolutions keep their biases before a normalisation, since the published count has them.

    Its mistakes are not kept: there may be any number of slices (5 alone could be built, as the slices of zeros that
    make halves fit were written down for it): an odd number is halved upwards, and what that adds is cut off after the
    way up. The windows of a pooling begin at the same place whatever the number of slices is, so that a tile sees what
    the whole volume sees (they moved by one where it is odd). The channels are an axis of the input from the start (the
    default had none, and failed). The attention maps are outputs (they were computed and lost).
    """

    paper: ClassVar[str] = "Wang et al. 2019, arXiv:1906.03906"

    name: Literal["unet_25d"] = "unet_25d"
    rank: Literal[3] = Field(3, description="spatial axes: volumes only")
    depth: Annotated[int, Field(ge=2, le=8)] = Field(5, description="levels of resolution")
    in_plane_levels: PositiveInt = Field(
        2, description="of these the first, whose kernels and poolings stay in a slice"
    )
    slice_axis: Literal[0, 1, 2] = Field(
        2, description="the axis across the slices: 2 for axial ones, 0 for pages of a stack"
    )
    filters: PositiveInt = Field(16, description="channels of the first level; each level doubles them")

    attention_loss: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        1.0,
        description="weight of the loss that compares the attention maps with the foreground; 0: only what they are "
        "good for teaches them",
    )

    @model_validator(mode="after")
    def _a_level_is_three_dimensional(self) -> "UNet25D":
        if self.in_plane_levels >= self.depth:
            raise ValueError(
                f"in_plane_levels is {self.in_plane_levels}; with depth {self.depth} it is at most {self.depth - 1}, "
                "as the last level is three-dimensional"
            )
        return self

    def filters_at(self, level: int) -> int:
        """Channels of the convolutions at `level`; 1 is the full resolution, `depth` the bottom."""
        return self.filters * 2 ** (level - 1)

    def kernel_at(self, level: int) -> tuple[int, ...]:
        """Sides of the kernels at `level`: 1 across the slices of the in-plane levels, else 3."""
        return self._at(level, 3)

    def pooling_at(self, level: int) -> tuple[int, ...]:
        """Factors from `level` to the next: 1 across the slices of the in-plane levels, else 2."""
        return self._at(level, 2)

    def window_at(self, level: int) -> tuple[int, ...]:
        """Sides of the windows of the pooling after `level`, which overlap in three-dimensional ones."""
        return self._at(level, 2 if level <= self.in_plane_levels else 3)

    def scale_at(self, level: int) -> tuple[int, ...]:
        """Voxels of the input that one voxel at `level` stands for, along each axis."""
        across = 2 ** max(level - 1 - self.in_plane_levels, 0)
        return tuple(across if axis == self.slice_axis else 2 ** (level - 1) for axis in range(self.rank))

    def _at(self, level: int, side: int) -> tuple[int, ...]:
        within = level <= self.in_plane_levels
        return tuple(1 if within and axis == self.slice_axis else side for axis in range(self.rank))

    @property
    def attention_weight(self) -> float | None:
        return self.attention_loss

    def output_side(self, side: int, axis: int) -> int | None:
        if axis == self.slice_axis:
            return side if side > 0 else None
        return side if side > 0 and side % self.stride[axis] == 0 else None

    @property
    def size_rule(self) -> str:
        return (
            f"with depth {self.depth} the sides of a slice must be multiples of {2 ** (self.depth - 1)}; there may "
            f"be any number of slices, which lie across axis {self.slice_axis}"
        )

    @property
    def stride(self) -> tuple[int, ...]:
        return self.scale_at(self.depth)

    @property
    def context(self) -> tuple[int, ...]:
        context = []
        for axis in range(self.rank):
            scale = [self.scale_at(level)[axis] for level in range(1, self.depth + 1)]
            kernels = [self.kernel_at(level)[axis] // 2 for level in range(1, self.depth + 1)]
            # Convolutions of a level: two of the encoder; five of the decoder, with up-sampling and attention. At the
            # bottom there are four.
            reach = [7 * kernel * side for kernel, side in zip(kernels, scale, strict=True)]
            reach[-1] = 4 * kernels[-1] * scale[-1]
            # A pooling's window and its alignment; interpolation reads the next voxel of the level below.
            resized = [
                (self.window_at(level)[axis] - 1) * scale[level - 1] + scale[level]
                for level in range(1, self.depth)
                if self.pooling_at(level)[axis] > 1
            ]
            context.append(sum(reach) + sum(resized))
        return tuple(context)
