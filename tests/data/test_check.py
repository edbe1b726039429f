"""python -m data check: what it tells apart, and its status."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import data.__main__ as program
from data.overview import Overview
from data.sources.detect import source_at


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Status and output of `check` for a folder of images a, b, c, ... with these masks."""

    def run(masks, *flags):
        for index, mask in enumerate(masks):
            for part, pixels in (
                ("images", np.full((8, 8 + index), 3)),
                ("masks", mask * np.ones((8, 8 + index))),
            ):
                (tmp_path / part).mkdir(exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / part / f"{'abcdefgh'[index]}.png")
        monkeypatch.setattr(sys, "argv", ["data", "check", str(tmp_path), *flags])
        return program.main(), capsys.readouterr().out

    return run


HALF = np.repeat([[0], [255]], 4, axis=0)


def test_warnings_are_no_errors_and_those_of_a_kind_are_one(check):
    status, told = check([HALF, HALF, 0, 0, 0])
    assert status == 0
    assert told.count("has no foreground") == 1 and "1 warning(s):\n  - 3 files: has no foreground" in told
    assert all(f"images/{name}.png" in told for name in "cde") and "a.png" not in told
    assert "error(s)" not in told and "No errors found." in told


def test_errors_come_last_and_decide_the_status(check, tmp_path):
    check([HALF, HALF, 0])
    (tmp_path / "images/a.png").write_bytes(b"")
    status, told = check([])
    assert status == 1
    assert told.splitlines()[-2] == "1 error(s):" and "images/a.png: " in told.splitlines()[-1]
    assert "found." not in told


def test_files_that_are_not_read_are_a_list_of_their_own(check, tmp_path):
    check([HALF, HALF])
    (tmp_path / "images/notes.gif").write_bytes(b"GIF89a")
    status, told = check([])
    assert status == 0 and "Not read:\n  - " in told and "notes.gif" in told.split("Not read:")[1]
    assert "No problems found." in told


def test_the_overview(check, tmp_path):
    _status, told = check([HALF, HALF, HALF])
    assert told.splitlines()[:5] == [
        "folder: 3 labelled cases, 0 without label",
        "size: 8 x 8 to 8 x 10, median 8 x 9",
        "channels: 1   grey values: 3 to 3",
        "classes: 2, background included",
        "shares of all pixels: background (0) 50.00%, class 1 (255) 50.00%",
    ]
    assert Overview(source_at(str(tmp_path))).lines() == []


def test_classes_that_no_case_has_are_named():
    source = source_at("blobs3d", {"images": 2, "size": [16, 16, 16]})
    overview, case = Overview(source), source.read("blobs-0")
    without = replace(case, label=np.where(case.label == 2, 0, case.label))
    assert overview.add(without) is without
    assert overview.lacking == ["back"]
    overview.add(source.read("blobs-1"))
    assert overview.lacking == []


@pytest.mark.parametrize("depths, told", [((8, 8, 8), False), ((16, 16, 16), False), ((8, 16, 8), True)])
def test_images_of_different_depths_are_noted(check, tmp_path, depths, told):
    """A copy of 16 bits of an image of 8 is the same to a viewer, and another to a network."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20))
    for name, bits in zip("abc", depths, strict=True):
        for part in ("images", "masks"):
            (tmp_path / part).mkdir(exist_ok=True)
        values = pixels.astype(np.uint8) if bits == 8 else (pixels * 257).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / f"images/{name}.png")
        Image.fromarray((pixels > 128).astype(np.uint8)).save(tmp_path / f"masks/{name}.png")
    status, printed = check([])
    assert status == 0
    assert ("values of 1 image(s) reach 65535, those of the other 2 255" in printed) == told
    assert ("b.png" in printed) == told
