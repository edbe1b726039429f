"""Every command line and every block of code in README.md and docs/ is run, or checked as far as that is possible.

Blocks are collected and sorted by what they are; one that no rule covers fails the tests. Commands are run in a folder
that has what they speak of, through their own parsers, and with their settings checked as they stand. Then networks
and lengths are replaced by tiny ones. What needs a download, hours, or changes this installation is parsed only.
"""

import ast
import importlib
import io
import json
import os
import pkgutil
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import nibabel
import numpy as np
import pytest
import tifffile
import yaml
from helpers import ROOT
from PIL import Image

from comparison.source import count_code_lines, lines_of_program
from data.commands.check import examine
from data.errors import UserError
from data.sources import SOURCES
from data.sources.detect import source_at
from unet_common.experiment import Experiment, experiment_from, read_settings, resolve
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE
from unet_common.training.beginning import lines_on_training
from unet_common.training.pace import Pace
from unet_common.training.run import Run
from unet_common.weights.interchange import save_weights

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PROGRAMS = ("python", "ruff", "tensorboard")


@dataclass(frozen=True)
class Block:
    """A fenced block. before: the paragraph above it."""

    page: Path
    language: str
    text: str
    before: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text[:60]!r}"

    @property
    def kind(self) -> str:
        """What is done with it; see `test_every_block_is_covered`."""
        if self.language:
            return self.language
        lines = list(command_lines(self.text))
        if all(words_of(line)[0] in PROGRAMS for line in lines):
            return "commands"
        if all(line.startswith("--") for line in lines):
            return "flags"
        if "->" in self.text:
            return "diagram"
        return "data listing" if DATA_FOLDER.match(self.text) else "listing"


DATA_FOLDER = re.compile(r"my_\w+/")


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, match[2], dedent(match[3]), text[: match.start()].rstrip().rpartition("\n\n")[2])
        for match in FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def of_kind(kind: str) -> list:
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.kind == kind]


