"""The notebook runs from the first cell to the last, and the one in the repository is made of its script."""

from runpy import run_path

import jupytext
import nbformat
import pytest
from helpers import ROOT

FOLDER = ROOT / "notebooks"


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def printed(notebook) -> str:
    """All text that the cells gave, tables included."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text") or output.data.get("text/markdown", "") for output in outputs)


def test_the_notebook_in_the_repository_is_that_of_the_script():
    committed = nbformat.read(FOLDER / "walkthrough.ipynb", as_version=4)
    assert cells(committed) == cells(jupytext.read(FOLDER / "walkthrough.py"))
    assert "0 of 32768 voxels differ" in printed(committed)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)  # as a reader runs it: three times as fast
    run_path(str(FOLDER / "build.py"))["build"](tmp_path / "walkthrough.ipynb")
    text = printed(nbformat.read(tmp_path / "walkthrough.ipynb", as_version=4))
    assert text.count("voxels differ") == 2
    dice = [float(line.split("|")[2]) for line in text.splitlines() if line.startswith("| blobs")]
    assert len(dice) == 6 and min(dice) > 0.6
