"""The base of the data sets that a dataset.json describes: those of the Decathlon, and those of nnU-Net."""

import json
import os
import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data.errors import UserError, bullet_list, grouped
from data.files import natural_key
from data.formats.geometry import in_grid_of, same_place
from data.formats.unread import unread, unread_beside
from data.formats.volumes import bare_name, difference, read_volume, volume_files, volume_name
from data.labels.label_files import Reading
from data.labels.label_maps import first_few
from data.source import Case, unlabelled
from data.sources.pairing import Findings
from data.sources.pairs import Pair, VolumePairs

SUBFOLDERS = ("imagesTr", "labelsTr", "imagesTs")
CHANNELS = ("modality", "channel_names")
"""The keys of the names of channels: that of the Decathlon, and that of nnU-Net."""
PAIR = '{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}'


@dataclass(frozen=True)
class Listed:
    """The files of a case.

    where: the entry that lists them, as messages call it.
    parts: the folders on the way to the case, and its own name last; its name is as many of these as it takes.
    images: one file, or one for each channel.
    label: None where there is none.
    """

    where: str
    parts: tuple[str, ...]
    images: tuple[Path, ...]
    label: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """Images and label."""
        return (*self.images, *([self.label] if self.label else []))


@dataclass(frozen=True)
class Present:
    """The volumes that lie in a folder."""

    paths: Sequence[Path]

    @cached_property
    def by_name(self) -> dict[str, list[Path]]:
        """The files by their names up to the ending."""
        files: dict[str, list[Path]] = {}
        for path in self.paths:
            files.setdefault(bare_name(path), []).append(path)
        return files

    @cached_property
    def by_case(self) -> dict[str, dict[int, list[Path]]]:
        """The files of single channels, which nnU-Net calls case_0000, case_0001, ..., by case and number."""
        cases: dict[str, dict[int, list[Path]]] = {}
        for name, paths in self.by_name.items():
            if found := re.fullmatch(r"(.+)_([0-9]{4})", name):
                cases.setdefault(found[1], {})[int(found[2])] = paths
        return cases

    def channels(self, case: str, names: Sequence[str]) -> tuple[Path, ...] | str:
        """The files of the channels with these names; or what is wrong with them."""
        found = self.by_case[case]
        for number, name in enumerate(names):
            if number not in found:
                return f"there is no file of channel {number}, {name!r}, whose name ends in _{number:04}"
        if (most := max(found)) >= len(names):
            last = f"dataset.json lists {len(names)} channel(s), the last of which is _{len(names) - 1:04}"
            return f"there is a file of channel {most}, _{most:04}, but {last}"
        if any(len(paths) > 1 for paths in found.values()):
            return "several files of one channel have the same name up to the ending. Keep one"
        return tuple(found[number][0] for number in range(len(names)))