def command_lines(text: str) -> Iterator[str]:
    """Commands: continued lines joined, `&&` taken apart, comments and set variables taken off."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        line = re.sub(r"\s+# .*", "", line).strip()
        for part in line.split(" && "):
            if part:
                yield part


def words_of(command: str) -> list[str]:
    words = shlex.split(command)
    return words[1:] if "=" in words[0] and not words[0].startswith("-") else words


def test_every_block_is_covered():
    kinds = {block.kind for block in BLOCKS}
    assert kinds <= {
        "commands", "flags", "listing", "data listing", "diagram", "python", "text", "diff", "yaml", "json",
        "console",
    }  # fmt: skip
    for index, block in enumerate(BLOCKS):
        if block.kind == "text":  # what the code above it prints
            assert BLOCKS[index - 1].kind == "python", block
        if block.kind == "diff":
            assert block.page.name == "adding.md", block


@pytest.mark.parametrize("block", of_kind("console"))
def test_what_a_training_says_is_what_it_says(block, tmp_path):
    """The beginning of the training without flags, but for the device; or an estimate."""
    if block.text.startswith("about "):
        pace = Pace(0, 400, None, iter(range(0, 60, 2)).__next__)
        assert re.sub(r"\d+", "N", next(filter(None, map(pace.stepped, range(1, 9))))) == re.sub(
            r"\d+", "N", block.text.strip()
        )
        return
    run = Run.create(tmp_path / "run", Experiment())
    weights = load("lowlevel").Model(run.network).variables
    trained = [value for name, value in weights.items() if "/moving_" not in name]
    said = [*run.found, *lines_on_training(run, trained, 0)]
    known = [line for line in said if not line.startswith("device: ")]
    told = [line for line in block.text.splitlines() if not line.startswith(("device: ", "Run folder: "))]
    assert told == known


# --- Data, as the listings have it ------------------------------------------------------------------------------


def paths_in(listing: str) -> list[str]:
    """The files of a listing; one without a folder lies beside the one before it."""
    paths, folder = [], ""
    for word in listing.split():
        if "/" in word:
            folder = word.rpartition("/")[0]
        elif folder and word != "...":
            word = f"{folder}/{word}"
        if word != "...":
            paths.append(word)
    return paths


def make_data(root: Path, paths: list[str], descriptions: list[str]) -> None:
    """Writes small files of the kinds that the names say: images, volumes, and masks of 0 and 255 or 0, 1, 2."""
    generator = np.random.default_rng(0)
    for index, name in enumerate(paths):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = re.search(r"/(masks|labels|label|labelsTr)/", name)
        if name.endswith(".json"):
            # nnU-Net's, or that of the Decathlon
            key = "channel_names" if any("_0000" in other for other in paths) else "training"
            path.write_text(next(text for text in descriptions if f'"{key}"' in text))
        elif name.endswith(".nii.gz"):
            values = (
                generator.integers(0, 3, (18, 18, 18)) if mask else generator.normal(100, 20, (18, 18, 18))
            )
            kind = np.uint8 if mask else np.float32
            nibabel.save(nibabel.Nifti1Image(values.astype(kind), np.diag([1, 1, 2, 1])), path)
        else:
            values = (
                255 * generator.integers(0, 2, (48, 40)) if mask else generator.integers(0, 256, (48, 40))
            )
            values = values.astype(np.uint8)
            if path.suffix == ".tif":
                tifffile.imwrite(path, values)
            else:
                Image.fromarray(values).save(path)
        assert index < 100


def dataset_descriptions() -> list[str]:
    return [block.text for block in BLOCKS if block.kind == "json"]


@pytest.mark.parametrize("block", of_kind("data listing"))
def test_a_listing_of_data_is_a_data_set(block, tmp_path):
    paths = paths_in(block.text)
    make_data(tmp_path, paths, dataset_descriptions())
    source = source_at(str(tmp_path / paths[0].partition("/")[0]))
    found = examine(source)
    assert not found.errors
    assert found.facts


@pytest.mark.parametrize("block", of_kind("json"))
def test_json_is_json(block):
    assert json.loads(block.text)


# --- Commands ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder with this project's files, and all data that commands speak of."""
    place = tmp_path_factory.mktemp("workplace")
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name not in ("runs", "build", "comparisons"):
            (place / path.name).symlink_to(path)
    made = set()
    for block in sorted(
        BLOCKS, key=lambda block: block.page.name != "data.md"
    ):  # data.md's, if several differ
        name = block.text.partition("/")[0]
        if block.kind == "data listing" and name not in made:
            made.add(name)
            make_data(place, paths_in(block.text), dataset_descriptions())
    make_data(place, [f"stack/train/{part}/{i}.png" for i in range(30) for part in ("image", "label")], [])
    make_data(place, ["new_images/d.png", "new_images/e.jpg", "huge.tif"], [])
    shutil.copytree(place / "my_task", place / "datasets" / "Task04_Hippocampus")
    more = [f"t/imagesTr/{i}.nii.gz" for i in range(5)] + [f"t/labelsTr/{i}.nii.gz" for i in range(5)]
    make_data(place, more, [])
    task = json.loads(dataset_descriptions()[0])
    task["training"] = [
        {"image": f"./imagesTr/{i}.nii.gz", "label": f"./labelsTr/{i}.nii.gz"} for i in range(5)
    ]
    (place / "t" / "dataset.json").write_text(json.dumps(task))
    write_dicom(place / "patient_dicom")
    for name in ("my.yaml", "my_settings.yaml"):
        (place / name).write_text("augmentation: {rotation: 10}\n")
    return place


def write_dicom(folder: Path) -> None:
    """A series of four slices."""
    from helpers import write_series

    write_series(folder)


# Instead of DIRECTORY and the like, by the name of the data set.
DATA = {"isbi2012": "stack", "decathlon": "t", "folder": "my_data", "volumes": "my_volumes"}
PLACEHOLDERS = ("DIRECTORY", "DIR", "FOLDER", "FILE", "datasets/Task04_Hippocampus")


