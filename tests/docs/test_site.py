"""The documentation as a site: it builds without a warning, links lead somewhere, nothing is loaded from elsewhere."""

import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import tensorflow as tf
from helpers import ROOT

import train
from unet_common.cli import experiment_of
from unet_common.experiment import experiment_from, resolve
from unet_common.graph_model import canonical_variables
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.networks import CATALOGUE
from unet_lowlevel.model import build

v1 = tf.compat.v1

needs_mkdocs = pytest.mark.skipif(
    find_spec("mkdocs") is None, reason="MkDocs is not installed: python -m pip install -e '.[docs]'"
)


class Page(HTMLParser):
    """What a page links to, what it loads, and the places within it that can be linked to."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.loaded, self.places, self.text = [], [], set(), path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.places |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") != "canonical":
            self.loaded.append(given["href"])
        self.loaded += [given[key] for key in ("src", "data", "poster") if given.get(key)]
        self.loaded += re.findall(r"\S+", given.get("srcset", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built by the command that the documentation names."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


@needs_mkdocs
def test_the_front_page_is_the_readme(site, pages):
    title, *rest = re.findall(r"^#+ (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    page = pages[site / "index.html"]
    assert f">{title}<" in page.text
    assert {re.sub(r"\W+", "-", heading.lower()) for heading in rest} <= page.places
    assert {"files/unet_keras/networks/unet.py.html", "training.html"} <= {*page.links}


@needs_mkdocs
def test_every_network_has_a_page(site, pages):
    for name, network in CATALOGUE.items():
        text = pages[site / "networks" / f"{name}.html"].text
        for key in network.model_fields.keys() - {"name", "rank"}:
            assert f"<code>{key}</code>" in text, f"{name}: {key}"
        assert text.count('class="tabbed-block"') == len(IMPLEMENTATIONS)
        assert "arxiv.org/abs/" in text and "<h2" in text


@needs_mkdocs
@pytest.mark.parametrize("name", CATALOGUE)
def test_the_commands_on_the_page_of_a_network_are_understood(name, monkeypatch):
    sys.path.insert(0, str(ROOT))
    from docs_site.hooks import commands

    monkeypatch.chdir(ROOT)
    lines = commands(CATALOGUE[name]())
    assert len(lines) >= len(IMPLEMENTATIONS)
    for line in lines:
        monkeypatch.setattr(sys, "argv", shlex.split(line)[1:])
        experiment = experiment_of(train.parse())
        assert experiment.network.name == name
        if "DIRECTORY" not in line:
            assert resolve(experiment).sampling.crop


@needs_mkdocs
def test_every_concept_is_there(site, pages):
    from comparison.concepts import concepts

    page = pages[site / "concepts.html"]
    assert {concept.key for concept in concepts(experiment_from({}))} <= page.places


@needs_mkdocs
def test_every_link_leads_somewhere(pages):
    broken = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            address = urlsplit(link)
            if address.scheme or link in ("#", "."):
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            if not target.is_file() or (
                address.fragment and target in pages and unquote(address.fragment) not in pages[target].places
            ):
                broken.append(f"{path.name}: {link}")
    assert not broken, "\n".join(sorted(set(broken)))


@needs_mkdocs
def test_nothing_is_loaded_from_the_network(site, pages):
    elsewhere = re.compile(r"(https?:)?//")
    for path, page in pages.items():
        assert not [link for link in page.loaded if elsewhere.match(link)], path
        assert not re.search(r"<(iframe|object|embed)\b", page.text), path
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", path.read_text(encoding="utf-8")), path


# Small where only the names are compared, as graphs of deep networks take long to build.
SMALL = {"hrnet": {"modules": (1, 2, 1), "blocks": 1}, "unet_fine_grained": {"encoder": "vgg16"}}
OTHERS = [
    ("unet_encoder", {"encoder": "vgg16", "decoder_filters": (8, 4)}),
    ("unet_backboned", {"encoder": "vgg16", "skip": "concatenate"}),
    ("unet_backboned", {"encoder": "darknet52", "decoder": "upsampling", "filters": 8}),
    ("unet_plus_plus", {"depth": 4, "level": 2}),
    ("no_new_net", {"widths": (4, 6, 8), "groups": 2, "block": "residual"}),
    ("no_new_net", {"widths": (4, 6, 8), "groups": 2, "block": "reversible"}),
]


@pytest.mark.parametrize(
    "name, hyperparameters", [(name, SMALL.get(name, {})) for name in CATALOGUE] + OTHERS
)
def test_the_boxes_of_a_figure_are_the_weights_of_the_network(name, hyperparameters):
    """Every box stands for weights of that name, every weight is in a box, and a box gives the channels it says."""
    sys.path.insert(0, str(ROOT))
    from docs_site.figures import figure

    network = CATALOGUE[name](**hyperparameters)
    drawn = figure(network)
    if drawn is None:
        pytest.skip(f"nobody has drawn {name}")
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(0)
        images = v1.placeholder(tf.float32, [None, *[None] * network.rank, network.channels])
        build(images, network, False)
        shapes = {key: variable.shape for key, variable in canonical_variables(graph).items()}
    scopes = {scope: box for box in drawn.boxes for scope in box.scopes}
    for scope, box in scopes.items():
        kernels = [
            shape for key, shape in shapes.items() if key.startswith(f"{scope}/") and key.endswith("kernel")
        ]
        assert any(key.startswith(f"{scope}/") for key in shapes), f"{name} has no weights {scope}"
        axis = -2 if re.fullmatch(r"up\d", scope) or scope == "branch" else -1
        given = {int(kernel[axis]) for kernel in kernels} | {int(kernel[-1]) for kernel in kernels}
        if scope == box.scopes[-1] and not scope.startswith("stage"):
            doubled = getattr(network, "skip", "add") == "concatenate" and scope.startswith("enlarge")
            # The convolutions of a reversible block have half of its channels each.
            doubled |= getattr(network, "block", "") == "reversible" and scope.startswith("decoder")
            assert {box.channels, box.channels // 2} & given if doubled else box.channels in given, (
                scope,
                given,
            )
    for key in shapes:
        assert any(key.startswith(f"{scope}/") for scope in scopes), f"{key} is in no box"
