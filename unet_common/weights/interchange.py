"""Interchange of weights: HDF5 files that any of the three implementations writes and reads.

One data set a weight, under its canonical name (`encoder1/conv1/kernel`), and three attributes: the format's
version, the network's name and its hyperparameters as JSON. Reading never runs code from the file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UserError, bullet_list
from data.files import replacing
from unet_common.networks import Network

if TYPE_CHECKING:
    import h5py  # at run time only where a file is opened: most commands refuse their arguments without

FORMAT_VERSION = 1

Weights = dict[str, np.ndarray]

# What a weight can be to its layer: the last part of every canonical name.
ROLES = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "alpha")


def is_weight(name: str) -> bool:
    """True if a variable of this name belongs to the network, not to an optimizer or a counter."""
    return name.rsplit("/", 1)[-1] in ROLES


def parts_of(weights: Iterable[str]) -> set[str]:
    """The layers that weights of these canonical names belong to, and all that these are parts of."""
    parts: set[str] = set()
    for name in weights:
        while name := name.rpartition("/")[0]:
            parts.add(name)
    return parts


def save_weights(path: Path | str, weights: Weights, network: Network) -> None:
    """Write `weights` of `network`. An existing file is replaced only once the new one is complete."""
    import h5py

    # Made in memory first: HDF5 does not survive a disk that becomes full under it.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["network"] = network.name
        file.attrs["hyperparameters"] = network.model_dump_json()
        for name, value in weights.items():
            file.create_dataset(name, data=value)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def is_kernel(name: str) -> bool:
    """True if regularisation applies to a weight: to kernels, not to biases and normalisations."""
    return name.rpartition("/")[2] == "kernel"


def load_weights(path: Path | str, network: Network) -> Weights:
    """Read the weights of `network`.

    Raises:
        UserError: no such file, no interchange file, another format version, or weights of another
            network or other hyperparameters; the message names what differs.
    """
    import h5py

    weights: Weights = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            weights[name] = item[()]

    with _opened(Path(path), network) as file:
        file.visititems(collect)
    return weights


def check_file(path: Path | str, network: Network) -> None:
    """Raise UserError as `load_weights` does for what a file's header tells; reads no weights."""
    with _opened(Path(path), network):
        pass


def weight_names(path: Path | str, network: Network) -> list[str]:
    """The canonical names of the weights in a file. Raises UserError as `load_weights`; reads no weights."""
    names: list[str] = []
    with _opened(Path(path), network) as file:
        file.visit(names.append)
    return [name for name in names if is_weight(name)]


def starting_weights(path: Path | str, network: Network) -> Weights:
    """The weights that a training of `network` starts from: its own, or those of the network that it `starts_from`.

    Raises:
        UserError: as `load_weights`.
    """
    path, origin = Path(path), network.starts_from
    if origin is not None and path.is_file() and _network_in(path) == origin.name:
        return load_weights(path, origin)
    return load_weights(path, network)


@contextmanager
def _opened(path: Path, network: Network) -> Iterator[h5py.File]:
    """Open a file with weights of `network`."""
    if not path.is_file():
        raise UserError(f"There is no weights file {path}.")
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check_header(path, file.attrs, network)
            yield file
    except OSError as error:
        raise UserError(
            f"{path} cannot be read as HDF5: it is damaged or something else ({error})."
        ) from None


def _network_in(path: Path) -> str | None:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("network")
    except OSError:
        return None


def _check_header(path: Path, attributes: h5py.AttributeManager, network: Network) -> None:
    if "format_version" not in attributes:
        raise UserError(f"{path} is HDF5, but not a weights file of this project.")
    if attributes["format_version"] != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {attributes['format_version']}, this program reads {FORMAT_VERSION}. "
            "Read it with the version of the program that wrote it."
        )
    # Hyperparameters that were added later have a default that means what was before.
    defaults = json.loads(type(network).model_validate({}).model_dump_json())
    stored = {**defaults, **type(network).with_new_names(json.loads(attributes["hyperparameters"]))}
    wanted = json.loads(network.model_dump_json())
    differences = [
        f"{key}: {stored.get(key)} in the file, {wanted.get(key)} here"
        for key in sorted(stored.keys() | wanted.keys())
        if stored.get(key) != wanted.get(key)
    ]
    if differences:
        raise UserError(f"{path} holds the weights of another network:\n{bullet_list(differences)}")


def check_weights(weights: Weights, expected: dict[str, tuple[int, ...]], origin: str) -> None:
    """Compare names and shapes with those `expected` of a network.

    Raises:
        UserError: a weight is missing, unknown or of another shape; all of them are listed.
    """
    problems = [f"{name} is missing" for name in sorted(expected.keys() - weights.keys())]
    problems += [
        f"{name} is not a weight of the network" for name in sorted(weights.keys() - expected.keys())
    ]
    for name in sorted(expected.keys() & weights.keys()):
        if tuple(weights[name].shape) != tuple(expected[name]):
            problems.append(f"{name} has shape {weights[name].shape}, the network {tuple(expected[name])}")
    if problems:
        raise UserError(f"The weights from {origin} do not fit the network:\n{bullet_list(problems)}")
