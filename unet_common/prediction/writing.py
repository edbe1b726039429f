"""Predictions as files: masks, probabilities, overlays."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from data.drawing.images import overlay
from data.errors import UserError
from data.files import replacing
from data.formats.images import write_mask
from data.formats.nifti import is_nifti, write_nifti
from data.labels.label_maps import is_class
from unet_common.prediction.predictor import Prediction


def save_prediction(prediction: Prediction, directory: Path, probabilities: bool) -> None:
    """Write the masks in the input's format, an overlay of an image, and on request the probabilities.

    Masks of images are made to be looked at: 255 is the foreground of a binary one. With more classes, and in
    volumes, a pixel holds its class. Classes that may overlap have masks of their own, in a folder each, as the data
    set `folder` reads them. Volumes with a place in the patient become NIfTI with the header of the input;
    probabilities are float32, NIfTI with a fourth axis for the classes or TIFF with a page for each.
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
        write_mask(path, mask if outputs.count > 1 and not outputs.multilabel else mask * 255)
    if probability is not None:
        with replacing(directory / "probabilities" / f"{case.name}.tif") as temporary:
            pages = np.moveaxis(probability, -1, 0)
            tifffile.imwrite(temporary, pages, photometric="minisblack", compression="zlib")
    if label.ndim == 2:
        with replacing(directory / "overlays" / f"{case.name}.png") as temporary:
            picture = overlay(case.image, case.label, label, outputs.overlapping, outputs.several)
            Image.fromarray(picture).save(temporary)


def _masks(prediction: Prediction) -> Iterator[tuple[str, np.ndarray]]:
    """The masks to write, each with its subfolder; of classes that may overlap, one of 0 and 1 for each."""
    if not prediction.outputs.multilabel:
        yield "", prediction.label
        return
    names = prediction.outputs.names
    assert names is not None  # all outputs of a prediction with sigmoids have names
    for number, name in enumerate(names, 1):
        yield name, is_class(prediction.label, number, overlapping=True).astype(np.uint8)


def _fresh(prediction: Prediction, path: Path) -> Path:
    """The `path`, unless it is the image itself."""
    origin = prediction.case.path
    if origin and path.resolve() == origin.resolve():
        raise UserError(f"The mask would overwrite the image {origin}: choose another --output.")
    return path
