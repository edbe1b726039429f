"""Every network of the catalogue, small, through the whole program: it learns, and predicts images of any size."""

import numpy as np
import pytest

from unet_common.experiment import experiment_from
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE
from unet_common.prediction.predictor import Predictor
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.history import read_history
from unet_common.training.run import Run

STEPS = 50

# Large enough to learn something, small enough for a test; others have 8 filters.
SIZES = {
    "unet": {"depth": 3, "filters": 8},
    "unet_original": {"depth": 3, "filters": 8},
    "unet_padding": {"depth": 3, "filters": 8},
    "unet_plus_plus": {"depth": 3, "filters": 8},
    "unet_25d": {"depth": 3, "in_plane_levels": 1, "filters": 8},
    "unet_3d": {"depth": 3, "filters": 8},
    "vnet": {"depth": 3, "filters": 8},
    "vnet_3d": {"depth": 3, "filters": 8, "kernel_size": 3},
    "vnet_3d_depthwise": {"depth": 3, "filters": 8},
    "vnet_3d_bottleneck": {"depth": 3, "bottom_filters": 64},
    "no_new_net": {"widths": (8, 16, 32), "groups": 4},
    "reversible_unet": {"widths": (8, 16, 32), "groups": 4},
    "medpatchnet": {"filters": 8, "patch_size": (72, 72, 72)},
    "unet_encoder": {"encoder": "resnet18", "filters": 8},
    "hrnet": {"width": 8, "stem_filters": 8, "modules": (1, 1, 1), "blocks": 1},
    "unet_backboned": {"encoder": "resnet34", "filters": 8},
}

# Those with logits coarser than the image, too.
VARIANTS = [
    *[(name, SIZES.get(name, {"filters": 8})) for name in CATALOGUE],
    (
        "unet_encoder",
        {"encoder": "resnet18", "filters": 8, "decoder_filters": (16, 8), "decoder_rates": (4, 3)},
    ),
    ("hrnet", {**SIZES["hrnet"], "head": "mixed"}),
    ("unet_backboned", {**SIZES["unet_backboned"], "decoder_blocks": 4}),
    ("unet_backboned", {**SIZES["unet_backboned"], "decoder_blocks": 3}),
]


# Of each rank: generated data, the size of samples (None: the default), and that of an image to be predicted.
DATA = {
    2: ({"name": "membranes", "images": 4, "size": [256, 256]}, None, (517, 389)),
    3: ({"name": "blobs3d", "images": 4, "size": [32, 32, 32]}, (32, 32, 32), (37, 29, 41)),
}


@pytest.mark.slow
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name, hyperparameters", VARIANTS)
def test_fifty_steps_and_an_image_of_an_awkward_size(tmp_path, name, hyperparameters, implementation):
    data, crop, awkward = DATA[CATALOGUE[name].ranks()[0]]
    crop = SIZES.get(name, {}).get("patch_size", crop)
    settings = {
        "implementation": implementation,
        "network": {"name": name, **hyperparameters},
        "data": data,
        "sampling": {"validation": 0.25, "crop": crop, "pad": name == "medpatchnet"},
        "optimizer": {"learning_rate": 3e-3},
        "training": {"steps": STEPS, "validate_every": STEPS, "batch_size": 2},
    }
    run = Run.create(tmp_path / "run", experiment_from(settings))
    load(implementation).train(run)
    losses = [row["loss"] for row in read_history(run.history) if row["loss"] is not None]
    assert len(losses) == STEPS and np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < 0.97 * np.mean(losses[:10])

    larger = run.source.model_copy(update={"size": awkward})
    case = larger.read(larger.names()[0])
    prediction = Predictor([run], weights="final")(case, PredictionSettings(), probabilities=True)
    assert prediction.label.shape == awkward
    assert prediction.probability.shape == (*awkward, run.outputs.predicted)
    # No more than that: after 50 steps the moving statistics of many normalisations are still those of the start.
    assert np.isfinite(prediction.probability).all()
