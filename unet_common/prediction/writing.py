"""Predictions as files: masks, probabilities, overlays."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image

from data.drawing.images import overlay
from data.errors import UserError
from data.files import replacing, write_text
from data.formats.images import write_mask
from data.formats.nifti import is_nifti, write_nifti
from data.labels.label_maps import class_name, is_class
from data.labels.outputs import Outputs
from unet_common.prediction.predictor import Prediction

CLASSES = "classes.csv"
"""The table of the numbers in masks."""


class ClassInMasks(NamedTuple):
    """A class as predicted masks have it: its number in masks, that in probabilities, and its name."""

    value: int
    number: int
    name: str


def save_classes(outputs: Outputs, directory: Path) -> list[ClassInMasks]:
    """Write which number stands for which class in the masks of predictions, as CSV; returns the rows.

    The classes 0, 1, ... are in the order of the probabilities; 0 is the background. Of classes that may overlap, a
    class's number is in the masks of the folder with its name.
    """
    numbers = range(outputs.classes + 1)
    rows = [
        ClassInMasks(
            outputs.values[number] if outputs.values else number,
            number,
            class_name(number, outputs.names) if number else "background",
        )
        for number in numbers
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("value", "class", "name"), *rows])
    write_text(directory / CLASSES, text.getvalue())
    return rows


def save_prediction(prediction: Prediction, directory: Path, probabilities: bool) -> None:
    """Write the masks in the input's format, an overlay of an image, and on request the probabilities.

    The numbers in masks are `Outputs.values`, see `save_classes`. Classes that may overlap have masks of their own, in
    a folder each, as the data set `folder` reads them. Volumes with a place in the patient become NIfTI with the header
    of the input; probabilities are float32, NIfTI with a fourth axis for the classes or TIFF with a page for each.
    """
    case, label, outputs = prediction.case, prediction.label, prediction.outputs
    probability = prediction.probability if probabilities else None
    if case.geometry is not None:
        suffix = ".nii" if case.path and case.path.name.lower().endswith(".nii") else ".nii.gz"
        for folder, mask in _masks(prediction):
            path = _fresh(prediction, directory / "masks" / folder / f"{case.name}{suffix}")
            write_nifti(path, mask, case.geometry)
        if probability is not None:
            write_nifti(directory / "probabilities" / f"{case.name}{suffix}", probability, case.geometry)
        return
    suffix = case.path.suffix if case.path and not is_nifti(case.path) else ".png"
    for folder, mask in _masks(prediction):
        path = _fresh(prediction, directory / "masks" / folder / f"{case.name}{suffix}")
        write_mask(path, mask)
    if probability is not None:
        with replacing(directory / "probabilities" / f"{case.name}.tif") as temporary:
            pages = np.moveaxis(probability, -1, 0)
            tifffile.imwrite(temporary, pages, photometric="minisblack", compression="zlib")
    if label.ndim == 2:
        with replacing(directory / "overlays" / f"{case.name}.png") as temporary:
            picture = overlay(case.image, case.label, label, outputs.overlapping, outputs.several)
            Image.fromarray(picture).save(temporary)


def _masks(prediction: Prediction) -> Iterator[tuple[str, np.ndarray]]:
    """The masks to write, each with its subfolder; of classes that may overlap, one for each."""
    label, outputs = prediction.label, prediction.outputs
    if not outputs.multilabel:
        yield "", label if outputs.values is None else _replaced(label, outputs.values)
        return
    assert outputs.names is not None and outputs.values is not None  # predictions with sigmoids have both
    for number, name in enumerate(outputs.names, 1):
        mask = is_class(label, number, overlapping=True).astype(np.uint8)
        yield name, _replaced(mask, (outputs.values[0], outputs.values[number]))


def _replaced(label: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    """The label map with the value at each class's place in its stead."""
    return np.array(values, np.min_scalar_type(max(values)))[label]


def _fresh(prediction: Prediction, path: Path) -> Path:
    """The `path`, unless it is the image itself."""
    origin = prediction.case.path
    if origin and path.resolve() == origin.resolve():
        raise UserError(f"The mask would overwrite the image {origin}: choose another --output.")
    return path
