"""The way from trained weights and cases to probabilities and label maps."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from data.about import About
from data.errors import UserError, bullet_list
from data.files import natural_key
from data.formats.images import image_files
from data.formats.pixels import NotAColourError, in_colour
from data.formats.volumes import is_volume, series_below, volume_files, volume_name
from data.labels.label_maps import class_masks, combine, is_ignored, known
from data.labels.outputs import Outputs
from data.source import Case
from data.validation import validated
from unet_common.implementation import load
from unet_common.networks import Network
from unet_common.prediction.region import predict_with_region
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import Predict, check_symmetries, predict_slabs, tile_sides
from unet_common.training.run import Run
from unet_common.weights.interchange import Weights, check_file, load_weights

# Volumes with more voxels than this go through the network in tiles, if nothing else is said: a U-Net with 16
# filters holds some 4 KiB for each voxel.
MAX_WHOLE = 160**3


@dataclass(frozen=True)
class Prediction:
    """A case and what was predicted for it.

    label: class of each pixel [*size], or set of classes if they may overlap; that of the case likewise.
    probability: [*size, channels]; None if it was not asked for and the case is a volume.
    outputs: what the channels and the values of the label mean.
    ignored: pixels of the case that no score counts, bool [*size]; its label has the background there. None: all count.
    slices: the slices of a volume that a network for images saw, in words; None where it saw the whole.
    """

    case: Case
    label: np.ndarray
    probability: np.ndarray | None
    outputs: Outputs
    ignored: np.ndarray | None = None
    slices: str | None = None

    @property
    def judged_label(self) -> np.ndarray:
        """The label, with the background where no score counts it, as that of the case."""
        if self.ignored is None:
            return self.label
        return np.where(self.ignored, self.label.dtype.type(0), self.label)


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
        """Set the weights of a network, which is pruned perhaps and then has only a part of them."""
        if getattr(model.network, "level", None) is not None:
            weights = {name: value for name, value in weights.items() if name in model.variables}
        model.set_weights(weights, origin)

    def __call__(self, case: Case, settings: PredictionSettings, probabilities: bool = False) -> Prediction:
        """Predict one case.

        A two-dimensional network treats a stack of pages `[pages, height, width, channels]` page by page, and a volume
        that tells where it lies slice by slice, with slices, rows and columns as its file has them. A network of
        volumes that was trained on stacks of pages sees such a volume as one.

        Args:
            probabilities: keep those of a volume, too, which may be far larger than the volume.

        Raises:
            UserError: names the case if it does not fit the network.
        """
        ignored = None
        if case.label is not None and self.runs[0].outputs.ignoring:
            ignored = is_ignored(case.label)
            case = replace(case, label=known(case.label))
        try:
            case = replace(case, image=in_colour(case.image, self.runs[0].about.colour))
            rank, located = self.runs[0].network.rank, self.runs[0].about.located
            if case.image.ndim == 4 and (rank == 2 or (case.geometry is not None and not located)):
                prediction = self._predict_stack(case, settings, probabilities)
            else:
                prediction = self._predict(case, settings, probabilities)
            return replace(prediction, ignored=ignored)
        except (UserError, NotAColourError) as error:
            raise UserError(f"{case.path or case.name}: {error}") from None

    def _predict_stack(self, case: Case, settings: PredictionSettings, probabilities: bool) -> Prediction:
        """The prediction of a stack of pages, or of a volume as the stack of its slices."""
        geometry, stack, padding, axis, words = case.geometry, case.image, case.padding, 0, None
        if geometry is not None:
            axis = geometry.axis_across(settings.slices) if settings.slices else geometry.slice_axis
            stack = geometry.slices(stack, axis)
            padding = None if padding is None else geometry.slices(padding, axis)
            words = (
                f"{geometry.plane(axis)}, across the {('first', 'second', 'third')[axis]} axis of the file"
            )
        elif settings.slices:
            raise UserError(
                "--slices is for volumes that tell where they lie; of this stack each page is a slice."
            )
        if self.runs[0].network.rank == 3:
            words = None  # it sees the whole
        bare = replace(case, label=None, geometry=None)
        label: np.ndarray
        probability: np.ndarray | None
        if self.runs[0].network.rank == 3:
            whole = self._predict(replace(bare, image=stack, padding=padding), settings, probabilities)
            label, probability, outputs = whole.label, whole.probability, whole.outputs
        else:
            paddings = repeat(None) if padding is None else padding
            pages = [
                self._predict(replace(bare, image=image, padding=empty), settings, True)
                for image, empty in zip(stack, paddings, strict=False)
            ]
            label, probability = (
                np.stack([getattr(page, name) for page in pages]) for name in ("label", "probability")
            )
            outputs = pages[0].outputs
        if geometry is not None:
            label = geometry.from_slices(label, axis)
            probability = None if probability is None else geometry.from_slices(probability, axis)
        return Prediction(
            replace(case, overlapping=outputs.overlapping), label, probability, outputs, slices=words
        )

    def _predict(self, case: Case, settings: PredictionSettings, probabilities: bool) -> Prediction:
        _check_fits(case, self.runs[0])
        prepared = [run.prepare(case) for run in self.runs]
        size, outputs = prepared[0].image.shape[:-1], predicted_outputs(self.runs[0], settings.values)
        if outputs.overlapping and not case.overlapping:
            sets = None if case.label is None else combine(class_masks(case.label, outputs.classes, False))
            case = replace(case, label=sets, overlapping=True)
        keep = probabilities or len(size) == 2 or prepared[0].resampled
        label = np.empty(size, outputs.label_type)
        probability = np.empty((*size, outputs.predicted), np.float32) if keep else None
        with _progress(case.name, len(self.runs)) as report:
            slabs = [
                _predict_slabs(
                    model.predict,
                    run.prepare.network_input(case_of_run.image),
                    run.network,
                    settings
                    if settings.tile
                    else settings.model_copy(update={"tile": _default_tile(run, size)}),
                    _mirrored_axes(run),
                    progress=report,
                )
                for run, model, case_of_run in zip(self.runs, self._models, prepared, strict=True)
            ]
            for of_runs in zip(*slabs, strict=True):
                rows = of_runs[0][0]
                mean = sum(slab[..., : outputs.predicted] for _rows, slab in of_runs) / np.float32(
                    len(of_runs)
                )
                label[rows] = outputs.label_map(mean, settings.threshold)
                if probability is not None:
                    probability[rows] = mean
        if probability is None:
            return Prediction(case, prepared[0].restore_label(label), None, outputs)
        probability = prepared[0].restore(probability, outputs.multilabel)
        label = outputs.label_map(probability, settings.threshold)
        return Prediction(case, label, probability, outputs)


def _predict_slabs(
    predict: Predict,
    image: np.ndarray,
    network: Network,
    settings: PredictionSettings,
    *arguments: Any,
    **options: Any,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Probabilities of a whole image, and of its region of interest if the network has one."""
    _check_one_look(network, settings)
    predict_whole = predict_with_region if network.region_of_interest else predict_slabs
    return predict_whole(predict, image, network, settings, *arguments, **options)


