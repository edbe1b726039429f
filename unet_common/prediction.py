"""From a run and some images to masks, pictures and scores: what predict.py and evaluate.py do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
from PIL import Image
from pydantic import Field, PositiveInt
from tqdm import tqdm

from data.errors import UserError, listed
from data.files import replacing
from data.images import image_files, read_image, write_mask
from data.settings import Fraction, Settings
from data.source import Case
from unet_common import figures
from unet_common.implementation import load
from unet_common.inference import label_map, predict_probabilities
from unet_common.metrics import best_membrane_scores, membrane_curve, pixel_scores
from unet_common.run import Run
from unet_common.tables import Row

# Cases in the overview picture.
MOST_SHOWN = 4


class Inference(Settings):
    """How the network is applied to whole images."""

    tile: PositiveInt | None = Field(
        None, description="side of a tile in pixels; without it images stay whole"
    )
    overlap: Fraction = Field(0.5, description="part of a tile that it shares with the next")
    symmetries: Literal["none", "flips", "all"] = Field(
        "none", description="average over mirrored (flips) or also turned (all) copies of the image"
    )
    threshold: Fraction = Field(
        0.5, description="of one class: a pixel is foreground from this probability on"
    )


@dataclass(frozen=True)
class Prediction:
    """A case, the probabilities `[*size, classes]` of its pixels, and its label map `[*size]`."""

    case: Case
    probability: np.ndarray
    label: np.ndarray


def find_weights(run: Run, choice: str) -> Path:
    """The file of weights that `choice` means: `best`, `final`, or a path.

    A run without validation has no best weights: then the final ones are the best.
    """
    if choice not in ("best", "final"):
        return Path(choice)
    candidates = [run.best_weights, run.final_weights] if choice == "best" else [run.final_weights]
    for path in candidates:
        if path.is_file():
            return path
    raise UserError(
        f"The run {run.path} has no {choice} weights yet: it stopped before its first validation. "
        f"Go on with: python train.py --resume {run.path}"
    )


def predict_cases(
    run: Run, implementation: str, weights: Path, cases: Iterator[Case], count: int, inference: Inference
) -> Iterator[Prediction]:
    """Apply the network of `run`, built by any `implementation`, to `cases` one by one.

    A two-dimensional network treats a stack of pages `[pages, height, width, channels]` page by page.

    Raises:
        UserError: names the case that does not fit the network.
    """
    model = load(implementation).Model(run.network, precision=run.experiment.precision)
    model.load(weights)

    def probability(image: np.ndarray) -> np.ndarray:
        return predict_probabilities(
            model.predict, image, run.network, inference.tile, inference.overlap, inference.symmetries
        )

    for case in tqdm(cases, total=count, desc="predict", unit="image", disable=None):
        try:
            image = run.statistics.normalise(case.image)
            is_stack = image.ndim == run.network.rank + 2
            result = np.stack([probability(page) for page in image]) if is_stack else probability(image)
        except UserError as error:
            raise UserError(f"{case.path or case.name}: {error}") from None
        yield Prediction(case, result, label_map(result, inference.threshold))


def validation_cases(run: Run) -> Iterator[Case]:
    """The cases that the run was not trained on. Raises UserError if there are none."""
    if not run.split.validation:
        raise UserError(f"{run.path} kept no images for validation; give some with --input.")
    run.split.check(run.source.names())
    return (run.source.read(name) for name in run.split.validation)


def input_cases(path: Path) -> tuple[list[Path], Iterator[Case]]:
    """The images in a folder, or one image, as cases without labels; they are read when their turn comes."""
    files = image_files(path) if path.is_dir() else [path]
    if not files:
        raise UserError(f"There are no images (PNG, JPEG, TIFF, BMP) in {path}.")
    stems = [file.stem for file in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise UserError(
            f"{path}: these names occur with several endings, so their masks would collide:\n{listed(twice)}"
        )
    return files, (Case(file.stem, read_image(file), None, file) for file in files)


def save_prediction(prediction: Prediction, directory: Path, probabilities: bool) -> None:
    """Write the mask in the input's format, an overlay, and on request the probabilities.

    Masks are made to be looked at: 255 is the foreground of a binary one. With more classes a pixel holds its
    class, and the overlay shows them in colours. Probabilities are float32 TIFF, one page a class.
    """
    case, label = prediction.case, prediction.label
    if prediction.probability.shape[-1] == 1:
        label = label * 255
    suffix = case.path.suffix if case.path else ".png"
    path = directory / "masks" / f"{case.name}{suffix}"
    if case.path and path.resolve() == case.path.resolve():
        raise UserError(f"The mask would overwrite the image {case.path}: choose another --output.")
    write_mask(path, label)
    if probabilities:
        with replacing(directory / "probabilities" / f"{case.name}.tif") as temporary:
            pages = np.moveaxis(prediction.probability, -1, 0)
            tifffile.imwrite(temporary, pages, photometric="minisblack", compression="zlib")
    if label.ndim == 2:
        with replacing(directory / "overlays" / f"{case.name}.png") as temporary:
            Image.fromarray(figures.overlay(case.image, case.label, prediction.label)).save(temporary)


def overview(predictions: Sequence[Prediction], path: Path, title: str) -> None:
    """A picture of the first cases: image, truth, probability, contours. Volumes show their middle slice."""
    shown = []
    for prediction in predictions[:MOST_SHOWN]:
        case, arrays = prediction.case, (prediction.case.image, prediction.label, prediction.probability)
        image, label, probability = (_flat(array, prediction.label.ndim) for array in arrays)
        truth = None if case.label is None else _flat(case.label, prediction.label.ndim)
        shown.append(figures.Shown(case.name, image, label, probability, truth))
    figures.overlay_figure(shown, path, title)


def score(predictions: Sequence[Prediction], membranes: bool) -> tuple[list[Row], dict[str, float]]:
    """A row of scores for each case with a known truth, and the thresholds that were chosen for them.

    Args:
        membranes: the foreground is membrane between cells, which the scores of ISBI 2012 judge.
    """
    known = [prediction for prediction in predictions if prediction.case.label is not None]
    rows: list[Row] = []
    for prediction in known:
        classes = max(2, prediction.probability.shape[-1])
        truth = prediction.case.label if classes > 2 else prediction.case.label > 0
        scores = pixel_scores(np.asarray(truth, prediction.label.dtype), prediction.label, classes)
        per_class = scores.per_class() if classes > 2 else {}
        rows.append({"case": prediction.case.name, **scores.foreground_means(), **per_class})
    if not (membranes and known and known[0].label.ndim == 2):
        return rows, {}
    best = best_membrane_scores([membrane_curve(p.case.label > 0, p.probability[..., 0]) for p in known])
    for row, scores in zip(rows, best.per_slice, strict=True):
        row.update({name: value for name, value in scores.items() if not name.endswith(("_split", "_merge"))})
    return rows, best.thresholds


def warn_of_one_class(predictions: Sequence[Prediction]) -> str | None:
    """A warning if every pixel of every case has the same class: seldom what anyone wants to see."""
    values = {int(value) for prediction in predictions for value in np.unique(prediction.label)}
    if len(values) > 1:
        return None
    return (
        f"Warning: every pixel was predicted as class {values.pop()}. Was the network trained long enough, and "
        "do these images look like its training images (same contrast, same scale)?"
    )


def _flat(array: np.ndarray, rank: int) -> np.ndarray:
    """The middle slice of a volume along its first axis; an image as it is."""
    return array[len(array) // 2] if rank == 3 else array
