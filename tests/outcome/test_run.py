"""Whole runs on small real networks and images."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import timm
import torch
from conftest import TINY, draw
from safetensors.torch import load_file

import advisor
from advisor.data.cache import cache_entries
from advisor.data.splitting import split_dataset
from advisor.errors import RunError, UsageError
from advisor.outcome.plans import chosen_plan
from advisor.outcome.run import Machine
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import Choices, Plan, Range, Recipe, load_plan, plan_to_toml
from advisor.records.run import RunRecord
from advisor.report.run import write_run_report
from advisor.tuning import network_runner
from advisor.tuning import trial as trial_module
from advisor.tuning.context import TrialContext
from advisor.tuning.failures import HopelessError, OutOfTimeError, TrialFailedError
from advisor.tuning.judging import Judgement
from advisor.tuning.sampling import pick_sampler
from advisor.tuning.storage import open_ledger
from advisor.tuning.study import Search

FINE_TUNE = {
    "features.tap": 1.0, "head.name": "linear", "freeze.depth": Range(0.0, 0.8, start=0.4),
    "optimizer.lr": Range(1e-4, 1e-3, log=True, start=3e-4), "train.epochs": 1, "train.batch_size": 16,
    "search.trials": 2, "search.budget": "60s", "search.folds": 1, "search.seeds": 1,
}  # fmt: skip

PROBES = 6  # at each of five stages, and at the best together


@pytest.fixture(autouse=True)
def _no_further_views(monkeypatch):
    """Whether there is time for them depends on the machine; `test_several_stages` has them."""
    monkeypatch.setattr("advisor.tuning.study._MOST_FOR_VIEWS", -1)


def plan(folder, backbone="tiny", **changes):
    values = {**FINE_TUNE, **{key.replace("__", "."): value for key, value in changes.items()}}
    return Plan(Recipe("test", values=values), str(folder), backbone)


def run(plan, tmp_path, **options):
    return advisor.tune(plan, runs=tmp_path / "runs", device="cpu", **options)


@pytest.fixture
def without_probes(monkeypatch):
    """Only trials compete, so that one of them wins."""
    monkeypatch.setattr(Search, "_add_probes", lambda self: None)


def test_a_run_hands_over_everything(tiny, tiny_folder, tmp_path):
    result = run(plan(tiny_folder), tmp_path)
    assert result.ended == "trials"
    assert {path.name for path in result.best.iterdir()} == {
        "README.md", "config.json", "model.safetensors", "best.toml", "report.json",
    }  # fmt: skip
    board = pd.read_csv(result.folder / "leaderboard.csv")
    assert set(board["kind"]) <= {"probe", "trial", "soup"}  # an average where one is better than its members
    counts = board["kind"].value_counts()
    assert (counts["probe"], counts["trial"]) == (PROBES, 2)
    trials = board[board["kind"] == "trial"]
    assert (trials["steps"] > 0).all()
    assert (trials["audit"].str.len() == 12).all()
    assert sorted(board.loc[board["kind"] == "probe", "trial"])[-5:] == [-5, -4, -3, -2, -1]  # their taps
    first = trials[trials["trial"] == 0].iloc[0]
    assert first["scenario"] == "test"
    assert first["optimizer.lr"] == 3e-4  # the recommended recipe comes first
    assert first["frozen"] == 2
    assert max(rival.accuracy for rival in result.record.choice.rivals) >= result.probe_accuracy
    assert (
        RunRecord.from_dict(json.loads((result.best / "report.json").read_text())).to_dict() == result.record.to_dict()
    )
    report = json.loads((result.best / "report.json").read_text())
    assert report["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert report["dataset"]["digest"] == advisor.open_dataset(str(tiny_folder)).digest
    assert report["test_images"] == 15
    assert report["test_interval_95"][0] <= report["test_accuracy"] <= report["test_interval_95"][1]
    assert report["plugins"]["tiny"]["version"] == "1.0"
    assert 0.1 <= report["temperature"] <= 100
    seen = pd.read_csv(result.folder / "predictions.csv")
    assert len(seen) == 15
    assert (seen["label"] == seen["predicted"]).mean() == pytest.approx(report["test_accuracy"], abs=1e-5)
    again = advisor.predict(result.best, [str(tiny_folder)]).set_index("path")
    for row in seen.to_dict("records"):
        mine = again.loc[str(tiny_folder / row["path"])]
        assert mine["label"] == row["predicted"]
        # Kept at 40 pixels and enlarged on the device, levels are up to half a level off those of `predict`.
        assert mine["probability"] == pytest.approx(row["probability"], abs=5e-3)
    evidence = json.loads((result.folder / "evidence.json").read_text())
    assert {trial["number"] for trial in evidence["trials"]} == set(board["trial"])
    wrong = seen[seen["label"] != seen["predicted"]]
    assert {entry["path"] for entry in evidence["mistakes"]} == set(wrong["path"])
    assert all(entry["picture"].startswith("data:image/jpeg;base64,") for entry in evidence["mistakes"])
    best = load_plan(result.best / "best.toml", load_catalog())
    assert not [value for value in best.recipe.values.values() if isinstance(value, Range)]
    assert not [path for path in result.folder.rglob("*") if path.suffix in {".pkl", ".pth", ".bin", ".pt"}]
    assert report["device"] == "cpu"
    assert report["search"]["trials_run"] == 2
    assert len(report["choice"]["rivals"]) >= 2


def test_timm_alone_loads_a_linear_head_at_the_top_with_the_same_logits(without_probes, tiny, tiny_folder, tmp_path):
    result = run(plan(tiny_folder), tmp_path)
    assert result.timm_loads_it
    ours = advisor.load(result.best)
    theirs = timm.create_model(f"local-dir:{result.best}", pretrained=True).eval()
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.network(images), theirs(images), rtol=1e-3, atol=1e-2)
    assert theirs.pretrained_cfg["label_names"] == list(ours.classes) == ["across", "blobs", "down"]
    assert theirs.pretrained_cfg["crop_pct"] == 0.9
    # and they are the weights that were tuned
    kept = next((result.folder / "weights").iterdir())
    state = load_file(kept)
    torch.testing.assert_close(theirs.state_dict()["conv1.0.weight"], state["trunk.conv1.0.weight"])


@pytest.mark.parametrize("head", ["ridge", "linear", "svm"])
def test_a_tapped_network_loads_through_us(without_probes, tiny, tiny_folder, tmp_path, head):
    result = run(plan(tiny_folder, features__tap=0.6, freeze__depth=1.0, head__name=head, search__trials=1), tmp_path)
    assert not result.timm_loads_it
    bundle = advisor.load(result.best)
    assert "architecture" not in bundle.config
    frame = advisor.predict(bundle, [tiny_folder])
    assert (frame["label"] == frame["path"].map(lambda path: Path(path).parent.name)).mean() > 0.8


@pytest.mark.parametrize(("codes", "tap"), [("mean+std", 0.6), ("relu", 1.0)])
@pytest.mark.parametrize("depth", [0.5, 1.0])
def test_other_codes_are_trained_kept_and_loaded(without_probes, install, tiny_folder, tmp_path, codes, tap, depth):
    install("vit", TINY.format(name="vit", architecture="test_vit").replace("size=64", "size=160"))
    made = plan(tiny_folder, "vit", features__codes=codes, features__tap=tap, freeze__depth=depth, search__trials=1)
    result = run(made, tmp_path)
    assert not result.timm_loads_it
    network = advisor.load(result.best).network
    assert network.codes == codes
    assert network.standardise.mean.numel() == (128 if codes == "mean+std" else 64)
    assert (network.features(torch.randn(2, 3, 160, 160)) >= 0).all() or codes == "mean+std"


def test_a_plugins_own_head_trains_and_loads(install, tiny, tiny_folder, tmp_path):
    from test_plugins import example_of

    from advisor import hookspecs

    install("heads", example_of(hookspecs.advisor_heads))
    for depth in (1.0, 0.4):
        found = plan(tiny_folder, head__name="two-layer", freeze__depth=depth, train__epochs=2,
                     **{"head__two-layer__hidden": 16, "search__trials": 1})  # fmt: skip
        result = run(found, tmp_path, name=f"own-{depth}")
        row = result.trials[result.trials["kind"] == "trial"].iloc[0]
        assert row["state"] == "COMPLETE"
        assert row["steps"] > 0
        assert row["head.two-layer.hidden"] == 16


def test_best_toml_repeats_the_winner(without_probes, tiny, tiny_folder, tmp_path):
    first = run(plan(tiny_folder, search__trials=1), tmp_path)
    again = run(first.best / "best.toml", tmp_path, name="again")
    assert again.trials.loc[again.trials["kind"] == "trial", "state"].tolist() in (["COMPLETE"], [])
    assert again.validation == first.validation


def test_running_again_adds_nothing_when_done_and_goes_on_when_not(tiny, tiny_folder, tmp_path):
    first = run(plan(tiny_folder, search__trials=1), tmp_path)
    assert len(first.trials) == PROBES + 1
    same = run(plan(tiny_folder, search__trials=1), tmp_path)
    assert len(same.trials) == PROBES + 1
    assert same.test == first.test
    more = run(plan(tiny_folder, search__trials=1), tmp_path, trials=3)
    assert (more.trials["kind"] != "soup").sum() == PROBES + 3
    params = [tuple(sorted(t.params.items())) for t in _study(more.folder).trials if t.params]
    assert len(set(params)) == 3


def _study(folder):
    return optuna.load_study(study_name="advisor", storage=f"sqlite:///{folder / 'study.db'}")


def test_values_that_were_pruned_once_are_not_tried_again_and_are_no_failure(tiny, tiny_folder, tmp_path):
    found = plan(tiny_folder, freeze__depth=0.4, optimizer__lr=3e-4, search__trials=1)
    folder = run(found, tmp_path).folder
    with contextlib.closing(sqlite3.connect(folder / "study.db")) as file, file:
        # A pruned trial keeps its last figure as its value.
        file.execute("UPDATE trials SET state = 'PRUNED' WHERE study_id = 1 AND number = 0")
    result = run(found, tmp_path, trials=5)
    assert result.ended == "exhausted"
    searched = _study(folder).trials
    assert {trial.state.name for trial in searched} == {"PRUNED"}
    assert {trial.user_attrs["reason"] for trial in searched[1:]} == {"the same values as trial 0"}


def test_another_dataset_or_plan_is_refused(tiny, tiny_folder, tmp_path):
    found = plan(tiny_folder, search__trials=1)
    run(found, tmp_path)
    with pytest.raises(RunError, match="another plan"):
        run(plan(tiny_folder, search__trials=1, train__epochs=2), tmp_path)
    draw(1, 77).save(tiny_folder / "down" / "new.png")
    with pytest.raises(RunError, match="another dataset") as error:
        run(found, tmp_path)
    assert "--name shapes-2" in str(error.value)


def test_a_plan_for_data_that_changed_is_refused(tiny, tiny_folder, tmp_path):
    recommendation = advisor.recommend(str(tiny_folder), backbone=tiny)
    draw(1, 77).save(tiny_folder / "down" / "new.png")
    with pytest.raises(RunError, match="not the dataset that the plan was made for"):
        run(recommendation, tmp_path)


def test_a_failed_trial_is_a_failed_trial_with_its_reason(tiny, tiny_folder, tmp_path, monkeypatch):
    original = trial_module.train
    calls = []

    def sometimes(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("boom\nsecond line")
        return original(*args, **kwargs)

    monkeypatch.setattr(trial_module, "train", sometimes)
    result = run(plan(tiny_folder), tmp_path)
    failed = result.trials[result.trials["state"] == "FAIL"].iloc[0]
    assert failed["reason"] == "RuntimeError: boom"
    assert pd.isna(failed["validation_accuracy"])
    assert not result.all_failed


def test_when_every_trial_fails_the_probe_stands_and_the_result_says_so(tiny, tiny_folder, tmp_path, monkeypatch):
    def never(*_args, **_kwargs):
        raise TrialFailedError("the loss became nan at step 1 of 9")

    monkeypatch.setattr(trial_module, "train", never)
    result = run(plan(tiny_folder), tmp_path)
    assert result.all_failed
    assert result.record.winner.kind == "probe"
    assert result.validation <= result.probe_accuracy


def test_a_trial_whose_frozen_part_moved_has_no_score(tiny, tiny_folder, tmp_path, monkeypatch):
    original = trial_module.train

    def tamper(model, *args, **kwargs):
        done = original(model, *args, **kwargs)
        with torch.no_grad():
            model.trunk.bn1.running_mean.add_(1e-3)
        return done

    monkeypatch.setattr(trial_module, "train", tamper)
    result = run(plan(tiny_folder, search__trials=1), tmp_path)
    row = result.trials[result.trials["kind"] == "trial"].iloc[0]
    assert row["state"] == "FAIL"
    assert "frozen part changed" in row["reason"]


def test_the_probe_is_the_floor(tiny, tiny_folder, tmp_path, monkeypatch):
    """A search that only makes things worse hands over the probe."""
    original = Search._one

    def worse(self, *args, **kwargs):
        monkeypatch.setattr(
            trial_module, "score", lambda logits, labels: Judgement(np.zeros(len(labels)), 9.0, logits, labels)
        )
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Search, "_one", worse)
    result = run(plan(tiny_folder, search__trials=1), tmp_path)
    assert result.record.winner.kind == "probe"
    assert result.validation == result.probe_accuracy > 0.5
    assert "ridge" in (result.best / "best.toml").read_text()


def test_the_head_starts_from_the_probe(tiny, tiny_folder, tmp_path):
    """With a learning rate of next to nothing, fine-tuning is the fitted head."""
    fixed = {"optimizer__lr": 1e-8, "optimizer__lr_ratio": 1.0, "optimizer__weight_decay": 0.0, "freeze__depth": 0.0}
    result = run(plan(tiny_folder, search__trials=1, head__name="ridge", **fixed), tmp_path)
    board = result.trials.set_index("kind")
    last = result.trials.query("trial == -5").iloc[0]
    assert board.loc["trial", "validation_accuracy"] >= last["validation_accuracy"] - 0.1
    random = run(
        plan(tiny_folder, search__trials=1, head__name="ridge", head__init="random", **fixed), tmp_path, name="random"
    )
    assert random.trials.set_index("kind").loc["trial", "validation_accuracy"] < 0.7


def test_the_test_images_are_read_only_at_the_end(tiny, tiny_folder, tmp_path, monkeypatch):
    from advisor.data.pixels import PixelStore

    split = split_dataset(advisor.open_dataset(str(tiny_folder)))
    test_rows = set(split.rows("test").tolist())
    looked = []
    original = PixelStore.batch

    def spy(self, rows):
        looked.append(bool(test_rows & set(rows.tolist())))
        return original(self, rows)

    monkeypatch.setattr(PixelStore, "batch", spy)
    done = []
    run(plan(tiny_folder), tmp_path, on_trial=lambda _trial: done.append(len(looked)))
    assert not any(looked[: done[-1]])
    assert any(looked[done[-1] :])


def test_the_budget_is_kept(tiny, tiny_folder, tmp_path):
    began = time.monotonic()
    result = run(plan(tiny_folder, search__trials=10_000), tmp_path, budget="12s")
    seconds = time.monotonic() - began
    assert result.ended == "time"
    assert seconds < 12 * 1.05 + 1  # one step and the machine's noise
    assert len(result.trials) >= 2


class Heard(Silent):
    def __init__(self):
        self.sentences = []

    def say(self, sentence):
        self.sentences.append(sentence)


def test_where_the_recipes_training_does_not_fit_more_stages_are_frozen(tiny, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(TrialContext, "seconds_per_image", lambda _self: 0.1)
    heard = Heard()
    found = plan(tiny_folder, freeze__depth=Range(0.0, 1.0, start=0.0), train__epochs=4, search__trials=1)
    result = run(found, tmp_path, progress=heard)
    (row,) = result.trials[result.trials["kind"] == "trial"].to_dict("records")
    assert row["state"] == "COMPLETE"
    assert 0 < row["frozen"] < row["tap"]
    (said,) = [sentence for sentence in heard.sentences if "--budget" in sentence]
    assert "a cheaper one is tried" in said


@pytest.mark.parametrize("folds", [1, 3])
def test_the_last_training_on_all_images_is_announced_before_it_begins(
    tiny, tiny_folder, tmp_path, without_probes, folds
):
    heard = Heard()
    found = plan(tiny_folder, freeze__depth=0.4, search__trials=1, search__folds=folds)
    result = run(found, tmp_path, progress=heard)
    assert result.record.winner.refitted
    assert heard.sentences.count("Training the winner on all images that may be trained on.") == 1


def test_a_training_that_turns_out_too_long_is_tried_again_frozen_deeper(tiny, tiny_folder, tmp_path, monkeypatch):
    calls, original = [], trial_module.train

    def train(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise OutOfTimeError("3 of 100 steps would fit in the time left", 1000.0)
        return original(*args, **kwargs)

    monkeypatch.setattr(trial_module, "train", train)
    monkeypatch.setattr(TrialContext, "seconds_per_image", lambda _self: 1e-3)
    result = run(plan(tiny_folder, freeze__depth=Range(0.0, 1.0, start=0.0), search__trials=1), tmp_path, budget="1h")
    rows = {row["kind"]: row for row in result.trials.to_dict("records")}
    assert rows["out of time"]["freeze.depth"] == 0
    assert 0 < rows["trial"]["frozen"] < rows["trial"]["tap"]
    assert len(calls) == 2


# A shell that runs the tests in the background makes every child deaf to Ctrl-C, hence the handler.
CHILD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import advisor
from advisor.tuning import trial
original = trial.train
def slow(*args, **kwargs):
    print("training", flush=True)
    done = original(*args, **kwargs)
    time.sleep(1.0)
    return done
trial.train = slow
from advisor.cli.main import main
sys.exit(main(["tune", sys.argv[1], "--runs", sys.argv[2], "--device", "cpu", "--no-report"]))
"""


