"""A run: the folder of one training, and what all three implementations read from it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from data.about import About
from data.errors import UserError
from data.files import replacing, write_text
from data.labels.outputs import Outputs
from data.overview import Overview
from data.preprocessing.preprocessor import Preprocessor
from data.preprocessing.statistics import Statistics, statistics
from data.sampling.sampler import Sampler, labelled
from data.sampling.split import Split, divide
from data.source import Source
from data.validation import validated
from unet_common.experiment import (
    DEFAULT_STEPS,
    Experiment,
    check_beginning,
    check_validation,
    experiment_from,
    load_experiment,
    resolve,
    save_experiment,
)
from unet_common.implementation import load
from unet_common.networks import Network, UNetBackboned, UNetEncoder
from unet_common.training.beginning import lines_on_data
from unet_common.training.folder import check_path, making, run_folder
from unet_common.training.history import read_history
from unet_common.training.owner import owning
from unet_common.training.state import NOT_STARTED, State
from unet_common.weights.interchange import (
    Weights,
    check_weights,
    load_weights,
    save_weights,
    starting_weights,
)
from unet_common.weights.pretrained import check_origin, pretrained_weights

if TYPE_CHECKING:
    import tensorflow as tf

    from unet_common.losses.expression import Loss

# The settings that a resumed run may change.
RESUMABLE = {"training.steps", "training.epochs", "training.early_stopping", "data.directory"}


@dataclass(frozen=True)
class Run:
    """The folder `path` and its files; the experiment, the split and the statistics that are saved in it.

    found: what its data is like, in lines; only of a run that was just created.
    """

    path: Path
    experiment: Experiment
    split: Split
    statistics: Statistics
    found: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def create(cls, path: Path, experiment: Experiment) -> Run:
        """Check the data, divide it, and write a new run folder.

        Raises:
            UserError: the folder exists and is not empty, or another process makes a run in it; the settings do not fit
                the data, or the data has mistakes (all are listed). Nothing is left behind then.
        """
        directory = experiment.data.directory
        if directory is not None:  # the run is found from elsewhere, too, and so is its data
            data = experiment.data.model_dump() | {"directory": directory.absolute()}
            experiment = experiment.model_copy(update={"data": validated(type(experiment.data), data)})
        with making(path):
            return cls._create(path, complete(experiment))

    @classmethod
    def _create(cls, path: Path, experiment: Experiment) -> Run:
        source = experiment.data
        source.check()
        parts = divide(source.names(), experiment.sampling, experiment.seed)
        overview, kept = Overview(source), Overview(source)
        measured = _statistics(experiment, parts, overview)
        for name in parts.validation:
            kept.add(labelled(source, name))
        run = cls(path, experiment, parts, measured, tuple(lines_on_data(source, parts, overview, kept)))
        run.sampler  # noqa: B018  (reads the training images and refuses unsuitable ones)
        experiment.schedule.check_length(run.steps)  # of epochs it is known only now
        if experiment.pretrained:
            run._convert_pretrained(experiment.pretrained)
        if experiment.initial_weights:  # a copy: the file may be gone when the training is resumed
            with replacing(run._starting_weights) as temporary:
                shutil.copyfile(experiment.initial_weights, temporary)
        run.state.write(NOT_STARTED)
        parts.save(path / "split.json")
        run.statistics.save(path / "statistics.json")
        write_text(run._about, run.about.model_dump_json(indent=1) + "\n")
        save_experiment(path / "experiment.yaml", experiment)  # last: it makes the folder a run
        return run

    @classmethod
    def open(cls, path: Path) -> Run:
        """Read a run folder, or that of an `experiment.yaml`.

        Raises UserError if it is none, or was written by another version.
        """
        path = run_folder(path)
        if not path.is_dir():
            raise UserError(f"There is no run folder {path}. Train first, or check --run.")
        if not (path / "experiment.yaml").is_file():
            raise UserError(f"{path} is not a run: it has no experiment.yaml.")
        return cls(
            path,
            load_experiment(path / "experiment.yaml"),
            Split.load(path / "split.json"),
            Statistics.load(path / "statistics.json"),
        )

    @classmethod
    def resume(cls, path: Path, changes: dict[str, Any]) -> Run:
        """Open a run that was begun, to go on with it; one that was stopped before its first checkpoint begins anew.

        Args:
            changes: settings by dotted key; only the length of the training and the place of the data may change.

        Raises:
            UserError: not a run, another process trains in it, another setting is changed, its checkpoints are gone,
                it is longer already, or there is other data at the new place.
        """
        run = cls.open(path)
        others = sorted(changes.keys() - RESUMABLE)
        if others:
            raise UserError(
                f"A resumed run keeps its settings; {', '.join(others)} cannot change. Start a new run with them, "
                f"from these weights if you like: --weights {run.best_weights}"
            )
        check_path(run.path)
        with owning(run.path):
            done = run.steps_done()
            if changes:
                run = run._changed(changes)
                check_validation(run.experiment)
                if run.steps < done:
                    raise UserError(
                        f"{run.path} has made {done} steps already: it cannot end after {run.steps}. Its weights of "
                        f"then are gone, but for the best: {run.best_weights}"
                    )
            try:
                run.split.check(run.source.names())
            except UserError as error:
                raise UserError(f"{error}\nIf the data has moved: --data-dir NEW_PLACE") from None
            if "data.directory" in changes:
                run._check_same_data()
            if changes:
                save_experiment(run.path / "experiment.yaml", run.experiment)
        return run

    def _changed(self, changes: dict[str, Any]) -> Run:
        """The run with other settings that a resumed training may have."""
        settings = self.experiment.model_dump(mode="json")
        if {"training.steps", "training.epochs"} & changes.keys():
            settings["training"] |= {"steps": None, "epochs": None}
        for key, value in changes.items():
            group, _dot, name = key.partition(".")
            settings[group][name] = value
        return replace(self, experiment=experiment_from(settings))

    def _check_same_data(self) -> None:
        """Compare the data with what the run was made from. Raises UserError if it is other data."""
        source = self.source
        here = _statistics(self.experiment, self.split, Overview(source))
        same = (here.mean, here.std) == (self.statistics.mean, self.statistics.std)
        if source.about() != self.about or not same:
            raise UserError(
                f"The data in {source.directory} is not what {self.path} was trained on: it has the same names, but "
                "other images, labels or kinds of them."
            )

    def steps_done(self) -> int:
        """The step of the last checkpoint that can be read; 0 if the training was stopped before its first.

        Raises:
            UserError: the training went further than to its first checkpoint, but there is none any more.
        """
        if (self.checkpoints / "checkpoint").is_file():  # TensorFlow's list of them
            from unet_common.training.checkpoints import latest_intact, step_of

            latest = latest_intact(self.checkpoints)
            if latest:
                return step_of(latest)
        history = read_history(self.history)
        if self.final_weights.is_file() or any(row["validation_dice"] is not None for row in history[:-1]):
            raise UserError(
                f"{self.path} has no checkpoint to resume from: what was in {self.checkpoints} is gone. Its weights "
                f"can start a new run: --weights {self.best_weights}"
            )
        return 0

    @property
    def network(self) -> Network:
        """The network's hyperparameters."""
        return self.experiment.network

    @property
    def source(self) -> Source:
        """The data set."""
        return self.experiment.data

    @property
    def _about(self) -> Path:
        return self.path / "data.json"

    @cached_property
    def about(self) -> About:
        """The properties that all cases of the data set share; kept, so that predictions need no data set."""
        if not self._about.is_file():  # a run of before, or one that is being made
            return self.source.about()
        try:
            return About.model_validate_json(self._about.read_bytes())
        except (OSError, ValidationError) as error:
            raise UserError(
                f"{self._about} cannot be read. Remove it, and the data set is asked instead."
            ) from error

    @cached_property
    def outputs(self) -> Outputs:
        """The meaning of the network's outputs: their classes, as this data set and these settings have them."""
        network, about = self.network, self.about
        return Outputs(
            network.classes,
            network.multilabel,
            about.overlapping,
            self.experiment.sampling.soften,
            network.region_of_interest,
            about.class_names,
            about.ignoring,
            about.mask_values,
        )

    @property
    def loss(self) -> Loss:
        """The loss of the experiment: a function of targets and of all logits in training, or the finest else."""
        from unet_common import losses

        network = self.network
        return losses.loss(
            self.experiment.loss, network.multilabel, self.outputs.ignoring, network.attention_weight
        )

    @property
    def state(self) -> State:
        """The state of the training."""
        return State(self.path / "state.txt")

    @property
    def checkpoints(self) -> Path:
        """The folder of what a training resumes from, in the implementation's own format."""
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "logs"

    @property
    def figures(self) -> Path:
        """The folder of the pictures."""
        return self.path / "figures"

    @property
    def history(self) -> Path:
        """The file of `unet_common.training.history`."""
        return self.path / "history.csv"

    @property
    def best_weights(self) -> Path:
        """The weights with the best validation Dice so far, for all implementations."""
        return self.path / "weights" / "best.h5"

    @property
    def final_weights(self) -> Path:
        """The weights after the last step, for all implementations."""
        return self.path / "weights" / "final.h5"

    @property
    def pretrained_weights(self) -> Path:
        """The file of what the encoder learned on ImageNet, if that was asked for, for all implementations."""
        return self.path / "weights" / "pretrained.h5"

    @cached_property
    def initial_weights(self) -> Weights:
        """The weights that the training starts from in place of random ones; perhaps only the encoder's."""
        if self.experiment.pretrained:
            return load_weights(self.pretrained_weights, self.network)
        if self.experiment.initial_weights:
            origin = self._starting_weights
            return starting_weights(
                origin if origin.is_file() else self.experiment.initial_weights, self.network
            )
        return {}

    @property
    def _starting_weights(self) -> Path:
        """The copy of the file that the training starts from."""
        return self.path / "weights" / "initial.h5"

    def _convert_pretrained(self, origin: str) -> None:
        """Write `pretrained_weights`. Raises UserError if they do not fit the network."""
        network = self.network
        assert isinstance(network, (UNetEncoder, UNetBackboned))  # an experiment is checked for that
        weights = pretrained_weights(origin, network)
        drawn = load(self.experiment.implementation).Model(network).weights()
        shapes = {name: value.shape for name, value in drawn.items() if name.startswith("encoder/")}
        check_weights(weights, shapes, origin)
        save_weights(self.pretrained_weights, weights, network)

    @property
    def prepare(self) -> Preprocessor:
        """The preparation of every case before the network sees it."""
        return Preprocessor(self.experiment.preprocessing, self.statistics)

    @cached_property
    def sampler(self) -> Sampler:
        """The training samples."""
        experiment = self.experiment
        return Sampler(
            self.source,
            self.split.training,
            experiment.sampling,
            experiment.augmentation,
            self.prepare,
            experiment.seed,
            self.outputs,
            self.network.largest_within,
        )

    @property
    def steps(self) -> int:
        """Updates of the whole training."""
        training = self.experiment.training
        if training.epochs is None:
            return training.steps or DEFAULT_STEPS
        return ceil(training.epochs * len(self.sampler) / training.samples_per_step)

    def epoch(self, step: int) -> float:
        """Passes over the data after `step` updates."""
        return step * self.experiment.training.samples_per_step / len(self.sampler)

    def training_batches(self, first_step: int) -> tf.data.Dataset:
        """The batches (images, targets) of the steps from `first_step` to the end, all of one shape."""
        from data.pipeline import training_batches

        training = self.experiment.training
        return training_batches(
            self.sampler,
            training.batch_size,
            first_step * training.accumulate,
            self.steps * training.accumulate,
            self.experiment.sampling.workers,
            self.experiment.precision,
        )

    def validation_batches(self) -> tf.data.Dataset:
        """The batches (image, target) of the validation cases, each whole, padded to a size the network accepts.

        If the network does not take it in one piece, the batch holds its tiles, as large as the training's crop; many
        tiles are several batches.
        """
        from data.pipeline import validation_batches

        def tile(size: tuple[int, ...]) -> tuple[int, ...] | None:
            return None if self.network.in_one_piece(size) else self.experiment.sampling.crop

        return validation_batches(
            self.source,
            self.split.validation,
            self.prepare,
            self.outputs,
            self.network.padding_for,
            self.experiment.precision,
            tile,
            self.network.output_size,
        )


def _statistics(experiment: Experiment, parts: Split, overview: Overview) -> Statistics:
    """Statistics of the training images as they are before these are applied; `overview` takes note of each."""
    source, bare = experiment.data, Preprocessor(experiment.preprocessing)
    images = (bare(overview.add(labelled(source, name))).measured for name in parts.training)
    return statistics(images, source.channels)


def complete(experiment: Experiment) -> Experiment:
    """The experiment that `resolve` makes of another, for a training that can begin.

    Raises:
        UserError: there is no such data, the settings do not fit it, or the weights to start from are missing or those
            of another network. All that can be told without looking at every image, and without TensorFlow.
    """
    check_beginning(experiment)
    experiment = resolve(experiment)
    experiment.data.names()
    if experiment.initial_weights:
        starting_weights(experiment.initial_weights, experiment.network)
    if experiment.pretrained:
        check_origin(experiment.pretrained)
    return experiment
