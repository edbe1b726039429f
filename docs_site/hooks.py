"""What MkDocs asks for while it builds the site: pages that are written from the code, never pasted.

The front page is README. There is one page per network of the catalogue, one for the concepts of the three APIs, and
one for each source file that some page links to, so that no link leaves the site.
"""

import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from comparison import glossary  # noqa: E402
from comparison.concepts import Cell, Concept, concepts  # noqa: E402
from comparison.source import cut, imported_names  # noqa: E402
from docs_site.figures import figure  # noqa: E402
from unet_common.experiment import experiment_from, read_settings  # noqa: E402
from unet_common.implementation import IMPLEMENTATIONS  # noqa: E402
from unet_common.networks import CATALOGUE, Network  # noqa: E402
from unet_common.networks.listing import describe  # noqa: E402

TABS = {
    "lowlevel": "lowlevel: tf.nn, Session",
    "highlevel": "highlevel: tf.layers, Estimator",
    "keras": "keras: Keras 3",
}
LANGUAGES = {".py": "python", ".yaml": "yaml", ".md": "markdown", ".toml": "toml"}

# Rows of a table of counts before the rest is folded away.
SHOWN = 8

_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)(?:#[^)]*)?\)")
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The networks get their places in the navigation."""
    entries = [{name: f"networks/{name}.md"} for name in CATALOGUE]
    if (Path(config.docs_dir) / "networks.md").is_file():
        entries.insert(0, {"All of them": "networks.md"})
    for section in config.nav:
        if "Networks" in section:
            section["Networks"] = entries
    config.not_in_nav = config.not_in_nav or _ignored("/files/")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are written from the code, and those of the files that pages link to."""
    pages = {"index.md": front_page(), "concepts.md": concepts_page()}
    pages |= {f"networks/{name}.md": network_page(name) for name in CATALOGUE}
    written = [path.read_text(encoding="utf-8") for path in Path(config.docs_dir).glob("*.md")]
    linked = {match for text in written for match in _OUTSIDE.findall(text)}
    linked |= {
        match for text in pages.values() for match in re.findall(r"\]\((?:\.\./)?files/([^)]+)\.md", text)
    }
    pages |= {f"files/{path}.md": file_page(path) for path in sorted(linked)}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that lead out of docs/ lead to the pages of those files."""
    if page.file.generated_by:
        return markdown
    return _OUTSIDE.sub(r"](files/\1.md)", markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Colours of the code, bright and dark."""
    styles = {"[data-bs-theme=light] .highlight": "default", "[data-bs-theme=dark] .highlight": "github-dark"}
    rules = [HtmlFormatter(style=style).get_style_defs(place) for place, style in styles.items()]
    (Path(config.site_dir) / "assets" / "code.css").write_text("\n".join(rules), encoding="utf-8")


def front_page() -> str:
    """README, whose links lead to pages of docs/ or to those of other files."""

    def moved(match: re.Match) -> str:
        path = match[1]
        return "](" + (path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}.md")

    return _LINK.sub(moved, (ROOT / "README.md").read_text(encoding="utf-8"))


def network_page(name: str) -> str:
    """The page of a network: figure, paper, deviations, sizes, hyperparameters, counts, sources, how to run it."""
    network = CATALOGUE[name]()
    lead, about = _docstrings(network)
    told = describe(CATALOGUE[name])
    rows = [
        f"| `{key}` | {_value(entry['default'])} | {_cell(entry['description'])} |"
        for key, entry in told["hyperparameters"].items()
    ]
    ranks = " and ".join({2: "images", 3: "volumes"}[rank] for rank in told["ranks"])
    sections = [
        f"# {name}",
        lead,
        _figure(network),
        f"**Paper:** {_papers(network.paper)}  \n**Data:** {ranks}; {', '.join(told['tasks'])}  \n"
        f"**Sizes:** with the defaults, {told['sizes']}.",
        "## How it differs from the paper, and from other programs",
        about,
        "## Hyperparameters",
        f"Of a training they are set with `--set network.KEY=VALUE`. `rank` ({' or '.join(map(str, told['ranks']))}), "
        "`channels` and `classes` follow from the data if they are not given.",
        "\n".join(["| key | default | what it is |", "|-----|---------|------------|", *rows]),
        "## Numbers of weights",
        *_counts(name),
        "## The source, three times",
        "The same functions in the same order. Layers are in "
        + ", ".join(f"[`{file}`](../files/{file}.md)" for file in _layers())
        + ".",
        _in_tabs({impl: _listing(f"unet_{impl}/networks/{name}.py") for impl in IMPLEMENTATIONS}),
        *_blocks_of_others(name),
        "## Running it",
        "```\n" + "\n".join(commands(network)) + "\n```",
        *_results(name),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def commands(network: Network) -> list[str]:
    """Command lines that train a network: on generated data, and with the configurations that are kept."""
    data = "" if "binary" in network.tasks else " --data discs"
    if 2 not in network.ranks():
        data = " --data blobs3d"
    lines = [f"python train.py --impl {name} --network {network.name}{data}" for name in IMPLEMENTATIONS]
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        settings = read_settings(path)
        if settings["network"]["name"] == network.name:
            from_files = settings["data"]["name"] not in ("membranes", "discs", "blobs3d")
            lines.append(
                f"python train.py --config configs/{path.name}" + " --data-dir DIRECTORY" * from_files
            )
    return lines


def concepts_page() -> str:
    """The parts of a training program, each in three APIs."""
    sections = [
        "# The three APIs by concept",
        "From a single weight to several machines: what to look for, what each API did for you, and the functions "
        "that play the same part. The code is cut from the files of this project; the network is `unet`, the "
        "settings are the defaults. A choice of a tab holds for the whole page. `python compare.py` writes the same, "
        "for any network, as one page of three columns, with measurements.",
    ]
    meanings = [f"- **{word}:** {meaning}" for word, meaning in glossary.ENTRIES.items()]
    sections += [f'??? note "{glossary.TITLE}"\n\n' + indent("\n".join(meanings), " " * 4)]
    for concept in concepts(experiment_from({})):
        sections += _concept(concept)
    return "\n\n".join(sections) + "\n"


def file_page(path: str) -> str:
    """A file of the project, for links to it; a folder is a list of its files."""
    place = ROOT / path
    head = f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n"
    if place.is_dir():
        return head + "\n".join(
            f"- `{child.name}`" for child in sorted(place.iterdir()) if child.name[0] not in "._"
        )
    return head + _fence(place.read_text(encoding="utf-8"), LANGUAGES.get(place.suffix, ""))


def _concept(concept: Concept) -> Iterator[str]:
    yield f"## {concept.title} {{#{concept.key}}}"
    yield concept.look
    yield "\n".join(f"- **{TABS[name]}** {text}" for name, text in concept.api.items())
    for row in concept.rows:
        yield f"### {row.title} {{#{concept.key}-{re.sub(r'[^a-z0-9]+', '-', row.title.lower()).strip('-')}}}"
        yield _in_tabs({name: _show(cell, "") for name, cell in row.cells.items()})
    if concept.shared:
        yield '??? note "What all three use"\n\n' + indent(
            _show(Cell(references=concept.shared), ""), " " * 4
        )


def _show(cell: Cell, up: str) -> str:
    """The snippets of one implementation; the same file is named once."""
    parts = [cell.note]
    for reference in cell.references:
        snippet = cut(reference)
        parts.append(f"[`{snippet.file}`]({up}files/{snippet.file}.md)")
        parts += [_fence("\n".join(lines), "python", first) for first, lines in snippet.runs]
    return "\n\n".join(part for part in parts if part)


def _in_tabs(contents: dict[str, str]) -> str:
    return "\n\n".join(f'=== "{TABS[name]}"\n\n{indent(text, " " * 4)}' for name, text in contents.items())


def _fence(text: str, language: str, first: int = 1) -> str:
    marks = "`" * (1 + max([2, *map(len, re.findall(r"`{3,}", text))]))
    return f'{marks} {{.{language or "text"} linenums="{first}"}}\n{text.rstrip()}\n{marks}'


def _listing(file: str) -> str:
    text = (ROOT / file).read_text(encoding="utf-8")
    return f"[`{file}`](../files/{file}.md)\n\n" + _fence(text, "python")


def _layers() -> list[str]:
    return [f"unet_{name}/{'ops' if name == 'lowlevel' else 'layers'}.py" for name in IMPLEMENTATIONS]


def _blocks_of_others(name: str) -> Iterator[str]:
    """Links to the files whose blocks a network uses."""
    file = f"unet_lowlevel/networks/{name}.py"
    others = dict.fromkeys(path for path, _name in imported_names(file, "unet_lowlevel.networks"))
    if others:
        links = [
            f"[`{other}`](../files/{other}.md)"
            for path in others
            for other in [path.replace("unet_lowlevel", f"unet_{impl}") for impl in IMPLEMENTATIONS]
        ]
        yield "Blocks that it shares with other networks: " + ", ".join(links) + "."


def _docstrings(network: Network) -> tuple[str, str]:
    """What its module says it is, and what its class says of it."""
    module = sys.modules[type(network).__module__].__doc__ or ""
    about = (type(network).__doc__ or "").partition("\n")[2]
    lines = [line.strip() for line in about.strip().splitlines()]
    return module.strip(), "\n".join(lines)


def _figure(network: Network) -> str:
    drawn = figure(network)
    if drawn is None:
        return ""
    sentence = "Boxes have the names of the weights in them, and the number of channels that they give"
    return (
        f"{drawn.svg()}\n\n*{sentence}; rows are resolutions. Dashed: features that skip what lies between. With the "
        "default hyperparameters, one channel and one class, or as few as there can be.*"
    )


def _papers(text: str) -> str:
    return _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def _counts(name: str) -> Iterator[str]:
    expected = runpy.run_path(str(ROOT / "tests" / "expected" / f"{name}.py"))
    counted = expected.get("COUNTS")
    if counted is None:
        counted = [
            (hyperparameters, count, None) for hyperparameters, _size, count in expected["CONFIGURATIONS"]
        ]
    rows = [
        f"| {_hyperparameters(hyperparameters)} | {count:,} | {'' if trained is None else f'{trained:,}'} |"
        for hyperparameters, count, trained in counted
    ]
    head = ["| hyperparameters | all values | trained |", "|-----------------|-----------:|--------:|"]
    yield (
        "Exact, and the same in all three: the tests count them. What is not trained are moving statistics, and "
        "parts that are frozen."
    )
    yield "\n".join([*head, *rows[:SHOWN]])
    if rows[SHOWN:]:
        table = "\n".join([*head, *rows[SHOWN:]])
        yield f'??? note "{len(rows) - SHOWN} more"\n\n' + indent(table, " " * 4)


def _hyperparameters(given: dict) -> str:
    return ", ".join(f"`{key}` {_value(value)}" for key, value in given.items()) or "the defaults"


def _value(value: object) -> str:
    if value is None or value == []:
        return "none"
    return _cell(json.dumps(value).strip('"'))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _results(name: str) -> Iterator[str]:
    """A network's rows of what networks.md measured, and links to the sections of results.md that speak of it."""
    yield "## Results"
    text = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    measured = text[text.index("\n## ") :]  # the table before lists what there is
    for table in re.findall(r"(?:^\|.*\n)+", measured, flags=re.MULTILINE):
        if rows := _rows_of(name, table.splitlines()):
            yield "\n".join(rows)
    yield "How these were measured: [All of them](../networks.md#what-they-cost)."
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    titles = [section.partition("\n")[0].strip() for section in sections if f"`{name}`" in section]
    if titles:
        links = [f"[{title}](../results.md#{_anchor(title)})" for title in titles]
        yield f"Measured results: {', '.join(links)}."


def _rows_of(name: str, table: list[str]) -> list[str]:
    """Head and rows of a network, whose name stands in the first of its rows; without the column of names."""
    head, rows = table[:2], []
    mine = False
    for row in table[2:]:
        first = row.split("|")[1].strip()
        mine = f"`{name}`" in first if first else mine
        rows += [row] * mine
    return ["|" + row.split("|", 2)[2] for row in (*head, *rows)] if rows else []


def _anchor(title: str) -> str:
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower())).strip("-")


def _ignored(pattern: str) -> object:
    import pathspec

    return pathspec.gitignore.GitIgnoreSpec.from_lines([pattern])
