"""From measurements to one HTML file: templates, highlighted source, nothing that is loaded from elsewhere."""

import html
import json
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from comparison import glossary
from comparison.agreement import PAIRS, for_script
from comparison.concepts import Concept
from comparison.defaults import ShownDefault
from comparison.source import ROOT, Snippet, cut
from data.errors import UserError
from data.files import write_text
from unet_common.experiment import Experiment
from unet_common.implementation import IMPLEMENTATIONS

# What a mail takes, and a phone opens at once.
MAX_BYTES = 10 * 2**20

NAMES = {"lowlevel": "tf.nn and Session", "highlevel": "tf.layers and Estimator", "keras": "Keras 3"}


@dataclass(frozen=True)
class Facts:
    """What the page says of its own making."""

    experiment: Experiment
    commit: str | None
    changed: bool
    written: str
    versions: dict[str, str]
    command: str


def write_page(path: Path, facts: Facts, concepts: Sequence[Concept], **parts: Any) -> None:
    """Write the page to `path`.

    Args:
        parts: `agreement`, `cost`, `pictures`, `features` and `defaults`; what is None, or not given, is left out.

    Raises:
        UserError: the page is larger than `MAX_BYTES`.
    """
    given = {"agreement": None, "cost": None, "pictures": None, "features": None, "defaults": None, **parts}
    settings = yaml.safe_dump(facts.experiment.model_dump(mode="json"), sort_keys=False)
    text = (
        environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            concepts=concepts,
            glossary=glossary,
            files=files_of(concepts, given["defaults"] or ()),
            implementations=IMPLEMENTATIONS,
            names=NAMES,
            settings=settings,
            pairs=PAIRS,
            heat_data=for_script(given["agreement"].groups) if given["agreement"] else None,
            **given,
        )
    )
    size = len(text.encode())
    if size >= MAX_BYTES:
        raise UserError(
            f"The page would have {size / 2**20:.1f} MiB, more than the {MAX_BYTES / 2**20:g} that are promised. "
            "Compare a smaller network, with --set network.depth=3 for example."
        )
    write_text(path, text)


def environment() -> Environment:
    """The page's templates, with the filters and functions that they use."""
    made = Environment(
        loader=PackageLoader("comparison"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"prose": prose, "embedded": embedded, "significant": significant, "breakable": breakable}
    made.globals |= {"cut": cut, "code": code, "numbered": numbered}
    return made


def files_of(concepts: Sequence[Concept], defaults: Sequence[ShownDefault]) -> dict[str, str]:
    """The text of every file of which something is shown: no link leads out of the page."""
    references = [
        *(reference for concept in concepts for reference in concept.references),
        *(reference for default in defaults for reference in default.references.values()),
    ]
    names = dict.fromkeys(cut(reference).file for reference in references)
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in names}


def prose(text: str) -> Markup:
    """Plain text with `code` and *emphasis*."""
    escaped = html.escape(text, quote=False)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return Markup(re.sub(r"(?<!\w)\*(\w[^*<>]*)\*(?!\w)", r"<em>\1</em>", escaped))


def breakable(name: str) -> Markup:
    """A canonical name that may be broken after each part."""
    return Markup(re.sub(r"([/_])", r"\1<wbr>", html.escape(name)))


def embedded(value: Any) -> Markup:
    """JSON within a script element, which nothing in it can end."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))


def significant(value: float, digits: int = 2) -> str:
    """A number for people: 0, 0.012, 3.4e-17."""
    if value == 0:
        return "0"
    return (
        f"{value:.{digits}g}" if 1e-3 <= abs(value) < 1e5 else f"{value:.{digits - 1}e}".replace("e-0", "e-")
    )


@cache
def code(snippet: Snippet) -> Markup:
    """Highlighted lines with their numbers in the file; a row of dots where lines were left out."""
    return Markup('<span class="gap">\u22ef</span>\n').join(
        numbered("\n".join(lines), start) for start, lines in snippet.runs
    )


# After these a long line is broken rather than elsewhere.
_BREAKS = re.compile(r'(<span class="p">[^<]*[(\[{]</span>|<span class="o">\.</span>)')


def numbered(text: str, first: int = 1, file: str = "") -> Markup:
    """Highlighted Python. Each line is a span; its number is drawn by the style sheet, so nobody copies it.

    Lines of a whole `file` can be linked to, as `#unet_keras/model.py-12`.
    """
    text = text.rstrip("\n")
    lines = highlight(text, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).rstrip("\n").split("\n")
    return Markup("").join(
        Markup('<span class="line"{} data-line="{}" style="--indent:{};--hang:{}">{}</span>\n').format(
            Markup(' id="{}-{}"').format(file, number) if file else "",
            number,
            len(plain) - len(plain.lstrip()),
            0 if 'class="sd"' in line else 4,
            Markup(_BREAKS.sub(r"\1<wbr>", line)),
        )
        for number, (line, plain) in enumerate(zip(lines, text.split("\n"), strict=True), first)
    )


def commit() -> tuple[str | None, bool]:
    """The commit of the source that is shown, None if nobody knows; and whether files have changed since."""
    try:
        told = [
            subprocess.run(
                ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20
            ).stdout
            for words in (
                ["rev-parse", "--short=12", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no"],
            )
        ]
    except (OSError, subprocess.SubprocessError):
        return None, False
    return told[0].strip(), bool(told[1].strip())


def facts(experiment: Experiment, command: str) -> Facts:
    """What is known before anything is measured."""
    versions = {"Python": platform.python_version(), "TensorFlow": tf.__version__, "Keras": keras.__version__}
    return Facts(experiment, *commit(), datetime.now().strftime("%Y-%m-%d %H:%M"), versions, command)
