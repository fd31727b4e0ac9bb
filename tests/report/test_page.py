import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from advisor.report.charts.drawing import chart, finish
from advisor.report.page.blocks import Bullets, Chart, Column, CommandLine, Name, Page, Section, Table, Text, said
from advisor.report.page.documents import to_html, to_markdown

EVIL = "</script><script>alert(1)</script>"


def page(*blocks, title="A title", subject="subject"):
    return Page("About", Name(subject), "kicker", title, (), (Section("one", "One", "One", blocks),), "foot")


def a_chart(words):
    numbers = Table("Numbers", (Column("what"), Column("so many", number=True)), ((Name(words), "1"),))
    spec = finish([chart([{"what": words, "n": 1}]).mark_bar().encode(x="n:Q", y="what:N")], height=40)
    return Chart(words, words, lambda: spec, numbers)


class Seen(HTMLParser):
    """Tags with their attributes, and the text of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.scripts, self._in = [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in = tag == "script"
        if self._in:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in = False

    def handle_data(self, data):
        if self._in:
            self.scripts[-1] += data


def parsed(text):
    seen = Seen()
    seen.feed(text)
    return seen


def test_nothing_that_is_named_becomes_markup_or_script():
    text = to_html(page(Text(EVIL), Bullets((EVIL,)), CommandLine(EVIL, EVIL), a_chart(EVIL), title=EVIL, subject=EVIL))
    seen = parsed(text)
    assert len(seen.scripts) == 3  # data, library, our own
    assert not any("alert(1)" in script for script in seen.scripts[1:])
    data = json.loads(seen.scripts[0])
    assert EVIL in json.dumps(data)
    assert EVIL not in text
    assert text.count("&lt;script&gt;alert(1)") >= 5


def test_only_the_two_scripts_of_the_page_may_run():
    text = to_html(page(a_chart("bars")))
    (policy,) = [attrs["content"] for tag, attrs in parsed(text).tags if attrs.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert len(re.findall("'sha256-", policy)) == 2
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_a_page_without_charts_is_small():
    assert len(to_html(page(Text("words")))) < 30_000


def test_no_number_that_json_does_not_have_reaches_a_chart():
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_html(page(replace(a_chart("x"), draw=lambda: {"data": {"values": [{"n": float("nan")}]}})))


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("plain", "plain"),
        ("x" * 200, "x" * 39 + "…"),
        ("two\nlines\x00", "two lines"),
        ("\u202eturned\u2067", "turned"),
        ("", "(no name)"),
        ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd"),
    ],
)
def test_names_are_shown_on_one_line_of_bounded_length(text, short):
    assert Name(text).short == short
    assert said(text) == f"\u2068{short}\u2069"


def test_a_long_name_is_whole_in_its_title():
    rows = ((Name("y" * 200), "1"),)
    tags = parsed(to_html(page(Table("T", (Column("a"), Column("b")), rows)))).tags
    assert [attrs.get("title") for tag, attrs in tags if tag == "bdi" and attrs] == ["y" * 200]
    assert Name("a/long/path/to/a/file.png", longest=10, tail=True).short == "…/file.png"


def test_markdown_takes_no_name_for_markup():
    text = to_markdown(
        page(Table("T", (Column("a"), Column("b")), ((Name("a|b *c* <i> [d](e)\n# f"), "1"),)), Text("# no"))
    )
    assert "a\\|b \\*c\\* \\<i\\> \\[d\\](e) \\# f" in text
    assert "\\# no" in text
    assert "| --- | --- |" in text


def test_a_fence_of_markdown_is_longer_than_any_in_the_code():
    assert "````\na ``` b\n````" in to_markdown(page(CommandLine("Next", "a ``` b")))


def test_cut_tables_say_how_much_is_left_out():
    table = Table("T", (Column("a"),), (("x",),), rest=1940)
    assert "… and 1,940 more; all with --json" in to_html(page(table))
    assert "… and 1,940 more; all with --json" in to_markdown(page(table))
