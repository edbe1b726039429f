"""What the three compute inside, as pictures: feature maps of a few levels, with the same weights and for one image."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from comparison.pictures import uri
from comparison.steps import Batch
from unet_common.implementation import load
from unet_common.prediction.inputs import find_weights
from unet_common.training.run import Run
from unet_common.weights.interchange import load_weights


@dataclass(frozen=True)
class ShownLevel:
    """The channel of a level whose values differ most from pixel to pixel, as each of the three computes it.

    name: of the level. channel: its number, from 1 on. channels: of how many. size: in pixels, as in '16 x 16'.
    pictures: by implementation, as data URIs.
    largest: the greatest difference between two of the three, of all channels. relative: its share of the greatest.
    """

    name: str
    channel: int
    channels: int
    size: str
    pictures: dict[str, str]
    largest: float
    relative: float


def shown_levels(runs: Sequence[Run], batch: Batch) -> list[ShownLevel]:
    """The first level of the network, the coarsest, and the last before the logits, for one image of the batch.

    In the precision of the trainings, and with the weights of the first of them.
    """
    image = batch[0][:1]
    weights = load_weights(find_weights(runs[0], "best"), runs[0].network)
    outputs = {}
    for run in runs:
        model = load(run.experiment.implementation).Model(run.network, precision=run.experiment.precision)
        model.set_weights(weights)
        outputs[run.experiment.implementation] = model.layer_outputs(image)
        levels = model.levels()
    first = next(iter(outputs.values()))  # of a graph, so in the order of computation
    outermost = [
        name for name in first if name in levels and not any(name.startswith(f"{other}/") for other in levels)
    ]
    blocks = outermost[:-1] or outermost
    coarsest = min(blocks, key=lambda name: np.prod(first[name].shape[1:-1]))
    wanted = dict.fromkeys((blocks[0], coarsest, blocks[-1]))
    return [_shown(name, {key: of_one[name] for key, of_one in outputs.items()}) for name in wanted]


def _shown(name: str, values: dict[str, np.ndarray]) -> ShownLevel:
    first = next(iter(values.values()))
    channel = int(first.std(axis=tuple(range(first.ndim - 1))).argmax())
    slices = {key: _slice(array[0, ..., channel]) for key, array in values.items()}
    low, high = (limit(next(iter(slices.values()))) for limit in (np.min, np.max))
    largest = max(float(np.abs(one - other).max()) for one, other in combinations(values.values(), 2))
    return ShownLevel(
        name,
        channel + 1,
        first.shape[-1],
        " x ".join(map(str, first.shape[1:-1])),
        {key: uri((picture - low) / max(high - low, 1e-12)) for key, picture in slices.items()},
        largest,
        largest / max(float(np.abs(first).max()), 1e-30),
    )


def _slice(values: np.ndarray) -> np.ndarray:
    """A map of an image as it is, and of a volume the middle slice across its last axis."""
    return values if values.ndim == 2 else values[..., values.shape[-1] // 2]
