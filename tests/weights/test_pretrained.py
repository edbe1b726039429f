"""Encoders that start from ImageNet: files in the layouts that are published, written here with few channels."""

import h5py
import keras
import numpy as np
import pytest
from helpers import ONE
from safetensors.numpy import save_file

from data.errors import UserError
from unet_common.experiment import experiment_from
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import UNetBackboned, UNetEncoder, UNetFineGrained
from unet_common.networks.encoders import RESNETS, VGGS
from unet_common.training.run import Run
from unet_common.weights.interchange import load_weights
from unet_common.weights.pretrained import IMAGENET_DEVIATION, for_channels, pretrained_weights

GENERATOR = np.random.default_rng(0)
SMALL = {"filters": 4, "decoder_filters": (4, 4, 4, 4, 2)}


def small(encoder, channels):
    return UNetEncoder(encoder=encoder, channels=channels, **SMALL)


def random(*shape):
    return GENERATOR.normal(0, 0.1, shape).astype(np.float32)


def normalisation(name, filters):
    return {
        f"{name}.weight": random(filters) + 1,
        f"{name}.bias": random(filters),
        f"{name}.running_mean": random(filters),
        f"{name}.running_var": random(filters) ** 2 + 1,
        f"{name}.num_batches_tracked": np.array(7),
    }


def torchvision_resnet18(width=4):
    """The entries of torchvision's resnet18, with `width` in place of 64 channels."""
    tensors = {"conv1.weight": random(width, 3, 7, 7), **normalisation("bn1", width)}
    before = width
    for stage, blocks in enumerate(RESNETS["resnet18"], 1):
        filters = width * 2 ** (stage - 1)
        for block in range(blocks):
            prefix = f"layer{stage}.{block}"
            tensors[f"{prefix}.conv1.weight"] = random(filters, before, 3, 3)
            tensors[f"{prefix}.conv2.weight"] = random(filters, filters, 3, 3)
            tensors |= normalisation(f"{prefix}.bn1", filters) | normalisation(f"{prefix}.bn2", filters)
            if before != filters:
                tensors[f"{prefix}.downsample.0.weight"] = random(filters, before, 1, 1)
                tensors |= normalisation(f"{prefix}.downsample.1", filters)
            before = filters
    return tensors | {"fc.weight": random(1000, before), "fc.bias": random(1000)}


def vgg_layers(width=4):
    """(group, number, channels, filters) of every convolution of VGG16."""
    before = 3
    for group, count in enumerate(VGGS["vgg16"], 1):
        for number in range(1, count + 1):
            filters = width * min(2 ** (group - 1), 8)
            yield group, number, before, filters
            before = filters


@pytest.fixture
def resnet_file(tmp_path):
    save_file(torchvision_resnet18(), tmp_path / "resnet18.safetensors")
    return tmp_path / "resnet18.safetensors"


@pytest.fixture
def keras_vgg_file(tmp_path):
    """As `vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5`: groups of layers, arrays with old names."""
    path = tmp_path / "vgg16_notop.h5"
    with h5py.File(path, "w") as file:
        for group, number, channels, filters in vgg_layers():
            layer = f"block{group}_conv{number}"
            file[f"{layer}/{layer}_W_1:0"] = random(3, 3, channels, filters)
            file[f"{layer}/{layer}_b_1:0"] = random(filters)
        for group in range(1, 6):
            file.create_group(f"block{group}_pool")
    return path


def encoder_weights(network):
    weights = load("lowlevel").Model(network).weights()
    return {name: value for name, value in weights.items() if name.startswith("encoder/")}


def test_a_resnet_of_torchvision(resnet_file):
    weights = pretrained_weights(str(resnet_file), small("resnet18", 3))
    expected = encoder_weights(small("resnet18", 3))
    assert {name: value.shape for name, value in weights.items()} == {
        name: value.shape for name, value in expected.items()
    }
    GENERATOR.bit_generator.state = np.random.default_rng(0).bit_generator.state
    tensors = torchvision_resnet18()
    save_file(tensors, resnet_file)
    weights = pretrained_weights(str(resnet_file), small("resnet18", 3))
    first, torch = weights["encoder/conv1/kernel"], tensors["conv1.weight"]
    assert first[2, 5, 1, 3] == torch[3, 1, 2, 5]
    for canonical, name in {
        "encoder/norm1/moving_variance": "bn1.running_var",
        "encoder/layer1/block2/norm1/gamma": "layer1.1.bn1.weight",
        "encoder/layer4/block1/norm2/beta": "layer4.0.bn2.bias",
        "encoder/layer3/block1/shortcut/norm/moving_mean": "layer3.0.downsample.1.running_mean",
    }.items():
        np.testing.assert_array_equal(weights[canonical], tensors[name])
    np.testing.assert_array_equal(
        weights["encoder/layer2/block1/shortcut/conv/kernel"][0, 0],
        tensors["layer2.0.downsample.0.weight"][:, :, 0, 0].T,
    )


