import re
from html.parser import HTMLParser

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
