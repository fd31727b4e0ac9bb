import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import draw
from PIL import Image

import advisor
from advisor.builtin.datasets import open_folder
from advisor.data.range import ValueRange
from advisor.errors import BundleError, UsageError
from advisor.outcome import predict as predicting
from advisor.outcome.predict import predict_each
from advisor.outcome.writing import writing
from advisor.progress import Silent
from advisor.recipe import Plan, Recipe
from advisor.task.interval import wilson


@pytest.fixture
def best(tiny, tiny_folder, tmp_path):
    values = {"freeze.depth": 1.0, "search.trials": 1}
    plan = Plan(Recipe("head", values=values), str(tiny_folder), tiny)
    return advisor.tune(plan, runs=tmp_path / "runs", device="cpu").best


def test_files_folders_and_unreadable_ones_in_order(best, tiny_folder, tmp_path):
    more = tmp_path / "more"
    (more / "deeper").mkdir(parents=True)
    draw(1, 500).save(more / "deeper" / "new.png")
    (more / "broken.jpg").write_bytes(b"not a jpeg")
    (more / "readme.txt").write_text("ignored")
    photo = tiny_folder / "across" / "00.png"
    frame = advisor.predict(best, [photo, more])
    assert frame["path"].tolist() == [str(photo), str(more / "broken.jpg"), str(more / "deeper" / "new.png")]
    assert frame["label"].tolist()[0] == "across"
    assert frame["error"].tolist() == ["", "not an image", ""]
    assert np.isnan(frame["probability"][1])
    scores = frame[[c for c in frame.columns if c.startswith("p(")]].to_numpy()
    np.testing.assert_allclose(scores[[0, 2]].sum(1), 1, atol=1e-5)


def test_a_folder_is_predicted_as_a_training_lists_it_and_what_is_not_read_is_said(best, tiny_folder):
    for name in ("@eaDir", ".hidden", "down/thumbs", "__MACOSX"):
        (tiny_folder / name).mkdir()
        draw(1, 900).save(tiny_folder / name / "x.png")
    (tiny_folder / "down" / "._00.png").write_bytes(b"x")
    (tiny_folder / "down" / "raw.NEF").write_bytes(b"x")
    lines = []

    class Told(Silent):
        def say(self, text):
            lines.append(text)

    listed = [str(tiny_folder / path) for path in open_folder(str(tiny_folder)).paths]
    assert advisor.predict(best, [tiny_folder], progress=Told())["path"].tolist() == sorted(listed)
    assert len(lines) == 1
    assert "1 picture is not read, of the ending .nef" in lines[0]
    again = advisor.predict(best, [f"{tiny_folder}?layout=classes"])
    assert again["path"].tolist() == sorted(listed)


def test_locations_of_dataset_formats_and_the_limit(best):
    frame = advisor.predict(best, ["digits:"], limit=10)
    assert len(frame) == 10
    assert frame["path"][0] == "digits:0000.png"


def test_patterns_tables_and_what_is_not_there_beside_others(best, tiny_folder, tmp_path):
    found = advisor.predict(best, [f"{tiny_folder}/*/0[0-2].png"])
    assert len(found) == 9
    assert found["path"].is_monotonic_increasing
    (tmp_path / "photos.csv").write_text(
        f"path,label\n{tiny_folder}/across/00.png,across\n{tmp_path}/gone.png,across\n"
    )
    table = advisor.predict(best, [tmp_path / "photos.csv", tiny_folder / "across" / "01.png", "never.jpg"])
    assert table["error"].tolist() == ["", "No such file or directory", "", "No such file or directory"]
    with pytest.raises(UsageError, match="matches is an image"):
        advisor.predict(best, [f"{tiny_folder}/*/*.tiff"])


