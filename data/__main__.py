"""Data sets: python -m data check|pack|show|fetch.

python -m data check PATH                          examine a data set before training on it
python -m data show PATH                           pictures of its images, and of what augmentation does to them
python -m data pack PATH --to hdf5|tfrecord OUT    prepare it once for many trainings
python -m data fetch hippocampus|isbi2012          download a public data set
"""

import argparse
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data.errors import UserError, bullet_list, run_command
from data.files import at_home
from data.settings import Augmentation, Preprocessing, Sampling, Settings
from data.source import Source
from data.sources.detect import source_at
from data.validation import assignment, read_yaml, refuse_idle, validated

GROUPS = {
    "check": ("data",),
    "show": ("data", "preprocessing", "sampling", "augmentation"),
    "pack": ("data", "preprocessing"),
}
"""The groups of settings that a command reads."""

EXAMPLES = {
    "check": "data.label_values=[0,2]",
    "show": "augmentation.rotation=15",
    "pack": "preprocessing.spacing=[1,1,1]",
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("check", "examine a data set"),
        ("show", "draw its images"),
        ("pack", "prepare it once for many trainings"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("path", metavar="PATH", help="a folder, or the name of a generated data set")
        command.add_argument("--data", metavar="NAME", help="which layout (default: found out)")
        command.add_argument("--config", metavar="FILE", help="YAML file with settings, as for train.py")
        command.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help=f"a setting, such as {EXAMPLES[name]}",
        )
        if name == "pack":
            command.add_argument("out", type=at_home, metavar="OUT", help="folder to write")
            command.add_argument("--to", choices=("hdf5", "tfrecord"), required=True)
            command.add_argument("--shards", type=_count, default=8, metavar="N", help="files of tfrecord")
        if name == "show":
            command.add_argument("--output", type=at_home, default=Path("shown"), metavar="DIR")
            command.add_argument("--cases", type=_count, default=4, metavar="N", help="how many (default: 4)")
    command = commands.add_parser("fetch", help="download a public data set")
    command.add_argument("what", choices=("hippocampus", "isbi2012"))
    command.add_argument("out", type=at_home, nargs="?", default=Path("datasets"), metavar="DIR")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    if arguments.command in GROUPS:
        _check_groups(arguments)
    return {"check": check, "show": show, "pack": pack, "fetch": fetch}[arguments.command](arguments)


def check(arguments: argparse.Namespace) -> int:
    """Print what `data.commands.check.examine` found; 1 if there are errors."""
    from data.commands.check import examine

    found = examine(_source(arguments), _bar)
    print("\n".join(found.facts))
    for what, lines in (
        ("Not read:", found.unread),
        (f"{len(found.warnings)} warning(s):", found.warnings),
        (f"{len(found.errors)} error(s):", found.errors),
    ):
        if lines:
            print(f"{what}\n{bullet_list(lines, most=200)}")
    if not found.errors:
        print("No errors found." if found.warnings else "No problems found.")
    return 1 if found.errors else 0


def show(arguments: argparse.Namespace) -> int:
    """Draw cases and augmented crops, and print the paths of the pictures."""
    source = _source(arguments)
    names = [*source.names(), *source.test_names()][: arguments.cases]
    sampling, augmentation, preprocessing = (
        _settings(arguments, *section)
        for section in (
            ("sampling", Sampling),
            ("augmentation", Augmentation),
            ("preprocessing", Preprocessing),
        )
    )
    from data.commands.show import show as draw  # with Matplotlib

    for path in draw(source, names, arguments.output, sampling, augmentation, preprocessing):
        print(path)
    return 0


def pack(arguments: argparse.Namespace) -> int:
    """Write a packed data set, and print how to train on it."""
    from data.commands.pack import pack as write

    preprocessing = _settings(arguments, "preprocessing", Preprocessing)
    write(_source(arguments), preprocessing, arguments.to, arguments.out, arguments.shards, _bar)
    print(f"Train on it with: python train.py --data packed --data-dir {arguments.out}")
    return 0


def fetch(arguments: argparse.Namespace) -> int:
    """Download a data set, or print where it can be had."""
    from data.commands.fetch import ISBI_2012, fetch_hippocampus

    if arguments.what == "isbi2012":
        print(ISBI_2012)
        return 0
    folder = fetch_hippocampus(arguments.out)
    print(f"Train on it with: python train.py --config configs/hippocampus.yaml --data-dir {folder}")
    return 0


def _source(arguments: argparse.Namespace) -> Source:
    section = _section(arguments, "data")
    if arguments.data:
        section["name"] = arguments.data
    return source_at(arguments.path, section)


def _settings(arguments: argparse.Namespace, name: str, kind: type[Settings]) -> Any:
    settings = validated(kind, _section(arguments, name))
    refuse_idle(settings, f"{name}.")
    return settings


def _count(text: str) -> int:
    """A whole number from 1 on. Raises ArgumentTypeError for another text."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 on")
    return int(text)


def _check_groups(arguments: argparse.Namespace) -> None:
    """Refuse settings that the command does not read, and groups in --config that nobody does. Raises UserError.

    A file may have those of a training, too: it is as for train.py.
    """
    groups = GROUPS[arguments.command]
    for key, _value in map(assignment, arguments.set):
        group, dot, _setting = key.partition(".")
        if not dot or group not in groups:
            raise UserError(
                f"--set {key}: {arguments.command} takes settings of {', '.join(groups)}, such as "
                f"{EXAMPLES[arguments.command]}."
            )
    for group in read_yaml(arguments.config) if arguments.config else ():
        meant = get_close_matches(group, GROUPS["show"], n=1)
        if meant and group != meant[0]:
            raise UserError(f"{arguments.config}: {group} is unknown. Is it {meant[0]}?")


def _section(arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    """A group of settings: those of --config, overridden by --set."""
    section = (read_yaml(arguments.config) if arguments.config else {}).get(name) or {}
    section = {"name": section} if isinstance(section, str) else section
    if not isinstance(section, dict):
        raise UserError(f"{arguments.config}: {name} must be a group of settings; got {section!r}")
    section = dict(section)
    for text in arguments.set:
        key, value = assignment(text)
        group, _dot, setting = key.partition(".")
        if group == name:
            section[setting] = value
    return section


def _bar(names: list[str]) -> tqdm:
    return tqdm(names, unit="case", disable=None)


if __name__ == "__main__":
    run_command(main)