def _check_one_look(network: Network, settings: PredictionSettings) -> None:
    """Refuse to leave out the region where there is none. Raises UserError."""
    if settings.one_look and not network.region_of_interest:
        raise UserError(f"--one-look is for unet_fine_grained, which looks twice; this is {network.name}.")


def predicted_outputs(run: Run, values: Literal["data", "classes"] = "data") -> Outputs:
    """The outputs of a run's predictions: label maps of classes with a sigmoid each are sets, and all have names.

    Data whose classes may overlap has names already, those of folders; other classes are called by their numbers.

    values: the numbers that masks get are those of the data set's own masks, or those of the classes.
    """
    outputs, about = run.outputs, run.about
    if not outputs.multilabel:
        return replace(outputs, values=_values(outputs, about) if values == "data" else None)
    names = outputs.names if outputs.overlapping and outputs.names else ()
    numbers = (str(number) for number in range(len(names) + 1, outputs.classes + 1))
    # Masks of single classes are another layout than one of all, with values of its own.
    own = outputs.values if outputs.overlapping and outputs.values else (0,)
    further = (about.foreground_value,) * (outputs.classes + 1 - len(own))
    numbered = (0, *[1] * outputs.classes)
    return replace(
        outputs,
        overlapping=True,
        names=(*names, *numbers),
        values=(*own, *further) if values == "data" else numbered,
    )


def _values(outputs: Outputs, about: About) -> tuple[int, ...]:
    """The number of each class that excludes the others, also where the network has more or fewer than the data."""
    values = about.mask_values
    if outputs.classes == 1 < len(values) - 1:
        return 0, about.foreground_value  # any foreground
    return (*values, *range(max(values) + 1, max(values) + 1 + outputs.classes + 1 - len(values)))


