"""`train.py --list-networks`: the catalogue to read."""

import json
import sys

import pytest

import train
from unet_common.networks import CATALOGUE
from unet_common.networks.listing import listing


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["train.py", "--list-networks", *arguments])
    train.main()
    return capsys.readouterr().out


def test_the_command_shows_every_network(monkeypatch, capsys):
    text = run(monkeypatch, capsys)
    blocks = text.strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == list(CATALOGUE)
    for block in blocks:
        assert all(
            f"\n  {heading} " in block for heading in ("paper", "images", "tasks", "sizes", "defaults")
        )
        assert max(map(len, block.split("\n"))) <= 110


def test_the_command_lists_them_for_programs(monkeypatch, capsys):
    networks = json.loads(run(monkeypatch, capsys, "--json"))
    assert [network["name"] for network in networks] == list(CATALOGUE)
    unet = networks[0]
    assert unet["ranks"] == [2, 3] and unet["sizes"].endswith("a multiple of 16")
    assert unet["hyperparameters"]["depth"] == {"default": 5, "description": "levels of resolution"}


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_setting_is_described(name):
    (network,) = json.loads(listing([CATALOGUE[name]], as_json=True))
    assert "arXiv:" in network["paper"] or "doi:" in network["paper"]
    assert network["summary"].endswith(".")
    for key, entry in network["hyperparameters"].items():
        assert entry["description"], key
