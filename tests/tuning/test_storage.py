"""Where a study lives, and whose it is."""

from dataclasses import replace

import optuna
import pytest

from advisor.errors import RunError
from advisor.recipe import Plan, Range, Recipe
from advisor.tuning import storage
from advisor.tuning.storage import claim, fingerprint, open_ledger, study_key

VALUES = {"optimizer.lr": Range(1e-4, 1e-2, log=True, start=1e-3), "search.trials": 10, "search.budget": "10m"}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def plan(**changes):
    return replace(Plan(Recipe("test", values=VALUES), "./birds", "lite0"), **changes)


def with_values(**values):
    return plan(
        recipe=Recipe("test", values={**VALUES, **{key.replace("_", "."): value for key, value in values.items()}})
    )


@pytest.mark.parametrize(
    "other",
    [
        plan(backbone="other"), plan(seed=1), plan(skip_small_classes=True), plan(backbones=("lite0", "other")),
        with_values(train_epochs=3), with_values(optimizer_lr=1e-3),
        with_values(optimizer_lr=Range(1e-4, 1e-2, log=False, start=1e-3)),
    ],
)  # fmt: skip
def test_what_changes_a_trial_changes_the_fingerprint(other):
    assert fingerprint(other) != fingerprint(plan())


@pytest.mark.parametrize(
    "same",
    [
        with_values(search_trials=99), with_values(search_budget="2h"), with_values(search_seeds=9),
        plan(location="/elsewhere/birds"), plan(evidence={"expected": {"accuracy": 0.5}}),
        plan(recipe=Recipe("another name", values=dict(reversed(VALUES.items())))),
    ],
)  # fmt: skip
def test_how_long_and_where_does_not(same):
    assert fingerprint(same) == fingerprint(plan())


def test_a_study_is_found_by_its_data_and_its_plan():
    assert study_key("abc", plan()) == study_key("abc", plan(location="/elsewhere"))
    assert len({study_key("abc", plan()), study_key("abd", plan()), study_key("abc", plan(seed=1))}) == 3


def test_a_study_in_the_folder_stays_there(tmp_path):
    with open_ledger("", "key", tmp_path) as ledger:
        claim(ledger, "abc", plan(), tmp_path)
    assert (tmp_path / "study.db").is_file()
    assert not (tmp_path / "storage.txt").exists()
    with open_ledger("", "key", tmp_path) as again:
        assert again.setting("digest") == "abc"
        claim(again, "abc", plan(), tmp_path)


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a b", "ü\N{SNOWMAN}", "a#b"])
def test_a_folder_of_any_name_holds_its_study(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    with open_ledger("", "key", folder) as ledger:
        ledger.settle("digest", "abc")
    assert (folder / "study.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("digest", "other", "words"),
    [("changed", plan(), "another dataset, or this one before it changed"), ("abc", plan(seed=5), "another plan")],
)
def test_the_run_of_something_else_is_refused_with_ways_out(tmp_path, digest, other, words):
    folder = tmp_path / "birds"
    folder.mkdir()
    with open_ledger("", "key", folder) as ledger:
        claim(ledger, "abc", plan(), folder)
        with pytest.raises(RunError, match=words) as caught:
            claim(ledger, digest, other, folder)
        assert caught.value.hint == "advisor tune --name birds-2"
        assert any("--resume" in way for way in caught.value.ways)
        assert ledger.setting("digest") == "abc"


def test_a_study_elsewhere_is_noted_and_not_begun_anew(tmp_path):
    here, url = tmp_path / "run", f"sqlite:///{tmp_path / 'shared.db'}"
    here.mkdir()
    with open_ledger(url, "key", here) as ledger:
        ledger.settle("digest", "abc")
    assert (here / "storage.txt").read_text() == url + "\n"
    with pytest.raises(RunError, match="is in sqlite:") as caught, open_ledger("", "key", here):
        pass
    assert caught.value.hint == f"--storage {url}"
    assert not (here / "study.db").exists()
    with open_ledger(url, "key", here) as again:
        assert again.setting("digest") == "abc"


def test_two_studies_share_a_storage_and_not_their_settings(tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    for key in ("one", "two"):
        (tmp_path / key).mkdir()
        with open_ledger(url, key, tmp_path / key) as ledger:
            assert ledger.setting("digest") is None
            ledger.settle("digest", key)


@pytest.mark.parametrize("url", ["no url at all", "martian://x", "sqlite:////no/such/folder/study.db"])
def test_a_storage_that_cannot_be_used_is_said_in_words(tmp_path, url):
    with pytest.raises(RunError, match="cannot be used") as caught, open_ledger(url, "key", tmp_path):
        pass
    assert "sqlite:///" in caught.value.hint
    assert len(str(caught.value).splitlines()) < 8


def test_a_password_is_neither_written_nor_said(tmp_path):
    url = "postgresql+psycopg://me:s3cret@localhost:1/none?connect_timeout=1"
    assert "s3cret" not in storage._without_password(url)
    storage._settle_place(url, tmp_path)
    assert "s3cret" not in (tmp_path / "storage.txt").read_text()
    storage._settle_place(url, tmp_path)  # the same place, with its password
    with pytest.raises(RunError) as caught:
        storage._settle_place("sqlite:///other.db", tmp_path)
    assert "s3cret" not in str(caught.value)
