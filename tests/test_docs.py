"""The code in the documentation runs, with every implementation."""

import re
from pathlib import Path

import pytest

from unet_common.implementation import IMPLEMENTATIONS

PAGE = (Path(__file__).parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
CODE = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_page_about_the_api_runs(implementation, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert 'load("lowlevel")' in CODE
    names = {}
    exec(compile(CODE.replace('"lowlevel"', f'"{implementation}"'), "docs/api.md", "exec"), names)
    assert names["logits"].shape == (2, 32, 48, 1)
    assert names["mask"].shape == (29, 41)
    assert names["gradients"].keys() < names["model"].weights().keys()
    output = capsys.readouterr().out
    assert "(3, 3, 1, 8)" in output and "(1, 1, 8, 1)" in output
