"""A 3D U-Net most of whose activations need not be kept for the gradient."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator

from unet_common.networks.no_new_net import Levels


class ReversibleUNet(Levels):
    """Hyperparameters of the partially reversible U-Net.

    Each level is a sequence of blocks of two coupled halves of the channels; pooling, the convolutions of one voxel
    between levels, interpolation and the added skips are not reversible. Within a sequence the gradient finds the
    activations from its output. `recompute` false keeps them, with the same outputs and gradients: the like-for-like
    control, since any other network has another width or other residual paths.

    The originals' mistakes (github.com/RobinBruegger/PartiallyReversibleUnet with RevTorch 0.2.4, and
    github.com/Pamikk/rev-seg-mia) are not kept: the weights are inputs of the sequence, so that they have gradients
    whoever asks; nothing is written in place over the output that is kept; no global random generator is seeded; each
    block normalises by groups, where batch normalisation would count each step twice; sigmoids are left to the loss.
    """

    paper: ClassVar[str] = "Bruegger et al. 2019, arXiv:1906.06148"

    name: Literal["reversible_unet"] = "reversible_unet"
    block: ClassVar[str] = "reversible"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=8)] = Field(
        (60, 120, 240, 360, 480),
        description="channels of each level of resolution, the finest first; even numbers",
    )
    encoder_blocks: PositiveInt = Field(1, description="reversible blocks of each sequence of the encoder")
    decoder_blocks: PositiveInt = Field(1, description="and of the decoder")
    recompute: bool = Field(
        True,
        description="activations are computed again for the gradient, and else kept: less memory, more time",
    )

    @field_validator("widths")
    @classmethod
    def _halves(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(width % 2 for width in widths):
            raise ValueError(f"{list(widths)}: a reversible block has two halves, so all must be even")
        return widths
