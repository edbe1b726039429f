# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One network, three ways: a walk through in 3D
#
# We look at a data set of volumes, build the same 3D U-Net with three APIs, see that the three are one function,
# train each of them, and segment volumes that none of them has seen. It takes about two minutes on two
# processor cores and downloads nothing.
#
# The volumes are generated: `blobs3d` imitates MRI of an organ with a front and a back part. With files of your
# own, or with a public data set (`python -m data fetch hippocampus`), only the cell that makes `source` changes,
# and the number of steps.

# %%
import tempfile
from importlib import import_module
from inspect import getsource
from pathlib import Path

import numpy as np
from IPython.display import Image, Markdown, display

import unet_common  # noqa: F401  (first: it sets TensorFlow up)
from data.commands.show import show
from data.labels.outputs import Outputs
from data.preprocessing.preprocessor import Preprocessor
from data.settings import Augmentation, Preprocessing, Sampling
from data.sources import SOURCES
from unet_common.evaluation.report import predict_all
from unet_common.evaluation.scores import Scores
from unet_common.evaluation.tables import markdown_table
from unet_common.experiment import experiment_from
from unet_common.figures.history import comparison_figure
from unet_common.figures.volumes import ShownVolume, contact_sheet, orthogonal_figure
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import UNet
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.history import read_history
from unet_common.training.run import Run

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## The data
#
# A source has names, and reads a case by its name: the image `[right, anterior, superior, channels]`, the label
# with the class of every voxel, and the place of the voxels in the scanner, in mm. The voxels here are 1 mm wide
# and 1.5 mm high. For files it would be `SOURCES["decathlon"](directory="datasets/Task04_Hippocampus")`.

# %%
source = SOURCES["blobs3d"](images=10, size=(32, 32, 32))
case = source.read(source.names()[0])
print(f"{len(source.names())} volumes, {source.channels} channel, {source.classes} classes")
print(f"{case.name}: image {case.image.shape}, voxels of {case.spacing} mm")
print("voxels of each class:", np.bincount(case.label.ravel()))

# %% [markdown]
# Three slices through the middle of the organ, and the same place again after augmentation: turned, scaled,
# bent, mirrored, with other contrast and noise. Image and label go through one geometry, with one interpolation.

# %%
sampling = Sampling(crop=(32, 32, 32))
augmentation = Augmentation(
    flips=0.5, flip_axes=(0,), rotation=15, scaling=0.15, elastic=1.5, contrast=0.2, noise=0.1
)
for picture in show(source, source.names()[:1], folder, sampling, augmentation):
    display(Image(picture))

# %% [markdown]
# ## Three networks
#
# A network is its hyperparameters; an implementation makes something of them that computes. Instance normalisation
# suits a short training: the moving averages of batch normalisation need hundreds of steps to settle.

# %%
network = UNet(rank=3, depth=3, filters=6, channels=1, classes=3, normalisation="instance")
models = {name: load(name).Model(network, seed=0, precision="float64") for name in IMPLEMENTATIONS}
for name, model in models.items():
    print(name, sum(weight.size for weight in model.weights().values()), "values, the first of them:")
    print("  ", model.weights()["encoder1/conv1/kernel"].ravel()[:4])

# %% [markdown]
# The initial weights are a function of the seed and the weight's name, so they agree. Do the outputs, and the
# gradients of the loss? Each model computes in double precision on the same crop; we compare with `lowlevel`.

# %%
prepared = Preprocessor(Preprocessing(normalisation="case"))(case)
images, targets = (
    prepared.image[None].astype(np.float64),
    Outputs(3).encode(prepared.label)[None].astype(np.float64),
)
logits = {name: model.predict(images) for name, model in models.items()}
gradients = {
    name: model.loss_and_gradients(images, targets, "dice + cross_entropy", step=0)[1]
    for name, model in models.items()
}
print("largest difference from lowlevel")
for name in IMPLEMENTATIONS[1:]:
    outputs = np.abs(logits[name] - logits["lowlevel"]).max()
    weights = max(
        np.abs(gradient - gradients["lowlevel"][weight]).max() for weight, gradient in gradients[name].items()
    )
    print(f"  {name:10} logits {outputs:.1e}   gradients {weights:.1e}")

