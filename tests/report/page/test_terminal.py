"""Each kind of block on a terminal, from blocks made by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.report.page.blocks import (
    Chart,
    Check,
    Column,
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
    Table,
    Text,
    said,
)
from advisor.report.page.console import Terminal
from advisor.report.page.terminal import show, to_terminal


def never():
    raise AssertionError("a terminal draws nothing")


def shown(*blocks, width=70):
    out = Terminal(wraps=True, width=width, highlight=False, soft_wrap=True)
    with out.capture() as capture:
        for block in blocks:
            show(block, out)
    return capture.get().splitlines()


def whole(page, width=70):
    out = Terminal(wraps=True, width=width, highlight=False, soft_wrap=True)
    with out.capture() as capture:
        to_terminal(page, out)
    return capture.get().splitlines()


def page(*blocks, **changes):
    usual = {
        "about": "About", "subject": Name("s"), "kicker": "Kicker", "title": "A title", "first": (),
        "sections": (Section("one", "One", "One", blocks),),
    }  # fmt: skip
    return Page(**{**usual, **changes})


def table(rows=(("x", "1"), ("yy", "22")), **changes):
    return Table("", (Column("a"), Column("b", number=True)), rows, **changes)


def test_the_kicker_stands_before_the_title_and_the_foot_at_the_end():
    lines = whole(page(Text("Words."), foot="Made today."))
    assert lines == ["Kicker. A title", "", "One", "Words.", "", "Made today."]
    assert whole(page(Text("Words."), kicker=""))[0] == "A title"


def test_sections_without_a_title_are_told_apart_by_a_blank_line_alone():
    lines = whole(page(sections=(Section("a", "", "", (Text("one"),)), Section("b", "", "", (Text("two"),)))))
    assert lines == ["Kicker. A title", "", "one", "", "two"]


def test_a_blank_line_stands_before_tables_and_headings_but_not_first_in_a_section():
    lines = whole(page(Heading("H"), Text("t"), table(), Text("u"), Heading("I")))
    assert lines == ["Kicker. A title", "", "One", "H", "t", "", "a    b", "x    1", "yy  22", "u", "", "I"]


def test_what_a_browser_folds_away_leaves_no_gap():
    folded = Fold("Paths", table())
    assert whole(page(Text("a"), folded, Text("b"))) == whole(page(Text("a"), Text("b")))


def test_empty_columns_and_those_that_are_too_much_are_left_out():
    columns = (Column("a"), Column("nothing"), Column("wide", terminal=False), Column("b"))
    lines = shown(Table("", columns, (("x", "", "w", "1"), ("y", "", "w", "2"))))
    assert lines == ["a  b", "x  1", "y  2"]


def test_a_table_without_rows_keeps_its_columns():
    assert shown(Table("", (Column("a"), Column("b")), ())) == ["a  b"]


def test_rows_that_stand_out_have_a_star_and_the_others_room_for_it():
    assert shown(table(marked=frozenset({1}))) == ["a     b", " x    1", "*yy  22"]


def test_rows_that_are_left_out_are_counted_with_the_place_where_they_are():
    assert shown(table(rest=1940, where="all in leaderboard.csv"))[-1] == "… and 1,940 more; all in leaderboard.csv"


def test_bars_are_as_long_as_their_values_and_go_where_there_is_no_room():
    lines = shown(table(bars=(0.5, 1.0)), width=70)
    assert [line.count("#") for line in lines] == [0, 15, 30]
    assert not any("#" in line for line in shown(table(bars=(0.5, 1.0)), width=11))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(20, 100))
@settings(max_examples=40, deadline=None)
def test_bars_never_pass_the_edge(values, width):
    lines = shown(table(tuple((str(n), "1") for n in range(len(values))), bars=tuple(values)), width=width)
    assert max(map(len, lines)) <= width


def test_a_chart_is_its_words_and_numbers_and_is_not_drawn():
    numbers = Table("ignored caption", (Column("a"),), (("1",),))
    assert shown(Chart("Title", "It rises.", never, numbers, key="Dots.")) == ["Title", "It rises.", "a", "1"]


def test_of_a_pair_one_stands_below_the_other():
    lines = shown(Pair((Text("left"), Heading("right"))))
    assert lines == ["left", "", "right"]


def test_facts_stand_in_columns_and_notes_go_on_below_themselves():
    facts = Facts((Fact("Images", "12"), Fact("A longer label", "5", "a note " * 8)))
    lines = shown(facts, width=60)
    assert lines[0] == "  Images          12"
    start = lines[1].index("a note")
    assert all(line.startswith((" " * start + "a note", " " * start + "note")) for line in lines[2:])


def test_wide_letters_are_counted_by_the_columns_that_they_take():
    first, second = shown(Facts((Fact("漢字", "1"), Fact("abcd", "2"))))
    assert first == "  漢字  1"
    assert second == "  abcd  2"


@pytest.mark.parametrize("state", ["ok", "note", "problem", "unheard of"])
def test_a_check_of_any_state_has_its_columns(state):
    first, *rest = shown(Check(state, "disk", "full", "make room"))
    assert first == f"{state:<8} {'disk':<12} full"
    assert rest == [f"{'':22}do: make room"]
    assert len(shown(Check(state, "disk", "fine"))) == 1


def test_a_long_finding_of_a_check_hangs_below_itself():
    lines = shown(Check("note", "disk", "word " * 20, "do " * 20), width=60)
    assert lines[1].startswith(" " * 22 + "word")
    advice = next(place for place, line in enumerate(lines) if "do: " in line)
    assert lines[advice + 1].startswith(" " * 26 + "do")


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x07", "\u202e", "\r", "\x9b31m"])
def test_nothing_that_a_terminal_obeys_gets_through(evil):
    picture = Picture(f"a{evil}.png", "", "", 0, 0, lines=(f"like {said(evil)}",))
    blocks = (
        Text(evil), Heading(evil), table(((Name(f"n{evil}"), evil),)), Gallery(evil, (picture,)),
        Facts((Fact(evil, evil, evil),)), Check("ok", evil, evil, evil),
    )  # fmt: skip
    text = "\n".join(shown(*blocks))
    assert evil not in text
    assert "\x1b" not in text


def test_a_names_invisible_letters_are_written_out_so_that_a_file_can_be_found():
    assert "a\\x07b" in "\n".join(shown(table(((Name("a\x07b"), "1"),))))


def test_marks_around_names_do_not_reach_a_terminal():
    assert shown(Text(f"see {said('x')}")) == ["see x"]
