"""The base of every network of the catalogue, apart from any API."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from data.errors import UserError
from data.preprocessing.regions import Regions
from data.settings import Settings

# How far a search for an accepted size goes, in pixels: beyond the shrinkage of any network here.
SEARCH = 4096

EVERYWHERE = 2**31
"""The context of a network in which every pixel of the input, however many there are, counts for every output."""


class Network(Settings):
    """Hyperparameters of a network and the sizes it accepts. Subclasses add their own.

    A subclass answers one question about sizes, `output_side`; everything else follows from it. Axes may
    differ from each other: anisotropic volumes are pooled less along their coarse axis.
    """

    paper: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass", "multilabel")
    # The data decides on these where they are left open: None, or not given.
    decided_by_data: ClassVar[tuple[str, ...]] = ("rank", "channels", "classes", "multilabel", "auxiliary")
    # Names that weight files and settings of before still have.
    renamed: ClassVar[dict[str, str]] = {}

    name: str
    rank: Literal[2, 3] = Field(2, description="spatial axes: 2 for images, 3 for volumes")
    channels: PositiveInt = Field(1, description="values per pixel of the input")
    classes: PositiveInt = Field(
        1, description="values per pixel of the output: 1 is binary (sigmoid), more are softmax"
    )
    multilabel: bool = Field(
        False,
        description="each class has a sigmoid of its own, and may overlap others; the background has none",
    )

    auxiliary: NonNegativeInt = Field(
        0, description="of classes with sigmoids: the last outputs, which are trained and not looked at"
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_old_names(cls, settings: Any) -> Any:
        return cls.with_new_names(settings) if isinstance(settings, dict) else settings

    @classmethod
    def with_new_names(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings whose old names are replaced by those of today, and without those that are left open."""
        named = {cls.renamed.get(name, name): value for name, value in settings.items()}
        return {
            name: value
            for name, value in named.items()
            if value is not None or name not in cls.decided_by_data
        }

    @classmethod
    def ranks(cls) -> tuple[int, ...]:
        """The numbers of spatial axes that the network can have: some are for images, or for volumes, only."""
        return get_args(cls.model_fields["rank"].annotation)

    @property
    def left_open(self) -> frozenset[str]:
        """Settings that the data decides: null, or not given. Until then, these have the values of the defaults."""
        return frozenset(self.decided_by_data) - self.model_fields_set

    @model_validator(mode="after")
    def _auxiliary_outputs_are_sigmoids(self) -> "Network":
        if self.auxiliary and not (self.multilabel and self.auxiliary < self.classes):
            raise ValueError(
                f"auxiliary: {self.auxiliary} of {self.classes} outputs; it must be fewer, and multilabel true"
            )
        return self

    @property
    def foreground_classes(self) -> int:
        """Number of classes in label maps without the background, which only a softmax has an output for."""
        return self.classes - self.auxiliary if self.multilabel else max(self.classes - 1, 1)

    def output_side(self, side: int, axis: int) -> int | None:
        """Length of the output along spatial `axis` for `side` input pixels; None if that is refused."""
        raise NotImplementedError

    @property
    def size_rule(self) -> str:
        """The input sizes that are accepted, in words."""
        raise NotImplementedError

    @property
    def stride(self) -> tuple[int, ...]:
        """Pixels along each axis: shifting the input by so many shifts the output by as many."""
        raise NotImplementedError

    @property
    def context(self) -> tuple[int, ...]:
        """Pixels along each axis, on either side of an output pixel, that can influence it (an upper bound)."""
        raise NotImplementedError

    @property
    def sees_everything(self) -> bool:
        """True if an output pixel depends on all of the input, whatever its size: then `context` is `EVERYWHERE`."""
        return min(self.context) >= EVERYWHERE

    @property
    def takes_positions(self) -> bool:
        """True if the last channels of the input must be the pixels' positions, as of `preprocessing.positions`."""
        return False

    @property
    def starts_from(self) -> "Network | None":
        """A network whose weights are a part of this one's: a training may start from these, too."""
        return None

    @property
    def attention_weight(self) -> float | None:
        """The weight of the loss of attention maps, which are all outputs but the first; None: there are none."""
        return None

    @property
    def fixed_size(self) -> tuple[int, ...] | None:
        """The only size of an input, if weights belong to its pixels or its place; larger images are cut into tiles."""
        return None

    @property
    def region_of_interest(self) -> Regions | None:
        """The region of an image that is a second input, beside the whole as channels; None: there is one input."""
        return None

    def refusal(self, size: tuple[int, ...]) -> str | None:
        """The reason why an input of `size` cannot go through in one piece, good as its sides may be; None: it can."""
        if self.fixed_size is None or self.fixed_size == size:
            return None
        return f"it has weights for each pixel of {_times(self.fixed_size)}"

    def in_one_piece(self, size: tuple[int, ...]) -> bool:
        """True if an image of `size`, padded as need be, can go through without being cut into tiles."""
        padding = self.padding_for(size)
        padded = tuple(before + side + after for side, (before, after) in zip(size, padding, strict=True))
        return self.refusal(padded) is None

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Spatial size of the output for an input of spatial `size`.

        Raises:
            UserError: a side is refused, and the message names the nearest good ones; or the whole is.
        """
        if len(size) != self.rank:
            raise UserError(
                f"{self.name} with rank {self.rank} takes inputs with {self.rank} spatial axes, "
                f"got size {_times(size)}. Set network.rank to {len(size)}, or change the data."
            )
        if reason := self.refusal(tuple(size)):
            raise UserError(f"{self.name} does not take {_times(size)} pixels in one piece: {reason}.")
        sides = [self.output_side(side, axis) for axis, side in enumerate(size)]
        output = tuple(side for side in sides if side is not None)
        if len(output) < len(sides):
            smaller = tuple(self._nearest(side, axis, -1) for axis, side in enumerate(size))
            larger = tuple(self._nearest(side, axis, +1) for axis, side in enumerate(size))
            good = [_times(option) for option in (smaller, larger) if None not in option]
            raise UserError(
                f"{self.name} does not accept inputs of size {_times(size)}: {self.size_rule}. "
                f"Nearest good sizes: {' or '.join(dict.fromkeys(good))}."
            )
        return output

    def largest_within(self, size: tuple[int, ...]) -> tuple[int, ...] | None:
        """The largest accepted input that is nowhere longer than `size`; None if there is none."""
        sides = [self._nearest(side, axis, -1) for axis, side in enumerate(size)]
        largest = tuple(side for side in sides if side is not None)
        return None if len(largest) < len(sides) or self.refusal(largest) else largest

    def padding_for(self, size: tuple[int, ...]) -> list[tuple[int, int]]:
        """Pixels to add (before, after) on each axis so that the output covers an image of `size`.

        The padded image is accepted, its output is at least `size` long, and the image's pixels
        lie in the middle of it, from `crop_after(size)` on.
        """
        padding = []
        for axis, side in enumerate(size):
            padded, output = self._smallest_covering(side, axis)
            margin = (padded - output) // 2  # lost at each border inside the network
            before = margin + (output - side) // 2
            padding.append((before, padded - side - before))
        return padding

    def crop_after(self, size: tuple[int, ...]) -> tuple[slice, ...]:
        """The place of an image of `size`, padded by `padding_for(size)`, in the network's output."""
        crop = []
        for axis, side in enumerate(size):
            _padded, output = self._smallest_covering(side, axis)
            start = (output - side) // 2
            crop.append(slice(start, start + side))
        return tuple(crop)

    def _smallest_covering(self, side: int, axis: int) -> tuple[int, int]:
        """The smallest input side whose output is at least `side` long, and the output's."""
        for padded in range(side, side + SEARCH):
            output = self.output_side(padded, axis) or 0
            if output >= side:
                return padded, output
        raise UserError(f"{self.name} has no input size whose output covers {side} pixels")

    def _nearest(self, side: int, axis: int, direction: int) -> int | None:
        last = max(side + direction * SEARCH, 0)
        for candidate in range(side, last, direction):
            if self.output_side(candidate, axis) is not None:
                return candidate
        return None


class Halving(Network):
    """A network whose levels each have half the size of the one above, along all axes; convolutions keep the size."""

    if TYPE_CHECKING:  # a hyperparameter, or worked out from others

        @property
        def depth(self) -> int:
            """Levels of resolution."""

    def output_side(self, side: int, axis: int) -> int | None:
        return side if side > 0 and side % self.stride[axis] == 0 else None

    @property
    def size_rule(self) -> str:
        return f"with depth {self.depth} every side must be a multiple of {self.stride[0]}"

    @property
    def stride(self) -> tuple[int, ...]:
        return (2 ** (self.depth - 1),) * self.rank


def _times(size: tuple[int | None, ...]) -> str:
    return "x".join(str(side) for side in size)
