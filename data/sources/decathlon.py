"""The layout of the Medical Segmentation Decathlon (Antonelli et al. 2022, Nature Communications 13:4128)."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from data.errors import UserError, grouped
from data.formats.volumes import volume_files, volume_name
from data.sources.described import CHANNEL, Described, Listing, lexical


class Entry(NamedTuple):
    """A case: its path without an ending, the files of its channels or the one of all, and its label."""

    place: Path
    files: tuple[Path, ...]
    label: Path | None


class Decathlon(Described):
    """A folder with dataset.json, imagesTr, labelsTr and perhaps imagesTs.

    dataset.json names the channels ("modality"), the classes ("labels") and the pairs of files ("training"). Volumes
    with several channels have four axes, or a file for each (a_0000.nii.gz, a_0001.nii.gz), as the first version of
    nnU-Net has them, which lists a.nii.gz.
    """

    name: Literal["decathlon"] = "decathlon"

    @cached_property
    def listing(self) -> Listing:
        listing, named = Listing(), self._description_file
        entries = self._description.get("training")
        if not isinstance(entries, list) or not entries:
            raise UserError(
                f"{named} lacks training, a list of pairs of files, as in "
                '[{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}].'
            )
        found: list[Entry] = []
        for number, entry in enumerate(entries, 1):
            image = entry.get("image") if isinstance(entry, dict) else entry
            label = entry.get("label") if isinstance(entry, dict) else None
            where = f"entry {number} of training, {image}"
            if not isinstance(image, str) or not image or not isinstance(label, str | None):
                listing.findings.append(
                    (f"entry {number} of training", 'is no pair {"image": ..., "label": ...}')
                )
            elif not label:
                listing.findings.append((where, "has no label. Add it, or list the image under test"))
                listing.told.append(self._place(image))
            else:
                files = self._files(where, image, listing)
                found.append(Entry(*files, self._file(where, label, listing)))
        tests = self._description.get("test") or []
        for number, entry in enumerate(tests if isinstance(tests, list) else [], 1):
            image = entry.get("image") if isinstance(entry, dict) else entry
            if isinstance(image, str) and image:
                found.append(Entry(*self._files(f"entry {number} of test, {image}", image, listing), None))
        known = {path.resolve() for one in found for path in one.files}
        if (self._folder / "imagesTs").is_dir():
            rest = [p for p in volume_files(self._folder / "imagesTs") if p.resolve() not in known]
            found += _by_case(rest, self.channels)
        _find_doubles(found, listing)
        for name, one in zip(_distinct_names([one.place for one in found]), found, strict=True):
            listing.images[name], listing.labels[name] = one.files, one.label
        told = f"is listed in {named.name}, and lies outside of {self._folder}"
        listing.notes += grouped(
            (path, told)
            for one in found
            for path in (*one.files, *([one.label] if one.label else []))
            if not lexical(path).is_relative_to(lexical(self._folder))
        )
        return listing

    def _files(self, where: str, entry: str, listing: Listing) -> tuple[Path, tuple[Path, ...]]:
        """The path of a case without its ending, and its file, or those of its channels."""
        path = self._place(entry)
        if not path.exists() and (channels := _channels(path)):
            missing = [index for index in range(self.channels) if index not in channels]
            if missing:
                listing.findings.append((where, f"lacks the file of channel {missing[0]:04d}"))
            files = tuple(channels[index] for index in sorted(channels))
        else:
            files = (self._file(where, entry, listing),)
        return path.with_name(volume_name(path)), files

    def _file(self, where: str, entry: str, listing: Listing) -> Path:
        """The file that an entry means: as it is written, or the only one of that name with the other ending."""
        path = self._place(entry)
        if path.exists() or not path.parent.is_dir():
            return path  # reading it tells what is wrong
        others = [other for other in volume_files(path.parent) if volume_name(other) == volume_name(path)]
        if len(others) == 1:
            return others[0]
        if others:
            there = " and ".join(other.name for other in others)
            listing.findings.append((where, f"is missing, and it is not clear which is meant of {there}"))
        return path

    def _place(self, entry: str) -> Path:
        """The path of an entry. Backslashes separate folders unless a file has one in its name."""
        path = self._folder / entry
        return path if path.exists() or "\\" not in entry else self._folder / entry.replace("\\", "/")


def _channels(path: Path) -> dict[int, Path]:
    """The files beside a missing `a.nii.gz` that hold a channel each, `a_0000.nii.gz` and so on."""
    if not path.parent.is_dir():
        return {}
    found = ((CHANNEL.fullmatch(volume_name(file)), file) for file in volume_files(path.parent))
    return {int(match[2]): file for match, file in found if match and match[1] == volume_name(path)}


def _by_case(files: Iterable[Path], channels: int) -> list[Entry]:
    """Files without a list as cases: each by itself, or those of the channels of a case together."""
    cases: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        match = CHANNEL.fullmatch(volume_name(path))
        cases[match[1] if match and channels > 1 else volume_name(path)].append(path)
    return [Entry(paths[0].with_name(name), tuple(paths), None) for name, paths in cases.items()]


def _find_doubles(found: Sequence[Entry], listing: Listing) -> None:
    """Find files that are listed more than once."""
    images = Counter(path.resolve() for one in found for path in one.files)
    labels = Counter(one.label.resolve() for one in found if one.label is not None)
    for counts, what in ((images, "image"), (labels, "label")):
        listing.findings += [
            (path, f"is listed as the {what} of {times} cases") for path, times in counts.items() if times > 1
        ]


def _distinct_names(paths: Sequence[Path]) -> list[str]:
    """A name for each path: the last part, and before it as many folders as make all different."""
    names = [path.name for path in paths]
    for depth in range(2, 1 + max((len(path.parts) for path in paths), default=0)):
        counts = Counter(names)
        names = [
            name if counts[name] == 1 else "_".join(lexical(path).parts[-depth:]).replace(os.sep, "")
            for name, path in zip(names, paths, strict=True)
        ]
    counts, seen = Counter(names), Counter[str]()
    for index, name in enumerate(names):
        if counts[name] > 1:  # the same file twice, which is among the findings
            seen[name] += 1
            names[index] = f"{name}_{seen[name]}"
    return names
