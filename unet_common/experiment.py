"""The experiment: one validated object that holds every setting of a training.

It comes from a YAML file, from flags, or from a run folder, where it is saved; `resolve` fills in what the
data decides (channels, classes). Unknown keys, wrong types and impossible combinations are `UserError`s of one
line each that name the key and what is allowed.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
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
from data.files import at_home, write_text
from data.labels.soft_labels import SIDES
from data.preprocessing.preprocessor import Preprocessor
from data.preprocessing.regions import images
from data.settings import Augmentation, Fraction, Preprocessing, Sampling, Settings
from data.source import Source
from data.sources import SOURCES, Membranes
from data.validation import attempt, read_yaml, refuse, validated
from unet_common import loss_parser
from unet_common.initialisation import Initialisation
from unet_common.networks import CATALOGUE, Network, UNet
from unet_common.schedule import Schedule

FORMAT_VERSION = 1

# Side of the training samples by the number of axes, before it is rounded up to what the network accepts.
DEFAULT_CROP = {2: 128, 3: 48}


class Optimizer(Settings):
    """The rule that turns gradients into changes of the weights."""

    name: Literal["adam", "sgd", "rmsprop"] = Field(
        "adam",
        description="adam divides by a root plus 1e-7, rmsprop by the root of a mean square plus 1e-7, which is 3e-4 "
        "or more",
    )
    learning_rate: PositiveFloat = Field(1e-3, description="before the schedule is applied")
    momentum: Fraction = Field(0.9, description="of sgd; adam and rmsprop have their own memory")
    nesterov: bool = Field(False, description="Nesterov's form of sgd's momentum")
    clip_norm: PositiveFloat | None = Field(
        None, description="largest norm of all gradients together; longer ones are scaled down"
    )
    l2: NonNegativeFloat = Field(
        0.0, description="times the sum of the squared kernels is added to the training loss"
    )
    weight_decay: NonNegativeFloat = Field(
        0.0, description="decoupled: a step takes this share, times the learning rate, off every kernel"
    )

    @model_validator(mode="after")
    def _nesterov_is_for_sgd(self) -> "Optimizer":
        if self.nesterov and self.name != "sgd":
            raise ValueError(f"nesterov is a form of sgd; with {self.name} it must be false")
        return self


class Training(Settings):
    """The length of a training, and what happens on the way."""

    steps: PositiveInt | None = Field(None, description="updates of the weights (or give epochs)")
    epochs: PositiveFloat | None = Field(None, description="passes over the data (or give steps)")
    batch_size: PositiveInt = Field(4, description="samples per step")
    validate_every: PositiveInt = Field(50, description="steps between validations and checkpoints")
    keep: PositiveInt = Field(2, description="checkpoints kept to resume from, besides the best weights")
    early_stopping: PositiveInt | None = Field(
        None, description="stop after so many validations without a better Dice"
    )

    @model_validator(mode="after")
    def _one_length(self) -> "Training":
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give steps or epochs, not both")
        return self


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
        "he_normal", description="how the kernels are drawn that a training starts from"
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


def load_experiment(path: Path | str) -> Experiment:
    """Read an experiment from YAML, with what the data decided. Raises UserError with the file's name."""
    settings = read_settings(path)
    for group, values in settings.get("decided_by_data", {}).items():
        settings[group] = {**settings[group], **values}
    return experiment_from(settings)


def read_settings(path: Path | str) -> dict[str, Any]:
    """The settings in a YAML file as nested dictionaries, not yet validated."""
    settings = read_yaml(path)
    version = settings.pop("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}, this program reads {FORMAT_VERSION}. Use the version of "
            "the program that wrote it."
        )
    return settings


def save_experiment(path: Path, experiment: Experiment) -> None:
    """Write all settings, defaults included, as YAML.

    What the data decided stands apart, and null in its place: given to another data set, the file leaves it open again.
    """
    settings = {"format_version": FORMAT_VERSION, **experiment.model_dump(mode="json")}
    for group, values in experiment.decided_by_data.items():
        fields = type(getattr(experiment, group)).model_fields
        for name in values:
            settings[group][name] = None if group == "network" else fields[name].default
    write_text(path, yaml.safe_dump(settings, sort_keys=False))


