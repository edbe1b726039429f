"""What every network of the catalogue says of itself, apart from any API."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from data.errors import UserError
from data.settings import Settings

# How far a search for an accepted size goes, in pixels: beyond the shrinkage of any network here.
SEARCH = 4096


class Network(Settings):
    """Hyperparameters of a network and the sizes it accepts. Subclasses add their own.

    A subclass answers one question about sizes, `output_side`; everything else follows from it. Axes may
    differ from each other: anisotropic volumes are pooled less along their coarse axis.
    """

    paper: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")

    name: str
    rank: Literal[2, 3] = Field(2, description="spatial axes: 2 for images, 3 for volumes")
    channels: PositiveInt = Field(1, description="values per pixel of the input")
    classes: PositiveInt = Field(
        1, description="values per pixel of the output: 1 is binary (sigmoid), more are softmax"
    )

    def output_side(self, side: int, axis: int) -> int | None:
        """Length of the output along spatial `axis` for `side` input pixels; None if that is refused."""
        raise NotImplementedError

    @property
    def size_rule(self) -> str:
        """Which input sizes are accepted, in words."""
        raise NotImplementedError

    @property
    def stride(self) -> tuple[int, ...]:
        """Along each axis: shifting the input by this many pixels shifts the output by as many."""
        raise NotImplementedError

    @property
    def context(self) -> tuple[int, ...]:
        """Along each axis: pixels on either side of an output pixel that can influence it (an upper bound)."""
        raise NotImplementedError

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Spatial size of the output for an input of spatial `size`.

        Raises:
            UserError: a side is refused; the message names the nearest good ones.
        """
        if len(size) != self.rank:
            raise UserError(
                f"{self.name} with rank {self.rank} takes inputs with {self.rank} spatial axes, "
                f"got size {_times(size)}. Set network.rank to {len(size)}, or change the data."
            )
        output = tuple(self.output_side(side, axis) for axis, side in enumerate(size))
        if None in output:
            smaller = tuple(self._nearest(side, axis, -1) for axis, side in enumerate(size))
            larger = tuple(self._nearest(side, axis, +1) for axis, side in enumerate(size))
            good = [_times(option) for option in (smaller, larger) if None not in option]
            raise UserError(
                f"{self.name} does not accept inputs of size {_times(size)}: {self.size_rule}. "
                f"Nearest good sizes: {' or '.join(dict.fromkeys(good))}."
            )
        return output

    def padding_for(self, size: tuple[int, ...]) -> list[tuple[int, int]]:
        """Pixels to add (before, after) on each axis so that the output covers an image of `size`.

        The padded image is accepted, its output is at least `size` long, and the image's pixels
        lie in the middle of it, from `crop_after(size)` on.
        """
        padding = []
        for axis, side in enumerate(size):
            padded = self._smallest_covering(side, axis)
            output = self.output_side(padded, axis)
            margin = (padded - output) // 2  # lost at each border inside the network
            before = margin + (output - side) // 2
            padding.append((before, padded - side - before))
        return padding

    def crop_after(self, size: tuple[int, ...]) -> tuple[slice, ...]:
        """Where an image of `size`, padded by `padding_for(size)`, lies in the network's output."""
        crop = []
        for axis, side in enumerate(size):
            start = (self.output_side(self._smallest_covering(side, axis), axis) - side) // 2
            crop.append(slice(start, start + side))
        return tuple(crop)

    def _smallest_covering(self, side: int, axis: int) -> int:
        for padded in range(side, side + SEARCH):
            if (self.output_side(padded, axis) or 0) >= side:
                return padded
        raise UserError(f"{self.name} has no input size whose output covers {side} pixels")

    def _nearest(self, side: int, axis: int, direction: int) -> int | None:
        last = max(side + direction * SEARCH, 0)
        for candidate in range(side, last, direction):
            if self.output_side(candidate, axis) is not None:
                return candidate
        return None


def _times(size: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in size)
