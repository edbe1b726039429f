"""The input of every loss: targets and logits, and how the classes are related to each other."""

from dataclasses import dataclass

import tensorflow as tf

from unet_common.loss_terms import Logits


@dataclass(frozen=True)
class Pixels:
    """Targets and logits of a batch, both `[batch, *size, classes]`. Targets lie in [0, 1].

    exclusive: a pixel is of one class (softmax), and not each class a question of its own (sigmoid); see `Logits`.
    counted: 1 where the loss counts a target and 0 where it is ignored, `[batch, *size, classes]`, a softmax's alike
        in all classes of a pixel; None if all are counted. No loss may depend on what is not.
    """

    targets: tf.Tensor
    logits: tf.Tensor
    exclusive: bool
    counted: tf.Tensor | None = None

    @classmethod
    def of(cls, targets: tf.Tensor, logits: tf.Tensor, exclusive: bool, ignoring: bool) -> "Pixels":
        """Pixels of targets that are below 0 where they are ignored, if there are such (`ignoring`)."""
        if not ignoring:
            return cls(targets, logits, exclusive)
        return cls(tf.nn.relu(targets), logits, exclusive, is_counted(targets))

    @property
    def outputs(self) -> Logits:
        """The logits of a pixel."""
        return Logits(self.logits.shape[-1], self.exclusive)

    @property
    def axes(self) -> list[int]:
        """Batch and space: the axes over which the losses of overlap sum."""
        return list(range(self.logits.shape.rank - 1))

    def foreground(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Targets and probabilities of all classes but the background; both are 0 where they are not counted.

        So they add nothing to sums of products of the two, and of their differences.
        """
        targets, predicted = self.all_foreground()
        if self.counted is None:
            return targets, predicted
        counted = self.counted[..., 1:] if self.exclusive else self.counted
        return targets * counted, predicted * counted

    def all_foreground(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The same as `foreground`, but with probabilities also where they are not counted."""
        if self.exclusive:
            return self.targets[..., 1:], tf.nn.softmax(self.logits)[..., 1:]
        return self.targets, tf.sigmoid(self.logits)

    def answers(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Targets and probabilities of the answers of `log_probabilities`; both are 0 where they are not counted."""
        targets, log_p = self.log_probabilities()
        predicted, counted = tf.exp(log_p), self.counted_questions
        if counted is None:
            return targets, predicted
        return targets * counted[..., tf.newaxis], predicted * counted[..., tf.newaxis]

    @property
    def counted_questions(self) -> tf.Tensor | None:
        """`counted` of each question, `[batch, *size, questions]`: a softmax asks one, of all classes together."""
        return self.counted[..., :1] if self.exclusive and self.counted is not None else self.counted

    def mean(self, values: tf.Tensor) -> tf.Tensor:
        """Mean of `[batch, *size, questions]` over what is counted; 0 if that is nothing."""
        if self.counted is None:
            return tf.reduce_mean(values)
        counted = self.counted_questions
        return tf.reduce_sum(counted * values) / tf.maximum(tf.reduce_sum(counted), 1)

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
        counted = None if self.counted is None else tf.gather(self.counted, places, axis=-1)
        targets, logits = (tf.gather(values, places, axis=-1) for values in (self.targets, logits))
        return Pixels(targets, logits, False, counted)


def is_counted(targets: tf.Tensor) -> tf.Tensor:
    """1 where targets are counted, 0 where they are ignored (below 0); shape and type of `targets`."""
    return tf.cast(targets >= 0, targets.dtype)


def probabilities(logits: tf.Tensor, multilabel: bool = False) -> tf.Tensor:
    """Sigmoid of one class, or of each that may overlap others; softmax of more. Shape as `logits`."""
    return tf.sigmoid(logits) if multilabel or logits.shape[-1] == 1 else tf.nn.softmax(logits)


def _against_others(logits: tf.Tensor) -> tf.Tensor:
    """Logits whose sigmoid is the softmax of `logits`: log p - log(1 - p), where 1 - p is the others' share."""
    classes = range(logits.shape[-1])
    others = [tf.gather(logits, [other for other in classes if other != one], axis=-1) for one in classes]
    return logits - tf.stack([tf.reduce_logsumexp(part, -1) for part in others], -1)