class DatasetJson(VolumePairs):
    """Base of the data sets with a dataset.json, which names channels, classes, and perhaps the files.

    A case is a file, with several channels if it has four axes, or a file for each channel.
    """

    required: ClassVar[tuple[str, ...]]
    """The keys that dataset.json must have."""

    @abstractmethod
    def _listed(self) -> tuple[list[Listed], Findings]:
        """The cases, and what is wrong with those that are left out."""

    @property
    def channels(self) -> int:
        return len(self._channels)

    @property
    def reading(self) -> Reading:
        reading = super().reading
        names, ignored = self._labels
        if ignored is not None and ignored not in (self.label_values or ()):
            reading = replace(reading, ignore=tuple(sorted({*reading.ignore, ignored})))
        if self.label_values or self.foreground:
            return reading
        return replace(reading, label_values=tuple(v for v in sorted(names) if v not in reading.ignore))

    @property
    def class_names(self) -> tuple[str, ...]:
        if self.foreground:
            return ("foreground",)
        names, _ignored = self._labels
        return tuple(names.get(value, f"label {value}") for value in self.values[1:])

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        return {name: (case.images[0], case.label) for name, case in self._cases[0].items()}

    def names(self) -> list[str]:
        if not any(case.label for case in self._cases[0].values()) and (faults := self.unpaired()):
            raise UserError(f"{self.directory} holds no image with a label:\n{bullet_list(faults)}")
        return super().names()

    def unpaired(self) -> list[str]:
        """The faults of the entries of dataset.json."""
        return grouped(self._cases[1])

    def problems(self) -> list[str]:
        faults: dict[str, None] = {}
        for part in ("_description", "_labels", "_channels", "_cases"):
            try:
                getattr(self, part)
            except UserError as error:
                faults[str(error)] = None  # once, if one part needs another
        if not faults:
            return super().problems()
        try:
            return [*faults, *self.unpaired()]
        except UserError:
            return list(faults)

    def notes(self) -> list[str]:
        notes = super().notes()
        try:
            of_file = sorted(set(self.reading.ignore) - set(self.ignore))
        except UserError:
            of_file = []  # `problems` tells of it
        notes += [
            f"pixels of the value {value}, 'ignore' in dataset.json, count in neither loss nor scores"
            for value in of_file
        ]
        outside = [path for path in self._files if not _is_below(path, self._folder)]
        if outside:
            notes.append(f"{len(outside)} file(s) lie outside of {self._folder}: {first_few(outside, 3)}")
        return notes

    def unread(self) -> list[str]:
        read = {real_path(path) for path in self._files}
        places = [self._folder / name for name in SUBFOLDERS]
        above = {place for path in self._files for place in path.parents}
        places += [place for place in above if _is_below(place, self._folder)]
        unique = {real_path(place): place for place in reversed(places) if place.is_dir()}
        unique.pop(real_path(self._folder), None)
        findings: Findings = []
        ways: set[Path] = set()
        for place in sorted(unique.values(), key=str):
            here = {path for path in place.iterdir() if real_path(path) in read}
            inner = {path for path in place.iterdir() if real_path(path) in unique}
            ways |= here | {place}
            volumes = set(volume_files(place))
            findings += [
                (path, self._unlisted(path) if path in volumes else why)
                for path, why in unread(place, here)
                if path not in inner and real_path(path) not in self._left_out
            ]
        top = {
            path for path in self._folder.iterdir() if real_path(path) in read or real_path(path) in unique
        }
        return grouped([*findings, *unread_beside(self._folder, ways | top)])

    def _unlisted(self, path: Path) -> str:
        """The reason why a volume in a folder of the data set is not read."""
        return "is not listed in dataset.json"

    def _image(self, name: str) -> Case:
        first, *others = self._cases[0][name].images
        case = unlabelled(name, first)
        if not others or case.image.ndim != 4:
            return case
        channels = [_one_channel(first, case.image), *(_channel_of(case, first, path) for path in others)]
        return replace(case, image=np.concatenate(channels, axis=-1))

    def _read(self, name: str) -> tuple[Case, np.ndarray | None]:
        case, values = super()._read(name)
        if case.image.shape[-1] != self.channels:
            key = next(key for key in CHANNELS if self._description.get(key))
            raise UserError(
                f"{case.path}: has {case.image.shape[-1]} channel(s), but dataset.json lists {self.channels} "
                f"under '{key}'."
            )
        return case, values

    @property
    def _folder(self) -> Path:
        if self.directory is None:
            raise UserError(f"{self.name} needs --data-dir, the folder with dataset.json.")
        return self.directory

    @property
    def _path(self) -> Path:
        return self._folder / "dataset.json"

    @property
    def _files(self) -> list[Path]:
        """All files that are read."""
        return [path for case in self._cases[0].values() for path in case.files]

    @cached_property
    def _cases(self) -> tuple[dict[str, Listed], Findings]:
        """The cases by their names, in natural order; and what is wrong with the entries of dataset.json."""
        listed, faults = self._listed()
        unique, twice = _without_repeats(listed)
        kept = {case.where for case in unique}
        self._left_out.update(
            real_path(path) for case in listed if case.where not in kept for path in case.files
        )
        named = dict(
            zip(
                _names([case.parts for case in unique], [case.label is not None for case in unique]),
                unique,
                strict=True,
            )
        )
        return {name: named[name] for name in sorted(named, key=natural_key)}, [*faults, *twice]

    @cached_property
    def _left_out(self) -> set[Path]:
        """The files of no case of which `unpaired` tells; `_cases` fills it."""
        return set()

    @cached_property
    def _channels(self) -> tuple[str, ...]:
        """The names of the channels."""
        lists = [
            _channel_names(f"{self._path}: '{key}'", self._description[key])
            for key in CHANNELS
            if self._description.get(key)
        ]
        if len({len(names) for names in lists}) > 1:
            raise UserError(
                f"{self._path}: '{CHANNELS[0]}' and '{CHANNELS[1]}' list different channels. Keep one of the two."
            )
        return lists[0]

    @cached_property
    def _labels(self) -> tuple[dict[int, str], int | None]:
        """The names of the values of labels, and the value that is ignored."""
        return _label_names(f"{self._path}: 'labels'", self._description["labels"])

    @cached_property
    def _description(self) -> dict[str, Any]:
        path = self._path
        try:
            content = json.loads(path.read_bytes(), object_pairs_hook=_object)  # knows byte-order marks
        except OSError as error:
            raise UserError(
                f"{path} cannot be read ({error.strerror}): --data-dir must be a data set of the Decathlon, or "
                "nnU-Net's."
            ) from error
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise UserError(f"{path}: is {kind_of(content)}, but must be an object, {{...}}.")
        missing = [
            key
            for key in self.required
            if not content.get(key)
            and not (key in CHANNELS and any(content.get(other) for other in CHANNELS))
        ]
        if missing:
            other = "nnunet" if self.name == "decathlon" else "decathlon"
            raise UserError(
                f"{path} lacks {', '.join(missing)}: it is no description of a data set of the kind {self.name}. "
                f"Another kind: --data {other}"
            )
        return content

    def _present(self, folder: Path) -> Present:
        """The volumes in a folder; none if it does not exist."""
        if folder not in self._presences:
            self._presences[folder] = Present(volume_files(folder) if folder.is_dir() else ())
        return self._presences[folder]

    @cached_property
    def _presences(self) -> dict[Path, Present]:
        return {}

    def _entry(
        self, where: str, images: object, label: object = None, labelled: bool = True
    ) -> Listed | Findings:
        """The files that an entry lists; or what is wrong with it.

        where: the entry, as messages call it. images: of the case, one name or a list of them, as JSON has them.
        """
        texts = images if isinstance(images, list) and images else [images]
        wanted = [("image", text) for text in texts] + ([("label", label)] if labelled else [])
        faults: Findings = []
        found: list[Path] = []
        for what, text in wanted:
            if not isinstance(text, str) or not text.strip(" ./\\") or "\0" in text:
                is_what = "''" if text == "" else repr(text) if isinstance(text, str) else kind_of(text)
                faults.append((where, f"its {what} is {is_what}, but must be the name of a file"))
                continue
            files = self._find(text, by_channel=what == "image" and len(texts) == 1)
            if isinstance(files, str):
                faults.append((f"{where}, {text}", files))
            else:
                found += files
        chosen, of_label = (found[:-1], found[-1]) if labelled and not faults else (found, None)
        if not faults and len(texts) > 1 and len(texts) != self.channels:
            told = f"lists {len(texts)} images, but dataset.json lists {self.channels} channel(s)"
            faults.append((where, told))
        if faults:
            self._left_out.update(map(real_path, found))
            return faults
        return Listed(where, self._parts(str(texts[0]), chosen[0]), tuple(chosen), of_label)

    def _find(self, text: str, by_channel: bool) -> tuple[Path, ...] | str:
        """The file of a name, or the files of its channels; or what is wrong.

        A file of the same name with another ending is taken for it, if there is one.
        """
        path = self._spelled(text)
        if os.path.exists(path):
            return (path,)
        present, name = self._present(path.parent), bare_name(path)
        similar = present.by_name.get(name, [])
        if len(similar) == 1:
            return (similar[0],)
        if similar:
            return f"there is no such file, but {' and '.join(p.name for p in similar)}. Write which is meant"
        if by_channel and name in present.by_case:
            return present.channels(name, self._channels)
        remedy = "Put it there, or take the entry out of dataset.json"
        if not path.parent.is_dir():
            return f"there is no such file, and no folder {path.parent}. {remedy}"
        spelled = [p.name for p in present.paths if bare_name(p).casefold() == name.casefold()]
        return f"there is no such file{', but ' + ' and '.join(spelled) if spelled else ''}. {remedy}"

    def _spelled(self, text: str) -> Path:
        """The path of an entry; a backslash is a separator, as on Windows, unless a file has it in its name."""
        path = self._folder / text
        if "\\" in text and not os.path.exists(path):
            path = self._folder / text.replace("\\", "/")
        return path

    def _parts(self, text: str, image: Path) -> tuple[str, ...]:
        """The parts of a name: folders below that of the data set, or all, and the name without ending."""
        path = self._spelled(text)
        own = volume_name(image) if bare_name(image) == bare_name(path) else bare_name(path)
        folder, top = real_path(path.parent), real_path(self._folder)
        below = folder.relative_to(top) if folder.is_relative_to(top) else folder.relative_to(folder.anchor)
        return (*below.parts, own)

    def _without_label(self, present: Present, by_channel: bool) -> tuple[list[Listed], Findings]:
        """The cases in imagesTs that lie in `present`. by_channel: each is a file for every channel."""
        cases: list[Listed] = []
        faults: Findings = []
        if not by_channel:
            for path in present.paths:
                cases.append(Listed(str(path), ("imagesTs", volume_name(path)), (path,), None))
            return cases, faults
        for case in present.by_case:
            place = self._folder / "imagesTs" / case
            files = present.channels(case, self._channels)
            if isinstance(files, str):
                faults.append((place, files))
                self._left_out.update(
                    real_path(path) for paths in present.by_case[case].values() for path in paths
                )
            else:
                cases.append(Listed(str(place), ("imagesTs", case), files, None))
        return cases, faults


