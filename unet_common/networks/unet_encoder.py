"""A U-Net whose encoder is a ResNet or a VGG, in 2D and 3D."""

from fractions import Fraction
from math import ceil, prod
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from unet_common.networks.base import Network
from unet_common.networks.encoders import HALVINGS, EncoderName, reach, stages

# Side of the decoder's transposed convolutions: there is nothing between the patches of a larger rate.
TRANSPOSED_SIDE = 4


class UNetEncoder(Network):
    """Hyperparameters of the U-Net with a known encoder.

    The decoder is that of the Keras library `segmentation_models`, with interpolation that keeps the corners in
    place. Where the program whose parameter counts we reproduce (pytorch_segmentation_models) goes wrong, this
    does not: the encoders have no classifiers, which nothing would use; the first skip of a ResNet is taken after
    normalisation and ReLU, not from the raw convolution; transposed convolutions enlarge by their rate exactly;
    sizes are checked; the number of decoder blocks is the length of one list.

    One thing is kept: the skips of a VGG are its pooled features. Those before pooling would be the usual choice,
    but have other channels at every resolution, so the published counts rule them out.

    Five blocks that double bring the features back to the image's size. Where there are fewer or more, or other rates,
    the logits are coarser or finer than the image, and are interpolated to its size without weights, so that the loss,
    and masks, have as many pixels as the image.

    A block joins the encoder's features of the size it has reached, if there are any that no block before has joined:
    one with rate 4 jumps over features, and after one with rate 3 there are none. That program joins features in a
    fixed order, and so has other rates than 2 after the last of them only.
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
        description="how its blocks enlarge: by interpolation or by a transposed convolution",
    )
    decoder_filters: tuple[PositiveInt, ...] = Field(
        (256, 128, 64, 32, 16),
        description="channels of the decoder's blocks, coarsest first; five that double reach the image's resolution",
    )
    decoder_rates: tuple[PositiveInt, ...] | None = Field(
        None,
        description="factors by which the decoder's blocks enlarge, one for each; if not given, all double",
    )
    decoder_batch_norm: bool = Field(
        True, description="normalise after the decoder's convolutions; without it they have a bias"
    )

    @model_validator(mode="after")
    def _rates_fit(self) -> "UNetEncoder":
        if len(self.rates) != len(self.decoder_filters):
            raise ValueError(
                f"decoder_rates has {len(self.rates)} values; decoder_filters has {len(self.decoder_filters)} blocks"
            )
        if self.decoder == "transpose" and max(self.rates, default=1) > TRANSPOSED_SIDE:
            raise ValueError(
                f"decoder_rates: a transposed convolution enlarges by {TRANSPOSED_SIDE} at most, as its kernel has "
                f"{TRANSPOSED_SIDE} pixels along each axis; with the decoder upsampling there is no such limit"
            )
        return self

    @property
    def rates(self) -> tuple[int, ...]:
        """The factor by which each block of the decoder enlarges, coarsest first."""
        return (2,) * len(self.decoder_filters) if self.decoder_rates is None else self.decoder_rates

    @property
    def skips(self) -> tuple[str | None, ...]:
        """The features that each block of the decoder joins, as the encoder names them; None: there are none."""
        left = {Fraction(2**halvings): name for halvings, name in enumerate(stages(self.encoder), 1)}
        coarseness, joined = Fraction(2**HALVINGS), []
        del left[coarseness]  # where the decoder starts
        for rate in self.rates:
            coarseness /= rate
            joined.append(left.pop(coarseness, None))
        return tuple(joined)

    @property
    def reaches_full_size(self) -> bool:
        """True if the decoder's last features are as large as the image."""
        return prod(self.rates) == 2**HALVINGS

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
        total, scale = reach(self.encoder), Fraction(2**HALVINGS)
        for rate in self.rates:
            # Interpolation reads two pixels, and the grid of corners moves them by less than one; then 3 x 3 twice.
            total += 2 * ceil(scale) + 2 * ceil(scale / rate)
            scale /= rate
        head_and_interpolation = 3 * ceil(scale)
        return (total + head_and_interpolation,) * self.rank