class Commands:
    """Runs command lines in the workplace, as tiny as can be."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch):
        self.place, self.monkeypatch = place, monkeypatch
        self.trained: set = set()
        self.weights: dict = {}

    def __call__(self, command: str) -> None:
        words = words_of(command.replace("hourglass", "unet"))  # the page about adding it runs it
        if words[0] in ("ruff", "tensorboard"):
            return self.other(words)
        words = words[1:]
        if words[0] == "-m":
            module, arguments = words[1], words[2:]
            handler = {"pip": self.pip, "pytest": self.pytest, "data": self.data, "mkdocs": self.mkdocs}
            if module.startswith("benchmarks."):
                return self.benchmark(module, arguments)
            return handler[module](arguments)
        script, arguments = words[0], words[1:]
        if script == "tests/test_golden.py":
            return self.golden(arguments)
        assert (ROOT / script).is_file(), command
        return {"train.py": self.train, "compare.py": self.compare}.get(script, self.apply)(script, arguments)

    def main(self, script: str, arguments: list[str]) -> int | None:
        """The command's own main function, in this process."""
        self.monkeypatch.setattr(sys, "argv", [script, *arguments])
        return importlib.import_module(script.removesuffix(".py")).main()

    def train(self, script: str, arguments: list[str]) -> None:
        import train

        if "--help" in arguments or "--list-networks" in arguments:
            with pytest.raises(SystemExit) if "--help" in arguments else redirect_stdout(io.StringIO()):
                self.main(script, arguments)
            return
        if "--resume" in arguments:
            self.need_run(arguments[arguments.index("--resume") + 1], resume=True)
            if "--steps" in arguments:
                arguments = [word if word != "2000" else "3" for word in arguments]
        if "--run" in arguments:
            shutil.rmtree(self.place / arguments[arguments.index("--run") + 1], ignore_errors=True)
        original, train_one = train.experiment_of, train.train

        def tiny(parsed) -> Experiment:
            if parsed.weights:
                self.need_run("/".join(Path(parsed.weights).parts[:2]))
            return shrunk(original(parsed))

        def once(run: Run) -> None:
            """Train a `unet` once with each implementation; others need only be able to begin, and get weights."""
            name = run.experiment.implementation
            if "--resume" in arguments or (run.network.name == "unet" and name not in self.trained):
                self.trained.add(name)
                train_one(run)
            else:
                next(iter(run.training_batches(0)))
                self.give_weights(run)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train, "experiment_of", tiny)
            patch.setattr(train, "train", once)
            patch.setattr("unet_common.evaluation.report.report_training", lambda run: None)
            self.main(script, arguments)

    def apply(self, script: str, arguments: list[str]) -> None:
        """predict.py and evaluate.py."""
        if "--run" in arguments:
            self.need_run(arguments[arguments.index("--run") + 1], "--one-look" in arguments)
        elif not list(self.place.glob("runs/*")):
            self.need_run("runs/newest")
        if "--output" in arguments:
            shutil.rmtree(self.place / arguments[arguments.index("--output") + 1], ignore_errors=True)
        self.main(script, arguments)

    def compare(self, script: str, arguments: list[str]) -> None:
        compared = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "comparison.report.compare", lambda *given: compared.append(given) or Path("page.html")
            )
            patch.setattr("compare.open_page", lambda page: None)
            self.main(script, arguments)
        assert len(compared) == 1 and isinstance(compared[0][0], Experiment)

    def data(self, arguments: list[str]) -> None:
        if "PATH" in arguments or len(arguments) < 2:
            assert arguments[0] in ("check", "pack", "show", "fetch")
            return
        if arguments[0] == "fetch" and arguments[1] == "hippocampus":
            return  # a download
        if arguments[0] == "pack":
            shutil.rmtree(self.place / arguments[arguments.index("--to") + 2], ignore_errors=True)
        assert self.main("data.__main__", arguments) == 0

    def need_run(self, name: str, two_looks: bool = False, resume: bool = False) -> None:
        """A run that an earlier command of the page would have made, or the reader."""
        path = self.place / name
        if resume and not (path / "checkpoints").is_dir():
            self.trained.discard("keras")
            self("python train.py --impl keras --data folder --data-dir my_data --run " + name)
        elif not (path / "experiment.yaml").exists():
            settings = {"data": {"name": "folder", "directory": "my_data"}}
            if two_looks:
                settings = {"network": {"name": "unet_fine_grained"}, "data": {"name": "discs"}}
            self.give_weights(Run.create(path, shrunk(experiment_from(settings))))

    def give_weights(self, run: Run) -> None:
        """Weights as they are drawn; the tests of all networks train them."""
        if run.network not in self.weights:
            self.weights[run.network] = load("lowlevel").Model(run.network).weights()
        for path in (run.best_weights, run.final_weights):
            save_weights(path, self.weights[run.network], run.network)
        run.state.write("finished")

    def pip(self, arguments: list[str]) -> None:
        """Nothing is installed; extras and files exist."""
        extras = re.findall(
            r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
        )
        assert arguments[0] == "install"
        for word in arguments[1:]:
            for extra in re.findall(r"\[(\w+)\]", word):
                assert extra in extras
            if word.endswith(".txt"):
                assert (ROOT / word).is_file()

    def pytest(self, arguments: list[str]) -> None:
        """The tests do not run themselves; files and options exist."""
        for word in arguments:
            assert (ROOT / word).is_file() if word.startswith("tests/") else True

    def mkdocs(self, arguments: list[str]) -> None:
        assert arguments[0] in ("build", "serve") and (ROOT / "mkdocs.yml").is_file()

    def golden(self, names: list[str]) -> None:
        """Run where a network is added."""
        assert set(names) <= {*CATALOGUE, "NAME"}

    def benchmark(self, module: str, arguments: list[str]) -> None:
        """Measurements take minutes; those with a parser are asked whether they know the options."""
        text = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        for word in arguments:
            assert f'"{word}"' in text if word.startswith("--") else True, f"{module} does not know {word}"

    def other(self, words: list[str]) -> None:
        if words[0] == "tensorboard":
            from tensorboard import default, program

            server = program.TensorBoard(default.get_plugins())
            server.configure(argv=words)
        else:
            assert words[1] in ("check", "format")


