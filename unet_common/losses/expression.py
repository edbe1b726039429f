"""The loss that an expression such as `dice + 2*focal(gamma=3)[1]` stands for: a function of targets and logits."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from unet_common.loss_parser import Term, parse
from unet_common.losses import borders, cross_entropies, lovasz, overlap
from unet_common.losses.pixels import Pixels
from unet_common.losses.sizes import crop_to, largest_in, resolution, shrink_to

Loss = Callable[[tf.Tensor, tf.Tensor | list[tf.Tensor]], tf.Tensor]

TERMS: dict[str, Callable[..., tf.Tensor]] = {
    function.__name__: function
    for function in (
        cross_entropies.cross_entropy,
        cross_entropies.bce,
        cross_entropies.weighted_cross_entropy,
        cross_entropies.reweighted_bce,
        cross_entropies.focal,
        cross_entropies.top_k_cross_entropy,
        cross_entropies.mse,
        borders.border_cross_entropy,
        borders.boundary_weighted_cross_entropy,
        overlap.dice,
        overlap.jaccard,
        overlap.generalised_dice,
        overlap.hardness_weighted_dice,
        overlap.tversky,
        overlap.focal_tversky,
        borders.border_dice,
        lovasz.lovasz,
    )
}
"""The function of each term; `loss_terms.ARGUMENTS` has its arguments, with their defaults."""


def loss(
    expression: str, multilabel: bool = False, ignoring: bool = False, attention: float | None = None
) -> Loss:
    """The function (targets, logits) -> scalar that `expression`, a weighted sum of terms, stands for.

    Logits may be a list, of deep supervision: the finest first. Coarser ones are compared with the mean of the
    targets of the pixels they stand for, and those of half the resolution count half as much, as in nnU-Net
    (Isensee et al. 2021, Nature Methods 18:203, section "Training"). The weights add up to 1.

    Args:
        multilabel: several logits are a sigmoid each, and not a softmax.
        ignoring: targets below 0 are ignored: the loss does not depend on the logits there, and is a constant where
            nothing is counted.
        attention: the weight of `attention_loss`, which is added: all logits but the first are those of attention
            maps. None: they are of deep supervision.
    """
    terms = parse(expression)

    def total(targets: tf.Tensor, logits: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
        if attention is not None and isinstance(logits, (list, tuple)):
            first, *maps = logits
            exclusive = first.shape[-1] > 1 and not multilabel
            return total(targets, first) + attention * attention_loss(targets, maps, exclusive, ignoring)
        if isinstance(logits, (list, tuple)):
            shares = [resolution(targets, level) for level in logits]
            parts = [
                share * total(shrink_to(targets, level, ignoring), level)
                for share, level in zip(shares, logits, strict=True)
            ]
            return tf.add_n(parts) / tf.add_n(shares)
        exclusive = logits.shape[-1] > 1 and not multilabel
        pixels = Pixels.of(crop_to(targets, logits), logits, exclusive, ignoring)
        return tf.add_n([_value(term, pixels) for term in terms])

    return total


def attention_loss(
    targets: tf.Tensor, maps: Sequence[tf.Tensor], exclusive: bool, ignoring: bool
) -> tf.Tensor:
    """The mean Dice loss of attention maps against the foreground at their resolutions.

    Wang et al. 2019 (arXiv:1906.03906). A voxel of a map is of the foreground if any of those it stands
    for is, of whatever class: the authors' program (KCL-BMEIS/VS_Seg) takes the largest, and Dice.

    Args:
        targets: as of the logits.
        maps: logits `[batch, *size, 1]`, the finest first, which halve an axis or leave it, upwards if it is odd.
        exclusive: the first of several targets is the background, and not a class.
    """
    if exclusive:
        background = targets[..., :1]
        foreground = tf.where(background < 0, background, 1 - background)
    else:
        foreground = tf.reduce_max(targets, -1, keepdims=True)
    (dice,), parts = parse("dice"), []
    for logits in maps:
        foreground = largest_in(foreground, logits)
        parts.append(_value(dice, Pixels.of(foreground, logits, False, ignoring)))
    return tf.add_n(parts) / len(parts)


def _value(term: Term, pixels: Pixels) -> tf.Tensor:
    """A term of the sum. Raises UserError if it is not for such pixels."""
    term.check(pixels.outputs)
    pixels = pixels.one_vs_rest(term.classes) if term.classes else pixels
    return term.weight * TERMS[term.name](pixels, **dict(term.arguments))
