"""The report of a run, on tiny real runs and on what may become of their folders."""

import json
import re
import shutil
import subprocess
import sys
import time

import pytest
import timm
import torch
from conftest import blocks, draw

import advisor
from advisor.cli.main import main
from advisor.errors import RunError
from advisor.records.evidence import JudgedImage
from advisor.records.folder import PREDICTIONS, find_run, read_run
from advisor.report.page.blocks import Chart, CommandLine, Fold, Gallery, Table
from advisor.report.page.documents import to_html, to_markdown
from advisor.report.run import run_page, write_run_report
from advisor.report.run.judged import abstaining, answered, calibration_error, confusions, most_confused, reliability

from .conftest import MADE, ODD

SECTIONS = ["outcome", "trials", "difference", "choice", "learning", "confusions", "classes", "mistakes", "trust",
            "limits", "origin"]  # fmt: skip


def page_of(folder):
    return run_page(read_run(folder), made=MADE)


def drawn_rows(found):
    """The rows of all layers."""
    return [row for rows in found.spec["datasets"].values() for row in rows]


def chart(page, words):
    (found,) = [one for one in blocks(page, Chart) if words in one.title]
    return found


@pytest.fixture
def copied(searched, tmp_path):
    """A copy of the run's folder, to be damaged."""
    shutil.copytree(searched, tmp_path / "runs" / "copied")
    return tmp_path / "runs" / "copied"


def change(file, **changes):
    found = json.loads(file.read_text("utf-8"))
    found.update(changes)
    file.write_text(json.dumps(found), "utf-8")


def test_the_first_screen_says_what_came_and_what_to_do_with_it(searched):
    report = json.loads((searched / "best" / "report.json").read_text())
    text = to_markdown(page_of(searched))
    first = text.split("\n## ")[0]
    assert f"Right on {100 * report['test_accuracy']:.1f}" in first.splitlines()[0]
    low, high = report["test_interval_95"]
    assert f"{low:.3f} to {high:.3f}, 95 % interval, {report['test_images']} images" in first
    assert f"**{report['probe_validation_accuracy']:.3f}**" in first
    assert "The advice expected an accuracy of 0.61 (80 % interval 0.40 to 0.70)" in first
    assert f"advisor predict {searched / 'best'} photo.jpg" in first
    assert "http" not in first


def test_every_part_of_a_run_has_its_place(searched):
    page = page_of(searched)
    assert [section.key for section in page.sections] == SECTIONS
    charts = blocks(page, Chart)
    assert [one.title for one in charts] == [
        "Expected and found", "Trials as they went", "How deep to freeze, and how fast the head learns",
        "What made the difference", "How they learned", "What is taken for what", "Is it as sure as it should be?",
        "Better no answer than a wrong one",
    ]  # fmt: skip
    for one in charts:
        assert len(one.finding) > 40
        assert one.numbers.rows
        assert "var(--" in json.dumps(one.spec)
    (gallery,) = blocks(page, Gallery)
    assert gallery.pictures
    assert all(picture.data.startswith("data:image/jpeg;base64,") for picture in gallery.pictures)


def test_the_figures_are_those_of_the_run(searched):
    page = page_of(searched)
    evidence = json.loads((searched / "evidence.json").read_text())
    scored = [t for t in evidence["trials"] if t["state"] == "COMPLETE" and t["kind"] in ("probe", "trial")]
    rows = chart(page, "Trials as").numbers.rows
    assert sorted(row[1] for row in rows if row[-1] == "complete") == sorted(f"{t['accuracy']:.3f}" for t in scored)
    assert {row[2] for row in rows} == {"closed-form probe", "head alone", "fine-tuning"}
    depth = chart(page, "How deep").numbers.rows
    assert len(depth) == sum(t["kind"] == "trial" for t in scored)
    assert {row[3] for row in depth if row[1] == row[2]} == {"–"}  # heads alone have no ratio
    stages = evidence["stages"]
    assert len(stages) == 5
    assert f"5 ({stages[-1]})" in [row[3] if isinstance(row[3], str) else row[3].text for row in rows]
    (table,) = [one for one in blocks(page, Table) if one.caption == "Classes"]
    report = json.loads((searched / "best" / "report.json").read_text())
    assert {row[0].text: row[2] for row in table.rows} == {
        name: f"{100 * entry['recall']:.1f}" for name, entry in report["test_per_class"].items()
    }
    (compared,) = [one for one in blocks(page, Table) if one.caption == "The trials that were compared"]
    assert len(compared.rows) == len(report["choice"]["rivals"])
    assert len(compared.marked) == 1


