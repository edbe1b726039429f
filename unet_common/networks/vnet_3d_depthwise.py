"""The V-Net for volumes whose stages convolve each channel by itself: far fewer weights."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from unet_common.networks.vnet_3d import VNet3D


class VNet3DDepthwise(VNet3D):
    """Hyperparameters of the depthwise V-Net.

    `vnet_3d` with another unit in its stages (`unit`), and a single convolution of 3 x 3 x 3 at the full resolution of
    the encoder. AmberzzZZ's program (unet_vnet_keras, origin/3d_vnet_depthwise.py) has a published count of 487,601:
    that of an earlier form, `unit: depthwise`, in which channels only meet between the stages. As it is today it has
    separable convolutions (Chollet 2017) and cannot be built: a stage of the encoder ends with half of the channels
    that it is to be added to. There are two ways to mend it. `separable` gives such a stage as many channels as it
    starts from, as those of the decoder have: the default, as it is the symmetric one. `separable_narrow` keeps
    the half, and zeros make up the difference in the sum.

    Its mistakes are not kept: what that was; kernels of any size are padded so that the size is kept (only those of
    3 were); and a depthwise convolution is not one convolution for each channel. Those that are in `vnet_3d` are mended
    here, too. `kernel_size` is 3, as in the published network.
    """

    paper: ClassVar[str] = (
        f"{VNet3D.paper}; separable convolutions: Chollet 2017, arXiv:1610.02357, there of images"
    )

    name: Literal["vnet_3d_depthwise"] = "vnet_3d_depthwise"  # type: ignore[assignment]  # a name of its own
    kernel_size: PositiveInt = Field(3, description=VNet3D.model_fields["kernel_size"].description)
    upsampling: Literal["transpose", "linear"] = Field(
        "linear", description=VNet3D.model_fields["upsampling"].description
    )
    unit: Literal["separable", "separable_narrow", "depthwise"] = Field(
        "separable",
        description="of a stage: a depthwise convolution and one of 1 x 1 x 1; the same, with half as many channels in "
        "the encoder; a depthwise one alone",
    )

    def unit_filters_at(self, level: int) -> int:
        """Channels of the units in the encoder at `level`; what they are added to has `filters_at(level)`."""
        return self.filters_at(level - 1 if self.unit == "separable_narrow" else level)

    @property
    def context(self) -> tuple[int, ...]:
        if self.normalisation == "instance":
            return super().context
        # The stem reaches one voxel, and stages of the encoder have the units of the level above.
        reach = [self.convolutions_at(level) * (self.kernel_size // 2) for level in range(1, self.depth)]
        encoder = 1 + sum(side * 2**level for level, side in enumerate(reach, 1))
        decoder = sum(side * 2 ** (level - 1) for level, side in enumerate(reach, 1))
        return tuple(encoder + decoder + self._interpolated + stride for stride in self.stride)