def _pruned(network: Network, level: int | None) -> Network:
    """The network with fewer columns. Raises UserError if it has none, or too few."""
    if level is None:
        return network
    if "level" not in type(network).model_fields:
        raise UserError(
            f"--level is for unet_plus_plus, whose columns can be pruned; this is {network.name}."
        )
    return validated(type(network), {**network.model_dump(), "level": level})


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


def check_prediction(runs: Sequence[Run], weights: str | None, settings: PredictionSettings) -> None:
    """Refuse what these runs cannot predict with, before anything is read or built: TensorFlow is not needed yet.

    Args:
        weights: as of `Predictor`.

    Raises:
        UserError: there are no such weights, or they belong to another network; a setting is not for this network.
    """
    for run in runs:
        if weights is not None:
            check_file(find_weights(run, weights), run.network)
        _pruned(run.network, settings.level)
        _check_one_look(run.network, settings)
        tile_sides(settings.tile, run.network.rank)
        check_symmetries(settings.symmetries, run.network)
        if settings.slices and run.network.rank != 2:
            raise UserError(
                f"--slices is for networks of images; {run.network.name} in {run.path} sees whole volumes."
            )


def validation_cases(run: Run) -> Iterator[Case]:
    """The cases that the run was not trained on. Raises UserError if there are none."""
    if not run.split.validation:
        raise UserError(f"{run.path} kept no images for validation; give some with --input.")
    run.split.check(run.source.names())
    return (run.source.read(name) for name in run.split.validation)


def input_files(path: Path) -> dict[str, Path]:
    """The images and volumes to predict, each by the name that its mask gets.

    Args:
        path: a file, a folder of files, a folder with a DICOM series, or a folder of such folders.

    Raises:
        UserError: there are none, or two would have one name.
    """
    if path.is_dir() and not is_volume(path):
        files = sorted({*image_files(path), *volume_files(path)}, key=lambda file: natural_key(file.name))
    else:
        files = [path]
    if not path.exists():
        raise UserError(f"{path}: there is no such file.")
    if not files and path.is_dir() and (series := series_below(path)):
        raise UserError(
            f"{path}: holds no DICOM files itself, but folders below it do. Give one of them as --input, or the folder "
            f"that directly holds several:\n{bullet_list([str(folder) for folder in series])}"
        )
    if not files:
        raise UserError(f"There are no images (PNG, JPEG, TIFF, BMP) or volumes (NIfTI, DICOM) in {path}.")
    names = [volume_name(file) for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(
            f"{path}: these names occur with several endings, so their masks would collide:\n{bullet_list(twice)}"
        )
    return dict(zip(names, files, strict=True))


def _check_fits(case: Case, run: Run) -> None:
    channels, rank = case.image.shape[-1], case.image.ndim - 1
    if channels != run.about.channels:
        raise UserError(
            f"The image has {channels} channels, but the training images had {run.about.channels}."
        )
    if rank != run.network.rank:
        kinds = {2: "an image", 3: "a volume"}
        raise UserError(
            f"This is {kinds.get(rank, 'neither')}, but the network was trained on {run.network.rank}D."
        )
    if rank == 3 and run.about.located and case.geometry is None:
        raise UserError(
            "This does not tell where its voxels lie, so nobody knows which of its axes is which, and the network was "
            "trained on volumes that were turned by that. Convert it to NIfTI."
        )


def _default_tile(run: Run, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """The tile of large volumes, and of what the network does not take in one piece: the training's crop."""
    if (len(size) == 3 and np.prod(size) > MAX_WHOLE) or not run.network.in_one_piece(size):
        crop = run.experiment.sampling.crop
        assert crop is not None  # a run's experiment is complete
        return run.network.output_size(crop)
    return None


def _mirrored_axes(run: Run) -> tuple[int, ...] | None:
    """The axes whose mirror image looks alike to the network: those that were mirrored in training.

    Not the one between left and right if their labels were swapped: mirrored, it would vote for the other side.
    """
    augmentation = run.experiment.augmentation
    if not augmentation.swap_labels:
        return augmentation.flip_axes
    axes = range(run.network.rank) if augmentation.flip_axes is None else augmentation.flip_axes
    return tuple(axis for axis in axes if axis != 0)


class _progress(AbstractContextManager):  # noqa: N801  (used like a function)
    """The progress over the tiles of one case, of several networks in turn; shown only where there are several."""

    def __init__(self, name: str, networks: int):
        self._name, self._networks = name, networks
        self._bar: tqdm | None = None

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
