"""The meaning of a network's outputs: which classes, exclusive or overlapping, which of them are judged."""

from dataclasses import dataclass

import numpy as np

from data.errors import UserError
from data.labels.label_maps import class_masks, combine, is_ignored, known, largest_class, set_type
from data.labels.soft_labels import SIDES, soften
from data.preprocessing.regions import Regions, beside_region, images

IGNORED = -1.0
"""The target of a pixel that neither loss nor scores count. All others lie in [0, 1]."""


@dataclass(frozen=True)
class Outputs:
    """The meaning of each channel of a network's output.

    Made once for a training, and asked by whoever makes targets of label maps, scores of logits, or label maps of
    probabilities.

    count: channels of the output.
    multilabel: each channel has a sigmoid and stands for one of the classes 1, 2, ..., which may overlap. Otherwise
        a single channel is a sigmoid, that of any foreground, and several are a softmax, the background's first.
    overlapping: a label map holds a set of classes in each pixel, not the number of one (see `data.labels.label_maps`).
    soft: classes of which blurred copies follow behind the channels of the classes (see `data.labels.soft_labels`).
    region: the last channels are about a region of the image, which is a second input, beside the whole.
    names: what people call the classes 1, 2, ...; None if they only have numbers.
    values: the numbers that label files have for the classes, as of `Source.class_values`; None if nothing is known.
    ignoring: label maps have pixels that neither loss nor scores count (see `data.labels.label_maps.is_ignored`).
        Targets are `IGNORED` there.
    """

    count: int
    multilabel: bool = False
    overlapping: bool = False
    soft: tuple[int, ...] = ()
    region: Regions | None = None
    names: tuple[str, ...] | None = None
    ignoring: bool = False
    values: tuple[int, ...] | None = None

    @property
    def images(self) -> int:
        """Images that an input holds, see `data.preprocessing.regions.images`."""
        return images(self.region)

    @property
    def auxiliary(self) -> int:
        """Channels, the last ones, that are trained and not judged: soft copies."""
        return len(SIDES) * len(self.soft)

    @property
    def judged(self) -> int:
        """Channels that have a score in validation: neither soft copies nor the background's, which a softmax has."""
        return self.count - self.auxiliary if self.multilabel else max(self.count - 1, 1)

    @property
    def classes(self) -> int:
        """Classes of label maps, without the background; the largest is the last."""
        return self.judged - (self.region.classes if self.region else 0)

    @property
    def predicted(self) -> int:
        """Channels, the first ones, whose probabilities a prediction has: all but soft copies and the region's."""
        return self.classes if self.multilabel else self.count

    @property
    def several(self) -> bool:
        """True if there is more than one class besides the background."""
        return self.classes > 1

    def encode(self, label: np.ndarray) -> np.ndarray:
        """The targets of a label map [*size], but those of a region: float32 [*size, channels].

        Raises:
            UserError: the label has a class that the network lacks.
        """
        if not self.ignoring:
            return self._encode(label)
        targets = self._encode(known(label))
        targets[is_ignored(label)] = IGNORED
        return targets

    def _encode(self, label: np.ndarray) -> np.ndarray:
        if self.count == 1 and not self.multilabel:
            return (label > 0)[..., np.newaxis].astype(np.float32)
        largest = largest_class(label, self.overlapping)
        if largest > self.classes:
            needed = self.count - (self.region.classes if self.region else 0) + largest - self.classes
            raise UserError(
                f"The label has class {largest}, but the network has only the classes "
                f"{int(self.multilabel)} to {self.classes}: it needs {needed} classes."
            )
        if self.multilabel:
            return soften(class_masks(label, self.classes, self.overlapping), self.soft)
        return (label[..., np.newaxis] == np.arange(self.count)).astype(np.float32)

    def example(self, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Input and target of a network, of an image [*size, channels] as it sees it and its label map [*size].

        The region of interest, which the label tells, is put beside the image.

        Returns:
            float32 [*size, channels * images] and [*size, count].
        """
        target = self.encode(label)
        return beside_region(image, target, self.region) if self.region else (image, target)

    def label_map(self, probability: np.ndarray, threshold: float = 0.5) -> np.ndarray:
        """The class of each pixel, or the set of its classes.

        Args:
            probability: [*size, predicted].
            threshold: a pixel is of a class with a sigmoid from this probability on. Not used for a softmax.

        Returns:
            [*size] of `label_type`: 0 or 1 for one class, the likeliest class, or a set as in `data.labels.label_maps`.
        """
        if self.multilabel:
            return combine(probability >= threshold)
        if self.count == 1:
            return (probability[..., 0] >= threshold).astype(np.uint8)
        return np.argmax(probability, axis=-1).astype(self.label_type)

    @property
    def label_type(self) -> type[np.integer]:
        """The type of a predicted label map: as small as it can be."""
        if self.multilabel:
            return set_type(self.classes)
        return np.uint8 if self.count <= 256 else np.int32