def kind_of(value: object) -> str:
    """The kind of a JSON value, in words."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values. Raises UserError if a key stands there twice: JSON takes the last."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"{twice!r} stands twice in one object. Keep one, or give the other another name.")
    return content


def _number(value: object) -> int | None:
    """The whole number that a JSON value is, or writes; None if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value >= 0 else None
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else None


def _channel_names(where: str, named: object) -> tuple[str, ...]:
    """The names of channels, from {"0": "T1", "1": "T2"} or ["T1", "T2"]. where: for the message of UserError."""
    form = 'Write {"0": "T1", "1": "T2"}, with the numbers from 0 on.'
    if isinstance(named, list):
        named = {str(number): name for number, name in enumerate(named)}
    if not isinstance(named, dict):
        raise UserError(f"{where} is {kind_of(named)}, not the names of the channels. {form}")
    numbers = {_number(key): name for key, name in named.items()}
    if sorted(numbers, key=str) != sorted(range(len(named)), key=str):
        raise UserError(f"{where} has the keys {', '.join(map(repr, named))}. {form}")
    if wrong := [key for key, name in named.items() if isinstance(name, (dict, list))]:
        raise UserError(f"{where}: the name of channel {wrong[0]} is {kind_of(named[wrong[0]])}. {form}")
    return tuple(str(numbers[number]) for number in range(len(numbers)))


