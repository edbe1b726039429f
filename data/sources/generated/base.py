"""Data sets that are computed: nothing is downloaded, nothing can be missing, and the labels are exact."""

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from data.errors import UserError
from data.source import Case, Source


class Generated(Source):
    """Base of generated data sets, of one channel. Case i is a function of i and the settings but `images` alone."""

    # What there is in the images: stem of the cases' names, and a word in messages.
    things: ClassVar[str]

    images: PositiveInt = Field(24, description="how many images or volumes")
    seed: NonNegativeInt = Field(0, description="another seed gives other ones")

    @field_validator("directory")
    @classmethod
    def _no_directory(cls, directory: object) -> object:
        if directory is not None:
            raise ValueError(f"the {cls.things} are generated: choose other --data to read files")
        return directory

    @property
    def channels(self) -> int:
        return 1

    def names(self) -> list[str]:
        digits = len(str(self.images - 1))
        return [f"{self.things}-{index:0{digits}d}" for index in range(self.images)]

    def read(self, name: str) -> Case:
        names = self.names()
        if name not in names:
            raise UserError(f"The generated {self.things} have no case '{name}'.")
        return self.case(name, names.index(name))

    @abstractmethod
    def case(self, name: str, index: int) -> Case:
        """The case of this index."""

    def problems(self) -> list[str]:
        return []  # nothing can be wrong with what is generated
