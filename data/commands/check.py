"""The examination of a data set before anyone trains on it: every finding, and what it looks like."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from data.errors import UserError, grouped
from data.overview import Overview
from data.source import Source

NO_FOREGROUND = "has no foreground, which may be right"


@dataclass(frozen=True)
class Examination:
    """The findings, one line each.

    errors: what a training refuses. warnings: what may be right. unread: files that nothing reads, and why.
    facts: what the readable cases are like.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)


def examine(source: Source, progress: Callable[[list[str]], Iterable[str]] = iter) -> Examination:
    """Read every case.

    progress: given the names of the cases, passes them on one by one; `tqdm` for example.
    """
    try:
        unread = source.unread()
    except UserError:
        unread = []  # why is among the errors
    try:
        errors = source.problems()
        names = source.names()
    except UserError as error:
        return Examination(errors=[str(error)], unread=unread)
    overview = Overview(source)
    for name in progress(names):
        try:
            overview.add(source.read(name))
        except UserError:
            continue  # is among the errors
    facts = [f"{source.name}: {len(names)} labelled cases, {len(source.test_names())} without label"]
    facts += overview.lines()
    facts += [f"note: {note}" for note in source.notes()]
    warnings = grouped((case, NO_FOREGROUND) for case in overview.without_foreground)
    return Examination(errors, warnings, unread, facts)
