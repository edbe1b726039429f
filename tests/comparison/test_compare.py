"""compare.py: that the page shows what it says. test_compare_browser.py makes a whole page, and opens it."""

import ast
import re
import webbrowser
from importlib import import_module

import numpy as np
import pytest
from helpers import assert_self_contained, command

import compare
from comparison import agreement, defaults, page, pictures, source
from comparison.chart import Series, line_chart
from comparison.concepts import concepts, placeholders, read
from comparison.cost import lines_of_code
from comparison.explanations import (
    EQUAL,
    GROWN,
    NOISE,
    ROUNDING,
    UNEXPLAINED,
    reason,
    reason_of_curves,
)
from comparison.glossary import ENTRIES
from comparison.source import body, cut, public_names, snake_case
from data.errors import UserError
from unet_common.experiment import experiment_from
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE

# --- concepts ---------------------------------------------------------------------------------

FILE = '''\
"""A module."""

CONSTANT = 1


@decorated
def function(x):
    """Says what it does.

    Twice.
    """
    # 1. First.
    saver = make(x)  # a comment beside code

    # 2. Then.
    while True:
        with open(x) as file:
            print(file)
            saver.save(
                x,
            )
        print(x)
        print(x)
        print(x)


class Thing:
    def method(self):
        return 2
'''


@pytest.fixture
def file(monkeypatch, tmp_path):
    """`cut` on a file of its own."""
    (tmp_path / "file.py").write_text(FILE)
    monkeypatch.setattr(source, "ROOT", tmp_path)
    return lambda what: cut.__wrapped__(f"file.py:{what}")


def test_a_function_is_cut_with_its_decorators(file):
    piece = file("function")
    assert (piece.first, piece.last, piece.name) == (6, 24, "function")
    assert piece.runs[0][1][0] == "@decorated"
    assert piece.code_lines == 12  # no docstring, no comments, no blank lines


def test_a_method_is_cut_and_moved_to_the_left(file):
    assert file("Thing.method").runs == ((28, ("def method(self):", "    return 2")),)


def test_a_numbered_section_is_cut(file):
    assert file("function#1").runs == ((12, ("# 1. First.", "saver = make(x)  # a comment beside code")),)
    assert (file("function#2").first, file("function#2").last) == (15, 24)


def test_statements_that_mention_a_word_are_cut(file):
    first, second = file("function~saver").runs
    assert first == (13, ("saver = make(x)  # a comment beside code",))
    assert second == (19, ("        saver.save(", "            x,", "        )"))


@pytest.mark.parametrize(
    "what, message",
    [
        ("renamed", "there is no renamed. Was it renamed"),
        ("Thing.other", "there is no other"),
        ("function#3", "no section '# 3.'; it has"),
        ("function~writer", "no statement mentions 'writer'"),
        ("function#", "is no reference to source"),
    ],
)
def test_what_is_not_there_is_an_error(file, what, message):
    with pytest.raises(UserError, match=message):
        file(what)


SECTION = """\
title: "About $network"
look: What to look for.
api: {lowlevel: One., highlevel: "`two`: 2.", keras: Three.}
rows:
  - title: A row
    lowlevel: a.py:f b.py:g#1
    highlevel: [a.py:f, b.py:g]
    keras: {note: Nothing.}
shared: $loss_terms
"""


@pytest.fixture
def section(tmp_path):
    """A section of the page, read from a file of the text."""
    experiment = experiment_from({"network": "vnet", "loss": "dice + focal"})

    def read_text(text):
        (tmp_path / "07_name.yaml").write_text(text)
        return read(tmp_path / "07_name.yaml", placeholders(experiment), experiment.network)

    return read_text


def test_a_section_is_read_from_its_file(section):
    read_section = section(SECTION)
    (row,) = read_section.rows
    assert (read_section.key, read_section.title) == ("name", "About vnet")
    assert row.cells["lowlevel"].references == ("a.py:f", "b.py:g#1")
    assert row.cells["highlevel"].references == ("a.py:f", "b.py:g")
    assert (row.cells["keras"].references, row.cells["keras"].note) == ((), "Nothing.")
    terms = ("unet_common/losses/overlap.py:dice", "unet_common/losses/cross_entropies.py:focal")
    assert read_section.shared == terms
    assert read_section.references == ["a.py:f", "b.py:g#1", "a.py:f", "b.py:g", *terms]