def differences(
    first: dict[str, Any], second: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """The settings in which two nested dictionaries of settings differ: the dotted key, and both values."""
    for key in [*first, *(key for key in second if key not in first)]:
        one, other = first.get(key), second.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from differences(one, other, f"{prefix}{key}.")
        elif one != other:
            yield prefix + key, one, other


def resolve(experiment: Experiment) -> Experiment:
    """Fill in the network's rank, channels and classes and the crop from the data where the user left them open.

    Two label values make one class, a sigmoid; more make a softmax, and classes that may overlap a sigmoid each.
    """
    source, network, sampling = experiment.data, experiment.network, experiment.sampling
    preprocessing = experiment.preprocessing.for_rank(source.rank)
    if source.preprocessing is not None:  # records are prepared already
        preprocessing = source.preprocessing.model_copy(update={"positions": preprocessing.positions})
    if preprocessing.spacing is not None and len(preprocessing.spacing) != source.rank:
        raise UserError(
            f"preprocessing.spacing has {len(preprocessing.spacing)} numbers, the images have {source.rank} axes."
        )
    if source.rank not in network.ranks():
        taken, there = ("images", "volumes") if source.rank == 3 else ("volumes", "images")
        raise UserError(
            f"{network.name} is for {taken}, and '{source.name}' has {there}. Choose another network, or other data: "
            "`python train.py --list-networks` tells which is for which."
        )
    channels = Preprocessor(preprocessing).network_channels(source.channels, source.rank)
    given = {key: getattr(network, key) for key in network.model_fields_set}
    multilabel = given.get("multilabel", network.multilabel or source.overlapping)
    classes = source.classes - 1 if multilabel or source.classes == 2 else source.classes
    auxiliary = len(SIDES) * len(sampling.soften)
    if auxiliary and not multilabel:
        raise UserError(
            "sampling.soften is for classes with a sigmoid each: set network.multilabel=true as well."
        )
    if max(sampling.soften, default=0) >= source.classes:
        raise UserError(f"sampling.soften: '{source.name}' has the classes 1 to {source.classes - 1}.")
    region, further = network.region_of_interest, auxiliary
    if region:  # a second input, and outputs for it
        if auxiliary:
            raise UserError(
                f"sampling.soften is not for {network.name}: its last outputs are those of the region."
            )
        channels, further = channels * images(region), region.classes
    needed = {"rank": source.rank, "channels": channels, "classes": classes + further}
    needed |= {"multilabel": multilabel, "auxiliary": auxiliary}
    network = validated(type(network), {**needed, **given})
    if network.channels != channels:
        raise UserError(
            f"network.channels is {network.channels}, but the inputs made of '{source.name}' have "
            f"{channels} values per pixel. Leave it out, and the data decides."
        )
    if network.rank != source.rank:
        raise UserError(
            f"network.rank is {network.rank}, but the images of '{source.name}' have {source.rank} axes. Leave it "
            "out, and the data decides."
        )
    if source.overlapping and not network.multilabel:
        raise UserError(
            f"network.multilabel is false, but classes of '{source.name}' may overlap. Leave it out, and the data "
            "decides."
        )
    if multilabel and (network.foreground_classes < classes or network.auxiliary != auxiliary):
        raise UserError(
            f"network.classes is {network.classes} and network.auxiliary {network.auxiliary}, but '{source.name}' has "
            f"{classes} classes without the background and {further} copies of some, softened or in a region, "
            f"which make {classes + further} and {auxiliary}. Leave them out, and the data decides."
        )
    if not multilabel and 1 < network.classes < source.classes:
        raise UserError(
            f"network.classes is {network.classes}, but the labels of '{source.name}' have {source.classes} "
            "values, background included. Leave it out, and the data decides."
        )
    if sampling.crop is None:
        side = DEFAULT_CROP[network.rank]
        padded = zip(network.padding_for((side,) * network.rank), strict=True)
        crop = network.fixed_size or tuple(side + before + after for ((before, after),) in padded)
        sampling = sampling.model_copy(update={"crop": crop})
    settings = {key: getattr(experiment, key) for key in Experiment.model_fields}
    filled = {"network": network, "sampling": sampling, "preprocessing": preprocessing}
    return Experiment(**{**settings, **filled, "decided_by_data": _decided(experiment, filled)})


def _decided(experiment: Experiment, filled: dict[str, Settings]) -> dict[str, dict[str, Any]]:
    """The settings that the data decided, by group: those left open in `experiment`, or replaced in `filled`."""
    decided = {}
    for group, settings in filled.items():
        before, after = getattr(experiment, group), settings.model_dump(mode="json")
        changed = {name for name, value in before.model_dump(mode="json").items() if after[name] != value}
        if group == "network":  # the default of what was left open may be what the data decided
            changed |= before.left_open
        decided[group] = {name: after[name] for name in after if name in changed}
    return {group: values for group, values in decided.items() if values}
