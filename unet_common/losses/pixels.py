"""The input of every loss: targets and logits, and how the classes are related to each other."""

from dataclasses import dataclass

import tensorflow as tf

from unet_common.loss_terms import Logits


@dataclass(frozen=True)
class Pixels:
    """Targets and logits of a batch, both `[batch, *size, classes]`. Targets lie in [0, 1].

    exclusive: a pixel is of one class (softmax), and not each class a question of its own (sigmoid); see `Logits`.
    """

    targets: tf.Tensor
    logits: tf.Tensor
    exclusive: bool

    @property
    def outputs(self) -> Logits:
        """The logits of a pixel."""
        return Logits(self.logits.shape[-1], self.exclusive)

    @property
    def axes(self) -> list[int]:
        """Batch and space: the axes over which the losses of overlap sum."""
        return list(range(self.logits.shape.rank - 1))

    def foreground(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Targets and probabilities of all classes but the background."""
        if self.exclusive:
            return self.targets[..., 1:], tf.nn.softmax(self.logits)[..., 1:]
        return self.targets, tf.sigmoid(self.logits)

    def log_probabilities(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Targets t and log p of the answers to each question: `[batch, *size, questions, answers]`.

        A sigmoid asks a question for each class, with the answers no and yes; a softmax asks one, and the
        answers are its classes. The logarithms are finite wherever the logits are.
        """
        if self.exclusive:
            return self.targets[..., tf.newaxis, :], tf.nn.log_softmax(self.logits)[..., tf.newaxis, :]
        no, yes = tf.math.log_sigmoid(-self.logits), tf.math.log_sigmoid(self.logits)
        return tf.stack([1 - self.targets, self.targets], -1), tf.stack([no, yes], -1)

    def log_complement(self) -> tf.Tensor:
        """The log(1 - p) of each of the `log_probabilities`."""
        if self.exclusive:
            return tf.math.log_sigmoid(-_against_others(self.logits))[..., tf.newaxis, :]
        return tf.reverse(self.log_probabilities()[1], [-1])

    def one_vs_rest(self, classes: tuple[int, ...]) -> "Pixels":
        """Each of `classes`, which the network must have, as a question of its own: this class, or any other?"""
        logits = _against_others(self.logits) if self.exclusive else self.logits
        places = [number - self.outputs.classes[0] for number in classes]
        return Pixels(tf.gather(self.targets, places, axis=-1), tf.gather(logits, places, axis=-1), False)


def probabilities(logits: tf.Tensor, multilabel: bool = False) -> tf.Tensor:
    """Sigmoid of one class, or of each that may overlap others; softmax of more. Shape as `logits`."""
    return tf.sigmoid(logits) if multilabel or logits.shape[-1] == 1 else tf.nn.softmax(logits)


def _against_others(logits: tf.Tensor) -> tf.Tensor:
    """Logits whose sigmoid is the softmax of `logits`: log p - log(1 - p), where 1 - p is the others' share."""
    classes = range(logits.shape[-1])
    others = [tf.gather(logits, [other for other in classes if other != one], axis=-1) for one in classes]
    return logits - tf.stack([tf.reduce_logsumexp(part, -1) for part in others], -1)