def _label_names(where: str, labels: object) -> tuple[dict[int, str], int | None]:
    """The names of the values of labels in order, and the value of what is ignored, from either form of 'labels'.

    {"0": "background", "1": "front"} is the Decathlon's, {"background": 0, "front": 1, "ignore": 2} nnU-Net's.
    where: for the message of UserError, if it is neither.
    """
    form = 'Write {"background": 0, "front": 1} or {"0": "background", "1": "front"}.'
    if not isinstance(labels, dict):
        raise UserError(f"{where} is {kind_of(labels)}, not names of classes. {form}")
    if regions := [key for key, value in labels.items() if isinstance(value, list)]:
        raise UserError(
            f"{where}: {', '.join(map(repr, regions))} is a region, a list of values, which is not read: classes "
            'exclude each other here. Give every value in the label files one name of its own, as in "edema": 2.'
        )
    keys, values = [_number(key) for key in labels], [_number(value) for value in labels.values()]
    if None not in keys and all(isinstance(name, str) for name in labels.values()):
        if None not in values and keys != values:
            raise UserError(
                f"{where}: keys and values are numbers, so that nobody knows which are names. {form}"
            )
        numbers, own_names = keys, list(labels.values())
    else:
        numbers, own_names = values, list(labels)
    pairs = []
    for number, name, entry in zip(numbers, own_names, labels.items(), strict=True):
        if number is None:
            key, value = entry
            raise UserError(f"{where}: {key!r} is {json.dumps(value)}, not a whole number from 0 on. {form}")
        pairs.append((number, name))
    names: dict[int, str] = {}
    for number, name in sorted(pairs):
        if number in names:
            raise UserError(
                f"{where}: {names[number]!r} and {name!r} are both {number}. Keep one of the names."
            )
        if name in names.values():
            raise UserError(f"{where}: several values have the name {name!r}. Give each a name of its own.")
        names[number] = name
    ignored = next((number for number, name in names.items() if name == "ignore"), None)
    if ignored is not None and ignored != max(names):
        raise UserError(
            f"{where}: 'ignore' is {ignored}, but nnU-Net has it as the highest number, here {max(names)}. If it is a "
            "class, give it another name; else set data.ignore and take it out."
        )
    if 0 not in names:
        raise UserError(f'{where}: no name has the value 0, the background. Add "background": 0, or "0".')
    if len(names) - (ignored is not None) < 2:
        raise UserError(f"{where}: names nothing but the background. Name the classes, too. {form}")
    if ignored is not None:
        del names[ignored]
    return names, ignored


