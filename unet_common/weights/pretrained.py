"""Weights that an encoder learned on ImageNet, under canonical names, so that all three can start from them.

They come from files that hold numbers and nothing else: safetensors with torchvision's names, as `timm` publishes
them for every ResNet and VGG of `encoders.py`, and Keras's HDF5, which `keras.applications` downloads for the VGGs
and for the ResNet50 of `backbones.py`, whose stride and biases are where Keras has them.

They expect images whose channels have mean 0 and deviation 1, which is what torchvision's networks were trained with
and what the normalisation of this project gives. Keras's networks saw blue, green and red (in this order) in grey
values less their mean: turned round, and times the deviation of ImageNet's channels, the first kernel is for ours.
"""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from data.errors import UserError
from data.preprocessing.regions import images
from data.tensorflow_setup import keras_settings
from unet_common.networks import UNetBackboned, UNetEncoder
from unet_common.networks.encoders import VGGS
from unet_common.weights.interchange import Weights

# Deviation of red, green and blue in grey values of 0 to 255.
IMAGENET_DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)

# What torchvision calls the numbers of a batch normalisation.
NORMALISATION = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}

# Encoders that `keras.applications` has in the form that is built here.
DOWNLOADS = {"vgg16": "VGG16", "vgg19": "VGG19", "resnet50": "ResNet50"}

Layers = dict[str, dict[str, np.ndarray]]
"""Keras's arrays by the names of layer and role."""


def pretrained_weights(origin: str, network: UNetEncoder | UNetBackboned) -> Weights:
    """The weights of the network's encoder under their canonical names.

    Args:
        origin: a file, or `imagenet`: what `keras.applications` downloads.

    Raises:
        UserError: no such file, another format, another encoder, no network; says what to do.
    """
    check_origin(origin)
    if origin == "imagenet":
        weights = _from_keras(_downloaded(network), network.encoder, "keras.applications")
    else:
        weights = _from_file(Path(origin), network.encoder)
    first = _first_kernel(weights)
    # Whole and region go through the encoder one after the other.
    of_one = network.channels // images(network.region_of_interest)
    weights[first] = for_channels(weights[first], of_one)
    return weights


def for_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A first kernel `[height, width, 3, filters]` for images with another number of channels.

    A grey image is one whose red, green and blue are equal, so it takes the sum of their kernels. Several channels
    that are no colours take equal shares of it.
    """
    if channels == kernel.shape[-2]:
        return kernel
    return np.repeat(kernel.sum(-2, keepdims=True) / np.float32(channels), channels, -2)


def check_origin(origin: str) -> None:
    """Refuse an `origin` that is a file and is not there. Raises UserError."""
    if origin != "imagenet" and not Path(origin).is_file():
        raise UserError(f"There is no file {origin} with pretrained weights.")


def _from_file(path: Path, encoder: str) -> Weights:
    if path.suffix == ".safetensors":
        try:
            return _from_torchvision(load_file(path), encoder, path)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} cannot be read as safetensors: {error}.") from None
    if path.suffix in (".h5", ".hdf5"):
        return _from_keras(_keras_layers(path), encoder, str(path))
    raise UserError(
        f"{path}: pretrained weights are read from .safetensors (with torchvision's names, as timm publishes them) and "
        "from Keras's .h5. A .pth file is a pickle, which may run any program; convert one that you trust: "
        "safetensors.torch.save_file(torch.load('x.pth', weights_only=True), 'x.safetensors')."
    )


def _from_torchvision(tensors: dict[str, np.ndarray], encoder: str, path: Path) -> Weights:
    """The weights of a file of torchvision, whose kernels are `[filters, channels, height, width]`; no classifier."""
    if encoder in VGGS:
        numbers = sorted({int(name.split(".")[1]) for name in tensors if name.startswith("features.")})
        places = _vgg_places(encoder)
        if len(numbers) != len(places):
            raise _another_encoder(path, encoder)
        layers = {f"features.{number}": place for number, place in zip(numbers, places, strict=True)}
        roles = {"weight": "kernel", "bias": "bias"}
        names = {name: (layers.get(name.rpartition(".")[0]), roles) for name in tensors}
    else:
        names = {name: _resnet_place(name.rpartition(".")[0]) for name in tensors}
    weights: Weights = {}
    for name, (place, roles) in names.items():
        role = roles.get(name.rpartition(".")[2])
        if place is not None and role is not None:
            value = np.asarray(tensors[name], np.float32)
            weights[f"{place}/{role}"] = value.transpose(2, 3, 1, 0) if role == "kernel" else value
    if not weights:
        raise _another_encoder(path, encoder)
    return weights


def _resnet_place(layer: str) -> tuple[str | None, dict[str, str]]:
    """The place of `layer1.0.conv1` is `encoder/layer1/block1/conv1`; `layer1.0.downsample.1` is a shortcut's norm."""
    convolution = {"weight": "kernel"}
    if match := re.fullmatch(r"(?:layer(\d)\.(\d+)\.)?(conv|bn)(\d)", layer):
        stage, block, kind, number = match.groups()
        scope = f"layer{stage}/block{int(block) + 1}/" if stage else ""
        if kind == "conv":
            return f"encoder/{scope}conv{number}", convolution
        return f"encoder/{scope}norm{number}", NORMALISATION
    if match := re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.([01])", layer):
        scope = f"encoder/layer{match[1]}/block{int(match[2]) + 1}/shortcut"
        return (f"{scope}/conv", convolution) if match[3] == "0" else (f"{scope}/norm", NORMALISATION)
    return None, {}


