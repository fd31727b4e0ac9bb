"""What scripts may rely on: exit codes, options that every command has, tables that fit."""

import argparse
import json
import re
import signal
import subprocess
import sys

import pytest
from rich.cells import cell_len

from advisor.cli.main import build_parser, main
from advisor.report.page.console import Terminal
from advisor.tuning.network_runner import NetworkRunner


def every_parser(parser, name=""):
    """Every command, those below others included."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, sub in action.choices.items():
                yield f"{name} {word}".strip(), sub
                yield from every_parser(sub, f"{name} {word}")


def advisor(*words, cwd, **options):
    return subprocess.Popen([sys.executable, "-m", "advisor", *words], cwd=cwd, text=True, **options)


def test_done_could_not_and_wrong_usage(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["recipes"]) == 0
    assert main(["predict", ".", "photo.jpg"]) == 1
    assert main(["recommend"]) == 2
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


def test_an_interrupted_command_says_so_and_returns_130(tiny_folder, tmp_path):
    # What runs the tests may have told its children to ignore the signal.
    with advisor(
        "recommend", str(tiny_folder), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as command:  # fmt: skip
        assert command.stderr.readline() == "Loading libraries: 0/3\n"
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=60)
    assert (command.returncode, out) == (130, ""), err
    assert err.endswith("Stopped.\n")
    assert not (tmp_path / "advisor.toml").exists()


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    with advisor("recipes", "--keys", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        command.stdout.close()
        assert command.stderr.read() == ""


def test_every_command_has_json_quiet_and_verbose():
    found = dict(every_parser(build_parser()))
    assert {"recommend", "plugins new", "plugins check", "doctor"} <= set(found)
    for name, parser in found.items():
        assert {"--json", "-q", "--quiet", "-v", "--verbose", "-h"} <= set(parser._option_string_actions), name


def test_verbose_shows_where_an_error_came_from(capsys, tmp_path):
    assert main(["tune", str(tmp_path / "none.toml"), "-v"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["explain runs/data --budget 20s", "export runs/data/best --to hub-folder --name x", "eject runs/data",
                                   "cache", "plugins new my-birds", "plugins", "doctor"])  # fmt: skip
def test_json_is_one_document_and_quiet_is_quiet(words, a_run, capsys):
    assert main([*words.split(), "--json", "-q"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)


@pytest.fixture(scope="module")
def a_place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


@pytest.fixture
def a_run(a_place, tiny, tiny_folder, monkeypatch, capsys):
    """The current folder has a run of the tiny network; made once."""
    monkeypatch.chdir(a_place)
    kept = a_place / "images"
    if not kept.exists():
        tiny_folder.rename(kept)
        # A head on several views would be a winner that `eject` cannot say.
        monkeypatch.setattr(NetworkRunner, "variants", lambda *_: {})
        assert main(["recommend", "images", "--backbone", tiny, "-q", "--no-report"]) == 0
        assert main(["tune", "--trials", "1", "--budget", "60s", "--name", "data", "-q", "--no-report"]) == 0
    capsys.readouterr()
    return a_place


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("words", ["recommend images --backbone tiny", "tune --trials 1 --name data",
                                   "profile images --backbone tiny", "plugins", "backbones", "heads", "recipes"])  # fmt: skip
def test_pages_fit_the_columns_that_there_are(words, columns, a_run, tiny, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    without = words.startswith(("recommend", "tune")) and columns > 60  # one page that says where they are is enough
    assert main([*words.split(), "-q", *(["--no-report"] if without else [])]) == 0
    for line in capsys.readouterr().out.splitlines():
        # Commands stay whole, so that they can be copied; so does a single long word.
        assert cell_len(line) <= columns or re.match(r"  (advisor|timm|model|transform|logits)[ .]", line), line
        assert line == line.rstrip()


def test_a_pipe_gets_whole_lines(a_run, tiny, capsys):
    assert main(["recommend", "images", "--backbone", tiny, "-q", "--no-report"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) > 120


def test_a_table_that_would_not_fit_becomes_a_list(capsys):
    columns, rows = (
        ("name", "what", "size"),
        [("a" * 20, "[b]some[/b] words about it, and more of them", "3 MB"), ("b", "日本", "")],
    )
    Terminal(wraps=True, width=60).table(columns, rows)
    assert capsys.readouterr().out.splitlines()[0].split() == ["name", "what", "size"]
    Terminal(wraps=True, width=30).table(columns, rows)
    assert capsys.readouterr().out.splitlines() == [
        "aaaaaaaaaaaaaaaaaaaa", "  what  some words about it,", "        and more of them", "  size  3 MB", "b", "  what  日本",
    ]  # fmt: skip


def test_lines_go_on_below_their_beginning(capsys):
    page = Terminal(wraps=True, width=24)
    page.print("  - one two three four five six seven")
    page.print("see /a/path/that/is/longer/than/the/page for [bold]more[/bold]")
    page.command("  advisor tune runs/somewhere/else")
    assert capsys.readouterr().out.splitlines() == [
        "  - one two three four", "    five six seven", "see", "/a/path/that/is/longer/than/the/page", "for more",
        "  advisor tune runs/somewhere/else",
    ]  # fmt: skip
