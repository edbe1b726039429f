"""Packed data sets: prepared cases in HDF5 files or TFRecord shards, and the index that lists them.

    index.json                       what the data set is and where every case lies; written last
    NAME.h5                          hdf5: a file for each case
    shard-00000-of-00008.tfrecord    tfrecord: a file for several cases

In either form a case is a range of bytes of a file, with its CRC-32. So one reader finds any case without reading
others, any number of threads read at once, and nothing that was cut off or changed gets as far as a decoder.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt, ValidationError

from data.about import About
from data.errors import UserError
from data.files import replacing, write_text
from data.settings import Preprocessing, Settings

FORMAT_VERSION: Final = 1
INDEX = "index.json"
MARKER = "packing.json"
"""Is in the folder from the beginning of packing until the index is there."""

CHUNK = 64
"""Side of the pieces in which HDF5 compresses an array, in voxels."""

LARGEST_EXAMPLE = 2**31 - 2**16
"""Bytes; protocol buffers end at 2 GiB."""

Form = Literal["hdf5", "tfrecord"]


@dataclass(frozen=True)
class Record:
    """A prepared case.

    image: float32 [*size, channels]. label: class indices [*size], None if unknown.
    spacing: of its voxels along each axis in mm, 1 where nothing is known.
    affine: float64 [4, 4], from its voxels to mm; None where nothing is known.
    file: name of the file that the case came from, None if it was generated.
    padding: bool [*size]: pixels that hold no measurement; None if all do.
    """

    name: str
    image: np.ndarray
    label: np.ndarray | None
    spacing: tuple[float, ...]
    affine: np.ndarray | None
    file: str | None
    padding: np.ndarray | None = None

    @property
    def pixels(self) -> dict[str, np.ndarray]:
        """The arrays that have a place for each pixel, as far as they are known."""
        arrays = {"image": self.image, "label": self.label, "padding": self.padding}
        return {key: array for key, array in arrays.items() if array is not None}

    def digest(self) -> str:
        """The SHA-256 of the whole record: records with equal digests are equal bit for bit."""
        arrays = (self.image, self.label, self.affine, self.padding)
        kinds = [None if array is None else (array.dtype.name, array.shape) for array in arrays]
        digest = hashlib.sha256(repr((self.name, self.spacing, self.file, kinds)).encode())
        for array in arrays:
            digest.update(b"" if array is None else _bytes(array))
        return digest.hexdigest()


class AboutPacked(About):
    """The properties that all cases of a packed data set share: those of the source they came from, and its packing.

    label_values: the numbers of the classes, which are the values in the packed labels unless these are sets of classes
    (`overlapping`). preprocessing: what was done already. resampled_labels: how, where that changed the voxels: to the
    nearest voxel, which shifts labels, until the packing of today.
    """

    label_values: tuple[int, ...]
    preprocessing: Preprocessing
    resampled_labels: Literal["nearest", "linear"] = "nearest"


class Entry(Settings):
    """A case, and which bytes of its file it is."""

    name: str
    labelled: bool
    offset: NonNegativeInt
    bytes: PositiveInt
    crc32: NonNegativeInt


class File(Settings):
    """A file of a packed data set and its cases, in order."""

    name: str
    bytes: PositiveInt
    crc32: NonNegativeInt
    cases: tuple[Entry, ...]


class Index(Settings):
    """A packed data set."""

    format_version: Literal[1] = FORMAT_VERSION
    form: Form
    about: AboutPacked
    files: tuple[File, ...]


def write_index(folder: Path, index: Index) -> None:
    """Make a folder a packed data set: to be called last."""
    write_text(folder / INDEX, index.model_dump_json(indent=1) + "\n")


def read_index(folder: Path) -> Index:
    """The index of a packed data set. Raises UserError if a folder is none, or its packing was interrupted."""
    path = folder / INDEX
    try:
        return Index.model_validate_json(path.read_bytes())
    except OSError as error:
        if (folder / MARKER).exists():
            raise UserError(
                f"{folder}: packing was interrupted, there is no {INDEX}. Pack it again: python -m data pack "
                f"DATASET --to hdf5|tfrecord {folder}"
            ) from None
        raise UserError(
            f"{folder} is no packed data set: {INDEX} cannot be read ({error.strerror}). Such a folder is written "
            f"by: python -m data pack DATASET --to hdf5|tfrecord {folder}"
        ) from None
    except ValidationError:
        raise UserError(
            f"{path}: is damaged, or from another version of this program, which reads format {FORMAT_VERSION}. "
            f"{remedy(folder, 'hdf5|tfrecord')}"
        ) from None


def write_hdf5(folder: Path, records: Iterator[Record], about: About) -> Iterator[File]:
    """Write a file for each record; yield what is to be listed of it once it is complete.

    Raises OSError if a file cannot be written.
    """
    for record in records:
        content = encode_hdf5(record, about)
        name, checksum = f"{record.name}.h5", zlib.crc32(content)
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
        entry = _entry(record, 0, content)
        yield File(name=name, bytes=len(content), crc32=checksum, cases=(entry,))


def write_tfrecord(folder: Path, records: Iterator[Record], count: int, shards: int) -> Iterator[File]:
    """Write `count` records to `shards` files; yield what is to be listed of each once it is complete.

    There are no more shards than records. Raises OSError if a file cannot be written.
    """
    shards = min(shards, count)
    for shard in range(shards):
        first, end = count * shard // shards, count * (shard + 1) // shards
        name = f"shard-{shard:05d}-of-{shards:05d}.tfrecord"
        yield _write_shard(folder / name, islice(records, end - first))
    next(records, None)  # lets a progress bar see the end


def read_record(folder: Path, form: Form, file: File, entry: Entry) -> Record:
    """Read one case. Safe to call from several threads.

    Raises UserError, with the file and what to do, if the file is missing, cut off or damaged.
    """
    path = folder / file.name
    try:
        with open(path, "rb") as stream:
            _check_size(path, stream.seek(0, io.SEEK_END), file, form)
            stream.seek(entry.offset)
            content = stream.read(entry.bytes)
    except OSError as error:
        raise _unreadable(path, error, form) from None
    if zlib.crc32(content) != entry.crc32:
        raise UserError(f"{path}: the case '{entry.name}' is damaged. {remedy(folder, form)}")
    return decode_hdf5(content, path) if form == "hdf5" else decode_example(content)


def check_file(folder: Path, form: Form, file: File) -> None:
    """Read a whole file. Raises UserError, with what to do, if it is missing, cut off or damaged."""
    path = folder / file.name
    try:
        _check_size(path, path.stat().st_size, file, form)
        checksum = _checksum(path)
    except OSError as error:
        raise _unreadable(path, error, form) from None
    if checksum != file.crc32:
        raise UserError(f"{path}: is damaged, its CRC-32 is not that of {INDEX}. {remedy(folder, form)}")


def remedy(folder: Path, form: str) -> str:
    """The advice about a folder with a damaged file."""
    return f"Remove {folder} and pack it again: python -m data pack DATASET --to {form} {folder}"


def encode_hdf5(record: Record, about: About) -> bytes:
    """The file of a record: a group of its name with `image` and, if known, `label` and `padding`.

    Made in memory: HDF5 does not survive a disk that becomes full under it.
    """
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        group = file.create_group(record.name)
        for key, array in record.pixels.items():
            # Whole pixels: a chunk has all channels of a box.
            box = tuple(min(CHUNK, side) for side in array.shape[: about.rank])
            chunks = box + array.shape[about.rank :]
            group.create_dataset(
                key, data=array, chunks=chunks, compression="gzip", compression_opts=4, shuffle=True
            )
        group.attrs["spacing"] = record.spacing
        if record.affine is not None:
            group.attrs["affine"] = record.affine
        if record.file is not None:
            group.attrs["file"] = record.file
        file.attrs["format_version"] = FORMAT_VERSION
        for key, value in about.model_dump(mode="json").items():
            if value is not None:  # HDF5 has no None
                file.attrs[key] = json.dumps(value) if isinstance(value, dict) else value
        file.attrs["complete"] = True
    return content.getvalue()


def decode_hdf5(content: bytes, path: Path) -> Record:
    """The inverse of `encode_hdf5`. Raises UserError, with `path`, if it is not the whole of such a file."""
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            if not file.attrs.get("complete", False):
                raise UserError(f"{path}: was not written completely. {remedy(path.parent, 'hdf5')}")
            ((name, group),) = file.items()
            return Record(
                name=name,
                image=group["image"][()],
                label=group["label"][()] if "label" in group else None,
                spacing=tuple(group.attrs["spacing"].tolist()),
                affine=group.attrs.get("affine"),
                file=group.attrs.get("file"),
                padding=group["padding"][()] if "padding" in group else None,
            )
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: is not HDF5 of a packed data set ({error}). {remedy(path.parent, 'hdf5')}"
        ) from None


def encode_example(record: Record) -> bytes:
    """A serialised tf.train.Example: arrays as little-endian bytes, with their shape and type beside them.

    The shard itself is not compressed, or no case could be found by its offset. Image and label are, by zlib:
    TensorFlow reads that too (`decode_compressed`), and Python decompresses it in several threads at once. Level 1,
    as higher ones gain a few percent on noisy images and take half as long again. Spacing and affine are bytes because
    an Example's own numbers have 32 bits.
    Raises UserError if the record is too large for an Example.
    """
    tf = _tensorflow()

    def feature(value: bytes | str | tuple[int, ...]) -> Any:
        if isinstance(value, tuple):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        value = value.encode() if isinstance(value, str) else value
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    values: dict[str, Any] = {"name": record.name, "spacing": _bytes(np.array(record.spacing, np.float64))}
    for key, array in record.pixels.items():
        values[key] = zlib.compress(_bytes(array), 1)
        values[f"{key}_shape"], values[f"{key}_dtype"] = array.shape, array.dtype.name
    if record.affine is not None:
        values["affine"] = _bytes(record.affine)
    if record.file is not None:
        values["file"] = record.file
    if sum(len(value) for value in values.values()) > LARGEST_EXAMPLE:
        raise UserError(f"{record.name}: is too large for TFRecord (2 GiB a case). Pack it with --to hdf5.")
    features = tf.train.Features(feature={key: feature(value) for key, value in values.items()})
    return tf.train.Example(features=features).SerializeToString()


def decode_example(content: bytes) -> Record:
    """The inverse of `encode_example`. Its arrays are read-only."""
    tf = _tensorflow()

    features = tf.train.Example.FromString(content).features.feature
    single = {
        key: feature.bytes_list.value[0] for key, feature in features.items() if feature.bytes_list.value
    }

    def array(key: str) -> np.ndarray:
        dtype = np.dtype(single[f"{key}_dtype"].decode()).newbyteorder("<")
        shape = tuple(features[f"{key}_shape"].int64_list.value)
        return np.frombuffer(zlib.decompress(single[key]), dtype).reshape(shape)

    return Record(
        name=single["name"].decode(),
        image=array("image"),
        label=array("label") if "label" in single else None,
        spacing=tuple(np.frombuffer(single["spacing"], "<f8").tolist()),
        affine=np.frombuffer(single["affine"], "<f8").reshape(4, 4) if "affine" in single else None,
        file=single["file"].decode() if "file" in single else None,
        padding=array("padding") if "padding" in single else None,
    )


def _write_shard(path: Path, records: Iterator[Record]) -> File:
    tf = _tensorflow()

    cases, size = [], 0
    with replacing(path) as temporary:
        try:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for record in records:
                    content = encode_example(record)
                    writer.write(content)
                    # TFRecord: the length in 8 bytes, its checksum in 4, the content, its checksum in 4.
                    cases.append(_entry(record, size + 12, content))
                    size += 12 + len(content) + 4
        except tf.errors.OpError as error:
            raise OSError(error.message) from None  # what other writers raise
        checksum = _checksum(temporary)
    return File(name=path.name, bytes=size, crc32=checksum, cases=tuple(cases))


def _tensorflow() -> ModuleType:
    """TensorFlow, imported when it is needed: most readers of data sets do without, and it takes seconds."""
    import tensorflow as tf

    return tf


def _entry(record: Record, offset: int, content: bytes) -> Entry:
    return Entry(
        name=record.name,
        labelled=record.label is not None,
        offset=offset,
        bytes=len(content),
        crc32=zlib.crc32(content),
    )


def _bytes(array: np.ndarray) -> bytes:
    """The bytes of an array: little-endian, the last axis fastest."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _checksum(path: Path) -> int:
    """CRC-32 of a file. It is there to find accidents, and takes a fraction of the time of a secure hash."""
    checksum = 0
    with open(path, "rb") as stream:
        while part := stream.read(2**20):
            checksum = zlib.crc32(part, checksum)
    return checksum


def _check_size(path: Path, size: int, file: File, form: Form) -> None:
    if size != file.bytes:
        raise UserError(
            f"{path}: has {size} bytes instead of {file.bytes}: it was cut off or replaced. "
            f"{remedy(path.parent, form)}"
        )


def _unreadable(path: Path, error: OSError, form: Form) -> UserError:
    return UserError(f"{path}: cannot be read ({error.strerror or error}). {remedy(path.parent, form)}")
