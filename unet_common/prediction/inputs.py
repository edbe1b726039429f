"""The weights, images and settings that a prediction starts from, and what is refused before it does."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from data.errors import UserError, bullet_list
from data.files import natural_key
from data.formats.images import image_files
from data.formats.volumes import is_volume, series_below, volume_files, volume_name
from data.source import Case
from data.validation import validated
from unet_common.networks import Network
from unet_common.prediction.outputs import Contrast, predicted_outputs
from unet_common.prediction.settings import PredictionSettings
from unet_common.prediction.sliding_window import tile_sides
from unet_common.prediction.symmetries import check_mirrored, check_symmetries
from unet_common.training.run import Run
from unet_common.weights.interchange import check_file, parts_of, weight_names

BESIDE_A_SERIES = 2
"""Images that may lie in the folder of a DICOM series, such as a preview; with more it is a folder of images."""


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
            if settings.features:
                check_level(settings.features, find_weights(run, weights), run.network)
        pruned(run.network, settings.level)
        check_one_look(run.network, settings)
        tile_sides(settings.tile, run.network.rank)
        check_symmetries(settings.symmetries, run.network)
        check_mirrored(settings.symmetries, run)
        if settings.slices and run.network.rank != 2:
            raise UserError(
                f"--slices is for networks of images; {run.network.name} in {run.path} sees whole volumes."
            )


def check_level(level: str, weights: Path, network: Network) -> None:
    """Refuse feature maps of a level that no weights belong to. Raises UserError that lists the levels."""
    parts = parts_of(weight_names(weights, network))
    if level not in parts:
        first = sorted({part.partition("/")[0] for part in parts}, key=natural_key)
        raise UserError(
            f"--features: {network.name} has no level '{level}'. It has {', '.join(first)}, and layers within them, "
            "written as LEVEL/LAYER."
        )


ANY_SIZE = 2**14
"""Pixels along a side of an image that is larger than most."""


def check_effects(
    runs: Sequence[Run],
    settings: PredictionSettings,
    files: Iterable[Path] = (),
    figures: bool = False,
    look: bool = False,
) -> None:
    """Refuse what was set and would change nothing.

    Args:
        files: to predict; without them validation images are.
        figures, look: whether a picture of every volume, or a viewer, is asked for.

    Raises:
        UserError: a setting is for other networks or images.
    """
    network, given = runs[0].network, settings.model_fields_set
    if "threshold" in given and network.classes > 1 and not network.multilabel:
        raise UserError(
            f"--threshold is for sigmoids. The {network.classes} classes of this network exclude each other: a pixel "
            "is of the most probable one."
        )
    whole = network.rank == 2 and network.in_one_piece((ANY_SIZE,) * 2)
    if "overlap" in given and not settings.tile and whole:
        raise UserError("--overlap is of tiles, and this network takes images whole: give --tile as well.")
    files = list(files)
    if "least_size" in given and files:
        raise UserError("--least-size is of scores, and of what is given with --input no truth is known.")
    if "tolerance" in given and (files or network.rank == 2):
        raise UserError(
            "--tolerance is of the surface Dice, a score of volumes whose truth is known: of those for validation."
        )
    if settings.attention and network.attention_weight is None:
        raise UserError(
            f"--attention is for networks with attention maps, as unet_25d; this is {network.name}."
        )
    if settings.contrast and not settings.features:
        raise UserError("--contrast is of feature maps: give --features as well.")
    Contrast.of(settings.contrast, predicted_outputs(runs[0]))
    if (figures or look) and network.rank == 2 and not any(map(is_volume, files)):
        flag = "--figures are of" if figures else "--look is at"
        raise UserError(f"{flag} volumes, and these are images: their overlays are drawn anyway.")


def pruned(network: Network, level: int | None) -> Network:
    """The network with fewer columns. Raises UserError if it has none, or too few."""
    if level is None:
        return network
    if "level" not in type(network).model_fields:
        raise UserError(
            f"--level is for unet_plus_plus, whose columns can be pruned; this is {network.name}."
        )
    return validated(type(network), {**network.model_dump(), "level": level})


def check_one_look(network: Network, settings: PredictionSettings) -> None:
    """Refuse to leave out the region where there is none. Raises UserError."""
    if settings.one_look and not network.region_of_interest:
        raise UserError(f"--one-look is for unet_fine_grained, which looks twice; this is {network.name}.")


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
    files = [path]
    if path.is_dir():
        found = sorted({*image_files(path), *volume_files(path)}, key=lambda file: natural_key(file.name))
        # A series may have a picture or two beside it; DICOM files among many others are no series.
        if len(found) > BESIDE_A_SERIES or not is_volume(path):
            files = found
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