def test_a_vgg_of_torchvision_counts_its_convolutions(tmp_path):
    tensors, index = {}, 0
    values = {}
    for group, number, channels, filters in vgg_layers():
        values[group, number] = tensors[f"features.{index}.weight"] = random(filters, channels, 3, 3)
        tensors[f"features.{index}.bias"] = random(filters)
        last_of_group = number == VGGS["vgg16"][group - 1]
        index += 3 if last_of_group else 2  # convolution, ReLU, and at the end of a group a pooling
    assert list(tensors)[-2] == "features.28.weight"  # as in torchvision
    tensors["classifier.0.weight"] = random(4096, 25)
    save_file(tensors, tmp_path / "vgg16.safetensors")
    weights = pretrained_weights(str(tmp_path / "vgg16.safetensors"), small("vgg16", 3))
    assert weights.keys() == encoder_weights(small("vgg16", 3)).keys()
    for (group, number), value in values.items():
        kernel = weights[f"encoder/group{group}/conv{number}/kernel"]
        np.testing.assert_array_equal(kernel, value.transpose(2, 3, 1, 0))
    with pytest.raises(UserError, match="does not hold the weights of vgg19"):
        pretrained_weights(str(tmp_path / "vgg16.safetensors"), small("vgg19", 3))


def test_a_vgg_of_keras_is_made_for_normalised_colours(keras_vgg_file):
    weights = pretrained_weights(str(keras_vgg_file), small("vgg16", 3))
    assert weights.keys() == encoder_weights(small("vgg16", 3)).keys()
    with h5py.File(keras_vgg_file) as file:
        kernel = file["block1_conv1/block1_conv1_W_1:0"][()]
        np.testing.assert_array_equal(
            weights["encoder/group3/conv2/bias"], file["block3_conv2/block3_conv2_b_1:0"][()]
        )
    # What Keras's preprocessing makes of a patch, and what ours makes of it.
    rgb = GENERATOR.uniform(0, 255, (3, 3, 3))
    means = np.array([123.68, 116.779, 103.939])
    theirs = np.tensordot((rgb - means)[..., ::-1], kernel, 3)
    ours = np.tensordot((rgb - means) / IMAGENET_DEVIATION, weights["encoder/group1/conv1/kernel"], 3)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_a_resnet_of_keras_belongs_to_the_backbones(tmp_path):
    """As `resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5`; the layers and shapes are Keras's own."""
    layers = {}
    model = keras.applications.ResNet50(include_top=False, weights=None)
    path = tmp_path / "resnet50_notop.h5"
    with h5py.File(path, "w") as file:
        for layer in model.layers:
            for variable in layer.weights:
                # A sixteenth of the channels.
                shape = [
                    side if side <= 7 and len(variable.shape) == 4 else max(side // 16, 3)
                    for side in variable.shape
                ]
                layers[layer.name, variable.name] = random(*shape)
                file[f"{layer.name}/{layer.name}/{variable.name}:0"] = layers[layer.name, variable.name]
    network = UNetBackboned(encoder="resnet50", filters=4, channels=3, last_filters=4)
    weights = pretrained_weights(str(path), network)
    twice = UNetFineGrained(encoder="resnet50", filters=4, channels=6, last_filters=4)
    assert pretrained_weights(str(path), twice).keys() == weights.keys()
    for name, value in pretrained_weights(
        str(path), twice
    ).items():  # each of the two inputs has three channels
        np.testing.assert_array_equal(value, weights[name], err_msg=name)
    expected = encoder_weights(network)
    assert {name: value.shape for name, value in weights.items()} == {
        name: value.shape for name, value in expected.items()
    }
    for canonical, place in {
        "encoder/conv1/norm/gamma": ("conv1_bn", "gamma"),
        "encoder/conv3/block2/conv2/bias": ("conv3_block2_2_conv", "bias"),
        "encoder/conv4/block1/norm0/moving_variance": ("conv4_block1_0_bn", "moving_variance"),
    }.items():
        np.testing.assert_array_equal(weights[canonical], layers[place])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_grey_image_is_a_colour_image_with_equal_channels(implementation, resnet_file):
    package, grey = load(implementation), GENERATOR.standard_normal((1, 32, 32, 1))
    logits = []
    for channels in (1, 3):
        network = small("resnet18", channels)
        model = package.Model(network, precision="float64")
        weights = model.weights() | pretrained_weights(str(resnet_file), small("resnet18", channels))
        model.set_weights(weights)
        logits.append(model.predict(np.repeat(grey, channels, -1)))
    np.testing.assert_allclose(logits[0], logits[1], rtol=0, atol=1e-6)  # kernels are summed in float32
    assert np.abs(logits[0]).max() > 1e-2


def test_channels_that_are_no_colours_share_the_kernel():
    kernel = random(3, 3, 3, 2)
    spread = for_channels(kernel, 4)
    assert spread.shape == (3, 3, 4, 2)
    np.testing.assert_allclose(spread.sum(2), kernel.sum(2), rtol=1e-5)
    assert for_channels(kernel, 3) is kernel


SETTINGS = {
    "network": {"name": "unet_encoder", "encoder": "resnet18", **SMALL},
    "data": {"images": 4, "size": [64, 64]},
    "sampling": {"crop": [32, 32]},
    "optimizer": {"name": "sgd", "learning_rate": 1e-30, "momentum": 0.0},
    "training": {"steps": 1, "batch_size": 2},
}


@ONE
def test_a_training_starts_from_the_encoder(implementation, resnet_file, tmp_path):
    settings = {**SETTINGS, "implementation": implementation, "pretrained": str(resnet_file)}
    run = Run.create(tmp_path / "run", experiment_from(settings))
    resnet_file.unlink()  # the run has what it needs
    load(implementation).train(run)
    final = load_weights(run.final_weights, run.network)
    drawn = load(implementation).Model(run.network).weights()
    for name, value in run.initial_weights.items():
        if "moving" not in name:
            np.testing.assert_array_equal(final[name], value, err_msg=name)
    assert np.abs(final["encoder/conv1/kernel"] - drawn["encoder/conv1/kernel"]).max() > 0
    np.testing.assert_array_equal(final["decoder1/conv1/kernel"], drawn["decoder1/conv1/kernel"])


def test_what_does_not_fit_is_refused(resnet_file, tmp_path):
    wide = {**SETTINGS, "network": {"name": "unet_encoder", "encoder": "resnet18"}}
    with pytest.raises(
        UserError, match=r"encoder/conv1/kernel has shape \(7, 7, 1, 4\), the network \(7, 7, 1, 64\)"
    ):
        Run.create(tmp_path / "wide", experiment_from({**wide, "pretrained": str(resnet_file)}))
    assert not (tmp_path / "wide" / "experiment.yaml").exists()
    with pytest.raises(UserError, match="pretrained: unet has no encoder"):
        experiment_from({"pretrained": str(resnet_file)})
    with pytest.raises(UserError, match="initial_weights are given, too"):
        experiment_from({**SETTINGS, "pretrained": "imagenet", "initial_weights": "some.h5"})


def test_files_that_cannot_be_read_are_named(resnet_file, tmp_path):
    with pytest.raises(UserError, match=r"There is no file .*none.safetensors"):
        pretrained_weights(str(tmp_path / "none.safetensors"), small("resnet18", 1))
    (tmp_path / "resnet18.pth").write_bytes(b"\x80\x04")
    with pytest.raises(UserError, match=r"A \.pth file is a pickle"):
        pretrained_weights(str(tmp_path / "resnet18.pth"), small("resnet18", 1))
    for name in ("cut.safetensors", "cut.h5"):
        (tmp_path / name).write_bytes(resnet_file.read_bytes()[:100])
        with pytest.raises(UserError, match=f"{name} cannot be read as"):
            pretrained_weights(str(tmp_path / name), small("vgg16", 1))
    save_file({"something": random(3)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="does not hold the weights of resnet18"):
        pretrained_weights(str(tmp_path / "other.safetensors"), small("resnet18", 1))


def test_without_a_network_it_says_which_file_to_give(monkeypatch):
    def fails(**_settings):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG16", fails)
    with pytest.raises(
        UserError, match=r"URL fetch failure\. Without a network, give the path of a file: vgg16_weights"
    ):
        pretrained_weights("imagenet", small("vgg16", 1))
    with pytest.raises(UserError, match=r"no weights for resnet50 as unet_encoder has it"):
        pretrained_weights("imagenet", small("resnet50", 1))
    with pytest.raises(UserError, match=r"no weights for resnet34 .* timm/resnet34\.tv_in1k"):
        pretrained_weights("imagenet", small("resnet34", 1))
