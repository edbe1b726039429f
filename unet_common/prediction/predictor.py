"""The way from trained weights and cases to probabilities and label maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from data.errors import UserError
from data.formats.pixels import NotAColourError, in_colour
from data.labels.label_maps import class_masks, combine, is_ignored, known
from data.labels.outputs import Outputs
from data.source import Case
from unet_common.implementation import load
from unet_common.networks import Network
from unet_common.prediction.inputs import check_one_look, find_weights, pruned
from unet_common.prediction.outputs import Contrast, predicted_outputs
from unet_common.prediction.region import predict_with_region
from unet_common.prediction.remarks import remarks_on
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import Predict, predict_slabs
from unet_common.prediction.symmetries import check_turns, mirrored_axes
from unet_common.training.run import Run
from unet_common.weights.interchange import Weights, load_weights

if TYPE_CHECKING:
    from unet_common.prediction.inside import Inside

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
    remarks: facts worth knowing of how it came about, in words.
    inside: pictures of what happens in the network, if they were asked for; of several runs those of the first.
    """

    case: Case
    label: np.ndarray
    probability: np.ndarray | None
    outputs: Outputs
    ignored: np.ndarray | None = None
    remarks: tuple[str, ...] = ()
    inside: tuple[Inside, ...] = ()

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
            network = pruned(run.network, level)
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

    def check_level(self, level: str | None) -> None:
        """Refuse feature maps of what the network does not tell. Raises UserError that lists what it does."""
        if level is not None:
            self._models[0].check_level(level)

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
        geometry, stack, padding, axis = case.geometry, case.image, case.padding, 0
        remarks: tuple[str, ...] = ()
        inside: tuple[Inside, ...] = ()
        if geometry is not None:
            axis = geometry.axis_across(settings.slices) if settings.slices else geometry.slice_axis
            stack = geometry.slices(stack, axis)
            padding = None if padding is None else geometry.slices(padding, axis)
            across = (
                f"{geometry.plane(axis)}, across the {('first', 'second', 'third')[axis]} axis of the file"
            )
            remarks = (f"Predicted slice by slice, {across} (--slices takes others)",)
        elif settings.slices:
            raise UserError(
                "--slices is for volumes that tell where they lie; of this stack each page is a slice."
            )
        bare = replace(case, label=None, geometry=None)
        label: np.ndarray
        probability: np.ndarray | None
        if self.runs[0].network.rank == 3:
            whole = self._predict(replace(bare, image=stack, padding=padding), settings, probabilities)
            label, probability, outputs, remarks, inside = (
                whole.label,
                whole.probability,
                whole.outputs,
                whole.remarks,
                whole.inside,
            )
        else:
            paddings = repeat(None) if padding is None else padding
            cases = [
                replace(bare, image=image, padding=empty)
                for image, empty in zip(stack, paddings, strict=False)
            ]
            pages = [
                self._predict(page, settings.model_copy(update={"features": None}), True) for page in cases
            ]
            label, probability = (
                np.stack([getattr(page, name) for page in pages]) for name in ("label", "probability")
            )
            outputs = pages[0].outputs
            remarks += tuple(dict.fromkeys(remark for page in pages for remark in page.remarks))[:1]
            inside, missing = self._inside_stack(cases, label, settings, outputs)
            remarks += missing
        if geometry is not None:
            label = geometry.from_slices(label, axis)
            probability = None if probability is None else geometry.from_slices(probability, axis)
        case = with_sets(case, outputs)
        return Prediction(case, label, probability, outputs, remarks=remarks, inside=inside)

    def _predict(self, case: Case, settings: PredictionSettings, probabilities: bool) -> Prediction:
        _check_fits(case, self.runs[0])
        prepared = [run.prepare(case) for run in self.runs]
        size, outputs = prepared[0].image.shape[:-1], predicted_outputs(self.runs[0], settings.values)
        case = with_sets(case, outputs)
        keep = probabilities or len(size) == 2 or prepared[0].resampled
        check_turns(settings.symmetries, prepared[0].spacing)
        tiles = [settings.tile or _default_tile(run, size) for run in self.runs]
        remarks = remarks_on(self.runs[0], case, prepared[0], settings, tiles[0] is not None)
        label = np.empty(size, outputs.label_type)
        probability = np.empty((*size, outputs.predicted), np.float32) if keep else None
        with _progress(case.name, len(self.runs)) as report:
            slabs = [
                _predict_slabs(
                    model.predict,
                    run.prepare.network_input(case_of_run.image),
                    run.network,
                    settings.model_copy(update={"tile": tile}),
                    mirrored_axes(run),
                    progress=report,
                )
                for run, model, case_of_run, tile in zip(
                    self.runs, self._models, prepared, tiles, strict=True
                )
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
            label = prepared[0].restore_label(label)
        else:
            probability = prepared[0].restore(probability, outputs.multilabel)
            label = outputs.label_map(probability, settings.threshold)
        inside, missing = self._inside(case, label, settings, outputs)
        return Prediction(case, label, probability, outputs, remarks=(*remarks, *missing), inside=inside)

    def _inside_stack(
        self, pages: Sequence[Case], label: np.ndarray, settings: PredictionSettings, outputs: Outputs
    ) -> tuple[tuple[Inside, ...], tuple[str, ...]]:
        """The pictures of the page in the middle of what was predicted as the class of `settings.contrast`."""
        if not settings.features:
            return (), ()
        from data.drawing.slices import middle

        mask, _other = Contrast.of(settings.contrast, outputs).masks(label, outputs.overlapping)
        place = middle(mask)[0]
        page = replace(pages[place], overlapping=outputs.overlapping)
        pictures, missing = self._inside(page, label[place], settings, outputs)
        title = f"page {place + 1} of {len(pages)}"
        return tuple(replace(one, image=replace(one.image, title=title)) for one in pictures), missing

    def _inside(
        self, case: Case, label: np.ndarray, settings: PredictionSettings, outputs: Outputs
    ) -> tuple[tuple[Inside, ...], tuple[str, ...]]:
        """The pictures that were asked for, and in words why there are none."""
        if not settings.attention and not settings.features:
            return (), ()
        from unet_common.prediction import inside  # with Matplotlib, for those who ask

        of_first, pictures, missing = (self._models[0], self.runs[0], case, label), [], []
        if settings.attention:
            pictures.append(inside.attention_maps(*of_first))
        if settings.features:
            try:
                pictures.append(inside.feature_maps(*of_first, settings, outputs))
            except UserError as error:
                missing.append(f"No feature maps: {error}")
        return tuple(pictures), tuple(missing)


def _predict_slabs(
    predict: Predict,
    image: np.ndarray,
    network: Network,
    settings: PredictionSettings,
    *arguments: Any,
    **options: Any,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Probabilities of a whole image, and of its region of interest if the network has one."""
    check_one_look(network, settings)
    predict_whole = predict_with_region if network.region_of_interest else predict_slabs
    return predict_whole(predict, image, network, settings, *arguments, **options)


def with_sets(case: Case, outputs: Outputs) -> Case:
    """The case with sets of classes in place of the class numbers of its label, if outputs may overlap."""
    if case.overlapping or not outputs.overlapping:
        return case
    sets = None if case.label is None else combine(class_masks(case.label, outputs.classes, False))
    return replace(case, label=sets, overlapping=True)


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
