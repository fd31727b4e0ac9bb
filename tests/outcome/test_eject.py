"""A winner as one plain script, run where nothing of ours can be imported."""

import ast
import csv
import json

import pytest
from ejected import alike, lint, run

from advisor.cli.main import main
from advisor.errors import BundleError, RunError, UsageError
from advisor.outcome.eject import eject
from advisor.testing.samples import tiny_images

FROZEN = {"freeze.depth": 1.0}
TUNED = {"freeze.depth": 0.4, "train.epochs": 4, "optimizer.lr": 1e-3}
WINNERS = {
    "ridge": {**FROZEN, "head.name": "ridge"},
    "logistic regression, tapped": {**FROZEN, "features.tap": 0.6, "head.name": "linear", "head.linear.l2": 1e-3},
    "support vectors, mean and spread": {**FROZEN, "features.codes": "mean+std", "head.name": "svm", "head.svm.l2": 1e-3},
    "ridge on three stages": {**FROZEN, "features.also": "0.4 0.8", "head.name": "ridge"},
    "logistic regression on two stages": {**FROZEN, "features.tap": 0.8, "features.also": "0.6", "head.name": "linear"},
    "kept views": {**TUNED, "features.cache": "views", "features.views": 2, "train.augment": "flip_crop"},
    "all trains, batch statistics": {**TUNED, "freeze.depth": 0.0, "freeze.batchnorm": "train", "train.augment": "crop"},
    "hinge by SGD": {**TUNED, "head.name": "svm", "optimizer.name": "sgd", "features.tap": 0.8, "train.augment": "none"},
    "smoothed, random": {
        **TUNED, "features.weights": "random", "freeze.depth": 0.0, "head.init": "random", "train.label_smoothing": 0.1,
        "features.codes": "relu",
    },
    "statistics anew": {**TUNED, "freeze.batchnorm": "adabn", "features.cache": "fresh"},
}  # fmt: skip


@pytest.fixture
def images(tmp_path):
    return tiny_images(tmp_path / "many", each=60)


def listed(table):
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "kind",
    ["ridge", "logistic regression, tapped", "support vectors, mean and spread", "ridge on three stages", "kept views"],
)
def test_the_script_does_what_the_run_did(tuned, images, tmp_path, kind, monkeypatch):
    best = tuned(images, **WINNERS[kind])
    made = eject(best.parent, tmp_path / "out" / "train.py", device="cpu")
    lint(made.script)
    monkeypatch.chdir(tmp_path)
    found, count = run(made.script)
    report = json.loads((best / "report.json").read_text())
    assert count == report["test_images"] == 36
    assert alike(found, report["test_accuracy"], count)
    assert found > 0.6  # three classes
    if kind == "kept views":
        assert run(made.script) == (found, count)  # the same again: its draws have a seed


@pytest.mark.parametrize(
    "kind",
    ["all trains, batch statistics", "hinge by SGD", "smoothed, random", "statistics anew",
     "logistic regression on two stages"],
)  # fmt: skip
def test_every_winner_it_can_say_is_said_in_clean_code(tuned, tiny_folder, tmp_path, kind):
    made = eject(tuned(tiny_folder, **WINNERS[kind]), tmp_path / "train.py", device="cpu")
    lint(made.script)
    assert 0 <= run(made.script)[0] <= 1


def test_after_cross_validation_it_learns_from_all(tuned, tiny_folder, tmp_path):
    best = tuned(tiny_folder, **WINNERS["ridge"], **{"search.folds": 3})
    assert json.loads((best / "report.json").read_text())["validation_folds"] == 3
    made = eject(best, tmp_path / "train.py", device="cpu")
    rows = listed(tmp_path / "train.csv")
    assert len(rows) == 72
    assert {row["part"] for row in rows} == {"train", "test"}
    assert {(row["class"], row["label"]) for row in rows} == {("across", "0"), ("blobs", "1"), ("down", "2")}
    assert made.test == pytest.approx(json.loads((best / "report.json").read_text())["test_accuracy"])


def test_names_of_strangers_are_data(hostile_run, tmp_path):
    script = tmp_path / 'tra"in {{x}}\n.py'
    made = eject(hostile_run, script, device="cpu")
    ast.parse(made.script.read_text())
    found, _ = run(made.script)
    assert 0 <= found <= 1
    rows = listed(made.beside[0])
    assert len({row["class"] for row in rows}) == 8
    assert any("\n" in row["class"] for row in rows)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"head.name": "cosine"}, "the head `cosine`"),
        ({"train.mixup": 0.2, "train.ema": 0.9}, "train.mixup = 0.2, train.ema = 0.9"),
        ({"train.augment": "trivial"}, "the augmentation `trivial`"),
        ({"train.balance": "weights"}, "classes that are made to count alike"),
        ({"freeze.depth": 1.0, "head.init": "random"}, "a random head on a frozen network"),
        ({"features.also": "0.4"}, "a training of a head that reads several stages"),
        ({"features.also": "0.4", "freeze.depth": 1.0, "features.codes": "relu"}, "several stages read as `relu`"),
    ],
)
def test_what_it_cannot_say_it_refuses(tuned, tiny_folder, tmp_path, values, why):
    with pytest.raises(RunError, match=why):
        eject(tuned(tiny_folder, **values), tmp_path / "out" / "train.py", device="cpu")
    assert not (tmp_path / "out").exists()


def test_images_with_several_labels_or_outside_a_folder_are_refused(tuned, tiny_folder, tmp_path):
    files = sorted(tiny_folder.rglob("*.png"))
    for name, column, mark in (("one", "label", ""), ("several", "tags", "|odd")):
        lines = [f"path,{column}", *(f"{file},{file.parent.name}{mark * (n % 2)}" for n, file in enumerate(files))]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    with pytest.raises(RunError, match="images that are no files in a folder"):
        eject(tuned(tmp_path / "one.csv", "one", **WINNERS["ridge"]), tmp_path / "train.py", device="cpu")
    with pytest.raises(RunError, match=r"the head `sigmoid`.*images with several labels"):
        eject(tuned(tmp_path / "several.csv", "two", **{"head.name": "sigmoid"}), tmp_path / "train.py", device="cpu")


def test_a_run_without_a_model_a_damaged_one_and_files_in_the_way(tuned, tiny_folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["eject", str(tmp_path / "empty"), "-o", str(tmp_path / "train.py")]) == 1
    assert "no trial in it has finished" in capsys.readouterr().err
    best = tuned(tiny_folder, **WINNERS["ridge"])
    (tmp_path / "train.csv").touch()
    with pytest.raises(UsageError, match=r"train\.csv` is there already"):
        eject(best, tmp_path / "train.py", device="cpu")
    assert main(["eject", str(best.parent), "-o", str(tmp_path / "other.py"), "--device", "cpu", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["script"] == str(tmp_path / "other.py")
    (tiny_folder / "down" / "00.png").unlink()
    with pytest.raises(RunError, match="files or labels have changed"):
        eject(best, tmp_path / "third.py", device="cpu")
    plan, report = (best / "best.toml").read_text(), (best / "report.json").read_text()
    (best / "best.toml").write_text(plan.replace('name = "ridge"', 'name = "rigde"'))
    with pytest.raises(UsageError, match="did you mean `ridge`"):
        eject(best, tmp_path / "third.py", device="cpu")
    (best / "report.json").write_text(report[:100])
    with pytest.raises(BundleError, match="no report that can be read"):
        eject(best, tmp_path / "third.py", device="cpu")