def test_it_takes_neither_the_images_nor_torch_nor_the_study(copied, tmp_path):
    plan = (copied / "plan.toml").read_text()
    (copied / "plan.toml").write_text(plan.replace("shapes", "gone"))  # as if the dataset had moved
    (copied / "study.db").unlink()
    (copied / "best" / "model.safetensors").unlink()
    words = "import sys; from advisor.cli.main import main; code = main(sys.argv[1:]); print(sorted("
    words += "{'torch', 'pandas', 'timm', 'optuna', 'sklearn'} & set(sys.modules))); sys.exit(code)"
    asked = [sys.executable, "-c", words, "report", str(copied), "--json", "-q", "-o", str(tmp_path / "a.html"), "--md"]
    began = time.perf_counter()
    done = subprocess.run(asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - began < 20  # the libraries' import and the script of the charts included
    assert done.stdout.splitlines()[-1] == "[]"
    assert json.loads(done.stdout[: done.stdout.rindex("[")])["reports"] == [
        str(tmp_path / "a.html"), str(tmp_path / "a.md"),
    ]  # fmt: skip
    assert (tmp_path / "a.html").read_text("utf-8").startswith("<!doctype html>")
    assert not (copied / "report.html").exists()


def test_a_page_is_small_and_made_quickly(searched, tmp_path):
    write_run_report(searched, html=tmp_path / "a.html")  # the script of the charts is put together once
    began = time.perf_counter()
    write_run_report(searched, html=tmp_path / "a.html")
    assert time.perf_counter() - began < 10
    assert (tmp_path / "a.html").stat().st_size < 5_000_000


def test_the_lines_that_load_it_in_timm_do(tiny, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("advisor.tuning.study.Search._add_probes", lambda self: None)
    monkeypatch.chdir(tmp_path)
    result = advisor.tune(one_training(tiny_folder), runs='it\'s a "run"', device="cpu")
    assert result.timm_loads_it
    page = page_of(result.folder)
    (text,) = [one.text for one in page.first if isinstance(one, CommandLine) and "timm" in one.label]
    image = draw(1, 0)
    space = {"image": image}
    exec(text, space)  # noqa: S102 - what the page tells people to run
    assert isinstance(space["model"], torch.nn.Module)
    given = tmp_path / "photo.png"
    image.save(given)
    found = advisor.predict(result.best, [str(given)])
    names = timm.create_model(f"local-dir:{result.best}", pretrained=True).pretrained_cfg["label_names"]
    assert names[int(space["logits"].argmax())] == found["label"][0]


def one_training(folder, backbone="tiny"):
    from advisor.recipe import Plan, Recipe

    values = {
        "features.tap": 1.0, "head.name": "linear", "freeze.depth": 0.4, "optimizer.lr": 3e-4, "train.epochs": 1,
        "train.batch_size": 16, "search.trials": 1, "search.budget": "60s", "search.folds": 1, "search.seeds": 1,
    }  # fmt: skip
    return Plan(Recipe("test", values=values), str(folder), backbone)


def test_a_run_with_nothing_but_probes_is_told_so(copied):
    evidence = json.loads((copied / "evidence.json").read_text())
    change(copied / "evidence.json", trials=[t for t in evidence["trials"] if t["kind"] == "probe"], importances={},
           mistakes=[], forecast={})  # fmt: skip
    page = page_of(copied)
    text = to_markdown(page)
    assert "Too few fine-tunings" in text
    assert "Too few trials" in text
    assert {"learning", "mistakes"}.isdisjoint(section.key for section in page.sections)
    assert "held no forecast" in text
    assert to_html(page)


def test_pruned_failed_and_repeated_trials_are_told_apart(copied):
    evidence = json.loads((copied / "evidence.json").read_text())
    last = [t for t in evidence["trials"] if t["kind"] == "trial" and t["state"] == "COMPLETE"][-1]
    odd = {"tap": None, "frozen": None, "curve": [], "steps": None}
    extra = [
        {**last, **odd, "number": 90, "state": "PRUNED", "accuracy": 0.2, "reason": "behind earlier trials"},
        {**last, **odd, "number": 91, "state": "FAIL", "accuracy": None, "reason": "loss is <b>not</b> finite"},
        {**last, **odd, "number": 92, "state": "FAIL", "accuracy": None, "kind": "out of time", "reason": "no time"},
        {**last, "number": 93, "kind": "repeat", "reason": "the same values as trial 1"},
        {**last, "number": 94, "accuracy": float("nan")},
    ]
    change(copied / "evidence.json", trials=[*evidence["trials"], *extra])
    page = page_of(copied)
    finding = chart(page, "Trials as").finding
    # The search may have pruned some of its own.
    pruned = 1 + sum(t["state"] == "PRUNED" and t["kind"] != "repeat" for t in evidence["trials"])
    assert re.search(rf"\b{pruned} trials? stopped early", finding)
    assert "2 trials ended without a figure" in finding
    names = {row[0] for row in chart(page, "Trials as").numbers.rows}
    assert {"trial 90", "trial 91", "trial 92"} < names
    assert "trial 93" not in names
    text = to_html(page)
    assert "loss is &lt;b&gt;not&lt;/b&gt; finite" in text
    assert "NaN" not in text.split('id="charts">')[1].split("</script>")[0]


def test_one_bad_trial_does_not_press_the_others_together(copied):
    evidence = json.loads((copied / "evidence.json").read_text())
    trials = [{**t, "accuracy": 0.9 + 0.001 * place} for place, t in enumerate(evidence["trials"])]
    trials[0]["accuracy"] = 0.02
    change(copied / "evidence.json", trials=trials)
    found = chart(page_of(copied), "Trials as")
    assert "1 trial is drawn at the foot with an arrow, being under 0.8" in found.caption
    drawn = [row["value"] for row in drawn_rows(found) if "value" in row]
    assert min(drawn) > 0.8
    assert "0.020" in [row[1] for row in found.numbers.rows]


@pytest.mark.parametrize(
    ("file", "content", "gone", "words"),
    [
        ("evidence.json", None, {"trials", "mistakes"}, "evidence.json is missing"),
        ("evidence.json", "{", {"trials", "mistakes"}, "evidence.json is damaged"),
        ("evidence.json", '{"trials": 3}', {"trials", "mistakes"}, "evidence.json is damaged"),
        ("evidence.json", "[]", {"trials", "mistakes"}, "evidence.json is damaged"),
        ("predictions.csv", None, {"confusions", "trust"}, "predictions.csv is missing"),
        ("predictions.csv", "path,label\na,b\n", {"confusions", "trust"}, "there is no 'predicted' in it"),
        ("predictions.csv", "path,label,predicted,probability,own\na,b", {"confusions", "trust"}, "is damaged"),
        ("predictions.csv", "\0\udcff", {"confusions", "trust"}, "is damaged"),
        ("explanation.json", '{"ablations": []}', {"explanation"}, "explanation.json is damaged"),
    ],
)
def test_what_is_missing_or_damaged_is_left_out_with_a_sentence(copied, file, content, gone, words):
    if content is None:
        (copied / file).unlink()
    else:
        (copied / file).write_bytes(content.encode("utf-8", "surrogateescape"))
    page = page_of(copied)
    assert gone.isdisjoint(section.key for section in page.sections)
    assert words in to_markdown(page).replace("\\", "").split("\n## ")[0]
    assert to_html(page)


def test_every_trial_may_be_half_written(copied):
    """Whatever is cut from a file, there is a page or an error with words."""
    whole = (copied / "evidence.json").read_text()
    for share in (0.1, 0.5, 0.99):
        (copied / "evidence.json").write_text(whole[: int(share * len(whole))])
        assert read_run(copied).evidence is None
    table = (copied / PREDICTIONS).read_text().splitlines()
    (copied / PREDICTIONS).write_text("\n".join([*table[:3], table[3][:4]]))
    assert read_run(copied).tested is None


def test_folders_that_cannot_be_told_of_are_errors_with_hints(copied, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", "copid"]) == 1
    assert "did you mean `copied`" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 1
    assert "is no run's folder" in capsys.readouterr().err
    (copied / "best" / "report.json").write_text('{"metric": "accuracy"}')
    assert main(["report", "copied"]) == 1
    told = capsys.readouterr().err
    assert "is damaged: there is no 'dataset' in it" in told
    assert "hint: advisor tune --resume" in told
    shutil.rmtree(copied / "best")
    assert main(["report", "copied"]) == 1
    assert "has handed nothing over yet" in capsys.readouterr().err
    with pytest.raises(RunError, match="no run `elsewhere`"):
        find_run("elsewhere", tmp_path / "nowhere")
    assert main(["report", "copied", "-o", "page.txt"]) == 2
    assert "should end with .html" in capsys.readouterr().err


def test_the_place_may_be_given_in_three_ways(copied, monkeypatch):
    assert find_run(copied) == find_run(copied / "best") == find_run("copied", copied.parent) == copied
    monkeypatch.chdir(copied.parent.parent)
    assert find_run("copied").samefile(copied)


def test_an_explanation_is_told(copied):
    found = {
        "trial": 1, "importances": {}, "left_out": ["freeze.depth = 0.0: no time left"],
        "ablations": [
            {"key": "optimizer.lr", "winner": 0.0003, "other": 0.001, "gain": 0.05, "gain_se": 0.01},
            {"key": "head.name", "winner": "linear", "other": "svm", "gain": -0.01, "gain_se": 0.02},
        ],
        "curve": [{"way": way, "epoch": e, "steps": 4 * e, "seconds": e, "accuracy": a + 0.1 * e}
                  for way, a in (("winner", 0.6), ("from-scratch", 0.2)) for e in range(1, 4)],
        "winner_steps": 4, "scratch_steps": 12,
    }  # fmt: skip
    (copied / "explanation.json").write_text(json.dumps(found))
    page = page_of(copied)
    assert "explanation" in [section.key for section in page.sections]
    text = to_markdown(page)
    assert "Clear, beyond one standard error: \u2068optimizer.lr\u2069 (+5.0)" in text
    assert "best after 12 steps, the winner after 4 steps" in text
    assert "no time left" in text
    assert "advisor explain" not in text
    assert to_html(page)


def test_names_of_any_kind_come_out_right(odd_run):
    page = page_of(odd_run)
    text = to_html(page)
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert "{{ 7 * 7 }}" in text
    assert "<script>" not in to_markdown(page)
    (table,) = [one for one in blocks(page, Table) if one.caption == "Classes"]
    assert {row[0].text for row in table.rows} == set(ODD)


def test_two_thousand_classes_are_cut_and_counted(copied):
    names = [f"class {place} {'of a long name ' * 3}" for place in range(2000)]
    change(
        copied / "best" / "report.json",
        dataset={"location": "x", "digest": "d", "several_labels": False, "splits": {"test": 4000}, "classes": names},
        test_per_class={name: {"images": 2, "recall": 0.5} for name in names},
    )
    rows = [f"{name}/{one}.png,{name},{names[(place + one) % 2000]},0.75,0.5" for place, name in enumerate(names)
            for one in (0, 1)]  # fmt: skip
    (copied / "predictions.csv").write_text("\n".join(["path,label,predicted,probability,own", *rows]))
    page = page_of(copied)
    (table,) = [one for one in blocks(page, Table) if one.caption == "Classes"]
    assert len(table.rows) + table.rest == 2000
    heat = chart(page, "taken for what")
    assert "Of 2000 classes these are the 20 most confused" in heat.finding
    drawn = {row["label"] for row in drawn_rows(heat)}
    assert len(drawn) == 20  # although their first letters are the same, none falls on another
    assert len(to_html(page).encode()) < 5_000_000


def test_without_test_images_nothing_is_invented(copied):
    change(copied / "best" / "report.json", test_accuracy=None, test_interval_95=[0.0, 1.0], test_balanced_accuracy=None,
           test_images=0, test_per_class={})  # fmt: skip
    (copied / "predictions.csv").write_text("path,label,predicted,probability,own\n")
    change(copied / "evidence.json", mistakes=[])
    page = page_of(copied)
    assert page.title.endswith("no image was left for a test")
    assert {"outcome", "confusions", "classes", "trust"}.isdisjoint(section.key for section in page.sections)
    assert "Test accuracy" not in to_markdown(page)
    assert to_html(page)


def test_balanced_accuracy_is_compared_with_its_like(copied):
    change(copied / "best" / "report.json", metric="balanced", test_accuracy=0.9, test_balanced_accuracy=0.55)
    text = to_markdown(page_of(copied)).split("\n## ")[0]
    assert "Test balanced accuracy: **0.550**" in text
    assert "the test images gave 0.550, within it" in text


def test_several_labels_are_told_in_their_own_measure(multilabel_run):
    page = page_of(multilabel_run)
    keys = [section.key for section in page.sections]
    assert {"confusions", "trust"}.isdisjoint(keys)
    assert page.title.startswith("Mean average precision")
    text = to_markdown(page)
    assert "| label | test images | average precision |" in text
    assert "recognised" not in text
    assert "Right on" not in text
    assert to_html(page)


def test_tune_writes_the_report_and_says_where(tiny, tiny_folder, tmp_path, monkeypatch, capsys):
    from advisor.recipe import plan_to_toml

    monkeypatch.chdir(tmp_path)
    (tmp_path / "advisor.toml").write_text(plan_to_toml(one_training(tiny_folder)))
    assert main(["tune", "--name", "one", "--md", "-q"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Report with charts and pictures: runs/one/report.html",
        "Report with charts and pictures: runs/one/report.md",
    ]
    assert (tmp_path / "runs/one/report.html").read_text("utf-8").startswith("<!doctype html>")
    assert main(["tune", "--name", "one", "--no-report", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["reports"] == []
    (tmp_path / "runs/one/report.html").unlink()
    (tmp_path / "runs/one/report.html").mkdir()  # in the way of the page, but not of the model
    assert main(["tune", "--name", "one", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["reports"] == []
    assert "The report could not be written" in told.err


def judged(*rows):
    return [JudgedImage(f"{place}.png", label, said, p, p) for place, (label, said, p) in enumerate(rows)]


def test_reliability_and_its_error_are_those_of_the_definition():
    seen = judged(("a", "a", 0.95), ("a", "b", 0.95), ("b", "b", 0.95), ("b", "b", 1.0), ("a", "b", 0.55))
    bins = reliability(seen)
    assert [(one.low, one.images, one.right) for one in bins] == [(0.5, 1, 0.0), (0.9, 4, 0.75)]
    assert calibration_error(bins) == pytest.approx((1 * 0.55 + 4 * abs(0.75 - 0.9625)) / 5)
    assert reliability([]) == ()
    assert calibration_error(()) == 0


def test_abstaining_answers_images_of_one_probability_together():
    seen = judged(("a", "a", 0.9), ("a", "b", 0.9), ("b", "b", 0.6), ("b", "a", 0.5))
    assert [(one.least, one.images, one.right) for one in abstaining(seen)] == [
        (0.9, 2, 0.5), (0.6, 3, pytest.approx(2 / 3)), (0.5, 4, 0.5),
    ]  # fmt: skip
    found = answered(seen, 0.6)
    assert (found.images, found.share, found.right) == (3, 0.75, pytest.approx(2 / 3))
    assert answered(seen, 0.95) is None


def test_confusions_are_counted_and_the_most_confused_kept_in_order():
    seen = judged(("a", "b", 1), ("a", "b", 1), ("c", "d", 1), ("c", "c", 1), ("d", "d", 1))
    pairs = confusions(seen)
    assert [(p.label, p.taken_for, p.images, p.of) for p in pairs] == [("a", "b", 2, 2), ("c", "d", 1, 2)]
    assert most_confused(pairs, "abcd", 2) == ("a", "b")
    assert most_confused(pairs, "abcd", 4) == ("a", "b", "c", "d")


def test_the_recipe_of_the_winner_is_folded(searched):
    (fold,) = [one for one in page_of(searched).sections[-1].blocks if isinstance(one, Fold)]
    report = json.loads((searched / "best" / "report.json").read_text())
    assert {row[0].text for row in fold.table.rows} == set(report["winner"]["values"])
