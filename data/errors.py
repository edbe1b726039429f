"""The one exception that is written for the person at the keyboard, and how commands tell of it."""

import io
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """A mistake a person can mend: what is wrong, in which file or setting, and what to do.

    The commands print its message without a traceback and end with status 2.
    """


def bullet_list(problems: list[str], most: int = 20) -> str:
    """The problems, one a line; beyond `most` lines only how many more there are."""
    lines = [f"  - {problem}" for problem in problems[:most]]
    if len(problems) > most:
        lines.append(f"  ... and {len(problems) - most} more")
    return "\n".join(lines)


def divided(message: str) -> tuple[str, str]:
    """The file that a message begins with, and what is wrong with it; ("", message) if it begins with none."""
    file, colon, what = message.partition(": ")
    return (file, what) if colon and "\n" not in file else ("", message)


def grouped(findings: Iterable[tuple[object, str]]) -> list[str]:
    """Findings (file, what is wrong): those that say the same of several files are one, with the names of all."""
    files: dict[str, list[str]] = {}
    for file, what in findings:
        files.setdefault(what, []).append(str(file))
    return [
        f"{names[0]}: {what}".removeprefix(": ")
        if len(names) == 1
        else f"{len(names)} files: {what}\n"
        + "\n".join(f"    {line}" for line in bullet_list(names, 100).splitlines())
        for what, names in files.items()
    ]


def run_command(command: Callable[[], int | None]) -> None:
    """Run `command` and exit. A `UserError` becomes its message and status 2; Ctrl-C becomes status 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        status = command()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
