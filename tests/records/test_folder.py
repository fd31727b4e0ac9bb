"""All that a run left, read from its folder."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from advisor.errors import RunError
from advisor.records.folder import EVIDENCE, EXPLANATION, PREDICTIONS, REPORT, find_run, read_run
from advisor.report.page.documents import to_html, to_markdown
from advisor.report.run import run_page

from .conftest import evidence_record, explanation, run_record, trial

MADE = datetime(2030, 1, 2, tzinfo=UTC)
ROWS = "path,label,predicted,probability,own\na/1.png,a,b,0.75,0.125\n"


@pytest.fixture
def folder(tmp_path):
    """The folder of a run, with everything that may be in it."""
    home = tmp_path / "runs" / "shapes"
    (home / "best").mkdir(parents=True)
    (home / "plan.toml").touch()
    (home / REPORT).write_text(json.dumps(run_record().to_dict()))
    (home / EVIDENCE).write_text(json.dumps(evidence_record().to_dict()))
    (home / EXPLANATION).write_text(json.dumps(explanation().to_dict()))
    (home / PREDICTIONS).write_text(ROWS)
    (home / "best" / "config.json").write_text('{"architecture": "test_resnet"}')
    (home / "best" / "model.safetensors").write_bytes(bytes(7))
    return home


def test_everything_is_read(folder):
    run = read_run(folder)
    assert (run.record, run.evidence, run.explanation) == (run_record(), evidence_record(), explanation())
    assert [one.path for one in run.tested] == ["a/1.png"]
    assert run.winner == trial()
    assert run.trials == evidence_record().trials
    assert (run.missing, run.timm, run.model_bytes) == ((), True, 7)


NO_TABLE = ["", "{", "[]", "null", "\0", "[" * 100_000]
DAMAGE = [
    *((EVIDENCE, "evidence", content) for content in [*NO_TABLE, "{}", '{"trials": 3}']),
    *((EXPLANATION, "explanation", content) for content in [*NO_TABLE, "{}", '{"ablations": []}']),
    *(("best/config.json", "timm", content) for content in NO_TABLE),
    *((PREDICTIONS, "tested", content) for content in ["path,label\na,b", ROWS[:-8], 'path,"label', "a\n\0"]),
]


@pytest.mark.parametrize(("name", "gone", "content"), DAMAGE)
def test_a_damaged_part_is_left_out_in_one_sentence(folder, name, gone, content):
    (folder / name).write_text(content)
    run = read_run(folder)
    (line,) = run.missing
    assert line.startswith(f"{name} is damaged (")
    assert "so this report goes without" in line
    assert "\n" not in line
    assert not getattr(run, gone)
    assert run.record == run_record()


def test_a_missing_part_is_named_where_every_run_has_it(folder):
    for name in (EVIDENCE, PREDICTIONS, EXPLANATION, "best/config.json", "best/model.safetensors"):
        (folder / name).unlink()
    run = read_run(folder)
    assert (run.evidence, run.tested, run.explanation, run.trials, run.winner) == (None, None, None, (), None)
    assert (run.timm, run.model_bytes) == (False, 0)
    assert [line.split(" is missing")[0] for line in run.missing] == [EVIDENCE, PREDICTIONS]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '"\\ud800"', "[" * 100_000])
def test_damaged_figures_are_an_error_with_a_way_out(folder, content):
    (folder / REPORT).write_text(content)
    with pytest.raises(RunError, match="is damaged: ") as raised:
        read_run(folder)
    assert raised.value.hint == f"advisor tune --resume {folder}"
    assert len(str(raised.value).splitlines()[0]) < 400


def test_figures_that_are_no_text_are_an_error(folder):
    (folder / REPORT).write_bytes(b"\xff\xfe{}")
    with pytest.raises(RunError, match="is damaged: "):
        read_run(folder)


def test_nothing_was_handed_over(folder):
    (folder / REPORT).unlink()
    with pytest.raises(RunError, match="has handed nothing over yet"):
        read_run(folder)


def test_it_is_given_in_three_ways(folder):
    assert find_run(folder) == find_run(folder / "best") == find_run("shapes", folder.parent) == folder


def test_what_is_no_run_is_an_error_that_names_runs(folder, tmp_path):
    with pytest.raises(RunError, match="is no run's folder") as raised:
        find_run(tmp_path, folder.parent)
    assert "runs in" in str(raised.value)
    with pytest.raises(RunError, match="no run `shape`") as raised:
        find_run("shape", folder.parent)
    assert "did you mean `shapes`" in raised.value.hint
    with pytest.raises(RunError, match="no run `elsewhere`") as raised:
        find_run("elsewhere", tmp_path / "nowhere")
    assert "there are no runs" in str(raised.value)


def test_a_folder_of_the_old_form_opens(old_run):
    run = read_run(old_run)
    assert run.missing == ()
    assert run.record.winner.name == run.winner.name == "trial 0"
    page = run_page(run, made=MADE)
    text = to_markdown(page)
    assert "Right on 94.4" in text.splitlines()[0]
    assert "complete, 67 % of its steps" in text
    assert "The winner trained 67 % of its recipe's steps" in text
    assert "The advice expected an accuracy of 0.61 (80 % interval 0.40 to 0.70)" in text
    assert to_html(page)


def test_a_folder_of_a_form_before_that_is_refused_in_one_sentence(old_run):
    data = json.loads((old_run / REPORT).read_text())
    del data["choice"]
    (old_run / REPORT).write_text(json.dumps(data))
    with pytest.raises(RunError, match="is damaged: there is no 'choice' in it"):
        read_run(old_run)


def test_reading_takes_no_torch(folder):
    program = (
        "import sys; from pathlib import Path; from advisor.records.folder import read_run; read_run(Path(sys.argv[1]));"
        "print(sorted({'torch', 'timm', 'optuna', 'pandas', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
