"""What every loss looks at: targets and logits, and how the classes are related to each other."""

from dataclasses import dataclass

import tensorflow as tf

from data.errors import UserError


@dataclass(frozen=True)
class Pixels:
    """Targets and logits of a batch, both `[batch, *size, classes]`. Targets lie in [0, 1].

    exclusive: a pixel is of one class, and class 0 is the background (softmax). Otherwise each class is a question
        of its own, yes or no (sigmoid), and the background is where all answers are no: classes count from 1.
    """

    targets: tf.Tensor
    logits: tf.Tensor
    exclusive: bool

    @property
    def axes(self) -> list[int]:
        """Batch and space: the axes over which the losses of overlap sum."""
        return list(range(self.logits.shape.rank - 1))

    def foreground(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Targets and probabilities of all classes but the background."""
        if self.exclusive:
            return self.targets[..., 1:], tf.nn.softmax(self.logits)[..., 1:]
        return self.targets, tf.sigmoid(self.logits)

    def answers(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Targets t and log p of the answers to each question: `[batch, *size, questions, answers]`.

        A sigmoid asks a question for each class, with the answers no and yes; a softmax asks one, and the
        answers are its classes. The logarithms are finite wherever the logits are.
        """
        if self.exclusive:
            return self.targets[..., tf.newaxis, :], tf.nn.log_softmax(self.logits)[..., tf.newaxis, :]
        no, yes = tf.math.log_sigmoid(-self.logits), tf.math.log_sigmoid(self.logits)
        return tf.stack([1 - self.targets, self.targets], -1), tf.stack([no, yes], -1)

    def all_but(self) -> tf.Tensor:
        """log(1 - p) of each of the `answers`."""
        if self.exclusive:
            return tf.math.log_sigmoid(-_against_others(self.logits))[..., tf.newaxis, :]
        return tf.reverse(self.answers()[1], [-1])

    def only(self, classes: tuple[int, ...]) -> "Pixels":
        """Each of `classes` as a question of its own: this class, or any other?

        Raises:
            UserError: the network has no such class.
        """
        first = 0 if self.exclusive else 1
        last = first + self.logits.shape[-1] - 1
        for number in classes:
            if not first <= number <= last:
                has = f"only class {last}" if first == last else f"the classes {first} to {last}"
                raise UserError(f"there is no class {number}: the network has {has}.")
        logits = _against_others(self.logits) if self.exclusive else self.logits
        places = [number - first for number in classes]
        return Pixels(tf.gather(self.targets, places, axis=-1), tf.gather(logits, places, axis=-1), False)


def probabilities(logits: tf.Tensor, multilabel: bool = False) -> tf.Tensor:
    """Sigmoid of one class, or of each that may overlap others; softmax of more. Shape as `logits`."""
    return tf.sigmoid(logits) if multilabel or logits.shape[-1] == 1 else tf.nn.softmax(logits)


def _against_others(logits: tf.Tensor) -> tf.Tensor:
    """Logits whose sigmoid is the softmax of `logits`: log p - log(1 - p), where 1 - p is the others' share."""
    classes = range(logits.shape[-1])
    others = [tf.gather(logits, [other for other in classes if other != one], axis=-1) for one in classes]
    return logits - tf.stack([tf.reduce_logsumexp(part, -1) for part in others], -1)