def _without_repeats(listed: list[Listed]) -> tuple[list[Listed], Findings]:
    """The cases whose files no case before them has, and what is wrong with the others."""
    seen: dict[Path, tuple[str, str]] = {}
    cases: list[Listed] = []
    faults: Findings = []
    for case in listed:
        # Links to files are followed for images alone: stores that keep equal files once, have one for empty labels.
        files = [("image", path, {real_path(path), _place(path)}) for path in case.images]
        files += [("label", case.label, {_place(case.label)})] if case.label else []
        own = set().union(*(places for *_file, places in files))
        repeated = [(what, path, *seen[p]) for what, path, places in files for p in places if p in seen]
        if len(own) < sum(len(places) for *_file, places in files):
            faults.append((case.where, "lists one file twice"))
        elif repeated:
            what, path, other, where = repeated[0]
            told = f"the same {what}" if what == other else "an image of one is the label of the other"
            both = f"{where} and {case.where.removeprefix(_start(where))}, {path}"
            faults.append((both, f"{told}. Keep one of the two"))
        else:
            cases.append(case)
            seen.update({place: (what, case.where) for what, _path, places in files for place in places})
    return cases, faults


def _start(where: str) -> str:
    """The name of dataset.json, with which entries are called."""
    return where.partition("dataset.json, ")[0] + "dataset.json, "


def _names(paths: list[tuple[str, ...]], labelled: list[bool]) -> list[str]:
    """A name for each path, no two the same: its last part, with as many before it as that takes.

    The only labelled one of several keeps the short name: runs know it by that, whatever is to be predicted besides.
    """
    lengths = [1] * len(paths)
    while True:
        names = ["_".join(parts[-length:]) for parts, length in zip(paths, lengths, strict=True)]
        together: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            together.setdefault(name, []).append(index)
        again = [
            index
            for indices in together.values()
            if len(indices) > 1
            for index in indices
            if not labelled[index] or sum(labelled[other] for other in indices) > 1
        ]
        longer = [index for index in again if lengths[index] < len(paths[index])]
        if not again:
            return names
        if not longer:  # such as x of the folder a, and a_x
            break
        for index in longer:
            lengths[index] += 1
    taken = set(names)
    for indices in together.values():
        for index in sorted(indices, key=lambda index: not labelled[index])[1:]:
            number = next(n for n in range(2, len(paths) + 3) if f"{names[index]}_{n}" not in taken)
            names[index] = f"{names[index]}_{number}"
            taken.add(names[index])
    return names


def real_path(path: Path) -> Path:
    """The path without links, `.` and `..`, however it is spelled."""
    return Path(os.path.realpath(path))


def _place(path: Path) -> Path:
    """The path without links to folders, `.` and `..`; the last may be a link."""
    return real_path(path.parent) / path.name


def _is_below(path: Path, folder: Path) -> bool:
    """True for what lies in a folder, by its name or where links lead."""
    named = Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))
    return named or real_path(path).is_relative_to(real_path(folder))


def _one_channel(path: Path, image: np.ndarray) -> np.ndarray:
    """The image [*size, 1] in a file that is one of several channels. Raises UserError if it has more."""
    if image.shape[-1] != 1:
        raise UserError(
            f"{path}: has {image.shape[-1]} channels, but is itself one of the channels of its case."
        )
    return image


def _channel_of(case: Case, first: Path, path: Path) -> np.ndarray:
    """A further channel [*size, 1] of a case, turned as its first.

    Raises UserError if the two do not lie on the same voxels of their files, as `check_pair` does of labels.
    """
    image, geometry = read_volume(path)
    resample = f"All channels of a case lie on one grid: resample it to that of {first.name}."
    if first.is_dir() or path.is_dir():
        raise UserError(f"{path}: a folder of DICOM slices is no channel of a case. Convert it to NIfTI.")
    if (geometry is None) != (case.geometry is None) or image.ndim != 4:
        raise UserError(f"{path}: is another kind of file than {first.name}, a channel of the same case.")
    size = case.image.shape[:3]
    if geometry is None or case.geometry is None:
        if image.shape[:3] != size:
            raise UserError(f"{path}: has the size {image.shape[:3]}, {first.name} {size}. {resample}")
        return _one_channel(path, image)
    in_grid, affine = in_grid_of(geometry.restore(image), geometry, case.geometry)
    if in_grid.shape[:3] != case.geometry.size:
        raise UserError(
            f"{path}: has the size {geometry.size}, {first.name} {case.geometry.size}. {resample}"
        )
    if not same_place(case.geometry.stored, affine, case.geometry.size):
        how = difference(case.geometry.stored, affine)
        raise UserError(f"{path}: lies elsewhere than {first.name} ({how}). {resample}")
    return np.ascontiguousarray(_one_channel(path, case.geometry.canonical(in_grid)))