@pytest.mark.parametrize(
    "before, after, message",
    [
        ("$network", "$nonsense", r"07_name.yaml: 'nonsense' is no placeholder. There are \$network"),
        ("look:", "lok:", "07_name.yaml has mistakes:\n.*look: Field required\n.*lok: Extra inputs"),
        (", keras: Three.", "", "api: .*lowlevel, highlevel are told about"),
        ("{note: Nothing.}", "{note: ''}", "rows.0.keras: .*say why there is nothing to show"),
        ("    keras: {note: Nothing.}\n", "", "rows.0.keras: Field required"),
        ("rows:\n", "rows: boxes\nrest:\n", "rows are a list, or one of blocks, network; not 'boxes'"),
        ("{lowlevel", "{{lowlevel", "is not YAML"),
    ],
)
def test_mistakes_in_a_section_are_told(section, before, after, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        section(SECTION.replace(before, after))


@pytest.mark.parametrize("network", CATALOGUE)
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_every_concept_is_found_in_the_source(network, optimizer):
    """Who renames a function that the page shows is told here."""
    experiment = experiment_from({"network": network, "optimizer": {"name": optimizer}})
    sections = concepts(experiment)
    assert len({section.key for section in sections}) == len(sections) == 15
    for section in sections:
        assert set(section.api) == set(IMPLEMENTATIONS)
        for row in section.rows:
            assert set(row.cells) == set(IMPLEMENTATIONS)
            for cell in row.cells.values():
                assert cell.references or cell.note, row.title
                assert all(cut(reference).code_lines for reference in cell.references)
        assert all(cut(reference).code_lines for reference in section.shared)
    for _title, lines in lines_of_code(sections):
        assert all(count > 0 for count in lines.values())


def test_a_program_is_counted_with_the_layers_that_it_needs(monkeypatch, tmp_path):
    """Its file, those whose blocks it takes, and of the layers what these need; each line once."""
    files = {
        "networks/one": "from unet_keras.networks.two import block, other\nfrom unet_keras.layers import Used\n",
        "networks/two": '"""Blocks."""\nfrom unet_keras.networks.three import head\n\n# Why.\n',
        "networks/three": "from unet_keras.networks.one import a\n\n\ndef head():\n    pass\n",
        "layers": "import keras\n\nSIZE = 1\nOTHER = 2\n\n\n@decorated\nclass Used:\n    x = helper()\n\n\n"
        'def helper():\n    """Says."""\n    return SIZE\n\n\ndef of_others():\n    return OTHER\n',
        "optimizers": "",
        "model": "a = 1\nb = 2\n",
        "training": "from unet_keras.model import a\n",
    }
    (tmp_path / "unet_keras" / "networks").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "unet_keras" / f"{name}.py").write_text(text)
    monkeypatch.setattr(source, "ROOT", tmp_path)
    networks, layers, rest = 2 + 1 + 3, 1 + 1 + 3 + 2, 2 + 1
    assert source.lines_of_program("keras", "one") == networks + layers + rest
    assert source.count_code_lines("unet_keras/layers.py") == layers + 1 + 2


@pytest.mark.parametrize("network", CATALOGUE)
def test_the_program_of_each_network_is_counted(network):
    for name in IMPLEMENTATIONS:
        files = [
            f"unet_{name}/{file}.py" for file in (f"networks/{network}", "optimizers", "model", "training")
        ]
        assert source.lines_of_program(name, network) > sum(map(source.count_code_lines, files))


def test_blocks_and_networks_are_those_of_the_chosen_network():
    by_key = {section.key: section for section in concepts(experiment_from({"network": "vnet"}))}
    assert [row.title for row in by_key["block"].rows] == ["convolution_unit", "residual_stage", "add"]
    (row,) = by_key["network"].rows
    assert row.cells["keras"].references == ("unet_keras/networks/vnet.py:vnet",)


# Functions of the networks' files by package. What a layer is: these modules' functions and classes, and `tf.layers`.
NETWORK_FILES = sorted(path.name for path in (source.ROOT / "unet_lowlevel" / "networks").glob("[!_]*.py"))
LAYER_MODULES = {"lowlevel": "unet_lowlevel.ops", "highlevel": "unet_highlevel.layers"}

# A normalisation with other constants: a line that hands on to `batch_normalisation`, which differs.
CONSTANTS_ALONE = {"batch_norm", "resnet_norm"}


