"""UNet++: a U-Net whose skips are networks themselves."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from unet_common.networks.base import EVERYWHERE
from unet_common.networks.unet import UNet


class UNetPlusPlus(UNet):
    """Hyperparameters of UNet++: those of `unet`, and where it is judged and cut.

    With deep supervision every column of the first row has a head, the loss is the mean over them, and so is the
    prediction: the paper's "accurate mode" (section 3.2). With a `level` its "fast mode": no more columns than that
    are built, and the last one's head alone predicts. Batch normalisation is not in the paper.
    """

    paper: ClassVar[str] = "Zhou et al. 2018, arXiv:1807.10165"

    name: Literal["unet_plus_plus"] = "unet_plus_plus"  # type: ignore[assignment]  # a name of its own
    filters: PositiveInt = Field(32, description="channels of the first row; each row doubles them")
    padding: Literal["same"] = Field("same", description="convolutions keep the size")
    downsampling: Literal["pooling"] = Field("pooling", description="the largest of each block of pixels")
    dilation: Literal[1] = Field(1, description="kernels see neighbours")
    activation: Literal["elu", "relu", "leaky_relu"] = Field("relu", description="after each convolution")
    attention_gates: tuple[()] = Field((), description="none: there are no single skips to gate")
    non_local: tuple[()] = Field((), description="none")
    deep_supervision: bool = Field(True, description="a head for every column, all of them judged")
    level: PositiveInt | None = Field(
        None,
        description="columns that are built, the last of which predicts alone; without it all do, on average",
    )

    @model_validator(mode="after")
    def _deep_supervision_fits(self) -> "UNetPlusPlus":
        """Judge columns, of which there is one at every depth, and not levels of the decoder as `unet` does."""
        if self.level is not None and self.level > self.depth - 1:
            raise ValueError(f"level is {self.level}; with depth {self.depth} there are {self.depth - 1}")
        if self.level is not None and self.level < self.depth - 1 and not self.deep_supervision:
            raise ValueError("level: only networks with deep_supervision have a head at every level")
        return self

    @property
    def columns(self) -> int:
        """Columns of nodes beside the first, the encoder."""
        return self.level or self.depth - 1

    @property
    def averages(self) -> bool:
        """True if all heads predict."""
        return self.deep_supervision and self.level is None

    @property
    def context(self) -> tuple[int, ...]:
        if self.normalises_each_image:
            return (EVERYWHERE,) * self.rank
        context = []
        for axis, stride in enumerate(self.stride):
            reach = [
                self.convolutions * (self.kernel_at(level)[axis] // 2) * self.scale_at(level)[axis]
                for level in range(1, self.columns + 2)
            ]
            # Down to a row, up again, and in between as often to the right as columns are left.
            paths = [
                sum(reach[: row + 1]) + sum(reach[:row]) + (self.columns - row) * max(reach[: row + 1])
                for row in range(self.columns + 1)
            ]
            context.append(max(paths) + stride)  # pooling windows reach up to one stride further
        return tuple(context)
