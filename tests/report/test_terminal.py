"""A page on a terminal: the blocks of the reports as text of any width, with nothing in it that a terminal obeys."""

import subprocess
import sys

import pytest
from rich.cells import cell_len

from advisor.records.folder import read_run
from advisor.report.page.blocks import (
    Bullets,
    Chart,
    Check,
    Column,
    CommandLine,
    Fact,
    Facts,
    Fold,
    Gallery,
    Heading,
    Name,
    Page,
    Pair,
    Picture,
    Section,
    Shelf,
    Table,
    Text,
    said,
)
from advisor.report.page.console import Terminal
from advisor.report.page.documents import to_markdown
from advisor.report.page.terminal import show, to_terminal
from advisor.report.recommendation import recommendation_screen
from advisor.report.recommendation.data import profile_screen
from advisor.report.run import run_screen

NUMBERS = Table(
    "Numbers", (Column("stage"), Column("score", number=True), Column("more", terminal=False)),
    (("one", "0.5", "x"), ("two", "1.0", "y")), marked=frozenset({1}), bars=(0.5, 1.0),
)  # fmt: skip


def never():
    raise AssertionError("a terminal draws nothing")


@pytest.fixture
def printed(capsys):
    """From blocks to the lines that they are printed as."""

    def _printed(*blocks, width=60):
        for block in blocks:
            show(block, Terminal(wraps=True, width=width))
        return capsys.readouterr().out.splitlines()

    return _printed


def test_every_kind_of_block_has_its_form(printed):
    picture = Picture("a/b.png", "alt", "", 0, 0, lines=("like c",))
    gallery = Gallery("Odd", (picture,), rest=2)
    assert printed(Text("words"), Heading("head"), Bullets(("one", "two"))) == ["words", "head", "  - one", "  - two"]
    assert printed(Facts((Fact("Images", "12", "3 classes"), Fact("Longer label", "5")))) == [
        "  Images        12  3 classes", "  Longer label  5",
    ]  # fmt: skip
    assert printed(CommandLine("Next", "advisor tune\nadvisor report")) == [
        "Next:",
        "  advisor tune",
        "  advisor report",
    ]
    assert printed(gallery) == ["Odd:", "  - a/b.png; like c", "… and 2 more; all with --json"]
    assert printed(Shelf(Name("cats"), "9 % recognised", (gallery,)))[:2] == ["cats: 9 % recognised", "Odd:"]
    assert printed(Fold("Paths", NUMBERS)) == []
    assert printed(Check("problem", "disk", "full", "make room")) == [
        "problem  disk         full", f"{'':22}do: make room",
    ]  # fmt: skip


def test_a_chart_is_its_finding_and_its_numbers_with_bars_where_there_is_room(printed):
    chart = Chart("Curve", "It rises.", never, NUMBERS, key="Blue is better.")
    lines = printed(chart)
    assert lines[:2] == ["Curve", "It rises."]
    assert [line.split() for line in lines[2:]] == [
        ["stage", "score"], ["one", "0.5", "#" * 15], ["*two", "1.0", "#" * 30],
    ]  # fmt: skip
    assert "#" not in "".join(printed(chart, width=14))
    assert printed(Pair((chart, chart))).count("Curve") == 2


def test_what_is_left_out_of_a_table_is_counted(printed):
    assert printed(NUMBERS.first(1))[-1] == "… and 1 more; all with --json"
    assert len(printed(NUMBERS.first(1))) == 4
    assert NUMBERS.first(2) == NUMBERS


def test_nothing_that_is_named_reaches_the_terminal_as_a_command(printed):
    evil = "\x1b[31mred\x07\n[bold]b[/bold] \u202e"
    rows = ((Name(evil), evil),)
    blocks = (Text(evil), Text(said(evil)), Bullets((evil,)), CommandLine(evil, evil.replace("\n", "")),
              Table(evil, (Column("a"), Column("b")), rows), Check("ok", evil, evil))  # fmt: skip
    text = "\n".join(printed(*blocks))
    assert not {"\x1b", "\x07", "\u202e", "\u2068", "\u2069"} & set(text)
    assert text.count("[bold]b[/bold]") == 10


@pytest.mark.parametrize("width", [50, 80, 120])
def test_pages_say_what_the_reports_say_and_fit(width, plain, searched, page_of, capsys):
    screens = {
        "recommendation": (recommendation_screen(plain, plan="my plan.toml", reports=["a.html"]), page_of(plain)),
        "run": (run_screen(read_run(searched), reports=["b.html"]), None),
        "profile": (profile_screen(plain.profile, None), None),
    }
    for name, (screen, page) in screens.items():
        to_terminal(screen, Terminal(wraps=True, width=width))
        lines = capsys.readouterr().out.splitlines()
        long = [line for line in lines if cell_len(line) > width]
        # Commands, code and single long words stay whole, so that they can be copied.
        assert all((line.startswith("  ") and len(line.split()) < 8) or " " not in line for line in long), (name, long)
        assert lines[-2:] == ["Next:", "  advisor tune 'my plan.toml'"] if name == "recommendation" else lines[-1]
        if page is not None:
            whole = to_markdown(page).replace("\\", "")
            for reason in plain.verdict.reasons:
                assert reason[1:50] in whole.replace("\u2068", "")
                assert reason[1:50].split()[0] in " ".join(lines)


def test_the_figures_of_a_recommendation_are_those_of_its_report(plain, page_of, capsys):
    to_terminal(recommendation_screen(plain, plan="advisor.toml"), Terminal(wraps=False, width=120))
    shown = capsys.readouterr().out
    report = to_markdown(page_of(plain)).replace("\\", "").replace("\u2068", "").replace("\u2069", "")
    assert page_of(plain).title in shown
    for point in plain.curve.points:
        assert f"{point.accuracy:.3f}" in shown
    for line in shown.splitlines():
        if line.startswith("  - ") or line.endswith("."):
            assert line.removeprefix("  - ") in report or "Copies" in line or "group" in line, line


def test_the_figures_of_a_search_are_those_of_its_report(searched, capsys):
    run = read_run(searched)
    to_terminal(run_screen(run), Terminal(wraps=False, width=120))
    shown = capsys.readouterr().out
    assert f"{run.record.test:.3f}" in shown
    assert f"Right on {100 * run.record.test:.1f}" in shown
    best = max((trial for trial in run.trials if trial.scored), key=lambda trial: trial.accuracy)
    assert f"{best.accuracy:.3f}" in shown
    assert f"advisor predict {searched / 'best'} photo.jpg" in shown


def test_a_page_with_nothing_but_a_title(capsys):
    page = Page("About", Name("x"), "kicker", "title", (), (Section("a", "", "", (Text("words"),)),))
    to_terminal(page, Terminal(wraps=True, width=60))
    assert capsys.readouterr().out == "kicker. title\n\nwords\n"


def test_terminal_pages_need_nothing_that_draws(searched):
    program = (
        "import sys; from pathlib import Path; from advisor.report.page.console import Terminal;"
        "from advisor.report.page.terminal import to_terminal; from advisor.report.run import run_screen;"
        "from advisor.records.folder import read_run;"
        "to_terminal(run_screen(read_run(Path(sys.argv[1]))), Terminal(wraps=False));"
        "print(sorted({'altair', 'vl_convert', 'torch', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(searched)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
