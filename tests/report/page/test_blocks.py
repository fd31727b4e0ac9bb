"""What pages are made of: names of strangers, tables that are cut, charts that are drawn once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.report.page.blocks import Chart, Column, Name, Picture, Table, said, without_isolates

TABLE = Table(
    "T", (Column("a"), Column("b", number=True)), (("x", "1"), ("y", "2"), ("z", "3")), rest=4, bars=(0.1, 0.2, 0.3),
    marked=frozenset({0}),
)  # fmt: skip


@given(st.text(), st.integers(2, 50), st.booleans())
def test_a_name_of_any_text_is_one_visible_line_of_bounded_length(text, longest, tail):
    name = Name(text, longest, tail)
    assert 0 < len(name.short) <= longest
    assert name.full
    assert not set(name.full) & {"\n", "\r", "\x00", "\u2028", "\u202e", "\u2066"}
    assert name.cut == (name.short != name.full)


@given(st.text(alphabet="abc/", min_size=11))
def test_a_long_name_keeps_the_end_that_was_asked_for(text):
    assert Name(text, 10).short == f"{text[:9]}…"
    assert Name(text, 10, tail=True).short == f"…{text[-9:]}"


def test_a_name_of_exactly_the_length_is_whole():
    name = Name("a" * 40)
    assert name.short == "a" * 40
    assert not name.cut
    assert Name("a" * 41).cut


@pytest.mark.parametrize("text", ["", "\n\t", "\u202e", "\x00\x1b"])
def test_a_name_of_nothing_that_can_be_seen_is_called_so(text):
    assert Name(text).full == "(no name)"


def test_an_escape_sequence_loses_what_a_terminal_obeys():
    assert Name("\x1b[31mred").full == "[31mred"


@given(st.text())
def test_marks_around_a_name_come_off_again(text):
    assert without_isolates(f"see {said(text)}.") == f"see {Name(text).short}.".replace("\u2068", "").replace(
        "\u2069", ""
    )


@given(st.integers(0, 6))
def test_a_cut_table_loses_no_row_from_its_count(rows):
    cut = TABLE.first(rows)
    assert len(cut.rows) == min(rows, 3) == len(cut.bars)
    assert len(cut.rows) + cut.rest == len(TABLE.rows) + TABLE.rest
    assert cut.rows == TABLE.rows[:rows]
    assert (cut.caption, cut.columns, cut.where, cut.marked) == (
        TABLE.caption,
        TABLE.columns,
        TABLE.where,
        TABLE.marked,
    )


def test_a_table_cut_twice_is_as_cut_once():
    assert TABLE.first(2).first(1) == TABLE.first(1)


def test_a_chart_is_drawn_when_asked_for_and_once():
    drawn = []

    def draw():
        drawn.append(1)
        return {"mark": "bar"}

    chart = Chart("Bars", "They rise.", draw, TABLE)
    assert not drawn
    assert chart.spec == {"mark": "bar"}
    assert chart.spec is chart.spec
    assert drawn == [1]


def test_the_caption_is_finding_and_key():
    assert Chart("B", "They rise.", dict, TABLE).caption == "They rise."
    assert Chart("B", "They rise.", dict, TABLE, key="Bars are years.").caption == "They rise. Bars are years."


def test_charts_are_alike_by_what_they_say():
    assert Chart("B", "x", lambda: {"a": 1}, TABLE) == Chart("B", "x", lambda: {"b": 2}, TABLE)
    assert Chart("B", "x", dict, TABLE) != Chart("B", "y", dict, TABLE)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/b/c.png", "c.png"), ("c:\\photos\\c.png", "c.png"), ("a/b/", "b"), ("/", "/"), ("odd#12", "odd#12"),
     ("a/" + "x" * 30 + ".png", "…" + "x" * 11 + ".png")],
)  # fmt: skip
def test_a_picture_is_called_by_its_file(path, name):
    assert Picture(path, "", "", 0, 0).name.short == name


def test_a_picture_knows_its_whole_place():
    assert Picture("a/b\n/c.png", "", "", 0, 0).place == "a/b /c.png"
