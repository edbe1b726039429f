"""The U-Net with same or valid convolutions, in 2D and 3D."""

from math import prod
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from data.settings import BelongsTo, Fraction
from unet_common.networks.base import EVERYWHERE, Network

# One number for every axis, one each, or those of every level.
Sides = PositiveInt | tuple[PositiveInt, ...] | tuple[tuple[PositiveInt, ...], ...]

# Pairs of pixels that a non-local block may compare in one image: 256 MiB in float32, and training holds some four
# such arrays.
MAX_PAIRS = 2**26


class UNet(Network):
    """Hyperparameters of the U-Net.

    Deviations from the paper, all of them common today: half-wide or narrower levels, convolutions
    that keep the size (`padding="valid"` gives the paper's), batch normalisation, ELU for ReLU,
    one logit a pixel for two classes, dropout after every convolution instead of at the bottom only.

    Kernels and poolings that differ between axes and levels, instance normalisation, leaky ReLU and
    deep supervision are those of nnU-Net (Isensee et al. 2021, Nature Methods 18:203).

    Convolutions with a stride in place of poolings are those of Springenberg et al. 2015 (arXiv:1412.6806), dilated
    ones those of Yu & Koltun 2016 (arXiv:1511.07122).

    Attention gates are those of Oktay et al. 2018 (arXiv:1804.03999), non-local blocks those of Wang et al. 2018
    (arXiv:1711.07971); `networks/attention.py` of each package says where they deviate.
    """

    paper: ClassVar[str] = (
        "Ronneberger et al. 2015, arXiv:1505.04597; 3D: Cicek et al. 2016, arXiv:1606.06650"
    )

    renamed: ClassVar[dict[str, str]] = {"most_filters": "max_filters"}

    name: Literal["unet"] = "unet"
    depth: Annotated[int, Field(ge=2, le=8)] = Field(5, description="levels of resolution")
    filters: PositiveInt = Field(16, description="channels of the first level; each level doubles them")
    max_filters: PositiveInt | None = Field(None, description="no level has more channels than this")
    convolutions: PositiveInt = Field(2, description="convolutions per level and direction")
    kernel_size: Sides = Field(
        3,
        description="side of the convolution kernels: a number, one per axis as in [1, 3, 3], or such a list "
        "for each level",
    )
    pooling: Sides = Field(
        2,
        description="factor from each level to the next: a number, one per axis, or such a list for each of "
        "the depth - 1 poolings",
    )
    downsampling: Literal["pooling", "convolution"] = Field(
        "pooling",
        description="how a level becomes the next: the largest of each block of pixels, or a convolution of block and "
        "stride",
    )
    dilation: PositiveInt | tuple[PositiveInt, ...] = Field(
        1,
        description="distance of the pixels that a kernel sees: a number, or one for each level, as in [2, 2, 1, 1, 1]",
    )
    padding: Literal["same", "valid"] = Field(
        "same", description="valid: no padding, the output is smaller than the input"
    )
    normalisation: Literal["batch", "instance", "group", "none"] = Field(
        "batch", description="none: the convolutions have a bias instead"
    )
    groups: Annotated[PositiveInt, BelongsTo(("normalisation",), ("group",))] = Field(
        8, description="groups of channels of the group normalisation"
    )
    activation: Literal["elu", "relu", "leaky_relu"] = Field("elu", description="after each convolution")
    dropout: Fraction = Field(0.0, description="share of activations dropped after each convolution")
    deep_supervision: NonNegativeInt = Field(
        0, description="decoder levels below the first that the loss judges, too, while training"
    )
    attention_gates: tuple[PositiveInt, ...] = Field(
        (), description="levels whose skip connection is weighted by what the decoder saw below, as in [2, 3]"
    )
    non_local: tuple[PositiveInt, ...] = Field(
        (),
        description="encoder levels after which each pixel looks at all others; deep ones, as in [4, 5]: pairs of "
        "pixels need memory",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "UNet":
        for key, levels in (("kernel_size", self.depth), ("pooling", self.depth - 1)):
            sides = getattr(self, key)
            if isinstance(sides, int):
                continue
            if isinstance(sides[0], tuple) and len(sides) != levels:
                raise ValueError(
                    f"{key} lists {len(sides)} levels; with depth {self.depth} it takes {levels}"
                )
            for axes in sides if isinstance(sides[0], tuple) else [sides]:
                if len(axes) != self.rank:
                    raise ValueError(f"{key}: {list(axes)} has {len(axes)} axes, the rank is {self.rank}")
        if not isinstance(self.dilation, int) and len(self.dilation) != self.depth:
            raise ValueError(
                f"dilation lists {len(self.dilation)} levels; with depth {self.depth} it takes {self.depth}"
            )
        if self.normalisation == "group":
            for level in range(1, self.depth + 1):
                if self.filters_at(level) % self.groups:
                    raise ValueError(
                        f"groups is {self.groups}, which does not divide the {self.filters_at(level)} channels "
                        f"of level {level}"
                    )
        if max(self.attention_gates, default=1) > self.depth - 1:
            raise ValueError(
                f"attention_gates: {list(self.attention_gates)}; with depth {self.depth} levels 1 to "
                f"{self.depth - 1} have skip connections"
            )
        if max(self.non_local, default=1) > self.depth:
            raise ValueError(f"non_local: {list(self.non_local)}; there are levels 1 to {self.depth}")
        return self

    @model_validator(mode="after")
    def _deep_supervision_fits(self) -> "UNet":
        if self.deep_supervision > self.depth - 2:
            raise ValueError(
                f"deep_supervision is {self.deep_supervision}; with depth {self.depth} the decoder has "
                f"{self.depth - 2} levels below the first"
            )
        if self.deep_supervision and self.padding == "valid":
            raise ValueError("deep_supervision needs padding 'same', where all levels show the same region")
        return self

    def filters_at(self, level: int) -> int:
        """Channels of the convolutions at `level`; 1 is the full resolution, `depth` the bottom."""
        filters = self.filters * 2 ** (level - 1)
        return min(filters, self.max_filters or filters)

    def kernel_at(self, level: int) -> tuple[int, ...]:
        """Sides of the kernels at `level`, one for each axis."""
        return self._of_level(self.kernel_size, level)

    def dilation_at(self, level: int) -> int:
        """Distance of the pixels that the kernels at `level` see: 1 are neighbours."""
        return self.dilation if isinstance(self.dilation, int) else self.dilation[level - 1]

    def pooling_at(self, level: int) -> tuple[int, ...]:
        """Factors from `level` to the next, one for each axis."""
        return self._of_level(self.pooling, level)

    def subsampling_at(self, level: int) -> tuple[int, ...]:
        """Factors by which a non-local block pools what the pixels of `level` look at; at the bottom it does not."""
        return self.pooling_at(level) if level < self.depth else (1,) * self.rank

    def scale_at(self, level: int) -> tuple[int, ...]:
        """Pixels of the input that one pixel at `level` stands for, along each axis."""
        return tuple(
            prod(self.pooling_at(above)[axis] for above in range(1, level)) for axis in range(self.rank)
        )

    def _of_level(self, sides: Sides, level: int) -> tuple[int, ...]:
        if isinstance(sides, int):
            return (sides,) * self.rank
        return sides[level - 1] if isinstance(sides[0], tuple) else sides

    def refusal(self, size: tuple[int, ...]) -> str | None:
        for level in self.non_local:
            pixels = prod(size) // prod(self.scale_at(level))  # a few less with valid convolutions
            others = pixels // prod(self.subsampling_at(level))
            if pixels * others > MAX_PAIRS:
                return (
                    f"the non-local block at level {level} would compare {pixels:,} pixels with {others:,}, "
                    f"and {MAX_PAIRS:,} pairs are the most (256 MiB). Use smaller crops and tiles, or a deeper "
                    "level"
                )
        return None

    def output_side(self, side: int, axis: int) -> int | None:
        if side < 1:
            return None
        if self.padding == "same":
            return side if side % self.stride[axis] == 0 else None
        for level in range(1, self.depth):
            side -= self._shrinkage(level, axis)
            factor = self.pooling_at(level)[axis]
            if side < factor or side % factor:  # a remainder would be lost in pooling and misalign the skip
                return None
            side //= factor
        side -= self._shrinkage(self.depth, axis)
        for level in reversed(range(1, self.depth)):
            side = side * self.pooling_at(level)[axis] - self._shrinkage(level, axis)
        return side if side > 0 else None

    def _shrinkage(self, level: int, axis: int) -> int:
        """Pixels that the valid convolutions of a level take off an axis."""
        return self.convolutions * self.dilation_at(level) * (self.kernel_at(level)[axis] - 1)

    @property
    def size_rule(self) -> str:
        if self.padding == "valid":
            return (
                f"with valid convolutions every side must be divisible by the pooling's factor before each of "
                f"the {self.depth - 1} poolings"
            )
        if len(set(self.stride)) == 1:
            return f"with depth {self.depth} every side must be a multiple of {self.stride[0]}"
        return f"the sides must be multiples of {', '.join(map(str, self.stride))}"

    @property
    def stride(self) -> tuple[int, ...]:
        return self.scale_at(self.depth)

    @property
    def normalises_each_image(self) -> bool:
        """True if mean and deviation are those of the image at hand: then each of its pixels counts for all others."""
        return self.normalisation in ("instance", "group")

    @property
    def context(self) -> tuple[int, ...]:
        if self.non_local or self.normalises_each_image:
            return (EVERYWHERE,) * self.rank
        context = []
        for axis in range(self.rank):
            reach = [
                self.convolutions
                * self.dilation_at(level)
                * (self.kernel_at(level)[axis] // 2)
                * self.scale_at(level)[axis]
                for level in range(1, self.depth + 1)
            ]
            # An attention gate interpolates between the pixels of the level below.
            gates = [self.scale_at(level + 1)[axis] for level in self.attention_gates]
            # Down and up again; pooling windows reach up to one stride further.
            context.append(sum(reach) + sum(reach[:-1]) + sum(gates) + self.stride[axis])
        return tuple(context)