def layer_calls(implementation, file, function):
    """Names of layers that a function mentions."""
    tree = ast.parse((source.ROOT / file).read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    layers = {
        alias.name for node in imports if node.module == LAYER_MODULES[implementation] for alias in node.names
    }
    # `layers.conv2d`, also by the name of a table as `CONV`.
    layers |= {"layers"} | {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and "layers." in ast.unparse(node.value)
        for target in node.targets
    }
    return layers & set(re.findall(r"\w+", body(f"{file}:{function}")))


@pytest.mark.parametrize("file", NETWORK_FILES)
def test_each_api_is_seen_in_each_function(file):
    """Keras's functions are unlike the graphs'. The two graph packages may say the same in the same words only where
    no layer is called: a function that composes blocks, or computes with `tf`, builds one and the same graph.
    """
    files = {name: f"unet_{name}/networks/{file}" for name in IMPLEMENTATIONS}
    named = {name: {snake_case(one): one for one in public_names(path)} for name, path in files.items()}
    functions = named["highlevel"].keys() & named["lowlevel"].keys()
    assert functions and functions == named["highlevel"].keys()
    for function in functions:
        low, high, keras = (body(f"{files[name]}:{named[name][function]}") for name in IMPLEMENTATIONS)
        assert keras not in (low, high), function
        if low == high and function not in CONSTANTS_ALONE:
            for name in LAYER_MODULES:
                assert not layer_calls(name, files[name], function), f"{files[name]}: {function}"


def test_what_may_be_equal_is_no_more_than_it_was():
    """Assembled networks that are made of blocks alone: in graphs they are the same lines, and the page says so."""
    equal = [
        name
        for name in CATALOGUE
        if len({body(f"unet_{impl}/networks/{name}.py:{name}") for impl in ("lowlevel", "highlevel")}) == 1
    ]
    assert equal == ["unet_encoder", "hrnet", "unet_backboned"]
    for name in equal:
        (row,) = next(s for s in concepts(experiment_from({"network": name})) if s.key == "network").rows
        assert row.highlevel.note.startswith("The same lines as in `lowlevel`")


def test_the_shown_source_is_the_file_line_by_line():
    piece = cut("unet_lowlevel/ops.py:batch_normalisation")
    shown = re.sub(r"<[^>]+>", "", page.code(piece))
    for escaped, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&")):
        shown = shown.replace(escaped, character)
    lines = (source.ROOT / piece.file).read_text().splitlines()[piece.first - 1 : piece.last]
    assert shown.splitlines() == lines
    numbers = [int(number) for number in re.findall(r'data-line="(\d+)"', page.code(piece))]
    assert numbers == list(range(piece.first, piece.last + 1))


def test_prose_has_code_and_emphasis_and_no_markup():
    assert (
        page.prose("a `x < y` and *this*, 2 * 3 * 4")
        == "a <code>x &lt; y</code> and <em>this</em>, 2 * 3 * 4"
    )


# --- agreement --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, relative, noise, expected",
    [
        ("output", 0.0, False, EQUAL),
        ("gradient", 1e-15, False, ROUNDING),
        ("gradient", 1e-18, True, NOISE),
        ("gradient", 1e-6, False, UNEXPLAINED),
        ("initial", 1e-16, False, UNEXPLAINED),
        ("trained", 1e-8, False, UNEXPLAINED),
        ("trained", 1e-11, False, GROWN),
    ],
)
def test_reasons(kind, relative, noise, expected):
    assert reason(kind, relative, relative, noise) == expected


@pytest.mark.parametrize(
    "rule, precision, largest, words",
    [
        ("adam", "float32", 1e-3, "makes full steps of those that are nearly zero"),
        ("sgd", "float32", 1e-3, "slightly different weights."),
        ("adam", "float64", 1e-9, "The decays of Adam are rounded"),
        ("sgd", "float64", 1e-9, "0.9 becomes 0.8999999762"),
        ("sgd", "float64", 0.0, "There is no difference at any step."),
    ],
)
def test_reasons_of_curves(rule, precision, largest, words):
    experiment = experiment_from({"optimizer": {"name": rule}, "precision": precision})
    assert words in reason_of_curves(experiment, largest)


def test_what_is_small_has_the_rounding_of_what_is_large():
    assert reason("gradient", 1e-11, 1e-17) == ROUNDING
    assert reason("gradient", 1e-11, 1e-11) == UNEXPLAINED


