"""A V-Net for volumes of bottleneck units, which inception blocks shrink: deep, with few weights."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from unet_common.networks.base import Halving

# Units of the encoder's levels, of the bottom, and of the decoder's levels; the first is the full resolution.
ENCODER, BOTTOM, DECODER = (1, 3, 4, 6), 3, (1, 2, 3, 3)


class VNet3DBottleneck(Halving):
    """Hyperparameters of the V-Net of bottlenecks.

    AmberzzZZ's program (unet_vnet_keras, vnet3d.py). Of the paper it has the shape and the residual stages; the units
    in these are the bottlenecks of ResNet, with a shortcut that is projected where the channels change. Volumes are
    shrunk by a convolution with stride 2 at the full resolution, and below by an inception block: a pooling, a short
    and a long branch of convolutions side by side. They are enlarged by interpolation and a convolution of
    1 x 1 x 1, without normalisation. All other convolutions are normalised, and keep their biases nonetheless, as the
    published counts have them.

    Its mistakes are not kept: a depth is built as it is asked for (any but 4 and 5 became a network of three levels
    without a word), and the first level's channels follow from those of the bottom; an activation is named in one
    place (its name was only a switch); interpolation has one grid, that of half-pixel centres (two at once were asked
    for, and prediction failed); there is no decay that nothing reads, and no residual connection around the whole
    that nothing uses.
    """

    paper: ClassVar[str] = (
        "Milletari et al. 2016, arXiv:1606.04797; bottlenecks: He et al. 2016, arXiv:1512.03385; inception blocks: "
        "Szegedy et al. 2017, arXiv:1602.07261"
    )

    name: Literal["vnet_3d_bottleneck"] = "vnet_3d_bottleneck"
    rank: Literal[3] = Field(3, description="spatial axes: volumes only")
    depth: Annotated[int, Field(ge=2, le=len(ENCODER) + 1)] = Field(4, description="levels of resolution")
    bottom_filters: PositiveInt = Field(
        256, description="channels of the bottom; each level above has half as many as the one below it"
    )

    @model_validator(mode="after")
    def _channels_can_be_divided(self) -> "VNet3DBottleneck":
        divisor = 4 * 2 ** (self.depth - 1)
        if self.bottom_filters % divisor:
            raise ValueError(
                f"bottom_filters: {self.bottom_filters}; with depth {self.depth} it must be a multiple of {divisor}, "
                "as a unit at the full resolution has a quarter of the channels there"
            )
        return self

    def filters_at(self, level: int) -> int:
        """Channels at `level`, of encoder and decoder; 1 is the full resolution, `depth` the bottom."""
        return self.bottom_filters // 2 ** (self.depth - level)

    def encoder_units_at(self, level: int) -> int:
        """Units of the encoder's stage at `level`; that of the bottom, too."""
        return BOTTOM if level == self.depth else ENCODER[level - 1]

    def decoder_units_at(self, level: int) -> int:
        """Units of the decoder's stage at `level`."""
        return DECODER[level - 1]

    @property
    def context(self) -> tuple[int, ...]:
        total = self.stride[0]
        for level in range(1, self.depth + 1):
            scale = 2 ** (level - 1)
            total += self.encoder_units_at(level) * scale  # one convolution of 3 x 3 x 3 in each
            if level < self.depth:
                # A convolution with a stride reads two voxels behind its own, and the long branch one more before that;
                # interpolation reads the next voxel of the level below.
                shrinking = 2 if level == 1 else 3
                total += (self.decoder_units_at(level) + shrinking) * scale + 2 * scale
        return (total,) * self.rank
