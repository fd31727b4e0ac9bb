"""What the command says where there is much to tell apart, and where there is nothing to learn: it must be true."""

import json

import numpy as np
import pytest
from conftest import TINY
from PIL import Image

from advisor.cli.main import main

CLASSES = 500


@pytest.fixture
def answer(capsys, tmp_path, monkeypatch):
    """From a command line to the JSON that it prints."""
    monkeypatch.chdir(tmp_path)

    def _answer(*words):
        code = main([*map(str, words), "--json", "-q"])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return json.loads(out)

    return _answer


def two_colours(kind, seed):
    """24 × 24 pixels in the two colours of a class, each in half of 64 fields that lie as chance has it."""
    rng = np.random.default_rng([kind, seed])
    colours = np.random.default_rng(kind).integers(10, 246, (2, 3))
    fields = np.kron(rng.permutation(np.arange(64) % 2).reshape(8, 8), np.ones((3, 3), int))
    return Image.fromarray((colours[fields] + rng.normal(0, 3, (24, 24, 3))).clip(0, 255).astype(np.uint8))


def test_of_500_classes_the_switched_labels_are_found(answer, install, tmp_path):
    install("wide", TINY.format(name="wide", architecture="resnet10t"))
    switched = {f"{kind:03d}-0.png": f"{kind + 5:03d}" for kind in range(0, CLASSES, 10)}
    for kind in range(CLASSES):
        for seed in range(4):
            name = f"{kind:03d}-{seed}.png"
            folder = tmp_path / "many" / switched.get(name, f"{kind:03d}")
            folder.mkdir(parents=True, exist_ok=True)
            two_colours(kind, seed).save(folder / name)
    result = answer("recommend", "many", "--backbone", "wide", "--device", "cpu", "--no-report")
    best = max(result["probes"]["points"], key=lambda point: point["accuracy"])
    assert best["accuracy"] > 0.8  # a class in ten has a stranger among the three images that are looked at
    assert best["neighbours"] > 0.8
    doubted = {one["path"].split("/")[1] for one in result["suspects"]}
    assert len(doubted & set(switched)) >= 25  # of the 37 or so that are not test images
    assert len(doubted & set(switched)) >= 0.8 * len(doubted)