def test_a_difference_between_the_networks_is_seen_where_it_is():
    same = {"conv/kernel": np.ones([2, 3]), "conv/bias": np.full(3, 0.5)}
    other = {**same, "conv/bias": np.array([0.5, 0.5, 0.6])}
    group = agreement.group("gradient", "", "", {"lowlevel": same, "highlevel": same, "keras": other})
    kernel, bias = group.rows
    assert [d.largest for d in kernel.differences] == [0, 0, 0]
    assert [d.largest for d in bias.differences] == pytest.approx([0, 0.1, 0.1])
    assert bias.shape == (3,) and bias.ranges["keras"] == (0.5, 0.6)
    assert group.unexplained == 2 and group.worst.relative == pytest.approx(0.1 / 0.6)
    told = agreement.for_script([group])
    _name, _shape, _ranges, differences = told["groups"][0][1]
    assert [told["reasons"][index] for _largest, _relative, index in differences] == [
        EQUAL, UNEXPLAINED, UNEXPLAINED
    ]  # fmt: skip


def test_values_that_mean_zero_are_noise():
    """Two gradients of a bias before a normalisation: rounding, of which shares say nothing."""
    values = [{"kernel": np.ones(2), "bias": np.array([value])} for value in (1e-17, -2e-17, 1e-17)]
    _kernel, bias = agreement.group("gradient", "", "", dict(zip(IMPLEMENTATIONS, values, strict=True))).rows
    assert [d.reason for d in bias.differences] == [NOISE, EQUAL, NOISE]
    assert max(d.relative for d in bias.differences) < 1e-16


def watched(network, size):
    """Outputs by implementation, and the layers that have weights."""
    images = np.random.default_rng(0).standard_normal((2, *size, network.channels))
    outputs, layers = {}, set()
    for name in IMPLEMENTATIONS:
        model = load(name).Model(network, seed=1, precision="float64")
        outputs[name] = model.layer_outputs(images, training=True)
        layers |= {weight.rpartition("/")[0] for weight in model.weights()}
    return outputs, layers


def assert_outputs_agree(outputs, layers):
    shared = [path for path in outputs["lowlevel"] if all(path in of_one for of_one in outputs.values())]
    assert layers <= set(shared)
    for path in shared:
        for name in ("highlevel", "keras"):
            value, other = outputs["lowlevel"][path], outputs[name][path]
            np.testing.assert_allclose(other, value, rtol=0, atol=1e-12 * np.abs(value).max(), err_msg=path)


