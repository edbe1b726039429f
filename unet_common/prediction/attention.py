"""The attention maps of a network on one slice of a volume, enlarged to the slice's pixels."""

from dataclasses import replace

import numpy as np

from data.drawing.slices import View, middle, slice_view
from data.source import Case
from unet_common.model import Model
from unet_common.networks import UNet25D
from unet_common.training.run import Run

# Voxels along each axis of the part of a volume whose maps are computed: it goes through the network in one piece.
MAX_SIDE = 160


def attention_views(model: Model, run: Run, case: Case, label: np.ndarray) -> tuple[View, ...]:
    """The slice through the middle of what was predicted, then the map of each level there, the finest first.

    Values 0 to 1 of the maps are grey values 0 to 255. A voxel of a coarse map covers all that it stands for. Of a
    large volume it is the part around that middle.

    Args:
        model: a network with attention maps, and the weights that predicted.
        label: the prediction of the case.
    """
    network = run.network
    assert isinstance(network, UNet25D)  # the network with attention maps
    assert isinstance(network, UNet25D)  # the only one with maps
    prepared = run.prepare(replace(case, label=label))
    assert prepared.label is not None
    place, size = middle(prepared.label), prepared.image.shape[:3]
    sides = [min(side, MAX_SIDE) for side in size]
    starts = [
        min(max(at - side // 2, 0), whole - side) for at, side, whole in zip(place, sides, size, strict=True)
    ]
    part = tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))
    padding = network.padding_for(tuple(sides))
    image = np.pad(run.prepare.network_input(prepared.image)[part], [*padding, (0, 0)], mode="reflect")
    axis, oriented = network.slice_axis, case.geometry is not None
    index = place[axis] - starts[axis]

    def view(values: np.ndarray, limits: tuple[float, float] | None, shown: np.ndarray | None = None) -> View:
        return slice_view(values, None, shown, axis, index, prepared.spacing, oriented, limits)

    views = [view(prepared.image[part], None, prepared.label[part])]
    for level, values in enumerate(model.attention(image[np.newaxis]), 1):
        covering = [
            (np.arange(side) + before) // factor
            for side, (before, _), factor in zip(sides, padding, network.scale_at(level), strict=True)
        ]
        of_level = view(values[0][np.ix_(*covering)], (0.0, 1.0))
        views.append(replace(of_level, title=f"attention, level {level}", sides=""))
    return tuple(views)
