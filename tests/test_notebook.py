import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor import notebook

HOSTILE = "<script>alert(1)</script> \"quoted\" & 'more' \u202eturned\x1b[31m"


class Shape(HTMLParser):
    """Which elements are there, that they are closed in order, and the text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen, self.text = [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_what_people_wrote_does_nothing_but_show():
    page = notebook.card(
        HOSTILE,
        notebook.paragraph(HOSTILE),
        notebook.bullets([HOSTILE]),
        notebook.table([HOSTILE, "b"], [[HOSTILE, HOSTILE], ["c", 1]], strong=1),
    )
    shape = Shape(page)
    assert shape.open == []
    assert set(shape.seen) == {"div", "p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert shape.text.count("<script>alert(1)</script>") == 6
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert page.count("font-weight:bold") == 2


def test_no_colour_is_set_so_that_it_suits_light_and_dark():
    page = notebook.card("a", notebook.table(["b"], [["c"]]))
    assert set(re.findall(r"(?:color|background):(\w+)", page)) == {"inherit", "none"}


def test_nothing_is_made_of_nothing():
    assert notebook.paragraph("") == ""


@given(st.text(), st.lists(st.text(), max_size=3), st.lists(st.tuples(st.text(), st.text()), max_size=3))
@settings(max_examples=50)
def test_whatever_is_written_the_page_is_whole_and_has_only_its_own_elements(title, lines, rows):
    page = notebook.card(title, notebook.bullets(lines), notebook.table(["a", "b"], rows))
    shape = Shape(page)
    assert shape.open == []
    assert shape.seen.count("li") == len(lines)
    assert shape.seen.count("tr") == 1 + len(rows)
    assert shape.seen.count("td") == len(rows)  # a row's first cell is its name
    assert "script" not in shape.seen
    page.encode("utf-8")


def test_parts_of_a_card_come_in_order_and_empty_ones_leave_no_trace():
    page = notebook.card("t", notebook.paragraph("one"), notebook.paragraph(""), notebook.paragraph("two"))
    assert page.count("<p>") == 3
    assert page.index("<strong>t</strong>") < page.index("one") < page.index("two")


def test_rows_and_columns_are_named_for_people_who_listen():
    page = notebook.table(["stage", "accuracy"], [["blocks.1", 0.5], ["blocks.2", 0.75]])
    assert page.count('scope="col"') == 2
    assert page.count('scope="row"') == 2
    assert page.index("blocks.1") < page.index("0.5") < page.index("blocks.2") < page.index("0.75")


@pytest.mark.parametrize(("strong", "name"), [(0, "a"), (1, "b"), (-1, "")])
def test_one_row_stands_out_or_none(strong, name):
    page = notebook.table(["x", "y"], [["a", 1], ["b", 2]], strong=strong)
    bold = re.findall(r"<th scope=\"row\" style=\"[^\"]*font-weight:bold\">(\w)", page)
    assert bold == ([name] if name else [])


def test_a_table_of_nothing_has_its_columns():
    page = notebook.table(["a"], [])
    assert Shape(page).seen == ["table", "thead", "tr", "th", "tbody"]


@pytest.mark.parametrize(
    ("value", "shown"), [(3, "3"), (None, "None"), (0.5, "0.5"), ("a<b", "a&lt;b"), ('"', "&quot;")]
)
def test_values_of_any_kind_become_text(value, shown):
    assert notebook.text(value) == shown
