"""The pairs of images and labels that lie in folders, by their names; and a hint for what has no partner."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from unicodedata import normalize

from data.errors import UserError, bullet_list, grouped
from data.formats.unread import Unread, summary, unread, unread_beside
from data.formats.volumes import bare_name
from data.labels.label_maps import first_few

Findings = list[tuple[Path | str, str]]
"""Files, and what is wrong with them, for `data.errors.grouped`."""

# What names of images and labels often have more than those of their partners, behind or before.
OF_LABELS = "cp_masks?|masks?|segs?|segmentations?|labels?|gt|ground_?truth|truth|annotations?"
OF_IMAGES = "images?|img|0000"
BEHIND = re.compile(rf"[-_. ]({OF_LABELS}|{OF_IMAGES})$", re.IGNORECASE)
BEFORE = re.compile(rf"^({OF_LABELS}|{OF_IMAGES})[-_. ]", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """The files of a data set that are its images, or its labels.

    what: "image", "mask" or "label", as messages and the setting `data.WHAT_suffix` call them.
    folder, paths: where they lie, and the files that can be read.
    suffix: the part of all names before the ending that is not one of the name that pairs.
    """

    what: str
    folder: Path
    paths: tuple[Path, ...]
    suffix: str = ""

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """The files that have the suffix, by the name that pairs: as of `bare_name`, without the suffix."""
        files: dict[str, list[Path]] = {}
        for path in self.paths:
            if (name := self.name(path)) is not None:
                files.setdefault(name, []).append(path)
        return files

    @property
    def setting(self) -> str:
        """The name of the setting that is `suffix`."""
        return f"data.{self.what}_suffix"

    def name(self, path: Path) -> str | None:
        """The name that pairs; None without the suffix."""
        name, suffix = bare_name(path), normalize("NFC", self.suffix)
        return name.removesuffix(suffix) if name.endswith(suffix) and name != suffix else None


def divided(images: Part, labels: Part) -> tuple[Part, Part]:
    """Images and labels, of which no file is both where the two lie in one folder: it is that with the longer suffix.

    Raises UserError if it has to be both.
    """
    if images.folder.resolve() != labels.folder.resolve():
        return images, labels
    if images.suffix == labels.suffix:
        raise UserError(
            f"{images.folder}: holds both images and {labels.what}s, and nothing tells them apart. Give the part of "
            f"the names before the ending that only {labels.what}s have, as in --set {labels.setting}=_{labels.what}"
        )
    longer, shorter = sorted((images, labels), key=lambda part: -len(part.suffix))
    others = tuple(path for path in shorter.paths if longer.name(path) is None)
    longer = Part(
        longer.what, longer.folder, tuple(p for p in longer.paths if p not in others), longer.suffix
    )
    shorter = Part(shorter.what, shorter.folder, others, shorter.suffix)
    return (longer, shorter) if longer.what == images.what else (shorter, longer)


def several(part: Part) -> Findings:
    """Files of one part that have the same name, so that nobody can tell which is meant."""
    return [
        (_both(paths), "several files with one name. Keep one")
        for paths in part.files.values()
        if len(paths) > 1
    ]


def unpaired(part: Part, partner: Part, where: str = "") -> Findings:
    """Files whose name no file of the partner has, and what may be the reason. where: a part of the message."""
    alone = {name: paths[0] for name, paths in part.files.items() if name not in partner.files}
    if not alone:
        return []
    others = {name: paths[0] for name, paths in partner.files.items() if name not in part.files}
    in_lower_case = {name.casefold(): path for name, path in others.items()}
    shortened = {_shortened(name): name for name in others}
    reasons = {partner.name(path): reason for path, reason in unread(partner.folder, partner.paths)}
    some = bool(part.files.keys() & partner.files.keys())
    missing = f"there is no {partner.what} of this name{where}"
    findings: Findings = []
    for name, path in alone.items():
        if (twin := in_lower_case.get(name.casefold())) is not None:
            pair = sorted((path, twin), key=str)
            findings.append(
                (_both(pair), "the names differ in upper and lower case. Rename one, so that they pair")
            )
        elif (other := shortened.get(_shortened(name))) is not None:
            remedies = [*_remedies(part, name, some), *_remedies(partner, other, some)]
            findings.append((path, ". ".join([missing, *remedies])))
        elif name in reasons:
            findings.append((path, f"{missing} that is read: {reasons[name].removeprefix('not read: ')}"))
        else:
            findings.append((path, missing))
    return findings


def no_pairs(kind: str, images: Part, labels: Sequence[Part], further: Iterable[str] = ()) -> UserError:
    """The error that no image has a label: what there is, and the likely reasons. kind: "image" or "volume"."""
    found = []
    reasons: Findings = []
    for part in (images, *labels):
        names = f"{first_few(map(repr, part.files))} ({summary(part.folder)})"
        found.append(
            f"{part.folder} holds {names if part.files else f'no {kind}s, but {summary(part.folder)}'}"
        )
        reasons += [] if part.paths else unread(part.folder, ())
    plain = f"there is no {labels[0].what} of this name"
    reasons = reasons or [
        reason for part in labels for reason in unpaired(images, part) if reason[1] != plain
    ]
    return UserError(
        f"No {kind} has a {labels[0].what}. The two must have the same name up to the ending, but\n"
        f"{bullet_list([*found, *grouped(reasons), *further])}"
    )


def left_out(directory: Path, parts: Sequence[Part], folders: Iterable[Path] = ()) -> Unread:
    """All that lies in a data set and is not read, as of `unread`. folders: others that hold such folders."""
    read = {path for part in parts for path in part.paths}
    findings: Unread = []
    for part in parts:
        lacking = f"not read: the name does not end in {part.suffix!r} ({part.setting})"
        findings += [(path, lacking) for path in part.paths if part.name(path) is None]
    places = dict.fromkeys([*(part.folder for part in parts), *folders])
    for folder in places:
        findings += [finding for finding in unread(folder, read) if finding[0] not in places]
    above = {parent for folder in places for parent in folder.parents if parent.is_relative_to(directory)}
    for folder in sorted(above - set(places)):
        if ".." not in folder.relative_to(directory).parts:
            findings += unread_beside(folder, read | set(places))
    return findings


def suffixes(paths: Iterable[Path]) -> tuple[str, str] | None:
    """The suffixes of images and labels in one folder, such as x_img.png and x_masks.png; None without labels."""
    names = {bare_name(path) for path in paths}
    found: Counter[tuple[str, str]] = Counter()
    for name in names:
        if (end := re.search(rf"[-_. ]({OF_LABELS})$", name, re.IGNORECASE)) is not None:
            found.update(
                (of_image, end.group())
                for of_image in ("", "_img", "_image")
                if name[: end.start()] + of_image in names
            )
    return found.most_common(1)[0][0] if found else None


def _both(paths: Sequence[Path]) -> str:
    """Files by one name after the other; where they look the same, by the codes of their letters."""
    first, *others = paths
    names = [str(first), *(path.name if path.parent == first.parent else str(path) for path in others)]
    if len({normalize("NFC", path.name) for path in paths}) < len(paths) and first.parent == others[0].parent:
        names = [ascii(name) for name in names]
    return " and ".join(names)


def _shortened(name: str) -> str:
    """A name without what images or labels have more than their partners."""
    return BEFORE.sub("", BEHIND.sub("", name)) or name


def _remedies(part: Part, name: str, some: bool) -> list[str]:
    """The ways to have files pair that have more in their names than their partners. some: others pair already."""
    remedies = []
    if behind := BEHIND.search(name):
        suffix = behind.group() + part.suffix
        as_it_is = re.fullmatch(r"(_|[-.][A-Za-z])[\w.-]*", suffix)  # and no number to YAML
        assignment = f"{part.setting}={suffix}" if as_it_is else f"'{part.setting}=\"{suffix}\"'"
        others = f", if all {part.what}s have it; else rename these" if some else ""
        remedies.append(f"Those of {part.what}s end in {suffix!r}: --set {assignment}{others}")
    if before := BEFORE.search(name):
        prefix = before.group()
        rename = f'for f in {prefix}*; do mv "$f" "${{f#{prefix}}}"; done'
        remedies.append(
            f"Those of {part.what}s begin with {prefix!r}: rename them, in {part.folder}: {rename}"
        )
    return remedies