def test_every_layer_is_watched_in_all_three():
    outputs, layers = watched(CATALOGUE["unet"](depth=2, filters=2, dropout=0.25), (8, 8))
    assert_outputs_agree(outputs, layers | {"encoder1", "encoder1/dropout1", "decoder1", "bottleneck"})
    assert outputs["keras"]["encoder1"].shape == (2, 8, 8, 2)
    assert (outputs["keras"]["encoder1/dropout1"] == 0).mean() == pytest.approx(0.25, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_layer_is_watched_in_every_network(name):
    configurations = import_module(f"expected.{name}").CONFIGURATIONS
    hyperparameters, size, _count = min(configurations, key=lambda configuration: configuration[2])
    assert_outputs_agree(*watched(CATALOGUE[name](**hyperparameters), size))


# --- charts and pictures ----------------------------------------------------------------------


def test_a_logarithmic_chart_has_no_place_for_zero():
    steps = np.arange(1, 6)
    values = np.array([0, 1e-9, 0, 1e-8, 1e-7])
    chart = line_chart(
        [Series("keras", "keras", steps, values)], "Title", "Words.", "step", "y", logarithmic=True
    )
    assert chart.count("<circle") == 3
    assert re.search(r'd="M[\d. ]+M[\d. ]+L[\d. ]+"', chart)  # a point, a gap, a line
    assert "<title" in chart and "Words." in chart and "no difference" not in chart
    nothing = line_chart([Series("keras", "keras", steps, 0 * values)], "", "", "", "", logarithmic=True)
    assert "no difference at any step" in nothing


def test_large_pictures_are_reduced():
    small, large = (pictures.uri(np.zeros((side, side, 3))) for side in (64, 2000))
    assert small.startswith("data:image/webp;base64,") and len(large) < 3 * len(small)


# --- defaults ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown():
    return {one.default.key: one for one in defaults.shown()}


@pytest.mark.parametrize("default", defaults.DEFAULTS, ids=lambda default: default.key)
def test_every_default_is_real(shown, default):
    one = shown[default.key]
    assert defaults.differ(one) is not default.agree
    assert len(one.values) >= 2
    assert set(one.references) | set(default.nothing) == set(IMPLEMENTATIONS)
    assert not set(one.references) & set(default.nothing)
    assert all(cut(reference).code_lines for reference in one.references.values())


@pytest.mark.parametrize(
    "key, values",
    [
        ("equality", {"lowlevel": False, "keras": [True, False]}),
        ("transposed", {"lowlevel": [1, 8, 8, 1], "highlevel": [1, 9, 9, 1], "keras": [1, 9, 9, 1]}),
        ("stride", {"lowlevel": [6, 7], "highlevel": [6, 7], "keras": [6, 7]}),
        ("resize", {"lowlevel": [0, 0.5, 1, 1], "keras": [0, 0.25, 0.75, 1]}),
        ("slope", {"lowlevel": [-0.2], "keras": [-0.3, -0.2]}),
        ("update", {"lowlevel": [5], "highlevel": [0], "keras": [0.05]}),
        ("variance", {"lowlevel": [2], "highlevel": [2], "keras": [1]}),
        ("momentum", {"highlevel": -1.19, "keras": -2.0}),
        ("l2", {"lowlevel": 12.5, "keras": 25}),
    ],
)
def test_what_the_page_says_of_a_default(shown, key, values):
    for name, value in values.items():
        np.testing.assert_allclose(shown[key].values[name], value, rtol=1e-5, err_msg=name)


def test_magnitudes_that_the_page_speaks_of(shown):
    dropped = {name: float(value) for name, value in shown["dropout"].values.items()}
    assert dropped["lowlevel"] > 0.85
    assert 0.05 < dropped["highlevel"] < 0.15 and 0.05 < dropped["keras"] < 0.15
    assert abs(shown["adam"].values["highlevel"] / shown["adam"].values["keras"]) == pytest.approx(
        10, rel=0.1
    )
    assert shown["rmsprop"].values["keras"] / shown["rmsprop"].values["highlevel"] > 1000
    assert 1e-11 < abs(shown["digits"].values["highlevel"][0]) < 1e-9
    assert np.abs(shown["decays"].values["keras"]) > 1e-6
    assert np.abs(shown["decays"].values["lowlevel"]) < 1e-12


# --- the command ------------------------------------------------------------------------------


def test_the_concepts_alone(monkeypatch, tmp_path, capsys):
    folder = tmp_path / "out"
    command(compare, "--network", "hrnet", "--code-only", "--no-open", "--output", folder)
    assert str(folder / "compare.html") in capsys.readouterr().out
    assert_self_contained(folder / "compare.html")
    text = (folder / "compare.html").read_text()
    assert all(f"<dt>{page.prose(word)}</dt>" in text for word in ENTRIES)
    assert 'id="concepts"' in text and "One network, three ways: <code>hrnet</code>" in text
    assert not any(f'id="{part}"' in text for part in ("agreement", "cost", "pictures", "defaults"))
    assert [path.name for path in folder.iterdir()] == ["compare.html"]

    with pytest.raises(UserError, match="exists already and is not empty: choose another --output"):
        command(compare, "--code-only", "--no-open", "--output", folder)


@pytest.mark.parametrize("flags", [("--impl", "keras"), ("--fold", "all")])
def test_flags_of_a_single_training_are_refused(monkeypatch, flags):
    with pytest.raises(UserError, match="trains all three implementations once"):
        command(compare, *flags)


def test_the_page_is_opened_where_there_is_a_screen(monkeypatch, tmp_path):
    opened = []
    browser = webbrowser.BackgroundBrowser("some-browser")
    browser.open = opened.append
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    command(compare, "--code-only", "--output", tmp_path / "one")
    assert opened == [(tmp_path / "one" / "compare.html").as_uri()]
    command(compare, "--code-only", "--no-open", "--output", tmp_path / "two")
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("lynx"))  # takes the terminal
    command(compare, "--code-only", "--output", tmp_path / "three")
    assert len(opened) == 1


def test_a_page_that_is_too_large_is_not_written(monkeypatch, tmp_path):
    monkeypatch.setattr(page, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match="The page would have"):
        command(compare, "--code-only", "--no-open", "--output", tmp_path)
    assert not list(tmp_path.iterdir())