def shrunk(experiment: Experiment) -> Experiment:
    """The same experiment, small. That it fits its data is checked before, as it stands."""
    data = dict(experiment.data.model_dump(exclude_unset=True), name=experiment.data.name)
    if experiment.data.name in DATA and str(experiment.data.directory) in PLACEHOLDERS:
        data["directory"] = DATA[experiment.data.name]
    sampling = experiment.sampling.model_dump(exclude_unset=True)
    if experiment.data.name == "membranes":
        data |= {"images": 3, "size": [64, 64]}
    if experiment.data.name == "discs":
        data |= {"images": 4, "size": [64, 64]}
    if experiment.data.name == "blobs3d":
        data |= {"images": 3, "size": [24, 24, 24]}
    source = SOURCES[experiment.data.name](**data)
    full = experiment.model_copy(update={"data": source})
    network = resolve(full).network  # settings and data fit each other
    kept = runpy.run_path(str(ROOT / "tests" / "expected" / f"{network.name}.py"))["KEPT"]
    given = experiment.network.model_dump(exclude_unset=True)
    chosen = {
        key: given[key] for key in ("padding", "normalisation", "activation", "multilabel") if key in given
    }
    if chosen.get("normalisation") == "group":
        chosen["groups"] = 1
    small = CATALOGUE[network.name](**{**kept, **chosen})
    with_rank = CATALOGUE[network.name](**{**kept, **chosen, "rank": source.rank})
    least = 64 if experiment.data.name == "discs" else 32 if source.rank == 2 else 16
    sampling["crop"] = [
        next(side for side in range(least, 999) if with_rank.output_side(side, axis))
        for axis in range(source.rank)
    ]
    sampling["pad"] = True
    settings = experiment.model_dump(mode="json", exclude_unset=True)
    settings |= {
        "network": {**small.model_dump(mode="json", exclude_unset=True), "name": network.name},
        "data": source.model_dump(mode="json", exclude_unset=True),
        "sampling": sampling,
        "training": {"steps": 2, "batch_size": 2, "validate_every": 2},
    }
    settings.get("schedule", {}).pop("warmup", None)  # longer than two steps
    settings.pop("pretrained", None)
    if settings.pop("initial_weights", None):
        pass  # of a network of another size
    return experiment_from(settings)


@pytest.fixture(scope="module")
def commands(workplace) -> Iterator[Commands]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(workplace)
        yield Commands(workplace, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page, commands):
    for block in blocks_of(page):
        if block.kind == "commands":
            for command in command_lines(block.text):
                try:
                    commands(command)
                except (UserError, AssertionError, SystemExit) as error:
                    raise AssertionError(f"{page.name}: {command}\n{error}") from error


