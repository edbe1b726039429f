"""The one exception that is written for the person at the keyboard."""


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
