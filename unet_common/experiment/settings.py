"""The settings of a training, in one object. Impossible combinations are refused with the key, and what is allowed."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    model_validator,
)

from data.errors import UserError
from data.files import at_home
from data.settings import Augmentation, BelongsTo, Fraction, Preprocessing, Sampling, Settings
from data.source import Source
from data.sources import SOURCES, Membranes
from data.validation import attempt, refuse, validated
from unet_common import loss_parser
from unet_common.initialisation import Initialisation
from unet_common.networks import CATALOGUE, Network, UNet
from unet_common.schedule import Schedule

SGD = BelongsTo(("name",), ("sgd",))


class Optimizer(Settings):
    """The rule that turns gradients into changes of the weights."""

    name: Literal["adam", "sgd", "rmsprop"] = Field(
        "adam",
        description="adam divides by a root plus 1e-7, rmsprop by the root of a mean square plus 1e-7, which is 3e-4 "
        "or more",
    )
    learning_rate: PositiveFloat = Field(1e-3, description="before the schedule is applied")
    momentum: Annotated[Fraction, SGD] = Field(
        0.9, description="of sgd; adam and rmsprop have their own memory"
    )
    nesterov: Annotated[bool, SGD] = Field(False, description="Nesterov's form of sgd's momentum")
    clip_norm: PositiveFloat | None = Field(
        None, description="largest norm of all gradients together; longer ones are scaled down"
    )
    l2: NonNegativeFloat = Field(
        0.0, description="times the sum of the squared kernels is added to the training loss"
    )
    weight_decay: NonNegativeFloat = Field(
        0.0, description="decoupled: a step takes this share, times the learning rate, off every kernel"
    )


class Training(Settings):
    """The length of a training, and what happens on the way."""

    steps: PositiveInt | None = Field(None, description="updates of the weights (or give epochs)")
    epochs: PositiveFloat | None = Field(None, description="passes over the data (or give steps)")
    batch_size: PositiveInt = Field(4, description="samples that go through the network together")
    accumulate: PositiveInt = Field(
        1,
        description="batches of a step: their mean gradient changes the weights, as that of a batch so many times as "
        "large would, with the memory of one",
    )
    validate_every: PositiveInt = Field(50, description="steps between validations and checkpoints")
    keep: PositiveInt = Field(2, description="checkpoints kept to resume from, besides the best weights")
    early_stopping: PositiveInt | None = Field(
        None, description="stop after so many validations without a better Dice"
    )

    dice_average: Fraction = Field(
        0.0,
        description="weight of the past in the moving average of the validation Dice by which early stopping and the "
        "schedule plateau judge; 0: each validation by itself",
    )

    @model_validator(mode="after")
    def _one_length(self) -> "Training":
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give steps or epochs, not both")
        return self

    @property
    def samples_per_step(self) -> int:
        """Samples of all batches of a step."""
        return self.batch_size * self.accumulate


class Experiment(Settings):
    """Everything a training depends on. Two trainings with equal experiments are equal."""

    implementation: Literal["lowlevel", "highlevel", "keras"] = "lowlevel"
    network: SerializeAsAny[Network] = UNet()
    data: SerializeAsAny[Source] = Membranes()
    preprocessing: Preprocessing = Preprocessing()
    sampling: Sampling = Sampling()
    augmentation: Augmentation = Augmentation()
    loss: str = "dice + cross_entropy"
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    training: Training = Training()
    initialisation: Initialisation = Field(
        "he_normal",
        description="how the kernels are drawn that a training starts from; `per_part`: those of an encoder (called "
        "`encoder...`) normal with He's fan-out, all others uniform with PyTorch's fan-in",
    )
    initial_weights: Annotated[Path, AfterValidator(at_home)] | None = Field(
        None, description="interchange file to start from instead of random weights"
    )
    pretrained: Annotated[str, AfterValidator(os.path.expanduser)] | None = Field(
        None, description="what the encoder learned on ImageNet: a file, or `imagenet` to download it"
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Literal["float32", "float64"] = "float32"
    decided_by_data: dict[str, dict[str, Any]] = Field(
        {}, repr=False, description="of a run: what the data made of settings that were left open"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "Experiment":
        if "classes" not in self.network.left_open:
            loss_parser.check(self.loss, self.network.classes, self.network.multilabel)
        else:  # classes that are left open are those of the data, which `resolve` looks up
            loss_parser.parse(self.loss)
        if self.pretrained:
            if getattr(self.network, "encoder", "unet") in ("unet", "darknet52"):
                raise UserError(
                    f"pretrained: {self.network.name} has no encoder that was trained on ImageNet."
                )
            if self.initial_weights:
                raise UserError(
                    "pretrained: initial_weights are given, too, which hold those of the encoder."
                )
        crop = self.sampling.crop
        # A rank that is left open is that of the data, which `resolve` looks up.
        if crop and ("rank" not in self.network.left_open or len(crop) == self.network.rank):
            try:
                self.network.output_size(crop)
            except UserError as error:
                raise UserError(f"sampling.crop: {error}") from None
        return self


def experiment_from(settings: dict[str, Any]) -> Experiment:
    """Validate nested dictionaries as they come from YAML.

    Raises:
        UserError: lists every unknown key, wrong type and value out of range.
    """
    settings = dict(settings)
    problems: list[str] = []
    for key, registry, default in (("network", CATALOGUE, "unet"), ("data", SOURCES, "membranes")):
        section = settings.get(key, {})
        if isinstance(section, str):  # `network: unet` is short for `network: {name: unet}`
            section = {"name": section}
        if not isinstance(section, dict):
            problems.append(f"{key}: must be a name or a group of settings, got {section!r}")
            continue
        name = section.get("name", default)
        if not isinstance(name, str) or name not in registry:
            problems.append(f"{key}.name: must be one of {', '.join(registry)}; got {name!r}")
            continue
        settings[key] = attempt(registry[name], section, f"{key}.", problems)
    refuse(problems)
    return validated(Experiment, settings)
