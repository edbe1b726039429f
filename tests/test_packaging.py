"""What a wheel would install, worked out by setuptools from pyproject.toml; nothing is built or downloaded."""

from pathlib import Path

import pytest
from setuptools import Distribution

ROOT = Path(__file__).parent.parent
PACKAGES = ["comparison", "data", "unet_common", "unet_highlevel", "unet_keras", "unet_lowlevel"]


@pytest.fixture(scope="module")
def installed() -> list[Path]:
    """Files, as they would lie in the folder of packages."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(ROOT)
        distribution = Distribution({"script_name": "setup.py"})
        distribution.parse_config_files()  # pyproject.toml of this folder
        command = distribution.get_command_obj("build_py")
        command.ensure_finalized()
        return [Path(file).relative_to(command.build_lib) for file in command.get_outputs(False)]


def test_no_module_has_a_name_that_others_use(installed):
    """`train`, `predict`, `compare`, `tests`, ...: the commands and what else lies in a clone stay there."""
    assert sorted({file.parts[0] for file in installed}) == PACKAGES


def test_the_packages_are_complete(installed):
    source = {file.relative_to(ROOT) for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    folders = [ROOT / "comparison" / name for name in ("content", "templates")]
    viewer = Path("data/drawing/viewer.html")
    shown = {file.relative_to(ROOT) for folder in folders for file in folder.iterdir()}
    assert len(shown) > 20 and {*installed} == source | shown | {viewer}