def _vgg_places(encoder: str) -> list[str]:
    """Every convolution of a VGG, in order."""
    return [
        f"encoder/group{group}/conv{number}"
        for group, count in enumerate(VGGS[encoder], 1)
        for number in range(1, count + 1)
    ]


def _first_kernel(weights: Weights) -> str:
    names = ("encoder/conv1/kernel", "encoder/group1/conv1/kernel", "encoder/conv1/conv/kernel")
    return next(name for name in names if name in weights)


def _downloaded(network: UNetEncoder | UNetBackboned) -> Layers:
    encoder = network.encoder
    if encoder not in DOWNLOADS or (encoder == "resnet50" and not isinstance(network, UNetBackboned)):
        raise UserError(
            f"keras.applications has no weights for {encoder} as {network.name} has it (torchvision's form). Get a "
            f"file instead, such as model.safetensors of timm/{encoder}.tv_in1k at huggingface.co, and give its path."
        )
    import keras

    try:
        with keras_settings("float32"):
            model = getattr(keras.applications, DOWNLOADS[encoder])(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises a plain one for a failed download, whatever the reason
        raise UserError(
            f"The weights of {encoder} could not be downloaded: {error}. Without a network, give the path of a file: "
            f"{encoder}_weights_tf_dim_ordering_tf_kernels_notop.h5, or safetensors with torchvision's names."
        ) from None
    return {layer.name: {v.name: v.numpy() for v in layer.weights} for layer in model.layers if layer.weights}


def _keras_layers(path: Path) -> Layers:
    """The arrays of a file: a group for each layer, in it, some groups deeper, `kernel:0` or, earlier, `NAME_W_1:0`."""
    import h5py

    layers: Layers = defaultdict(dict)

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            role = re.sub(r":0$", "", name.rpartition("/")[2])
            role = re.sub(r".*_W_\d$", "kernel", re.sub(r".*_b_\d$", "bias", role))
            layers[name.partition("/")[0]][role] = item[()]

    try:
        with h5py.File(path, "r") as file:
            file.visititems(collect)
    except OSError as error:
        raise UserError(f"{path} cannot be read as HDF5: {error}.") from None
    return layers


def _from_keras(layers: Layers, encoder: str, origin: str) -> Weights:
    weights: Weights = {}
    for layer, arrays in layers.items():
        place = _keras_place(layer, encoder)
        for role, value in arrays.items() if place else ():
            weights[f"{place}/{role}"] = np.asarray(value, np.float32)
    if not weights:
        raise _another_encoder(origin, encoder)
    first = _first_kernel(weights)
    weights[first] = weights[first][:, :, ::-1] * IMAGENET_DEVIATION[:, np.newaxis]
    return weights


def _keras_place(layer: str, encoder: str) -> str | None:
    """The place of VGG's `block1_conv2`: `encoder/group1/conv2`; `conv2_block1_3_bn`: `encoder/conv2/block1/norm3`."""
    if encoder in VGGS:
        match = re.fullmatch(r"block(\d)_conv(\d)", layer)
        place = f"encoder/group{match[1]}/conv{match[2]}" if match else None
        return place if place in _vgg_places(encoder) else None
    match = re.fullmatch(r"(conv\d)(?:_(block\d)_(\d))?_(conv|bn)", layer)
    if not match:
        return None
    stage, block, number, kind = match.groups()
    role = {"conv": "conv", "bn": "norm"}[kind]
    return f"encoder/{stage}/{block}/{role}{number}" if block else f"encoder/{stage}/{role}"


def _another_encoder(origin: Path | str, encoder: str) -> UserError:
    return UserError(f"{origin} does not hold the weights of {encoder}. Which network was it made for?")
