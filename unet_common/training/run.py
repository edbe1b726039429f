"""A run: the folder of one training, and what all three implementations read from it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from data.about import About
from data.errors import UserError
from data.files import write_text
from data.labels.outputs import Outputs
from data.preprocessing.preprocessor import Preprocessor
from data.preprocessing.statistics import Statistics, statistics
from data.sampling.sampler import Sampler, labelled
from data.sampling.split import Split, divide
from data.source import Source
from unet_common.experiment import Experiment, experiment_from, load_experiment, resolve, save_experiment
from unet_common.implementation import load
from unet_common.networks import Network, UNetBackboned, UNetEncoder
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

# Without --steps or --epochs; on the embedded data three minutes of two processor cores.
DEFAULT_STEPS = 400


@dataclass(frozen=True)
class Run:
    """The folder `path` and its files; the experiment, the split and the statistics that are saved in it."""

    path: Path
    experiment: Experiment
    split: Split
    statistics: Statistics

    @classmethod
    def create(cls, path: Path, experiment: Experiment) -> Run:
        """Check the data, divide it, and write a new run folder.

        Raises:
            UserError: the folder exists and is not empty, or the data has mistakes (all are listed).
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            hint = f"continue it with --resume {path}, or " if (path / "experiment.yaml").exists() else ""
            raise UserError(f"The run folder {path} exists already: {hint}choose another --run.")
        experiment = complete(experiment)
        source = experiment.data
        source.check()
        parts = divide(source.names(), experiment.sampling, experiment.seed)
        bare = Preprocessor(experiment.preprocessing)
        images = (bare(labelled(source, name)).measured for name in parts.training)
        run = cls(path, experiment, parts, statistics(images, source.channels))
        run.sampler  # noqa: B018  (reads the training images and refuses unsuitable ones)
        if experiment.pretrained:
            run._convert_pretrained(experiment.pretrained)
        run.state.write(NOT_STARTED)
        parts.save(path / "split.json")
        run.statistics.save(path / "statistics.json")
        write_text(run._about, run.about.model_dump_json(indent=1) + "\n")
        save_experiment(path / "experiment.yaml", experiment)  # last: it makes the folder a run
        return run

    @classmethod
    def open(cls, path: Path) -> Run:
        """Read a run folder. Raises UserError if it is none, or was written by another version."""
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
        """Open a run that was begun, to go on with it.

        Args:
            changes: settings by dotted key; only the length of the training may change.

        Raises:
            UserError: not a run, another setting is changed, or there is no checkpoint.
        """
        run = cls.open(path)
        others = sorted(changes.keys() - {"training.steps", "training.epochs"})
        if others:
            raise UserError(
                f"A resumed run keeps its settings; {', '.join(others)} cannot change. Start a new run with them, "
                f"from these weights if you like: --weights {run.best_weights}"
            )
        if not run.has_checkpoint():
            raise UserError(f"{path} has no checkpoint to resume from: train anew, without --resume.")
        if changes:
            length = {"steps": changes.get("training.steps"), "epochs": changes.get("training.epochs")}
            training = {**run.experiment.training.model_dump(), **length}
            settings = {**run.experiment.model_dump(mode="json"), "training": training}
            run = replace(run, experiment=experiment_from(settings))
            save_experiment(path / "experiment.yaml", run.experiment)
        run.split.check(run.source.names())
        return run

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
    def state(self) -> State:
        """The state of the training."""
        return State(self.path / "state.txt")

    @property
    def checkpoints(self) -> Path:
        """The folder of what a training resumes from, in the implementation's own format."""
        return self.path / "checkpoints"

    def has_checkpoint(self) -> bool:
        """True if there is a state to resume from. Damaged checkpoints are reported and taken off the list."""
        if not (self.checkpoints / "checkpoint").is_file():  # TensorFlow's list of them
            return False
        from unet_common.training.checkpoints import latest_intact

        return latest_intact(self.checkpoints) is not None

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
            return starting_weights(self.experiment.initial_weights, self.network)
        return {}

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
        return ceil(training.epochs * len(self.sampler) / training.batch_size)

    def epoch(self, step: int) -> float:
        """Passes over the data after `step` updates."""
        return step * self.experiment.training.batch_size / len(self.sampler)

    def training_batches(self, first_step: int) -> tf.data.Dataset:
        """The batches (images, targets) of the updates from `first_step` to the end, all of one shape."""
        from data.pipeline import training_batches

        return training_batches(
            self.sampler,
            self.experiment.training.batch_size,
            first_step,
            self.steps,
            self.experiment.sampling.workers,
            self.experiment.precision,
        )

    def validation_batches(self) -> tf.data.Dataset:
        """The batches (image, target) of the validation cases, each whole, padded to a size the network accepts.

        If the network does not take it in one piece, the batch holds its tiles, as large as the training's crop.
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
        )


def complete(experiment: Experiment) -> Experiment:
    """The experiment that `resolve` makes of another, for a training that can begin.

    Raises:
        UserError: there is no such data, the settings do not fit it, or the weights to start from are missing or those
            of another network. All that can be told without looking at every image, and without TensorFlow.
    """
    experiment = resolve(experiment)
    experiment.data.names()
    if experiment.initial_weights:
        starting_weights(experiment.initial_weights, experiment.network)
    if experiment.pretrained:
        check_origin(experiment.pretrained)
    return experiment


def new_run_path(experiment: Experiment, root: Path = Path("runs")) -> Path:
    """A folder name that sorts by time and says what is in it."""
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    name = f"{stamp}_{experiment.network.name}_{experiment.data.name}_{experiment.implementation}"
    path, number = root / name, 2
    while path.exists():
        path, number = root / f"{name}_{number}", number + 1
    return path
