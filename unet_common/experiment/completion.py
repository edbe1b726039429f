"""The completion of an experiment by its data, and what makes no sense with it."""

from typing import Any

from data.errors import UserError
from data.labels.soft_labels import SIDES
from data.preprocessing.preprocessor import Preprocessor
from data.preprocessing.regions import images
from data.settings import Augmentation, Preprocessing, Settings
from data.source import Source
from data.validation import refuse_idle, validated
from unet_common import loss_parser
from unet_common.experiment.settings import Experiment

# Side of the training samples by the number of axes, before it is rounded up to what the network accepts.
DEFAULT_CROP = {2: 128, 3: 48}

# Without --steps or --epochs; on the embedded data three minutes of two processor cores.
DEFAULT_STEPS = 400


def check_beginning(experiment: Experiment) -> None:
    """Refuse what is contradictory in a training that is to begin.

    A run that exists can be opened whatever its settings: what has no effect does no harm to a prediction.

    Raises UserError: a setting belongs to another choice than was made; a term of the loss has the weight 0; the
    warm-up is longer than the training; or as `check_validation`.
    """
    refuse_idle(experiment)
    if (
        experiment.training.dice_average
        and not experiment.training.early_stopping
        and experiment.schedule.name != "plateau"
    ):
        raise UserError(
            "training.dice_average has no effect: it belongs to training.early_stopping and to schedule.name=plateau. "
            "Leave it out, or set one of them."
        )
    loss_parser.refuse_weightless(experiment.loss)
    check_validation(experiment)
    if experiment.training.epochs is None:
        experiment.schedule.check_length(experiment.training.steps or DEFAULT_STEPS)


def check_validation(experiment: Experiment) -> None:
    """Refuse what waits for validations that there will not be. Raises UserError."""
    if experiment.sampling.fold is not None or experiment.sampling.validation:
        return
    waiting = ["training.early_stopping"] if experiment.training.early_stopping else []
    waiting += ["schedule.name=plateau"] if experiment.schedule.name == "plateau" else []
    if waiting:
        raise UserError(
            f"{' and '.join(waiting)}: the validation decides, but sampling.validation keeps no image for it. Set that "
            "above 0, or leave this out."
        )


def resolve(experiment: Experiment) -> Experiment:
    """Fill in the network's rank, channels and classes and the crop from the data where the user left them open.

    Two label values make one class, a sigmoid; more make a softmax, and classes that may overlap a sigmoid each.
    """
    source, network, sampling = experiment.data, experiment.network, experiment.sampling
    preprocessing = experiment.preprocessing.for_rank(source.rank)
    if source.preprocessing is not None:  # records are prepared already
        _check_packed(experiment.preprocessing, source)
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
    preprocessing = _with_positions(preprocessing, experiment)
    _check_axes(experiment.augmentation, source)
    _check_classes(experiment, source)
    channels = Preprocessor(preprocessing).network_channels(source.channels, source.rank)
    given = {key: getattr(network, key) for key in network.model_fields_set}
    multilabel = given.get("multilabel", network.multilabel or source.overlapping)
    classes = source.classes - 1 if multilabel or source.classes == 2 else source.classes
    auxiliary = len(SIDES) * len(sampling.soften)
    if auxiliary and not multilabel:
        raise UserError(
            "sampling.soften is for classes with a sigmoid each: set network.multilabel=true as well."
        )
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


def _with_positions(preprocessing: Preprocessing, experiment: Experiment) -> Preprocessing:
    """The preprocessing, with positions if the network needs them. Raises UserError if they were refused."""
    if not experiment.network.takes_positions or preprocessing.positions:
        return preprocessing
    if "positions" in experiment.preprocessing.model_fields_set:
        raise UserError(
            f"preprocessing.positions is false, but {experiment.network.name} depends on the position of a patch, with "
            "the settings that it has here. Leave it out, and the network decides."
        )
    return preprocessing.model_copy(update={"positions": True})


def _check_packed(given: Preprocessing, source: Source) -> None:
    """Refuse another preparation than data was packed with. Raises UserError."""
    packed = source.preprocessing
    for name in sorted(given.model_fields_set - {"positions"}):
        wanted, there = getattr(given, name), getattr(packed, name)
        if wanted is not None and wanted != there:
            raise UserError(
                f"preprocessing.{name} is {wanted}, but the data in {source.directory} was packed with {there}, which "
                "stays. Leave it out, or pack the data anew."
            )


def _check_axes(augmentation: Augmentation, source: Source) -> None:
    """Refuse axes that the images do not have. Raises UserError."""
    for name in ("flip_axes", "shift_axes"):
        axes = getattr(augmentation, name) or ()
        if max(axes, default=0) >= source.rank or len(set(axes)) < len(axes):
            raise UserError(
                f"augmentation.{name} is {list(axes)}: the images of '{source.name}' have the axes 0 to "
                f"{source.rank - 1}, each of which may be there once."
            )
    if augmentation.swap_labels and augmentation.flip_axes is not None and 0 not in augmentation.flip_axes:
        raise UserError(
            "augmentation.swap_labels has no effect: labels change places when axis 0 is mirrored, which is not in "
            "augmentation.flip_axes."
        )


def _check_classes(experiment: Experiment, source: Source) -> None:
    """Refuse classes that the labels do not have. Raises UserError."""
    sampling, pairs = experiment.sampling, experiment.augmentation.swap_labels
    last = source.classes - 1
    classes = f"'{source.name}' has the {'classes 1 to' if last > 1 else 'class'} {last}"
    if max(sampling.soften, default=0) >= source.classes:
        raise UserError(f"sampling.soften: {classes}.")
    if len(sampling.samples_per_class or ()) > source.classes:
        raise UserError(
            f"sampling.samples_per_class has {len(sampling.samples_per_class or ())} numbers: the first is for the "
            f"background, and {classes}."
        )
    swapped = [number for pair in pairs for number in pair]
    if pairs and (min(swapped) == 0 or max(swapped) >= source.classes or len(set(swapped)) < len(swapped)):
        raise UserError(
            f"augmentation.swap_labels is {[list(pair) for pair in pairs]}: {classes}, each of which may be "
            "in one pair; the background has no other side."
        )


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
