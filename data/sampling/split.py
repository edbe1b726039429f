"""The division of images into those that train the network and those that judge it."""

import hashlib
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from data.errors import UserError, bullet_list
from data.files import natural_key, write_text
from data.settings import Sampling, Settings


class Split(Settings):
    """Names of the training and the validation cases, each in natural order."""

    training: list[str]
    validation: list[str]

    def save(self, path: Path) -> None:
        """Write the split as JSON."""
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read a saved split. Raises UserError if the file is missing or is not a split."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(f"The split {path} cannot be read: {error.strerror}.") from error
        except ValidationError as error:
            raise UserError(
                f"{path} is not a split: it must be JSON with the lists 'training' and "
                "'validation' of image names."
            ) from error

    def check(self, names: list[str]) -> None:
        """Refuse a split that speaks of images that the data set does not have. Raises UserError."""
        known = set(names)
        missing = [name for name in self.training + self.validation if name not in known]
        if missing:
            raise UserError(
                f"The saved split names {len(missing)} images that the data set does not have "
                f"(another --data-dir?):\n{bullet_list(missing)}"
            )


def divide(names: list[str], sampling: Sampling, seed: int) -> Split:
    """The division that the settings ask for: a fold of a cross-validation, or a share of the images."""
    if sampling.fold is not None:
        return fold(names, sampling.fold, sampling.folds)
    return split(names, sampling.validation, seed)


def split(names: list[str], validation: float | tuple[str, ...], seed: int) -> Split:
    """Divide images into training and validation.

    names: the labelled cases, in any order.
    validation: the share of the images to keep for validation, at least one unless it is 0; or
        their names.
    seed: chooses the images when a share is given.

    Every name gets a pseudo-random rank, a hash of the seed and the name. So the result depends on
    nothing but the set of names and the seed, not even on the version of NumPy, and an image that
    is added later moves few of the others.

    Raises UserError if no image is left for training, if a name is unknown, or if a single image
    is to be divided.
    """
    ordered = sorted(names, key=natural_key)
    if isinstance(validation, tuple):
        unknown = [name for name in validation if name not in ordered]
        if unknown:
            quoted = ""
            if any(name[:1].isdigit() for name in unknown):
                quoted = ' A name that begins with a digit needs quotes in YAML, as in ["001", "1e5"].'
            raise UserError(
                "sampling.validation names images that the data set does not have:\n"
                f"{bullet_list(unknown)}\nThe first ones it has are: {', '.join(ordered[:5])}.{quoted}"
            )
        kept = set(validation)
    elif validation > 0:
        if len(ordered) == 1:
            raise UserError(
                "One image cannot be divided into training and validation: add images, or set "
                "sampling.validation to 0."
            )
        count = min(max(1, round(validation * len(ordered))), len(ordered) - 1)
        kept = set(sorted(ordered, key=lambda name: (_rank(name, seed), name))[:count])
    else:
        kept = set()
    training = [name for name in ordered if name not in kept]
    if not training:
        raise UserError(
            "No image is left for training: sampling.validation names all of them."
            if ordered
            else "The data set has no labelled images."
        )
    return Split(training=training, validation=[name for name in ordered if name in kept])


def fold(names: list[str], number: int, folds: int) -> Split:
    """Part `number` of a cross-validation, divided as the field does it, so that results compare.

    As nnU-Net (Isensee et al. 2021) divides: the names in plain alphabetical order, shuffled with the seed 12345
    by NumPy's `RandomState`, cut into `folds` parts whose sizes differ by one at most, the larger ones first
    (scikit-learn's `KFold(folds, shuffle=True, random_state=12345)`).

    Raises UserError if there are fewer names than parts.
    """
    ordered = sorted(names)
    if len(ordered) < folds:
        raise UserError(
            f"{len(ordered)} images cannot be divided into {folds} parts: set sampling.folds lower."
        )
    order = np.arange(len(ordered))
    np.random.RandomState(12345).shuffle(order)
    kept = {ordered[index] for index in np.array_split(order, folds)[number]}
    return Split(
        training=[name for name in ordered if name not in kept],
        validation=[name for name in ordered if name in kept],
    )


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
