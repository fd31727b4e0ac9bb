"""How a folder is read, as a person meets it at the terminal."""

import json

import pytest
from conftest import draw

from advisor.cli.main import main
from advisor.outcome.eject import eject
from advisor.tuning.network_runner import NetworkRunner


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def _run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return _run


def fill(root, *names, count=12):
    for kind, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for seed in range(count):
            draw(kind % 3, 100 * kind + seed).save(root / name / f"p{seed:02d}.png")


def test_the_reading_is_said_first_and_stands_on_the_page(run, tiny, tmp_path):
    fill(tmp_path / "data", "seg_train/a", "seg_train/b", "seg_pred")
    (tmp_path / "data" / "seg_train" / "a" / "x.cr2").write_bytes(b"x")
    reading = "Read as seg_train/ (train) with 2 classes: a, b."
    left_out = "seg_pred/ (12 images): unlabelled"
    code, out, err = run("profile", "data", "--backbone", tiny, "--without-network")
    assert code == 0
    assert err.startswith(f"{reading}\nLeft out: {left_out}")
    assert err.index(left_out) < err.index("Listing images")
    for text in (out, err):
        assert reading in text
        assert "1 picture is not read, of the ending .cr2 (1)" in text
    assert left_out in out
    code, out, _ = run("profile", "data", "--backbone", tiny, "--without-network", "--json", "-q")
    assert json.loads(out)["reading"][0] == reading
    code, out, err = run("recommend", "data", "--backbone", tiny)
    assert code == 0
    assert err.index(reading) < err.index("Listing images")
    assert reading in out
    assert left_out in (tmp_path / "advisor.html").read_text("utf-8")


def test_two_readings_and_the_option_from_plan_to_script(run, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        NetworkRunner, "variants", lambda *_: {}
    )  # a head on several views is more than `eject` can say
    fill(tmp_path / "data", "train", "test")
    code, out, err = run("recommend", "data", "--backbone", tiny)
    assert (code, out) == (1, "")
    assert "can be read in two ways: as 2 classes, `train` and `test`, or as the parts train/ and test/" in err
    assert "hint: advisor recommend 'data?layout=classes'" in err
    assert not (tmp_path / "advisor.toml").exists()
    assert run("recommend", "data?layout=classes", "--backbone", tiny, "--no-report")[0] == 0
    assert 'location = "data?layout=classes"' in (tmp_path / "advisor.toml").read_text()
    code, out, err = run("tune", "--trials", 1, "--no-report")
    assert code == 0
    assert "Read as 2 classes, one folder each: test, train." in err
    code, out, _ = run("predict", "runs/data/best", "data/test", "--json", "-q")
    assert {row["top"][0]["label"] for row in json.loads(out)} <= {"train", "test"}
    script = eject("runs/data", tmp_path / "train.py").script.read_text("utf-8")
    assert f'DATA = Path("{tmp_path / "data"}")' in script
