"""The preparation of a data set, once for all trainings: crop, resampling, normalisation of single images, records."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np

from data.errors import UserError, bullet_list
from data.files import write_text
from data.formats.records import (
    INDEX,
    MARKER,
    AboutPacked,
    Form,
    Index,
    Record,
    read_record,
    write_hdf5,
    write_index,
    write_tfrecord,
)
from data.preprocessing.preprocessor import crop_and_resample, normalise
from data.settings import Preprocessing
from data.source import Case, Source


def pack(
    source: Source,
    settings: Preprocessing,
    form: Form,
    out: Path,
    shards: int = 8,
    progress: Callable[[list[str]], Iterable[str]] = iter,
) -> None:
    """Prepare every case of a source, with and without label, and write them to a new folder.

    What depends on more than one case stays for the training: the normalisation over a training set, which differs
    between splits. So do the positions, which belong to the network's input.

    form: 'hdf5', a file for each case, or 'tfrecord', `shards` files.
    out: is created. The folder of an interrupted packing with equal settings is used again, from the start: cases
        that are there already might be from files that have changed since.
    progress: given the names of the cases, passes them on one by one; `tqdm` for example.
    Every case is read back and compared bit for bit before the folder counts as a data set.
    Raises UserError for whatever is wrong with the source or the settings, if the folder holds something else, if
    the disk is full, and if what is read back differs.
    """
    settings = settings.for_rank(source.rank)
    about = _about(source, settings)
    if form not in get_args(Form):
        raise UserError(f"Data sets are packed to {' or '.join(get_args(Form))}, not to '{form}'.")
    if shards < 1:
        raise UserError(f"A data set needs at least one shard, not {shards}.")
    source.check()  # hours of packing should not end at a damaged file
    names = [*source.names(), *source.test_names()]
    plan = {"form": form, "shards": shards, "about": about.model_dump(mode="json")}
    digests: dict[str, str] = {}

    def records() -> Iterator[Record]:
        for name in progress(names):
            record = prepared(source.read(name), settings)
            digests[name] = record.digest()
            yield record

    try:
        _begin(out, json.dumps(plan, indent=1) + "\n")
        if form == "hdf5":
            written = write_hdf5(out, records(), about)
        else:
            written = write_tfrecord(out, records(), len(names), shards)
        files, problems = [], []
        for file in written:
            files.append(file)
            for entry in file.cases:
                try:
                    same = read_record(out, form, file, entry).digest() == digests[entry.name]
                    problems += [] if same else [f"{out / file.name}: '{entry.name}' differs"]
                except UserError as error:
                    problems.append(str(error))
        if problems:
            raise UserError(
                "What was read back is not what was written. The disk or the memory may be faulty:\n"
                f"{bullet_list(problems)}"
            )
        write_index(out, Index(form=form, about=about, files=tuple(files)))
        (out / MARKER).unlink()
    except OSError as error:
        raise UserError(
            f"{out}: could not be written ({error.strerror or error}). When that is mended, run the same command again."
        ) from error


def prepared(case: Case, settings: Preprocessing) -> Record:
    """A case as it is packed. Raises UserError if it cannot be resampled."""
    done = crop_and_resample(case, settings)
    size = done.image.shape[:-1]
    return Record(
        name=case.name,
        image=normalise(done, settings),
        label=done.label,
        spacing=tuple(float(step) for step in done.spacing),
        affine=None if case.geometry is None else _affine(case.geometry.affine, done.box, size),
        file=None if case.path is None else case.path.name,
        padding=done.padding,
    )


def _affine(affine: np.ndarray, box: tuple[slice, ...], size: tuple[int, ...]) -> np.ndarray:
    """The affine [4, 4] of the voxels that a box of voxels was resampled to, `size` along each axis.

    The outer faces of the first and the last voxel stay where they are, not their centres. The number of voxels is
    whole, so they may be a little larger or smaller than the spacing that was asked for.
    """
    start = np.array([part.start for part in box])
    factor = np.array([part.stop - part.start for part in box]) / size
    to_old = np.diag([*factor, 1.0])
    to_old[:3, 3] = start + 0.5 * factor - 0.5
    return affine @ to_old


def _about(source: Source, settings: Preprocessing) -> AboutPacked:
    if source.preprocessing is not None:
        raise UserError(f"{source.directory} is packed already: pack the data set that it was made of.")
    if settings.spacing is not None and len(settings.spacing) != source.rank:
        raise UserError(
            f"preprocessing.spacing has {len(settings.spacing)} numbers, the images have {source.rank} axes."
        )
    return AboutPacked(
        **source.about().model_dump(),
        label_values=tuple(range(source.classes)),
        preprocessing=settings.model_copy(update={"positions": False}),
        resampled_labels="linear",
    )


def _begin(out: Path, plan: str) -> None:
    """Mark a folder as one that is being packed. Raises UserError if it holds anything else."""
    marker = out / MARKER
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if (out / INDEX).exists():
            raise UserError(f"{out} holds a packed data set already: remove it, or choose another folder.")
        if not marker.is_file():
            raise UserError(f"{out} exists already and is not empty: choose another folder.")
        if marker.read_text(encoding="utf-8") != plan:
            raise UserError(
                f"{out} holds an interrupted packing with other settings: remove it, or choose another folder."
            )
        for path in out.iterdir():
            if path != marker and path.suffix in (".h5", ".tfrecord", ".json"):
                path.unlink()
    write_text(marker, plan)
