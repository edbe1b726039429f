"""A plain 3D U-Net whose skips are added, and whose blocks can be exchanged."""

from math import gcd
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from unet_common.networks.base import EVERYWHERE, Halving


class Levels(Halving):
    """Hyperparameters that networks of levels with added skips share: `no_new_net` and `reversible_unet`."""

    if TYPE_CHECKING:  # those have these as hyperparameters, or as properties

        @property
        def block(self) -> str:
            """The kind of the blocks."""

        @property
        def recompute(self) -> bool:
            """True if the activations of reversible blocks are computed again, and not kept."""

        @property
        def encoder_blocks(self) -> int:
            """Blocks of each level on the way down."""

        @property
        def decoder_blocks(self) -> int:
            """Blocks of each level on the way up."""

    rank: Literal[3] = Field(3, description="spatial axes: volumes only")
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=8)] = Field(
        (30, 60, 120, 240, 480), description="channels of each level of resolution, the finest first"
    )
    groups: PositiveInt = Field(
        30, description="of the group normalisation; as many of them as divide the channels there"
    )
    pooling: Literal["max", "average"] = Field("max", description="what is kept of 2 x 2 x 2 voxels")
    dilated_levels: Annotated[int, Field(ge=0, le=8)] = Field(
        0, description="how many of the finest levels have kernels that skip every other voxel"
    )

    @property
    def depth(self) -> int:
        """Levels of resolution."""
        return len(self.widths)

    def filters_at(self, level: int) -> int:
        """Channels at `level`; 1 is the full resolution."""
        return self.widths[level - 1]

    def groups_at(self, channels: int) -> int:
        """Groups that so many channels are normalised in."""
        return gcd(channels, self.groups)

    def dilation_at(self, level: int) -> int:
        """Distance of the voxels that a kernel at `level` sees."""
        return 2 if level <= self.dilated_levels else 1

    @property
    def size_rule(self) -> str:
        return f"with {self.depth} widths every side must be a multiple of {self.stride[0]}"

    @property
    def context(self) -> tuple[int, ...]:
        return (EVERYWHERE,) * self.rank  # means and deviations are those of the whole volume


class NoNewNet(Levels):
    """Hyperparameters of No New-Net, as the partially reversible U-Net was compared with it.

    Skips are added and not concatenated, volumes are enlarged by interpolation, and group normalisation takes the
    place of the paper's instance normalisation: so in the re-implementation by Bruegger et al. 2019 (arXiv:1906.06148,
    github.com/RobinBruegger/PartiallyReversibleUnet), which `block` "published" is. The other blocks are between
    convolutions of 1 x 1 x 1 that change the channels, as in the reversible network: "plain", of two convolutions after
    their normalisations, is the baseline of github.com/Pamikk/rev-seg-mia, which has as many weights as the reversible
    network of twice the width; "residual" adds what the block started from, and "reversible" couples two halves of the
    channels.

    The originals' mistakes are not kept: a baseline of half the width without any residual path is no control of
    reversibility, so `block` can be exchanged and nothing else; sigmoids inside the network are left to the loss,
    which has classes that exclude each other, too.
    """

    paper: ClassVar[str] = "Isensee et al. 2018, arXiv:1809.10483"

    name: Literal["no_new_net"] = "no_new_net"
    block: Literal["published", "plain", "residual", "reversible"] = Field(
        "published",
        description="what a level is made of; all but the published one keep the channels",
    )
    # Of a sequence; `reversible_unet` has more.
    encoder_blocks: ClassVar[int] = 1
    decoder_blocks: ClassVar[int] = 1
    recompute: ClassVar[bool] = True

    @model_validator(mode="after")
    def _halves(self) -> "NoNewNet":
        if self.block == "reversible" and any(width % 2 for width in self.widths):
            raise ValueError(
                f"widths: {list(self.widths)}; a reversible block has two halves, so all must be even"
            )
        return self
