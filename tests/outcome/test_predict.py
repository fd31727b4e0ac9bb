import json

import numpy as np
import pytest
from conftest import draw

import advisor
from advisor.builtin.datasets import open_folder
from advisor.errors import BundleError, UsageError
from advisor.outcome import predict as predicting
from advisor.outcome.predict import predict_each
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
