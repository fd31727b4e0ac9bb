"""Lines that break between words, tables that become lists, commands that stay whole."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from advisor.report.page.console import Terminal


def printed(act, *, width=40, wraps=True):
    out = Terminal(wraps=wraps, width=width, force_terminal=False, soft_wrap=True, highlight=False)
    with out.capture() as capture:
        act(out)
    return capture.get().splitlines()


def test_a_long_line_goes_on_below_the_beginning_of_its_words():
    text = "  - one two three four five six seven eight nine ten"
    lines = printed(lambda out: out.hanging(text), width=30)
    assert lines == ["  - one two three four five", "    six seven eight nine ten"]


def test_a_hang_that_is_asked_for_is_kept():
    lines = printed(lambda out: out.hanging("label: " + "word " * 8, 7), width=30)
    assert len(lines) > 1
    assert all(line.startswith(" " * 7) for line in lines[1:])


def test_a_pipe_gets_lines_whole():
    text = "word " * 40
    assert printed(lambda out: out.hanging(text), wraps=False, width=20) == [text]
    assert printed(lambda out: out.command(text), width=20) == [text]


def test_markup_is_read_in_text_and_not_in_names():
    assert printed(lambda out: out.print("[bold]loud[/bold] \\[not]")) == ["loud [not]"]
    assert printed(lambda out: out.hanging(Text("[bold]not[/bold]"))) == ["[bold]not[/bold]"]
    assert printed(lambda out: out.print("a :smile: face"), wraps=True) == ["a :smile: face"]


def test_several_lines_of_one_string_hang_each_by_itself():
    lines = printed(lambda out: out.print("- " + "one " * 8 + "\nplain " + "two " * 8), width=24)
    assert lines[1].startswith("  one")
    assert any(line.startswith("two") for line in lines)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="abcdé字", min_size=1, max_size=8), min_size=1, max_size=30), st.integers(24, 80))
def test_breaking_loses_no_word_and_keeps_to_the_width(words, width):
    lines = printed(lambda out: out.hanging(Text(" ".join(words))), width=width)
    assert " ".join(lines).split() == words
    assert all(cell_len(line) <= width for line in lines)


def test_a_word_longer_than_the_line_is_not_broken():
    path = "/a/" + "very/" * 20 + "long/path"
    lines = printed(lambda out: out.hanging(f"Written to {path}"), width=30)
    assert path in lines


ROWS = [["lite0", "0.81"], ["resnet", "12.5"]]


def test_a_table_has_numbers_on_the_right_and_no_trailing_blanks():
    lines = printed(lambda out: out.table(["name", "score"], ROWS, right=[1]))
    assert lines == ["name    score", "lite0    0.81", "resnet   12.5"]


def test_what_does_not_fit_becomes_a_list_with_every_cell():
    columns = [f"column {n}" for n in range(12)]
    rows = [[f"r{row}c{n}" * 2 for n in range(12)] for row in range(2)]
    lines = printed(lambda out: out.table(columns, rows), width=40)
    text = "\n".join(lines)
    assert lines[0] == rows[0][0]
    for name, value in zip(columns[1:], rows[1][1:], strict=True):
        assert f"  {name:<9}  {value}" in text


def test_a_list_leaves_out_cells_with_nothing_in_them():
    columns = ["name", "a long heading", "another long heading", "a third long heading"]
    rows = [["x" * 30, "here", "", "there" * 5]]
    lines = printed(lambda out: out.table(columns, rows), width=24)
    assert not any("another" in line for line in lines)
    assert any("here" in line for line in lines)


@pytest.mark.parametrize("rows", [[], [["", ""]]])
def test_a_table_of_nothing_still_has_its_heads(rows):
    assert printed(lambda out: out.table(["a", "b"], rows))[0] == "a  b"
