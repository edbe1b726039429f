"""The checkpoints of a run, to resume from, whichever implementation wrote them.

All three write TensorFlow's own format: files `NAME-STEP.*` under temporary names first, then a small file
`checkpoint` that lists them. So an interrupted write leaves the previous checkpoints intact; what can still go
wrong is damage afterwards, and then the next older one is taken.
"""

import re
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from data.errors import UserError
from unet_common.weights.interchange import Weights, is_weight


def step_of(checkpoint: str) -> int:
    """The step in a checkpoint's name: `.../model.ckpt-300` -> 300."""
    return int(checkpoint.rpartition("-")[2])


def saved_checkpoints(directory: Path) -> list[str]:
    """The checkpoints in `directory`, oldest first.

    The list may have been written where the run lay before it was moved or copied: only the names in it count.
    """
    state = tf.train.get_checkpoint_state(str(directory))
    return [str(directory / Path(path).name) for path in state.all_model_checkpoint_paths] if state else []


def latest_intact(directory: Path) -> str | None:
    """The newest checkpoint in `directory` that can be read completely; None if there never was one.

    Damaged newer ones are reported and taken off the list, and what it says of another folder, where the run was copied
    from, becomes this one: so every implementation's own search for the latest finds the same.

    Raises:
        UserError: there are checkpoints, but none can be read.
    """
    paths = saved_checkpoints(directory)
    if not paths:
        return None
    intact = list(paths)
    while intact and not _readable(intact[-1]):
        print(f"Checkpoint {intact[-1]} is damaged or not finite; trying the one before.", file=sys.stderr)
        intact.pop()
    if not intact:
        raise UserError(
            f"No checkpoint in {directory} can be read, so this training cannot be resumed. Its weights, if "
            "there are any, can start a new one: --weights FILE."
        )
    listed = tf.train.get_checkpoint_state(str(directory))
    if intact != list(listed.all_model_checkpoint_paths):
        # `tf.compat.v1.train` has the writer of the file; it is the same for all implementations.
        tf.compat.v1.train.update_checkpoint_state(str(directory), intact[-1], intact)
    return intact[-1]


# What reading a damaged or deleted checkpoint raises, by the kind of damage.
UNREADABLE = (tf.errors.OpError, ValueError, RuntimeError, LookupError)


def _readable(checkpoint: str) -> bool:
    """Read every tensor: TensorFlow compares checksums as it does so. NaN is no state to go on from either."""
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        tensors = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map()]
    except UNREADABLE:
        return False
    return all(np.isfinite(tensor).all() for tensor in tensors if np.asarray(tensor).dtype.kind == "f")


def weights_in(checkpoint: str) -> Weights:
    """The network's weights in a checkpoint, under their canonical names.

    In a checkpoint of a graph, variables have these names. `tf.train.Checkpoint`, which Keras's training uses, has
    the path to an object instead, with `.S` for each slash in a name.
    """
    reader = tf.train.load_checkpoint(checkpoint)
    weights = {}
    for key in reader.get_variable_to_shape_map():
        path = re.fullmatch(r"weights/(.+?)(?:/_value)?/\.ATTRIBUTES/VARIABLE_VALUE", key)
        name = path[1].replace(".S", "/") if path else key
        if is_weight(name):
            weights[name] = reader.get_tensor(key)
    return weights
