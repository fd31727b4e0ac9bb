import json
from dataclasses import replace

import numpy as np
import optuna
import pytest
from replay import Replay

from advisor.recipe.values import TrialValues
from advisor.records.trial import CurvePoint, TrialKind, TrialState, Way
from advisor.tuning.ledger import Ledger, pack, unpack

FLAT = {"head.name": "svm", "head.svm.l2": 0.01, "freeze.depth": 0.5, "optimizer.name": "adamw", "optimizer.lr": 1e-3,
        "optimizer.lr_ratio": 10.0, "optimizer.weight_decay": 0.0, "train.epochs": 4, "train.batch_size": 32,
        "train.warmup": 0.1, "train.label_smoothing": 0.0, "train.mixup": 0.0, "train.ema": 0.0}  # fmt: skip
VALUES = TrialValues.from_flat(FLAT)
RUNNER = Replay(lambda _values: 0.75)


@pytest.fixture(params=["memory", "file"])
def books(request, tmp_path):
    """Two ledgers over one study, the second opened anew."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if request.param == "memory":
        storage = optuna.storages.InMemoryStorage()
        places = storage, storage
    else:
        url = f"sqlite:///{tmp_path / 'study.db'}"
        places = optuna.storages.RDBStorage(url), optuna.storages.RDBStorage(url)

    def opened(place):
        return Ledger(*(
            optuna.create_study(storage=place, study_name=name, direction="maximize", load_if_exists=True)
            for name in ("search", "probes")
        ))  # fmt: skip

    yield tuple(opened(place) for place in places)
    for place in places:
        if isinstance(place, optuna.storages.RDBStorage):
            place.engine.dispose()


def asked(book):
    return book.ask(optuna.samplers.RandomSampler(seed=0))


def finished(**changes):
    return RUNNER.finished(0.75, 1, 0, tap=8, frozen=4, steps=50, curve=(CurvePoint(1, 25, 1.5, 0.5),), **changes)


def test_a_finished_trial_comes_back_as_it_was(books):
    book, again = books
    trial = asked(book)
    book.begin(trial, VALUES)
    book.complete(trial, finished(), 12.5)
    for one in (book, again):
        (record,) = one.records()
        assert (record.number, record.kind, record.state) == (0, TrialKind.TRIAL, TrialState.COMPLETE)
        assert record.values == VALUES
        assert (record.accuracy, record.seconds, record.tap, record.frozen) == (0.75, 12.5, 8, 4)
        assert (record.steps, record.planned_steps, record.trained) == (50, 100, 0.5)
        assert record.curve == (CurvePoint(1, 25, 1.5, 0.5),)
        assert record.way is Way.TUNED
        assert record.ended is not None
        assert record.scored
        assert (one.image_scores(0, 100) == finished().image_scores).all()
        assert type(record).from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_probes_are_apart_and_told_by_their_stages(books):
    book, again = books
    book.add_probe(-3, TrialValues(), RUNNER.finished(0.5, 1, 0, tap=3, frozen=3, steps=0), 0.1)
    assert not book.study.trials
    record = again.record(-3)
    assert (record.kind, record.way, record.name) == (TrialKind.PROBE, Way.PROBE, "probe at stage 3")
    assert again.image_scores(-3, 100).mean() == 0.5
    two = RUNNER.finished(0.5, 1, 0, tap=3, frozen=3, steps=0)
    book.add_probe(-1003, TrialValues(), replace(two, also=(1,)), 0.1)
    assert (again.record(-1003).name, again.record(-1003).stages_read) == ("probe at stages 1 and 3", (1, 3))
    assert not again.ended()


def test_a_study_of_an_earlier_version_knows_the_taps_of_its_probes(books):
    book, again = books
    attrs = {"kind": "probe", "tap": 3, "frozen": 3}
    book._probes.add_trial(optuna.trial.create_trial(value=0.5, user_attrs=attrs))
    assert again.record(-3).stages_read == (3,)


def test_further_seeds_are_kept_in_order(books):
    book, again = books
    trial = asked(book)
    book.begin(trial, VALUES)
    book.complete(trial, finished(), 1.0)
    book.add_seed(0, 2, np.ones(100))
    book.add_seed(0, 1, np.zeros(100))
    assert again.further_seeds(0) == (1, 2)
    assert again.image_scores(0, 100).mean(1).tolist() == [0.75, 0.0, 1.0]


def test_what_counts_and_what_does_not(books):
    book, _ = books
    for kind in (None, TrialKind.INTERRUPTED, TrialKind.OUT_OF_TIME):
        trial = asked(book)
        book.begin(trial, VALUES)
        book.complete(trial, finished(), 1.0) if kind is None else book.drop(trial, kind, "why")
    repeat = asked(book)
    book.repeat(repeat, VALUES, book.record(0))
    failed = asked(book)
    book.begin(failed, VALUES)
    book.fail(failed, "boom", 2.0)
    assert len(book.ended()) == 5
    assert [record.number for record in book.searched()] == [0, 4]
    assert [trial.number for trial in book.comparable()] == [0]
    assert book.record(3).accuracy == 0.75
    assert not book.record(3).scored
    assert [record.reason for record in book.ended()] == ["", "why", "why", "the same values as trial 0", "boom"]


def test_starts_that_were_cut_off_are_not_known(books):
    book, _ = books
    book.enqueue({"x": 1}, "mine")
    first = asked(book)
    first.suggest_int("x", 0, 3)
    assert book.start_of(first) == "mine"
    assert book.values_of(first) is None
    book.begin(first, VALUES)
    assert book.values_of(first) == VALUES
    assert book.tried_starts() == [{"x": 1}]
    book.drop(first, TrialKind.INTERRUPTED, "interrupted")
    assert book.tried_starts() == []


def test_settled_once(books):
    book, again = books
    assert book.setting("folds") is None
    book.settle("folds", 5)
    again.settle("folds", 3)
    assert again.setting("folds") == 5


def test_trials_of_this_machines_dead_are_ended_and_those_of_the_living_are_not(books):
    book, _ = books
    shared = Ledger(book.study, book._probes, shared=True)
    mine, dead, elsewhere = (asked(book) for _ in range(3))
    host = mine.user_attrs["owner"].rpartition(":")[0]
    dead.set_user_attr("owner", f"{host}:{2**22 + 1}")  # beyond any process number
    elsewhere.set_user_attr("owner", "another-machine:1")
    shared.fail_stale_trials()
    assert [record.number for record in shared.ended()] == [dead.number]
    assert shared.running() == 2
    book.fail_stale_trials()
    assert book.running() == 0


def test_studies_written_under_the_old_name_are_read(books):
    book, _ = books
    scores = np.arange(100) < 30
    book.study.add_trial(optuna.trial.create_trial(value=0.3, user_attrs={
        "kind": "trial", "values": FLAT, "credit": pack(scores), "validation_loss": 1.0, "seconds": 1.0, "tap": 8,
        "frozen": 4, "steps": 0, "planned_steps": 0,
    }))  # fmt: skip
    assert (book.image_scores(0, 100)[0] == scores).all()


@pytest.mark.parametrize("scores", [
    np.random.default_rng(0).random(37) < 0.5, np.random.default_rng(0).random(37), np.zeros(0),
])  # fmt: skip
def test_packed_scores_come_back(scores):
    assert unpack(pack(scores), len(scores)) == pytest.approx(scores.astype(float))
