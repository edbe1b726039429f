"""The high-resolution network HRNetV2, in 2D and 3D."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from unet_common.networks.base import Network

STAGES = 4


class HRNet(Network):
    """Hyperparameters of the high-resolution network; 18, 32 and 48 are the published widths.

    The authors' programs give logits at a quarter of the image's size and enlarge them in the loss; here the
    network does it, so that logits belong to pixels, in the loss and in a mask alike. With the head of transposed
    convolutions, which is not in the paper, what they make beyond the image's end is cut off: the program that has this
    head gives 100 x 104 pixels for an image of 97 x 101. Only the head that is asked for is built; that program builds
    both. The third head is neither's: it mixes all channels as the first does, which the second leaves out, and has one
    transposed convolution, so that its logits are enlarged from half of the image's size.
    """

    paper: ClassVar[str] = "Wang et al. 2020, arXiv:1908.07919"

    name: Literal["hrnet"] = "hrnet"
    width: PositiveInt = Field(
        18, description="channels of the finest branch; each coarser one has twice as many"
    )
    modules: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        (1, 4, 3), description="how often the stages of 2, 3 and 4 branches exchange what they know"
    )
    blocks: PositiveInt = Field(
        4, description="residual blocks of the first stage, and of each branch from one exchange to the next"
    )
    stem_filters: PositiveInt = Field(
        64,
        description="channels of the stem, of the first stage's bottlenecks (their output has four times as many) and "
        "inside the head of transposed convolutions",
    )
    head: Literal["interpolation", "transpose", "mixed"] = Field(
        "interpolation",
        description="interpolation: 1 x 1 convolutions, whose logits are enlarged by 4 without weights, as in the "
        "paper; transpose: two transposed convolutions; mixed: a 1 x 1 and a transposed convolution, whose logits are "
        "enlarged by 2 without weights",
    )

    def filters_at(self, branch: int) -> int:
        """Channels of a branch; 1 is the finest."""
        return self.width * 2 ** (branch - 1)

    def output_side(self, side: int, axis: int) -> int | None:
        return side if side > 0 else None

    @property
    def size_rule(self) -> str:
        return "every size is accepted"

    @property
    def stride(self) -> tuple[int, ...]:
        """The stride, exact where it divides the sides; other sizes stretch the interpolation's grids a little."""
        return (4 * 2 ** (STAGES - 1),) * self.rank

    @property
    def context(self) -> tuple[int, ...]:
        stem = 1 + 2
        total = stem + 4 * self.blocks
        for stage, modules in enumerate(self.modules, 2):
            coarsest = 4 * 2 ** (stage - 1)
            transition = coarsest // 2
            # Two convolutions a block, and the exchange: down by convolutions, or up by interpolation, which reads
            # two pixels on a grid that odd sizes move by less than one.
            total += transition + modules * (2 * self.blocks + 2) * coarsest
        collection, head = 2 * coarsest, 8 if self.head != "mixed" else 8 + 4
        return (total + collection + head,) * self.rank