# %% [markdown]
# ## How each API says it
#
# The decoder's block: an up-convolution, the encoder's features of the same resolution beside it, convolutions.
# In the two graph APIs it adds operations to a graph; in Keras it makes layers, which own their weights, and connects
# them. The first writes the layers by hand; here its transposed convolution, which the others have.

# %%
for name in IMPLEMENTATIONS:
    code = getsource(import_module(f"unet_{name}.networks.unet").decoder_block)
    display(Markdown(f"**`{name}`**\n```python\n{code}```"))

# %%
code = getsource(import_module("unet_lowlevel.ops").transposed_convolution)
display(Markdown(f"**`lowlevel`**\n```python\n{code}```"))

# %% [markdown]
# ## Training
#
# The loops could hardly be more different: a `while` around `session.run`, the Estimator's `train_and_evaluate`
# with hooks, and `fit` with callbacks. The settings are the same, so is the order of the samples, which are a
# function of the seed. In single precision the three part slowly, as rounding differs.

# %%
STEPS = 90
runs = {}
for name in IMPLEMENTATIONS:
    experiment = experiment_from(
        {
            "implementation": name,
            "network": network.model_dump(include={"name", "depth", "filters", "normalisation"}),
            "data": source.model_dump(),
            "sampling": sampling.model_dump(exclude_unset=True),
            "augmentation": augmentation.model_dump(exclude_unset=True),
            "optimizer": {"name": "adam", "learning_rate": 0.01},
            "schedule": {"name": "cosine", "warmup": 5},
            "training": {"steps": STEPS, "batch_size": 2, "validate_every": 30},
        }
    )
    runs[name] = Run.create(folder / name, experiment)
    load(name).train(runs[name])

histories = {name: read_history(run.history) for name, run in runs.items()}
comparison_figure(histories, folder / "comparison.png", "One seed, three implementations, float32")
display(Image(folder / "comparison.png"))

# %% [markdown]
# ## Results
#
# The volumes that were kept for validation, predicted by each of the three. Dice and surface Dice are 1 where
# prediction and truth agree; HD95 (the 95th percentile of the distances between their surfaces) and ASSD (the
# mean distance) are in mm. So short a training on so few volumes gives rough results.

# %%
shown, table = [], []
for name, run in runs.items():
    scores = Scores(membranes=False)
    for prediction in predict_all([run], None, "best", PredictionSettings()):
        row = scores.add(prediction)
        table.append(
            {"case": f"{prediction.case.name}, {name}"}
            | {key: row[key] for key in ("dice_1", "dice_2", "surface_dice", "hd95", "assd")}
        )
        if name == "keras":
            shown.append(ShownVolume.of(prediction.case, prediction.label, row))
display(Markdown(markdown_table(table)))

# %% [markdown]
# One volume in three slices, with the contours of truth and prediction, and all volumes, the worst first.

# %%
orthogonal_figure(shown[0], folder / "case.png")
contact_sheet(shown, folder / "sheet.png", "Validation volumes, keras")
display(Image(folder / "case.png"), Image(folder / "sheet.png"))

# %% [markdown]
# ## One file of weights for all
#
# What one implementation has trained, the others open. Here the weights that `lowlevel` learned, in all three,
# on one volume: how many voxels get another class?

# %%
labels = {}
for name in IMPLEMENTATIONS:
    predictions = predict_all([runs["lowlevel"]], name, "best", PredictionSettings(), first=1)
    labels[name] = next(predictions).label
for name in IMPLEMENTATIONS[1:]:
    print(
        f"{name}: {np.count_nonzero(labels[name] != labels['lowlevel'])} of {labels[name].size} voxels differ"
    )

# %% [markdown]
# ## And now
#
# ```
# python -m data fetch hippocampus
# python train.py --impl keras --config configs/hippocampus.yaml --data-dir datasets/Task04_Hippocampus --fold 0
# python predict.py --figures
# ```
#
# What that gives stands in `docs/results.md`.