TABLES = {
    "bare.csv": "path\n{a}\n{b}\n{a}\n",
    "empty.csv": "path,label\n{a},\n{b},\n{a},\n",
    "odd.csv": "path,label,split\n{a},zebra,weird\n{b},,test\n{a},other,\n",
    "semicolon.csv": "Filename;Width\n{a};3\n{b};3\n{a};3\n",
    "lines.jsonl": '{{"path": "{a}"}}\n{{"path": "{b}"}}\n{{"path": "{a}"}}\n',
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_gives_a_row_for_each_of_its_rows_whatever_its_labels(best, tiny_folder, name):
    a, b = "across/00.png", "./down/01.png"
    (tiny_folder / name).write_text(TABLES[name].format(a=a, b=b))
    frame = advisor.predict(best, [tiny_folder / name])
    plain = advisor.predict(best, [tiny_folder / place for place in (a, b, a)])
    assert frame["path"].tolist() == [a, b, a]
    assert frame["error"].tolist() == ["", "", ""]
    assert frame["label"].tolist() == plain["label"].tolist()
    np.testing.assert_allclose(frame["probability"], plain["probability"], atol=1e-6)


def test_a_folder_gives_the_files_that_a_training_lists(best, tiny_folder):
    listed = set(advisor.open_dataset(tiny_folder).frame["path"])
    for hidden in (".thumbnails", "across/.ipynb_checkpoints", ".Trash-1000/files"):
        (tiny_folder / hidden).mkdir(parents=True)
        draw(1, 500).save(tiny_folder / hidden / "old.png")
    (tiny_folder / "across" / "._00.png").write_bytes(b"\0\5\x16\7")
    frame = advisor.predict(best, [tiny_folder])
    assert {path.removeprefix(f"{tiny_folder}/") for path in frame["path"]} == listed


NAMES = (
    "line\nbreak.png",
    'quote\'s "x".png',
    "[2024] blank.png",
    "ünï.png",
    b"caf\xe9.png".decode(errors="surrogateescape"),
)


def test_names_come_back_byte_for_byte(best, tmp_path):
    for number, name in enumerate(NAMES):
        draw(number % 3, 600 + number).save(tmp_path / "plain.png")
        (tmp_path / "plain.png").rename(tmp_path / name)
    model = advisor.load(best)
    rows = list(predict_each(model, [tmp_path / name for name in NAMES]))
    assert [row.path for row in rows] == [str(tmp_path / name) for name in NAMES]
    assert not any(row.error for row in rows)
    assert advisor.predict(model, [tmp_path / name for name in NAMES])["path"].tolist() == [row.path for row in rows]
    for kind in (".csv", ".tsv", ".jsonl", ".parquet"):
        with writing(tmp_path / f"out{kind}", model.classes, 1) as write:
            for row in rows:
                write(row)
    for kind, mark in ((".csv", ","), (".tsv", "\t")):
        with (tmp_path / f"out{kind}").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            assert [line["path"] for line in csv.DictReader(file, delimiter=mark)] == [row.path for row in rows]
    text = (tmp_path / "out.jsonl").read_text("utf-8", errors="surrogateescape")
    assert [json.loads(line)["path"] for line in text.split("\n") if line] == [row.path for row in rows]
    paths = pd.read_parquet(tmp_path / "out.parquet")["path"].tolist()
    assert paths[:-1] == [row.path for row in rows[:-1]]
    assert paths[-1].endswith(r"caf\udce9.png")


def test_no_label_below_the_least_probability(best, tiny_folder):
    plain = advisor.predict(best, [tiny_folder])
    middle = float(plain["probability"].median())
    some = advisor.predict(best, [tiny_folder], least=middle)
    assert ((some["label"] == "") == (plain["probability"] < middle)).all()
    assert (some["probability"] == plain["probability"]).all()


def test_one_by_one_is_the_same_as_the_table_and_folding_changes_no_label(best, tiny_folder, monkeypatch):
    model = advisor.load(best)
    table = advisor.predict(model, [tiny_folder])
    assert len(table) >= 64  # so BatchNorm was folded away
    monkeypatch.setattr(predicting, "_WORTH_FOLDING", 10_000)
    rows = list(predict_each(model, [tiny_folder]))
    assert [row.path for row in rows] == table["path"].tolist()
    assert [row.label for row in rows] == table["label"].tolist()
    np.testing.assert_allclose([row.probability for row in rows], table["probability"], atol=1e-4)
    plain = rows[0].to_dict(model.classes, 2)
    assert plain["top"][0]["label"] == plain["label"]
    assert plain["top"][0]["probability"] >= plain["top"][1]["probability"]


def test_what_is_not_there(best, tmp_path):
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        advisor.predict(best, [tmp_path / "none.jpg"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no images"):
        advisor.predict(best, [tmp_path / "empty"])
    with pytest.raises(BundleError, match=r"config\.json is missing"):
        advisor.load(tmp_path)


def test_damaged_bundles_are_refused_in_words(best):
    config = json.loads((best / "config.json").read_text())
    whole = (best / "model.safetensors").read_bytes()
    (best / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="cannot be loaded"):
        advisor.load(best)
    (best / "model.safetensors").write_bytes(whole)
    for wrong in ("{", "[]", "{}", json.dumps({**config, "advisor": {"format": 99}})):
        (best / "config.json").write_text(wrong)
        with pytest.raises(BundleError):
            advisor.load(best)


def test_wilson():
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(80, 100)
    assert (low, high) == (pytest.approx(0.7112, abs=1e-4), pytest.approx(0.8666, abs=1e-4))
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 10)[0] == 0.0


@pytest.fixture
def deep_folder(tiny_folder, tmp_path):
    """The tiny images as twelve bits in 16-bit files."""
    for file in tiny_folder.rglob("*.png"):
        target = tmp_path / "deep" / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        levels = np.asarray(Image.open(file).convert("L")).astype(np.uint16) * 16
        Image.fromarray(levels).save(target)
    return tmp_path / "deep"


def test_the_range_of_the_set_goes_from_advice_to_plan_to_model_to_prediction(tiny, deep_folder, tmp_path):
    advice = advisor.recommend(deep_folder, backbone=tiny, device="cpu")
    assert advice.plan.ranges.uint16 == ValueRange(0.0, 4095.0)
    assert any("1/16" in note for note in advice.profile.notes)
    plan = replace(advice.plan, recipe=Recipe("head", values={"freeze.depth": 1.0, "search.trials": 1}))
    best = advisor.tune(plan, runs=tmp_path / "runs", device="cpu").best
    model = advisor.load(best)
    assert model.ranges == plan.ranges
    assert "range.uint16" in (best / "best.toml").read_text()
    assert "16-bit images are scaled by 0..4095" in (best / "README.md").read_text()
    bright = next((deep_folder / "across").iterdir())
    dim = np.asarray(Image.open(bright)) // 8
    Image.fromarray(dim).save(tmp_path / "dim.png")
    Image.fromarray(np.round(dim / 4095 * 255).astype(np.uint8)).save(tmp_path / "dim8.png")
    table = advisor.predict(model, [tmp_path / "dim.png", tmp_path / "dim8.png"])
    scores = table[[column for column in table.columns if column.startswith("p(")]].to_numpy()
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


def test_a_deep_image_for_a_model_of_eight_bit_images_is_a_warning(best, tmp_path):
    class Told(Silent):
        lines: list = []  # noqa: RUF012

        def say(self, text):
            self.lines.append(text)

    for number in range(3):
        Image.fromarray(np.full((40, 40), 1000 * number, np.uint16)).save(tmp_path / f"{number}.png")
    told = Told()
    assert not advisor.predict(best, [tmp_path / f"{n}.png" for n in range(3)], progress=told)["error"].any()
    assert [line for line in told.lines if "deeper than eight bits" in line] == told.lines[:1]


def test_a_damaged_range_in_a_model_is_said(best):
    config = json.loads((best / "config.json").read_text())
    config["advisor"]["range"] = {"uint16": {"low": 3, "high": 1}}
    (best / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError, match="low 3 is not below high 1"):
        advisor.load(best)