def _child(tiny_folder, tmp_path, stop, in_trial=3):
    """Run `advisor tune` in a process of its own and stop it in the middle of a trial."""
    path = tmp_path / "advisor.toml"
    path.write_text(plan_to_toml(plan(tiny_folder, search__trials=5)))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(tmp_path / "runs")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip
    assert child.stdout is not None
    seen = 0
    while seen < in_trial:
        line = child.stdout.readline()
        assert line, child.stderr.read()
        seen += line.startswith("training")
    time.sleep(0.3)
    child.send_signal(stop)
    out, err = child.communicate(timeout=60)
    return path, child.returncode, out, err


def test_ctrl_c_keeps_finished_trials_hands_over_and_resumes(tiny, tiny_folder, tmp_path):
    path, code, out, err = _child(tiny_folder, tmp_path, signal.SIGINT)
    assert code == 130, err
    assert "run the same command again" in out
    assert "Traceback" not in err
    folder = tmp_path / "runs" / "shapes"
    states = [(t.user_attrs["kind"], t.state.name) for t in _study(folder).trials if t.state.is_finished()]
    assert states == [("trial", "COMPLETE"), ("trial", "COMPLETE"), ("interrupted", "FAIL")]
    assert advisor.load(folder / "best").classes == ("across", "blobs", "down")
    result = run(str(path), tmp_path)
    assert (result.trials["kind"] == "trial").sum() == 5


