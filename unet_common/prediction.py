"""From trained weights and some cases to probabilities and label maps."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, PositiveInt
from tqdm import tqdm

from data.errors import UserError, listed
from data.images import image_files
from data.labels import class_masks, combine
from data.settings import Fraction, Settings
from data.source import Case, natural_key
from data.validation import validated
from data.volumes import is_volume, read_volume, volume_files, volume_name
from unet_common.implementation import load
from unet_common.inference import check_symmetries, label_map, label_type, predict_slabs, tile_sides
from unet_common.networks import Network
from unet_common.run import Run
from unet_common.second_look import look_twice
from unet_common.weights import Weights, check_file, load_weights

# Volumes with more voxels than this go through the network in tiles, if nothing else is said: a U-Net with 16
# filters holds some 4 KiB for each voxel.
MOST_WHOLE = 160**3


class Inference(Settings):
    """How the network is applied to whole images."""

    tile: PositiveInt | tuple[PositiveInt, ...] | None = Field(
        None,
        description="side of a tile in pixels, or one number per axis; without it images stay whole, and large "
        "volumes, or what the network does not take in one piece, are cut into tiles of the training's crop",
    )
    overlap: Fraction = Field(0.5, description="part of a tile that it shares with the next")
    symmetries: Literal["none", "flips", "all"] = Field(
        "none",
        description="average over mirrored (flips) or also turned (all) copies of the image; only along the axes "
        "that augmentation mirrors",
    )
    threshold: Fraction = Field(
        0.5, description="of a sigmoid: a pixel is of its class from this probability on"
    )
    level: PositiveInt | None = Field(
        None, description="of unet_plus_plus: columns of the pruned network, which is faster"
    )
    one_look: bool = Field(
        False, description="of unet_fine_grained: predict from the whole image alone, not from the region"
    )


@dataclass(frozen=True)
class Prediction:
    """A case and what was predicted for it.

    label: class index of each pixel [*size]. classes: outputs of the network, without auxiliary ones.
    probability: [*size, classes]; None if it was not asked for and the case is a volume.
    class_names: those of a network whose classes may overlap; then the label, and that of the case, holds sets of
        classes. None of other networks.
    """

    case: Case
    label: np.ndarray
    probability: np.ndarray | None
    classes: int
    class_names: tuple[str, ...] | None = None

    @property
    def multilabel(self) -> bool:
        return self.class_names is not None

    @property
    def several(self) -> bool:
        """Whether there is more than one class besides the background."""
        return self.classes > (1 if self.multilabel else 2)


class Predictor:
    """The trained network of a run, or of several runs whose probabilities are averaged."""

    def __init__(
        self,
        runs: Sequence[Run],
        implementation: str | None = None,
        weights: str | None = "best",
        level: int | None = None,
    ):
        """Build the network of each run and load its weights.

        Args:
            implementation: which one builds the network; the one that trained it if None.
            weights: `best`, `final`, or a path; None: `set_weights` follows.
            level: prune the networks, which must have been trained with deep supervision.

        Raises:
            UserError: there are no such weights, or they belong to another network.
        """
        self.runs = runs
        self._models = []
        for run in runs:
            network = _pruned(run.network, level)
            package = load(implementation or run.experiment.implementation)
            model = package.Model(network, precision=run.experiment.precision)
            self._models.append(model)
            if weights is not None:
                path = find_weights(run, weights)
                self._set(model, load_weights(path, run.network), str(path))

    def set_weights(self, weights: Sequence[Weights], origin: str) -> None:
        """Replace the weights of each run; `origin` says in error messages where they came from."""
        for model, of_model in zip(self._models, weights, strict=True):
            self._set(model, of_model, origin)

    @staticmethod
    def _set(model: Any, weights: Weights, origin: str) -> None:
        """A pruned network has only some of the weights."""
        if getattr(model.network, "level", None) is not None:
            weights = {name: value for name, value in weights.items() if name in model.variables}
        model.set_weights(weights, origin)

    def __call__(self, case: Case, inference: Inference, probabilities: bool = False) -> Prediction:
        """Predict one case.

        A two-dimensional network treats a stack of pages `[pages, height, width, channels]` page by page.

        Args:
            probabilities: keep those of a volume, too, which may be far larger than the volume.

        Raises:
            UserError: names the case if it does not fit the network.
        """
        try:
            if case.image.ndim != self.runs[0].network.rank + 2:
                return self._predict(case, inference, probabilities)
            pages = [
                self._predict(replace(case, image=page, label=None), inference, True) for page in case.image
            ]
        except UserError as error:
            raise UserError(f"{case.path or case.name}: {error}") from None
        label, probability = (
            np.stack([getattr(page, name) for page in pages]) for name in ("label", "probability")
        )
        case = replace(case, overlapping=pages[0].multilabel)
        return Prediction(case, label, probability, pages[0].classes, pages[0].class_names)

    def _predict(self, case: Case, inference: Inference, probabilities: bool) -> Prediction:
        _check_fits(case, self.runs[0])
        prepared = [run.prepare(case) for run in self.runs]
        size, network = prepared[0].image.shape[:-1], self.runs[0].network
        multilabel = network.multilabel
        classes = network.foreground_classes if multilabel else network.classes
        class_names = _class_names(self.runs[0]) if multilabel else None
        if multilabel and not case.overlapping:
            sets = None if case.label is None else combine(class_masks(case.label, classes, False))
            case = replace(case, label=sets, overlapping=True)
        keep = probabilities or len(size) == 2 or prepared[0].resampled
        label = np.empty(size, label_type(classes, multilabel))
        probability = np.empty((*size, classes), np.float32) if keep else None
        with _progress(case.name, len(self.runs)) as report:
            slabs = [
                _slabs(run, inference)(
                    model.predict,
                    run.prepare.network_input(case_of_run.image),
                    run.network,
                    inference.tile or _default_tile(run, size),
                    inference.overlap,
                    inference.symmetries,
                    _mirrored_axes(run),
                    progress=report,
                )
                for run, model, case_of_run in zip(self.runs, self._models, prepared, strict=True)
            ]
            for of_runs in zip(*slabs, strict=True):
                rows = of_runs[0][0]
                mean = sum(slab[..., :classes] for _rows, slab in of_runs) / np.float32(len(of_runs))
                label[rows] = label_map(mean, inference.threshold, multilabel)
                if keep:
                    probability[rows] = mean
        if not keep:
            return Prediction(case, prepared[0].restore_label(label), None, classes, class_names)
        probability = prepared[0].restore(probability, multilabel)
        label = label_map(probability, inference.threshold, multilabel)
        return Prediction(case, label, probability, classes, class_names)


def _slabs(run: Run, inference: Inference) -> Callable[..., Iterator[tuple[slice, np.ndarray]]]:
    """How a whole image is predicted. Raises UserError if it is to be one look, and is never more."""
    if run.network.second_look:
        return partial(look_twice, threshold=inference.threshold, one_look=inference.one_look)
    if inference.one_look:
        raise UserError(
            f"--one-look is for unet_fine_grained, which looks twice; this is {run.network.name}."
        )
    return predict_slabs


def _class_names(run: Run) -> tuple[str, ...]:
    """Those of data whose classes may overlap, which are names of folders already; otherwise numbers."""
    names = run.source.class_names if run.source.overlapping else ()
    return (*names, *(str(number) for number in range(len(names) + 1, run.network.foreground_classes + 1)))


def _pruned(network: Network, level: int | None) -> Network:
    """The network with fewer columns. Raises UserError if it has none, or too few."""
    if level is None:
        return network
    if "level" not in type(network).model_fields:
        raise UserError(
            f"--level is for unet_plus_plus, whose columns can be pruned; this is {network.name}."
        )
    given = {key: getattr(network, key) for key in network.model_fields_set}
    return validated(type(network), {**given, "level": level})


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


def check_prediction(runs: Sequence[Run], weights: str | None, inference: Inference) -> None:
    """Refuse what these runs cannot predict with, before anything is read or built: TensorFlow is not needed yet.

    Args:
        weights: as of `Predictor`.

    Raises:
        UserError: there are no such weights, or they belong to another network; a setting is not for this network.
    """
    for run in runs:
        if weights is not None:
            check_file(find_weights(run, weights), run.network)
        _pruned(run.network, inference.level)
        _slabs(run, inference)
        tile_sides(inference.tile, run.network.rank)
        check_symmetries(inference.symmetries, run.network)


def validation_cases(run: Run) -> Iterator[Case]:
    """The cases that the run was not trained on. Raises UserError if there are none."""
    if not run.split.validation:
        raise UserError(f"{run.path} kept no images for validation; give some with --input.")
    run.split.check(run.source.names())
    return (run.source.read(name) for name in run.split.validation)


def input_cases(path: Path) -> tuple[list[Path], Iterator[Case]]:
    """Images and volumes as cases without labels; they are read when their turn comes.

    Args:
        path: a file, a folder of files, a folder with a DICOM series, or a folder of such folders.
    """
    if path.is_dir() and not is_volume(path):
        files = sorted({*image_files(path), *volume_files(path)}, key=lambda file: natural_key(file.name))
    else:
        files = [path]
    if not path.exists():
        raise UserError(f"{path}: there is no such file.")
    if not files:
        raise UserError(f"There are no images (PNG, JPEG, TIFF, BMP) or volumes (NIfTI, DICOM) in {path}.")
    names = [volume_name(file) for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(
            f"{path}: these names occur with several endings, so their masks would collide:\n{listed(twice)}"
        )
    return files, (_unlabelled(file) for file in files)


def _unlabelled(path: Path) -> Case:
    image, geometry = read_volume(path)
    return Case(volume_name(path), image, None, path, geometry)


def _check_fits(case: Case, run: Run) -> None:
    channels, rank = case.image.shape[-1], case.image.ndim - 1
    if channels != run.source.channels:
        raise UserError(
            f"The image has {channels} channels, but the training images had {run.source.channels}."
        )
    if rank != run.network.rank:
        kinds = {2: "an image", 3: "a volume"}
        raise UserError(
            f"This is {kinds.get(rank, 'neither')}, but the network was trained on {run.network.rank}D."
        )


def _default_tile(run: Run, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """Large volumes, and what the network does not take in one piece, are cut into tiles of the training's crop."""
    if (len(size) == 3 and np.prod(size) > MOST_WHOLE) or not run.network.in_one_piece(size):
        return run.network.output_size(run.experiment.sampling.crop)
    return None


def _mirrored_axes(run: Run) -> tuple[int, ...] | None:
    """The axes whose mirror image looks alike to the network: those that were mirrored in training.

    Not the one between left and right if their labels were swapped: mirrored, it would vote for the other side.
    """
    augmentation = run.experiment.augmentation
    axes = augmentation.flip_axes
    if axes is None and augmentation.swap_labels:
        axes = tuple(range(run.network.rank))
    return axes if not augmentation.swap_labels else tuple(axis for axis in axes if axis != 0)


class _progress(AbstractContextManager):  # noqa: N801  (used like a function)
    """Progress over the tiles of one case, of several networks in turn; shown only where there are some."""

    def __init__(self, name: str, networks: int):
        self._name, self._networks, self._bar = name, networks, None

    def __enter__(self) -> Any:
        return self

    def __call__(self, _done: int, total: int) -> None:
        if total > 1:
            if self._bar is None:
                count = total * self._networks
                self._bar = tqdm(total=count, desc=self._name, unit="batch", leave=False, disable=None)
            self._bar.update()

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.close()
