"""Mirrored and turned copies of an image, over which a prediction may be averaged: which, and where they make sense."""

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import Protocol

from data.errors import UserError
from unet_common.training.run import Run

SAME_SPACING = 1.01
"""Voxels are as long along every axis if their lengths differ by less than this factor."""


class HasStride(Protocol):
    """The property of a network that says if it treats its axes alike."""

    @property
    def stride(self) -> tuple[int, ...]:
        """Pixels along each axis: a shift of the input by this shifts the output by as much."""


def views_of(
    kind: str, rank: int, flippable: Sequence[int] | None
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The views to predict, each as (order of the axes, axes to mirror after that)."""
    orders = permutations(range(rank)) if kind == "all" else [tuple(range(rank))]
    allowed = [kind != "none" and (flippable is None or axis in flippable) for axis in range(rank)]
    for axes in orders:
        for mirror in product(*[(False, True) if may else (False,) for may in allowed]):
            yield axes, tuple(axis for axis in range(rank) if mirror[axis])


def check_symmetries(symmetries: str, network: HasStride) -> None:
    """Refuse symmetries that are not for this network. Raises UserError."""
    if symmetries == "all" and len(set(network.stride)) > 1:
        raise UserError(
            "symmetries 'all' exchanges axes, but this network treats them differently: use 'flips' instead."
        )


def mirrored_axes(run: Run) -> tuple[int, ...]:
    """The axes whose mirror image looks alike to the network: those that were mirrored in training.

    Not the one between left and right if their labels were swapped: mirrored, it would vote for the other side.
    """
    augmentation = run.experiment.augmentation
    if not augmentation.flips:
        return ()
    axes = range(run.network.rank) if augmentation.flip_axes is None else augmentation.flip_axes
    return tuple(axis for axis in axes if axis != 0 or not augmentation.swap_labels)


def check_mirrored(symmetries: str, run: Run) -> None:
    """Refuse copies that look unlike anything that the network learned from. Raises UserError."""
    axes = mirrored_axes(run)
    if symmetries != "none" and not axes:
        raise UserError(
            f"--symmetries {symmetries}: this training mirrored no axis (augmentation.flips, flip_axes, swap_labels), "
            "so that mirrored copies are nothing that the network knows. Leave it out."
        )
    if symmetries == "all" and len(axes) < run.network.rank:
        raise UserError(
            "--symmetries all turns images, but to this training their sides were different: it mirrored only the axes "
            f"{', '.join(map(str, axes))} (augmentation.flip_axes, swap_labels). Use flips, which mirrors these."
        )


def check_turns(symmetries: str, spacing: tuple[float, ...]) -> None:
    """Refuse to turn what is not as long along every axis. Raises UserError."""
    if symmetries == "all" and max(spacing) > SAME_SPACING * min(spacing):
        lengths = " x ".join(f"{step:.3g}" for step in spacing)
        raise UserError(
            f"--symmetries all turns volumes, but these voxels are {lengths} mm: turned, everything would have another "
            "shape. Use flips."
        )