def test_sigkill_loses_no_finished_trial(tiny, tiny_folder, tmp_path):
    path, code, _, _ = _child(tiny_folder, tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    folder = tmp_path / "runs" / "shapes"
    before = [t.values for t in _study(folder).trials if t.state.name == "COMPLETE"]
    assert len(before) == 2
    assert len(pd.read_csv(folder / "leaderboard.csv")) >= 3
    result = run(str(path), tmp_path)
    after = [t.values for t in _study(folder).trials if t.state.name == "COMPLETE"]
    assert after[:2] == before
    assert (result.trials["kind"] == "trial").sum() == 5
    assert (result.trials["kind"] == "interrupted").sum() == 1


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_the_recommended_recipe_is_tried_even_if_its_first_run_was_cut_off(tiny, tiny_folder, tmp_path, stop):
    path, _, _, _ = _child(tiny_folder, tmp_path, stop, in_trial=1)
    result = run(str(path), tmp_path, trials=1)
    (row,) = result.trials[result.trials["kind"] == "trial"].to_dict("records")
    assert row["optimizer.lr"] == 3e-4
    assert row["frozen"] == 2


def test_one_run_folder_one_process(tiny, tiny_folder, tmp_path):
    from filelock import FileLock

    (tmp_path / "runs" / "shapes").mkdir(parents=True)
    with FileLock(tmp_path / "runs" / "shapes" / ".lock"), pytest.raises(RunError, match="in use by another"):
        run(plan(tiny_folder), tmp_path)


def test_folders_with_odd_names_hold_their_own_study(tiny, tiny_folder, tmp_path):
    result = run(plan(tiny_folder, search__trials=1), tmp_path, name="what? 50% #1 é")
    assert (result.folder / "study.db").is_file()


def test_a_full_disk_in_the_middle_of_a_run_is_a_sentence(tiny, tiny_folder, tmp_path):
    path = tmp_path / "advisor.toml"
    path.write_text(plan_to_toml(plan(tiny_folder)))
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "import advisor.outcome.run as run\n"
        "original = run.Search\n"
        "def search(*args, **kwargs):\n"
        "    found = original(*args, **kwargs)\n"
        "    found._add_probes = lambda: None\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, -1))\n"  # the weights are larger
        "    return found\n"
        "run.Search = search\n"
        "from advisor.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, "tune", str(path), "--runs", str(tmp_path / "runs"), "--no-report"]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 1
    assert "The disk is full" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert run(str(path), tmp_path).ended == "trials"


def test_the_winners_weights_are_never_missing(without_probes, tiny, tiny_folder, tmp_path, monkeypatch):
    """The best trial is not the last one, equal ones compete, and there is no time to learn from all images."""
    rights = iter([6, 11, 11, 7, 11, 2])
    original, now = trial_module.train, [0]

    def train(*args, **kwargs):
        now[0] = next(rights)
        return original(*args, **kwargs)

    monkeypatch.setattr(trial_module, "train", train)
    monkeypatch.setattr(
        trial_module,
        "score",
        lambda logits, labels: Judgement((np.arange(len(labels)) < now[0]).astype(float), 1.0, logits, labels),
    )
    monkeypatch.setattr(trial_module.Gate, "check", lambda *_: None)
    monkeypatch.setattr(network_runner, "REFIT", 1e9)
    monkeypatch.setattr(Search, "average", lambda *_: None)  # it would be judged as it is
    monkeypatch.setattr(
        "advisor.outcome.handover.score",
        lambda logits, labels: Judgement(np.ones(len(labels)), 1.0, logits, labels),
    )
    result = run(plan(tiny_folder, freeze__depth=0.4, search__trials=6), tmp_path)
    assert result.validation == pytest.approx(11 / 12)
    assert result.record.winner.number in {1, 2, 4}
    assert not result.record.winner.refitted
    assert len(list((result.folder / "weights").iterdir())) <= 5


def test_ties_go_to_the_probe(tiny, tiny_folder, tmp_path):
    result = run(plan(tiny_folder, freeze__depth=1.0, head__name="ridge", search__trials=1), tmp_path)
    assert result.record.winner.kind == "probe"


@pytest.mark.parametrize("architecture", ["test_vit", "test_convnext", "test_efficientnet"])
def test_other_kinds_of_network(install, tiny_folder, tmp_path, architecture):
    size = 160 if architecture == "test_vit" else 64
    source = TINY.format(name="other", architecture=architecture).replace("size=64", f"size={size}")
    install("other", source)
    for tap in (1.0, 0.6):
        result = run(plan(tiny_folder, backbone="other", features__tap=tap, search__trials=1), tmp_path, name=f"{tap}")
        row = result.trials[result.trials["kind"] == "trial"].iloc[0]
        assert row["state"] == "COMPLETE", row["reason"]
        assert not row["notes"]


def test_few_images_are_cross_validated_and_the_winner_learns_from_all(without_probes, tiny, tiny_folder, tmp_path):
    found = plan(tiny_folder, search__folds=0, search__seeds=2, features__cache="views", search__trials=1)
    result = run(found, tmp_path)
    assert result.record.folds == 5
    assert result.record.validation_seeds == 2
    assert result.record.validation_images == 57  # every image that may be trained on
    assert json.loads((result.best / "report.json").read_text())["validation_images"] == 57
    assert not (result.folder / "weights").exists()
    # Activations of one stage are kept once, not once per fold.
    kept = [entry for entry in cache_entries() if entry.kind == "activations"]
    assert len(kept) == 1
    assert "57 images" in kept[0].what


def test_kept_activations_and_fresh_ones_lead_to_the_same_model(without_probes, tiny, tiny_folder, tmp_path):
    """Without augmentation both ways compute the same, but for the rounding of what is kept."""
    fixed = {"train__augment": "none", "train__epochs": 4, "freeze__depth": 0.4, "search__trials": 1,
             "optimizer__name": "sgd", "optimizer__lr": 1e-2}  # fmt: skip
    networks = [
        run(plan(tiny_folder, features__cache=mode, **fixed), tmp_path, name=mode).best for mode in ("fresh", "views")
    ]
    fresh, kept = (advisor.load(folder).network for folder in networks)
    before = advisor.plugins.load_catalog().backbone(tiny).create(True)
    moved = (fresh.layer4[0].conv1.weight - before.layer4[0].conv1.weight).norm()
    apart = (fresh.layer4[0].conv1.weight - kept.layer4[0].conv1.weight).norm()
    assert moved > 0
    assert apart < 0.25 * moved  # other images, labels or augmentation would make it one and more
    assert torch.equal(kept.conv1[0].weight, before.conv1[0].weight)


def test_several_workers_share_one_study(tiny, tiny_folder, tmp_path):
    found = plan(tiny_folder, search__trials=12, train__epochs=40)  # long enough for the second to join in
    result = run(found, tmp_path, machine=Machine("cpu", workers=2), budget="180s")
    trials = result.trials[result.trials["kind"] == "trial"]
    assert 12 <= len(trials) <= 13  # both may take the last one
    assert (trials["state"] != "FAIL").all()
    assert result.ended == "trials"
    finished = _study(result.folder).get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert len({t.user_attrs["owner"] for t in finished if t.user_attrs["kind"] == "trial"}) == 2
    params = [tuple(sorted(t.params.items())) for t in finished if t.user_attrs["kind"] == "trial"]
    assert len(set(params)) == len(params)


def test_what_was_stopped_is_not_asked_for_again(tiny, tiny_folder, tmp_path, monkeypatch):
    """A Gaussian process does not learn from trainings that were stopped; the search goes on elsewhere."""
    original, calls = trial_module.train, []

    def train(*args, **kwargs):
        calls.append(1)
        if len(calls) > 6:
            raise HopelessError("the loss is above that of guessing")
        return original(*args, **kwargs)

    monkeypatch.setattr(trial_module, "train", train)
    result = run(plan(tiny_folder, search__trials=14, train__epochs=2), tmp_path)
    assert isinstance(pick_sampler(0, 14, 2), optuna.samplers.GPSampler)
    assert result.ended == "trials"
    assert (result.trials["state"] == "PRUNED").sum() >= 8
    assert (result.trials["kind"] == "trial").sum() == 14


def test_a_study_in_a_database_of_ones_own(tiny, tiny_folder, tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    result = run(plan(tiny_folder, search__trials=1), tmp_path, machine=Machine("cpu", storage=url))
    assert not (result.folder / "study.db").exists()
    name, probes = sorted(optuna.get_all_study_names(url))
    assert probes == f"{name}-probes"
    assert len(optuna.load_study(study_name=name, storage=url).trials) == 1
    assert len(optuna.load_study(study_name=probes, storage=url).trials) == PROBES
    with pytest.raises(RunError, match=r"The study of .* is in sqlite"):
        run(plan(tiny_folder, search__trials=1), tmp_path)
    # Another folder, as on another machine, goes on with the same study; the weights are fitted again.
    more = run(
        plan(tiny_folder, search__trials=1), tmp_path, name="other", machine=Machine("cpu", storage=url), trials=2
    )
    assert len(more.trials) == PROBES + 2
    with pytest.raises(RunError, match="cannot be used") as error:
        run(plan(tiny_folder), tmp_path, name="x", machine=Machine("cpu", storage="postgresql://me:secret@nowhere/x"))
    assert "secret" not in str(error.value)


def test_a_study_in_postgresql(postgresql, tiny, tiny_folder, tmp_path):
    result = run(plan(tiny_folder), tmp_path, machine=Machine("cpu", storage=postgresql))
    assert result.ended == "trials"
    storage = optuna.storages.RDBStorage(postgresql)
    kinds = [
        trial.user_attrs["kind"]
        for name in optuna.get_all_study_names(storage)
        for trial in optuna.load_study(study_name=name, storage=storage).trials
    ]
    storage.remove_session()
    storage.engine.dispose()
    assert kinds.count("probe") == PROBES
    assert kinds.count("trial") == 2
    assert advisor.load(result.best).classes == ("across", "blobs", "down")


def test_resume_uses_the_plan_of_the_run(tiny, tiny_folder, tmp_path):
    runs = str(tmp_path / "runs")
    first = run(plan(tiny_folder, search__trials=1), tmp_path)
    for means in ("shapes", str(tmp_path / "runs" / "shapes")):
        found, name, where = chosen_plan(resume=means, runs=runs)
        assert (name, where) == ("shapes", runs)
    more = run(found, tmp_path, name=name, trials=2)
    assert len(more.trials) == len(first.trials) + 1
    with pytest.raises(RunError, match="no run `shape` in") as error:
        chosen_plan(resume="shape", runs=runs)
    assert "did you mean `shapes`?" in str(error.value)
    with pytest.raises(UsageError, match="no other plan, recipe or name"):
        chosen_plan(resume="shapes", recipe="lp-ft", runs=runs)


def test_another_recipe_on_the_plans_images(tiny, tiny_folder, tmp_path):
    path = tmp_path / "advisor.toml"
    path.write_text(plan_to_toml(plan(tiny_folder)))
    found, name, _ = chosen_plan(str(path), recipe="from-scratch")
    assert name == "shapes-from-scratch"
    values = {"train.epochs": 2, "search.trials": 1, "search.seeds": 1, "search.folds": 1}
    result = run(replace(found, recipe=found.recipe.with_values(values)), tmp_path, name=name)
    assert set(result.trials["kind"]) == {"trial"}  # there is nothing to probe
    assert result.probe_accuracy is None
    (row,) = result.trials.to_dict("records")
    assert row["features.weights"] == "random"
    assert row["frozen"] == 0


def test_several_backbones_are_searched_together(install, tiny_folder, tmp_path):
    for name in ("one", "two"):
        install(
            name,
            TINY.format(name=name, architecture="test_resnet").replace(
                "manual_seed(7)", f"manual_seed({len(name) + ord(name[0])})"
            ),
        )
    found = replace(plan(tiny_folder, "two", search__trials=10), backbones=("one", "two"))
    result = run(found, tmp_path)
    assert set(result.trials["backbone.name"].dropna()) == {"one", "two"}
    probes_and_first = result.trials[result.trials["trial"] <= 0]
    assert set(probes_and_first["backbone.name"]) == {"two"}  # where the plan starts
    assert json.loads((result.best / "report.json").read_text())["backbone"]["name"] in {"one", "two"}
    assert load_plan(result.best / "best.toml", load_catalog()).backbone in {"one", "two"}


def test_other_starts_of_the_network(without_probes, tiny, tiny_folder, tmp_path):
    """Another input size, statistics of these images, and the options of training, all at once."""
    found = plan(
        tiny_folder, features__input_size=96, freeze__batchnorm="adabn", optimizer__name="sgd",
        optimizer__layer_decay=0.7, optimizer__l2_sp=0.1, train__mixup=0.2, train__ema=0.9, train__augment="trivial",
        train__label_smoothing=0.1, train__balance="sampling", head__name="cosine", search__trials=1,
    )  # fmt: skip
    result = run(found, tmp_path)
    (row,) = result.trials.to_dict("records")
    assert row["state"] == "COMPLETE", row["reason"]
    bundle = advisor.load(result.best)
    assert bundle.input.size == 96
    assert bundle.network(torch.randn(2, 3, 96, 96)).shape == (2, 3)


def test_a_head_without_closed_form_learns_before_anything_is_unfrozen(without_probes, tiny, tiny_folder, tmp_path):
    fixed = {"optimizer__lr": 1e-8, "optimizer__lr_ratio": 1.0, "freeze__depth": 0.0, "head__name": "mlp"}
    result = run(plan(tiny_folder, search__trials=1, **fixed), tmp_path)
    assert result.validation > 0.6


@pytest.mark.parametrize(("mode", "kept"), [("views", 4), ("fresh", 0), ("auto", 0)])
def test_a_head_alone_trains_on_views_where_the_recipe_says_so(
    without_probes, tiny, tiny_folder, tmp_path, monkeypatch, mode, kept
):
    read = []
    original = trial_module.source_of
    monkeypatch.setattr(trial_module, "source_of", lambda *args, **more: read.append(1) or original(*args, **more))
    fixed = {
        "freeze__depth": 1.0,
        "head__name": "mlp",
        "features__views": 3,
        "train__epochs": 12,
        "optimizer__lr": 1e-2,
    }
    result = run(plan(tiny_folder, search__trials=1, features__cache=mode, **fixed), tmp_path)
    (row,) = result.trials.to_dict("records")
    assert row["state"] == "COMPLETE", row["reason"]
    assert result.validation > 0.6
    assert len(read) == 2 * (mode != "auto")  # in the search, and when the winner learns from all images
    # Three views of the training images and the clean one of the validation images, below the last frozen stage.
    entries = [entry for entry in cache_entries() if entry.kind == "activations"]
    assert len(entries) == (kept and 2 * kept - 1)  # and again, without a validation part, for the winner's last fit
    assert all("after stage 4 of 5" in entry.what for entry in entries)


def test_explain_changes_one_value_at_a_time(tiny, tiny_folder, tmp_path):
    result = run(plan(tiny_folder, search__trials=3), tmp_path)
    with pytest.raises(RunError, match="There is no run"):
        advisor.explain(tmp_path / "runs" / "nothing")
    found = advisor.explain(result.folder, budget="60s", machine=Machine("cpu"))
    assert found.trial == result.record.winner.number
    assert {entry.key for entry in found.ablations} <= {"freeze.depth", "optimizer.lr"}
    assert set(found.curve["way"]) == {"winner", "from-scratch"}
    assert found.scratch_steps is not None
    assert not found.left_out
    assert json.loads((result.folder / "explanation.json").read_text()) == found.to_dict()
    assert len(pd.read_csv(result.folder / "curve.csv")) == len(found.curve)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_cuda(tiny, tiny_folder, tmp_path):
    result = advisor.tune(plan(tiny_folder), runs=tmp_path / "runs", device="cuda")
    assert result.validation >= result.probe_accuracy


def test_unequal_classes_are_judged_and_trained_evenly(tiny, tiny_folder, tmp_path):
    for file in sorted((tiny_folder / "down").iterdir())[6:]:
        file.unlink()
    advice = advisor.recommend(str(tiny_folder), backbone=tiny)
    assert advice.curve.balanced
    assert advice.plan.recipe.get("search.metric") == "balanced"
    searched = advice.plan.recipe.with_values({"search.trials": 2, "search.seeds": 1, "train.epochs": 2})
    result = run(replace(advice.plan, recipe=searched), tmp_path)
    assert result.record.metric == "balanced"
    with open_ledger("", "", result.folder) as ledger:
        image_scores = ledger.image_scores(result.record.winner.number, result.record.validation_images)[0]
    split = split_dataset(advisor.open_dataset(str(tiny_folder)))
    frame = split.frame[split.frame["split"].isin(["train", "val"])].sort_values("row")
    recalls = pd.Series(image_scores).groupby(frame["label"].to_numpy()).mean()
    assert result.validation == pytest.approx(recalls.mean())


@pytest.mark.parametrize("images", [3, 4, 6])
def test_very_few_images_are_searched_all_the_same(tiny, tmp_path, images):
    for kind, name in enumerate(("across", "blobs", "down")):
        (tmp_path / "few" / name).mkdir(parents=True)
        for seed in range(images):
            draw(kind, seed).save(tmp_path / "few" / name / f"{seed}.png")
    result = run(plan(tmp_path / "few", search__folds=0, search__trials=1), tmp_path)
    assert result.record.folds <= max(1, images - 1)
    assert result.ended == "trials"


def test_probes_that_were_cut_off_are_made_up_for(tiny, tiny_folder, tmp_path, monkeypatch):
    original, calls = network_runner.run_folds, []

    def stops(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(network_runner, "run_folds", stops)
    assert (run(plan(tiny_folder), tmp_path).trials["kind"] == "probe").sum() == 2
    assert (run(plan(tiny_folder), tmp_path).trials["kind"] == "probe").sum() == PROBES


def test_what_failed_once_is_not_tried_again(install, tiny_folder, tmp_path):
    """Without BatchNorm nothing can be re-estimated: that fails once, and then nothing new is left."""
    install("vit", TINY.format(name="vit", architecture="test_vit").replace("size=64", "size=160"))
    either = Choices(("eval", "adabn"), "adabn")
    found = plan(tiny_folder, "vit", freeze__depth=1.0, freeze__batchnorm=either, search__trials=12)
    result = run(found, tmp_path)
    failed = result.trials[(result.trials["state"] == "FAIL") & (result.trials["kind"] == "trial")]
    assert failed["reason"].str.contains("no BatchNorm").tolist() == [True]
    assert result.ended == "exhausted"


def test_weights_of_another_study_are_not_handed_over(without_probes, tiny, tiny_folder, tmp_path):
    """The same folder, and a database in which another plan has a study of its own."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    machine = Machine("cpu", storage=url)
    run(plan(tiny_folder, search__trials=1, train__epochs=1), tmp_path, machine=machine)
    second = run(plan(tiny_folder, search__trials=1, train__epochs=8), tmp_path, machine=machine)
    alone = run(plan(tiny_folder, search__trials=1, train__epochs=8), tmp_path, name="alone")
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(advisor.load(second.best).network(images), advisor.load(alone.best).network(images))


def test_a_run_may_be_asked_for_a_smaller_model_and_runs_nothing_twice(tiny, tiny_folder, tmp_path):
    usual = run(plan(tiny_folder), tmp_path)
    small = run(plan(tiny_folder), tmp_path, prefer="small")
    assert len(small.trials) == len(usual.trials)
    assert small.record.choice.prefer == "small"
    sizes = {rival.number: rival.size for rival in small.record.choice.rivals}
    assert sizes[small.record.winner.number] == min(sizes.values())
    assert (small.best / "model.safetensors").stat().st_size <= (usual.best / "model.safetensors").stat().st_size
    assert usual.record.choice.prefer == "accurate"
    html = tmp_path / "report.html"
    write_run_report(small.folder, html=html, markdown=None)
    page = html.read_text()
    assert "A small model was asked for" in page
    assert "ms an image" in page