def inline(page: Path) -> list[str]:
    """What stands in the text as `code`."""
    return re.findall(r"(?<!`)`([^`]+)`(?!`)", FENCE.sub("", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_within_the_text_run(page, commands):
    for code in inline(page):
        if code.startswith("python ") and "..." not in code:
            commands(re.sub(r"^python -m data (\w+)$", r"python -m data \1 PATH", code))
        if code.startswith("tensorboard "):
            commands(code)


def known_flags() -> set[str]:
    sources = [ROOT / f"{name}.py" for name in ("train", "predict", "evaluate", "compare")]
    sources += [ROOT / "unet_common" / "cli.py", ROOT / "data" / "__main__.py", *ROOT.glob("benchmarks/*.py")]
    found = re.findall(r'"(--[a-z-]+)"', "".join(path.read_text(encoding="utf-8") for path in sources))
    return {*found, "--help", "--constraint"}  # of all parsers, and of pip


def known_keys() -> set[str]:
    """Every setting, `group.key`, whatever network or data set it belongs to."""
    groups = {"network": CATALOGUE.values(), "data": SOURCES.values()}
    keys = set(Experiment.model_fields)
    for group, field in Experiment.model_fields.items():
        for kind in groups.get(group, [type(field.default)]):
            keys |= {f"{group}.{key}" for key in getattr(kind, "model_fields", ())}
    return keys


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_and_settings_in_the_text_exist(page):
    for code in inline(page):
        if code.startswith("--"):
            words = shlex.split(code)
            assert {word for word in words if word.startswith("--")} <= known_flags(), code
            for flag, value in pairwise(words):
                if flag == "--set" and value != "KEY=VALUE" and "KEY" not in value:
                    assert value.partition("=")[0] in known_keys(), code
        if re.fullmatch(
            r"(network|data|sampling|augmentation|preprocessing|training|optimizer)\.\w+(=.*)?", code
        ):
            key = code.partition("=")[0]
            module, attribute = (ROOT / f"{key.replace('.', '/')}.py").is_file(), key.partition(".")[2]
            assert key in known_keys() or module or hasattr(CATALOGUE["unet"], attribute), code


@pytest.mark.parametrize("block", of_kind("flags"))
def test_flags_are_understood(block, monkeypatch):
    from unet_common.cli import experiment_of

    train = importlib.import_module("train")
    for line in command_lines(block.text):
        classes = ["--set", "network.classes=4"] if "[" in line else []  # of data with so many classes
        monkeypatch.setattr(sys, "argv", ["train.py", *shlex.split(line), *classes])
        experiment_of(train.parse())


@pytest.mark.parametrize("block", of_kind("yaml"))
def test_settings_are_understood(block):
    assert experiment_from(yaml.safe_load(block.text))


def test_the_configurations_that_are_kept_are_understood(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        settings = read_settings(path)
        if settings["data"]["name"] in DATA:
            settings["data"]["directory"] = DATA[settings["data"]["name"]]
        assert resolve(experiment_from(settings)).network.channels


@pytest.mark.parametrize("block", of_kind("listing"))
def test_a_listing_names_what_exists(block, commands):
    """Files of this project, or of a run folder."""
    commands.need_run("runs/mine", resume=True)
    roots = (ROOT, commands.place / "runs" / "mine")
    for line in block.text.splitlines():
        for name in re.split(r"\s{4,}", line.strip())[0].split():
            # Pictures are drawn after the training, which is left out here.
            assert any((root / name).exists() for root in roots) or name == "figures/", line


DEVELOPING = ROOT / "docs" / "developing.md"


def test_where_things_are_is_complete_and_right():
    """Every folder of the two shared packages has a line, and files named in a line lie in its folder."""
    (listing,) = (
        block.text for block in blocks_of(DEVELOPING) if block.kind == "listing" and "train.py" in block.text
    )
    lines = [re.split(r"\s{4,}", line) for line in listing.splitlines()]
    told = {name.rstrip("/") for line in lines for name in " ".join(line).split() if name.endswith("/")}
    for package in ("data", "unet_common"):
        for init in (ROOT / package).rglob("__init__.py"):
            assert str(init.parent.relative_to(ROOT)) in told
    for names, *what in lines:
        for name in re.findall(r"\b\w+\.py\b", " ".join(what).replace("for ops.py", "")):
            assert (ROOT / names / name).is_file(), f"{names} has no {name}"


def project_paths(code: str) -> Iterator[str]:
    """Paths of this project in a piece of inline code; others belong to run folders and data sets."""
    top = {path.name for path in ROOT.iterdir()}
    for word in code.replace("NAME.py", "unet.py").replace("hourglass", "unet").split():
        if re.fullmatch(r"[\w./-]+", word) and (word.endswith(".py") or word.partition("/")[0] in top):
            yield word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_the_text_exist(page):
    """A path begins at the root, or in one of the packages, as `networks/unet.py` does."""
    for code in inline(page):
        for path in project_paths(code):
            assert (ROOT / path).exists() or list(ROOT.glob(f"*/{path}")) or list(ROOT.glob(f"*/*/{path}")), (
                code
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_in_the_text_exist(page):
    for code in inline(page):
        path, colons, name = code.partition("::")
        if path.startswith("tests/") and colons:
            assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_in_the_text_exist(page):
    for code in inline(page):
        found = re.fullmatch(r"((?:data|comparison|benchmarks|docs_site|unet_\w+)(?:\.\w+)+)(\(.*\))?", code)
        if found and found[1] not in known_keys():
            assert pkgutil.resolve_name(found[1]), code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    """The tests of the site look at the places within them, too."""
    written = {"concepts.md", *(f"networks/{name}.md" for name in CATALOGUE)}  # with the site
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", FENCE.sub("", page.read_text(encoding="utf-8"))):
        assert (page.parent / link).exists() or link in written, link


@pytest.mark.parametrize("block", of_kind("diagram"))
def test_a_diagram_names_what_exists(block):
    for name in re.findall(r"\b(unet_\w+|data|train|predict|evaluate|compare)\b", block.text):
        assert (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()


# --- Python -----------------------------------------------------------------------------------------------------


def only_definitions(text: str) -> bool:
    return all(isinstance(node, ast.FunctionDef) for node in ast.parse(text).body)


def bare(function: ast.FunctionDef) -> str:
    """A function without docstring and type hints."""
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]
    function.returns = None
    for argument in [*function.args.args, *function.args.kwonlyargs]:
        argument.annotation = None
    return ast.unparse(function)


def test_the_functions_in_the_readme_are_those_of_the_three():
    """Each lies in a file that the paragraph above its block links to; a block ends with the function that all show."""
    shown = [block for block in BLOCKS if block.page.name == "README.md" and block.kind == "python"]
    last = []
    for block, implementation in zip(shown, IMPLEMENTATIONS, strict=True):
        assert only_definitions(block.text), block
        files = re.findall(r"\]\((\S+\.py)\)", block.before)
        assert all(file.startswith(f"unet_{implementation}/") for file in files)
        body = [node for file in files for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body]
        functions = ast.parse(block.text).body
        for function in functions:
            sources = [
                bare(node)
                for node in body
                if isinstance(node, ast.FunctionDef) and node.name == function.name
            ]
            assert sources == [ast.unparse(function)], f"{function.name} in {files}"
        last.append(functions[-1].name)
    assert len(set(last)) == 1


def test_the_lines_of_code_in_the_readme_are_those_that_the_page_counts():
    """About: to a twentieth, or ten lines."""
    expected = [lines_of_program(name, "unet") for name in IMPLEMENTATIONS]
    expected.insert(2, count_code_lines("unet_highlevel/estimator_compat.py"))
    expected.append(count_code_lines("unet_common/graph_model.py"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| Lines of code .*$", readme, re.MULTILINE)
    (shared,) = re.findall(r"share\s+another\s+(\d+)", readme)
    told = [int(number) for number in [*re.findall(r"\d+", row), shared]]
    assert told == pytest.approx(expected, rel=0.05, abs=10)


PROGRAM_PAGES = sorted(
    {block.page for block in BLOCKS if block.kind == "python"}
    - {ROOT / "README.md", ROOT / "docs" / "adding.md"}
)


def run_page(page: Path, changed: Callable[[str], str] = str) -> dict:
    """Runs the code of a page from top to bottom; what it prints is what stands in the block of text below it."""
    names: dict = {}
    blocks = blocks_of(page)
    for block, below in zip(blocks, [*blocks[1:], None], strict=True):
        if block.kind == "python":
            output = io.StringIO()
            with redirect_stdout(output):
                exec(compile(changed(block.text), page.name, "exec"), names)
            if below is not None and below.kind == "text":
                assert output.getvalue() == below.text
    return names


@pytest.mark.parametrize(
    "page", [page for page in PROGRAM_PAGES if page.name != "api.md"], ids=lambda page: page.name
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_page(page)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_page_about_the_api_runs(implementation, tmp_path, monkeypatch, capsys):
    page = ROOT / "docs" / "api.md"
    monkeypatch.chdir(tmp_path)
    assert 'load("lowlevel")' in page.read_text(encoding="utf-8")
    text = []

    def changed(code: str) -> str:
        text.append(code)
        return code.replace('"lowlevel"', f'"{implementation}"')

    names = run_page(page, changed)
    assert names["logits"].shape == (2, 32, 48, 1)
    assert names["mask"].shape == (29, 41)
    assert names["gradients"].keys() < names["model"].weights().keys()


TABLE_ROW = re.compile(r"^\| (`+)(.+?)\1 \| (`+)(\w+Error: .+?)\3 \|", re.MULTILINE)

# In a fresh interpreter: this one has TensorFlow set up for old code.
ATTEMPT = """
import json, os, sys, traceback
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.pop("TF_USE_LEGACY_KERAS", None)
import keras
import numpy as np
import tensorflow as tf
v1 = tf.compat.v1
messages = []
for line in json.load(sys.stdin):
    try:
        exec(line)
        messages.append("nothing")
    except Exception as error:
        messages.append(traceback.format_exception_only(error)[-1])
v1.disable_eager_execution()
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
try:
    model.fit(np.zeros((4, 3)), np.zeros((4, 1)), verbose=0)
    messages.append("nothing")
except Exception as error:
    messages.append(traceback.format_exception_only(error)[-1])
print(json.dumps(messages))
"""


def test_what_breaks_does_so_with_the_message_in_the_table():
    page = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
    rows = TABLE_ROW.findall(page)
    assert len(rows) > 20
    lines = [line for _, line, _, _ in rows]
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPT], input=json.dumps(lines), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *messages, without_eager = json.loads(done.stdout.splitlines()[-1])
    for (_, line, _, expected), message in zip(rows, messages, strict=True):
        assert message.startswith(expected), f"{line}: {message}"
    assert f"``{without_eager.strip()}``" in page


# --- Adding a network -------------------------------------------------------------------------------------------

ADDING = ROOT / "docs" / "adding.md"


def apply_diff(text: str, diff: str) -> str:
    """Lines with a plus are added where the lines without one stand."""
    lines = diff.rstrip("\n").split("\n")
    before = "".join(f"{line[1:]}\n" for line in lines if line[0] == " ")
    assert text.count(before) == 1, f"not there, or several times:\n{before}"
    return text.replace(before, "".join(f"{line[1:]}\n" for line in lines))


@pytest.mark.slow
def test_the_network_that_the_page_adds_works(tmp_path):
    for name in ("data", "unet_common", "unet_lowlevel", "unet_highlevel", "unet_keras", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train.py", "predict.py", "evaluate.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    file = None
    for block in blocks_of(ADDING):
        named = re.findall(r"`(\w[\w/]+\.py)`", block.before)
        file = named[-1] if named else file
        if block.kind == "python":
            (tmp_path / file).write_text(block.text)
        if block.kind == "diff":
            if "networks/__init__.py" in block.before:
                file = "unet_common/networks/__init__.py" if "Hourglass" in block.text else "each"
            files = (
                [file]
                if file != "each"
                else [f"unet_{name}/networks/__init__.py" for name in IMPLEMENTATIONS]
            )
            for path in files:
                diff = block.text.replace("unet_lowlevel", path.partition("/")[0])
                (tmp_path / path).write_text(apply_diff((tmp_path / path).read_text(), diff))

    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{tmp_path / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    assert "trained 2" in done.stdout


# The page's commands in one process: golden values, tests, a training.
TRY = """
import sys
import pytest
import test_golden
test_golden.regenerate(["hourglass"])
files = ["tests/test_layout.py", "tests/test_consistency.py"]
assert pytest.main(["-n", "0", "-q", "-k", "hourglass", *files]) == 0
import train
import unet_common.evaluation.report
unet_common.evaluation.report.report_training = lambda run: print("trained", run.steps)
small = ["--steps", "2", "--set", "data.images=3", "--set", "network.depth=2", "--set", "network.filters=2"]
sys.argv = ["train.py", "--network", "hourglass", "--impl", "keras", *small]
train.main()
"""
