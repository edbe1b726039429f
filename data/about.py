"""The properties that all cases of a data set share, as a run and a packed data set keep them."""

from typing import Literal

from pydantic import PositiveInt

from data.settings import Settings


class About(Settings):
    """The properties of a data set.

    source: the name of the data set. rank: spatial axes. channels: values of a pixel. classes: background included.
    class_values, class_names, overlapping, ignoring, foreground_is_membrane, located: as the properties of
    `data.source.Source`. colour: what images are made before anything else, of data sets that have both.
    """

    source: str
    rank: PositiveInt
    channels: PositiveInt
    classes: PositiveInt
    class_values: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None
    overlapping: bool = False
    ignoring: bool = False
    foreground_is_membrane: bool = False
    located: bool = False
    colour: Literal["grey", "rgb"] | None = None

    @property
    def mask_values(self) -> tuple[int, ...]:
        """The numbers that predicted masks have for the classes, the background's first: those of the data set's own.

        Where it has none, the background is 0 and a single class what its kind of file usually has; of several classes
        each is its number.
        """
        if self.class_values:
            return self.class_values
        if self.classes > 2 and not self.overlapping:
            return tuple(range(self.classes))
        return (0, *[self.foreground_value] * (self.classes - 1))

    @property
    def foreground_value(self) -> int:
        """The number of the foreground where nothing else is said: 255, which viewers show as white; in volumes 1."""
        return 1 if self.located else 255
