"""Execute walkthrough.py as a notebook and write it, with its outputs, beside it: python notebooks/build.py."""

import argparse
from pathlib import Path

import jupytext
from nbclient import NotebookClient

SCRIPT = Path(__file__).with_name("walkthrough.py")


def build(output: Path) -> None:
    """Write the executed notebook; raises nbclient's CellExecutionError, and writes nothing, if a cell fails."""
    notebook = jupytext.read(SCRIPT)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": SCRIPT.parent.parent}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of the clock: another notebook at each build
    jupytext.write(notebook, output, fmt="ipynb")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=SCRIPT.with_suffix(".ipynb"), metavar="FILE")
    build(parser.parse_args().output)
