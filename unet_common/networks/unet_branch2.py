"""A U-Net with a backbone, and a second branch that corrects the logit of one class, in 2D."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, model_validator

from unet_common.networks.backbones import BLOCKS, Backbone
from unet_common.networks.unet_backboned import UNetBackboned


class UNetBranch2(UNetBackboned):
    """Hyperparameters of the U-Net with a side branch.

    The branch starts within a block of the decoder, reduces its features to one value, and enlarges these at once to
    the size of the decoder's last. It begins as nothing: its first kernel is zero, so a trained `unet_backboned` can
    grow a branch without losing what it knows (`--weights`), and `freeze` trains the branch and what is behind it only.

    The program that it reproduces (unet_vnet_keras) finds the layer to branch from by an automatic name and freezes a
    fixed number of layers, which is right for two encoders only; it has four classes whatever is asked for; and its
    kernel for bilinear enlargement is a diagonal, since it takes its axes for others. Here the branch starts at a
    named level, for any encoder and number of classes, with the kernel that was meant. What is frozen also keeps its
    moving statistics. That program's optimizer gets its decay as another argument; `schedule` is for that here.
    """

    paper: ClassVar[str] = (
        f"{UNetBackboned.paper}; a branch that is enlarged bilinearly: Long et al. 2015, arXiv:1411.4038"
    )

    name: Literal["unet_branch2"] = "unet_branch2"  # type: ignore[assignment]  # a name of its own
    encoder: Backbone = Field("unet", description=UNetBackboned.model_fields["encoder"].description)
    branch_level: Annotated[int, Field(ge=1, le=BLOCKS)] = Field(
        4,
        description="block of the decoder that the branch starts from; 1 is the coarsest, the last is the finest",
    )
    branch_class: NonNegativeInt | None = Field(
        None,
        description="class whose logit the branch is added to; if not given, the first that is no background",
    )
    freeze: bool = Field(
        False,
        description="train only what comes after the branch's start; for a network that starts from `--weights`",
    )

    @model_validator(mode="after")
    def _branch_fits(self) -> "UNetBranch2":
        if self.branch_level > self.decoder_blocks:
            raise ValueError(
                f"branch_level is {self.branch_level}; the decoder has {self.decoder_blocks} blocks to start from"
            )
        if "classes" not in self.left_open:  # else the data decides how many there are
            self.corrected_class  # noqa: B018  (refuses one that is not there)
        return self

    @property
    def corrected_class(self) -> int:
        """Index of the logit that the branch is added to."""
        if self.branch_class is None:
            return 0 if self.classes == 1 or self.multilabel else 1  # only a softmax has a background
        if self.branch_class >= self.classes:
            raise ValueError(
                f"branch_class is {self.branch_class}; the network has classes 0 to {self.classes - 1}"
            )
        return self.branch_class

    @property
    def branch_factor(self) -> int:
        """The factor by which the features that the branch starts from are smaller than the decoder's last."""
        return 2 ** (self.decoder_blocks + 1 - self.branch_level)

    @property
    def starts_from(self) -> UNetBackboned:
        shared = UNetBackboned.model_fields.keys() - {"name"}
        return UNetBackboned(**{key: getattr(self, key) for key in shared})
