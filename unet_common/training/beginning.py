"""The beginning of a training, in words: what was found in the data, what is trained on it, and where."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING, Any

from data.errors import bullet_list
from data.labels.label_maps import class_name
from data.overview import Overview
from data.sampling.split import Split
from data.source import Source

if TYPE_CHECKING:
    from unet_common.training.run import Run


def lines_on_data(source: Source, split: Split, overview: Overview, kept: Overview) -> list[str]:
    """The data of a new run, in lines.

    Args:
        overview: of the cases that are trained on.
        kept: of those for validation.
    """
    lines = _parts(source, split)
    lines[-1] += f", {len(source.test_names())} without label; of those for training:"
    lines += overview.lines()
    lines += [f"warning: no image for training has a pixel of {name}" for name in overview.lacking]
    lines += [
        f"warning: no image for validation has a pixel of {name}: how well it is found will not be known"
        for name in kept.lacking
    ]
    lines += [f"note: {note}" for note in source.notes()]
    if unread := source.unread():
        lines.append(f"Not read:\n{bullet_list(unread)}")
    return lines


def lines_on_known_data(run: Run) -> list[str]:
    """The data of a run that goes on, in lines; nothing is read for them."""
    about = run.about
    names = ", ".join(class_name(number, about.class_names) for number in range(1, about.classes))
    return [*_parts(run.source, run.split), f"channels: {about.channels}   classes: background, {names}"]


def lines_on_training(run: Run, trainable: Iterable[Any], first_step: int) -> list[str]:
    """The network, the device and the length of a training, in lines.

    Args:
        trainable: the variables that are trained, of any of the three APIs.
        first_step: how many steps were made before.
    """
    experiment, images = run.experiment, len(run.split.training)
    parameters = sum(prod(variable.shape) for variable in trainable)
    batch, crop = experiment.training.batch_size, " x ".join(map(str, run.sampler.crop))
    batches = experiment.training.accumulate
    step = f"{batches} batches" if batches > 1 else "a batch"
    resumed = f", of which {first_step} are made" if first_step else ""
    lines = [
        f"network: {run.network.name} with {parameters:,} trainable parameters ({experiment.implementation})",
        f"device: {device()}",
        f"training: {run.steps} steps{resumed}, each {step} of {batch} crops of {crop}: "
        f"{run.epoch(run.steps):.3g} epochs of {len(run.sampler)} crops",
    ]
    if batch > images:
        lines.append(
            f"note: a batch of {batch} is larger than the {images} image(s) for training: it holds several crops of "
            "each, differently placed and augmented"
        )
    return lines


def device() -> str:
    """The device that TensorFlow computes on: the first GPU that it sees, by name, or the CPU."""
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
        return f"{name}, the first of {len(gpus)} GPUs" if len(gpus) > 1 else f"{name} (GPU)"
    return f"CPU, {_threads()} thread(s)"


def _threads() -> int:
    """The threads that an operation may use, as TensorFlow counts them where nobody says otherwise."""
    given = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _parts(source: Source, split: Split) -> list[str]:
    where = f"in {source.directory}" if source.directory else "(generated)"
    return [
        f"data set: {source.name} {where}",
        f"images: {len(split.training)} for training, {len(split.validation)} for validation",
    ]
