"""A U-Net whose encoder is a known network without its classifier, with a decoder of bottlenecks, in 2D."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from data.settings import BelongsTo
from unet_common.networks.backbones import BLOCKS, POOLED, SKIPS, Backbone, reach
from unet_common.networks.base import Network

# A block of the decoder has a quarter of its input's channels inside: there must be four.
Filters = Annotated[int, Field(ge=4)]

COARSER = tuple(encoder for encoder, features in SKIPS.items() if features[-1] is None)
"""The encoders that have no features of the image's full resolution."""


class UNetBackboned(Network):
    """Hyperparameters of the U-Net with a backbone.

    The decoder's blocks are those of LinkNet: features are reduced to a quarter of their channels, doubled in size,
    brought to as many channels as the encoder has at that resolution, and added to its features. Five of them reach the
    image's size; after four or three, logits belong to squares of 2 x 2 or 4 x 4 pixels, and are interpolated to the
    image's size without weights, so that the loss, and masks, have as many pixels as the image.

    It has the parameters of the program that it reproduces (unet_vnet_keras), so convolutions before a normalisation
    have a bias, except in Darknet. Where that program goes wrong, this does not: one encoder is built, not all;
    skip connections are found by names that the encoders give, not by automatic ones, which change from one model to
    the next; the loss is one that falls (there, the overlap of the borders is minimised). Its Darknet is regularised
    with an L2 of 5e-4: `optimizer.l2` can do that here, for all kernels.
    """

    paper: ClassVar[str] = (
        "Ronneberger et al. 2015, arXiv:1505.04597; decoder: Chaurasia & Culurciello 2017, arXiv:1707.03718; encoders: "
        "Simonyan & Zisserman 2015, arXiv:1409.1556; He et al. 2016, arXiv:1512.03385; Redmon & Farhadi 2018, "
        "arXiv:1804.02767"
    )

    name: Literal["unet_backboned"] = "unet_backboned"
    rank: Literal[2] = Field(2, description="spatial axes: images only")
    encoder: Backbone = Field(
        "resnet50",
        description="what extracts the features; `unet` is the contracting path of the U-Net itself",
    )
    filters: Filters = Field(
        64, description="channels of the encoder's first stage; later ones are multiples of it"
    )
    centre_filters: Annotated[Filters, BelongsTo(("encoder",), POOLED)] = Field(
        512,
        description="channels of the two convolutions between encoder and decoder, where the encoder ends in a pooling "
        f"({' and '.join(POOLED)})",
    )
    decoder: Literal["transpose", "upsampling"] = Field(
        "transpose",
        description="how its blocks double the size: by a transposed convolution, or by repeating pixels before a "
        "3 x 3 convolution",
    )
    skip: Literal["add", "concatenate"] = Field(
        "add", description="how the encoder's features join the decoder's of the same resolution"
    )
    decoder_blocks: Annotated[int, Field(ge=1, le=BLOCKS)] = Field(
        BLOCKS,
        description="how often the decoder doubles the size: five blocks reach the image's; of fewer, the logits are "
        "coarser and interpolated to it",
    )
    last_filters: Annotated[
        PositiveInt, BelongsTo(("encoder",), COARSER), BelongsTo(("decoder_blocks",), (BLOCKS,))
    ] = Field(
        16,
        description="channels of the decoder's last block, where the encoder has no features of the image's full "
        "resolution (ResNets and Darknet)",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "UNetBackboned":
        if self.encoder == "darknet52" and self.filters % 2:
            raise ValueError(f"filters is {self.filters}: Darknet halves it, so it must be even")
        return self

    def output_side(self, side: int, axis: int) -> int | None:
        return side if side > 0 and side % 2**BLOCKS == 0 else None

    @property
    def size_rule(self) -> str:
        return f"every side must be a multiple of {2**BLOCKS}, as the encoder halves it {BLOCKS} times"

    @property
    def stride(self) -> tuple[int, ...]:
        return (2**BLOCKS,) * self.rank

    @property
    def context(self) -> tuple[int, ...]:
        coarsest = 2**BLOCKS
        total = reach(self.encoder) + coarsest  # an output pixel is somewhere in a coarse one
        if self.encoder in POOLED:
            total += 2 * coarsest
        # Both ways of doubling see no further than one pixel of what is doubled; so does a second branch.
        total += sum(coarsest // 2**block for block in range(self.decoder_blocks))
        finest = coarsest // 2**self.decoder_blocks
        head, interpolation = finest, 0 if finest == 1 else 2 * finest
        return (total + head + interpolation,) * self.rank
