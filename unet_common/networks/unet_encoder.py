"""A U-Net whose encoder is a ResNet or a VGG, in 2D and 3D."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from unet_common.networks.base import Network
from unet_common.networks.encoders import HALVINGS, EncoderName, reach


class UNetEncoder(Network):
    """Hyperparameters of the U-Net with a known encoder.

    The decoder is that of the Keras library `segmentation_models`, with interpolation that keeps the corners in
    place. Where the program whose parameter counts we reproduce (pytorch_segmentation_models) goes wrong, this
    does not: the encoders have no classifiers, which nothing would use; the first skip of a ResNet is taken after
    normalisation and ReLU, not from the raw convolution; transposed convolutions double and nothing else; sizes
    are checked; the number of decoder blocks is the length of one list.

    One thing is kept: the skips of a VGG are its pooled features. Those before pooling would be the usual choice,
    but have other channels at every resolution, so the published counts rule them out.

    Five blocks in the decoder bring the features back to the image's size. Where there are fewer or more, the logits
    are coarser or finer than the image, and are interpolated to its size without weights.
    """

    paper: ClassVar[str] = (
        "Ronneberger et al. 2015, arXiv:1505.04597; encoders: He et al. 2016, arXiv:1512.03385, and "
        "Simonyan & Zisserman 2015, arXiv:1409.1556"
    )

    name: Literal["unet_encoder"] = "unet_encoder"
    encoder: EncoderName = Field("resnet50", description="what extracts the features")
    filters: PositiveInt = Field(
        64, description="channels of the encoder's first stage; later ones are multiples of it"
    )
    decoder: Literal["upsampling", "transpose"] = Field(
        "upsampling",
        description="how its blocks double the size: by interpolation or by a transposed convolution",
    )
    decoder_filters: tuple[PositiveInt, ...] = Field(
        (256, 128, 64, 32, 16),
        description="channels of the decoder's blocks, coarsest first; five blocks reach the image's resolution",
    )
    decoder_batch_norm: bool = Field(
        True, description="normalise after the decoder's convolutions; without it they have a bias"
    )

    def output_side(self, side: int, axis: int) -> int | None:
        return side if side > 0 and side % 2**HALVINGS == 0 else None

    @property
    def size_rule(self) -> str:
        return f"every side must be a multiple of {2**HALVINGS}, as the encoder halves it {HALVINGS} times"

    @property
    def stride(self) -> tuple[int, ...]:
        """The stride of all but the interpolation: its grid is fixed at the image's corners and gives way a little."""
        return (2**HALVINGS,) * self.rank

    @property
    def context(self) -> tuple[int, ...]:
        total, scale = reach(self.encoder), 2**HALVINGS
        for _block in self.decoder_filters:
            # Interpolation reads two pixels, and the grid of corners moves them by less than one; then 3 x 3 twice.
            total, scale = total + 2 * scale + 2 * max(scale // 2, 1), max(scale // 2, 1)
        head_and_interpolation = 3 * scale
        return (total + head_and_interpolation,) * self.rank
