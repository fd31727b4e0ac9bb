"""What the command says where there is much to tell apart, and where there is nothing to learn: it must be true."""

import json

import numpy as np
import pytest
from conftest import TINY
from PIL import Image

from advisor.cli.main import main
from advisor.plugins import load_catalog
from advisor.recipe import load_plan
from advisor.records.folder import read_run

CLASSES = 500


@pytest.fixture
def noise(tmp_path):
    """72 images of noise, one as good as another, under the names of three classes."""
    rng = np.random.default_rng(0)
    for kind in "abc":
        (tmp_path / "noise" / kind).mkdir(parents=True)
        for number in range(24):
            pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "noise" / kind / f"{number:02d}.png")
    return tmp_path / "noise"


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


CLAIMS = ("beats the last", "read here", "should reach", "Expect an", "Runner-up", "features is recommended", "advised", "Scenario 3:",
          "in the end", "would reach", "fine-tuning starts here")  # fmt: skip


def test_of_noise_no_way_is_recommended_on_any_page(capsys, monkeypatch, tmp_path, tiny, noise):
    monkeypatch.chdir(tmp_path)
    assert main(["recommend", str(noise), "--backbone", tiny, "--device", "cpu", "--md"]) == 0
    screen = capsys.readouterr().out
    for page in (screen, (tmp_path / "advisor.md").read_text(), (tmp_path / "advisor.html").read_text()):
        assert "No way is recommended" in page
        assert "Check the labels first: no probe learns anything from these images" in page
        assert "What to check" in page
        assert "name them yourself" in page
        assert "guessing gives" in page
        for claim in CLAIMS:
            assert claim not in page
    assert "advisor recommend" in screen.rsplit("When the labels are right", 1)[1]


def test_of_noise_the_numbers_recommend_nothing_and_a_search_says_what_it_is_worth(
    capsys, monkeypatch, tmp_path, tiny, noise
):
    import advisor

    monkeypatch.chdir(tmp_path)
    recommendation = advisor.recommend(str(noise), backbone=tiny, device="cpu")
    assert recommendation.to_dict()["times"]["chosen"] is None
    plain = recommendation.to_dict()["verdict"]
    assert (plain["learnable"], plain["strategy"], plain["rival"]) == (False, None, None)
    assert len(plain["checks"]) >= 4
    assert not recommendation.ways["recommended"].any()
    card = recommendation._repr_html_()
    assert "Check the labels first" in card
    assert "name them yourself" in card
    assert "Scenario" not in card
    assert all(point.gain < 0.2 for point in recommendation.curve.points)

    assert main(["recommend", str(noise), "--backbone", tiny, "--device", "cpu", "--no-report", "-q"]) == 0
    evidence = load_plan("advisor.toml", load_catalog()).evidence
    assert evidence["learnable"] is False
    assert {"expected", "strategy", "runner_up"}.isdisjoint(evidence)
    capsys.readouterr()
    assert main(["tune", "--trials", "1", "--budget", "60s", "--device", "cpu", "--no-report"]) == 0
    out, err = capsys.readouterr()
    assert "The plan recommends no way" in err
    assert "Not clearly better than guessing: right on" in out
    assert "no probe learnt anything" in out
    record = read_run(tmp_path / "runs" / "noise").record
    assert record.beats_guessing is False
    assert record.guessing == pytest.approx(1 / 3)
    assert record.to_dict()["test_beats_guessing"] is False
