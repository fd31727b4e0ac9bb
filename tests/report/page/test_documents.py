"""Pages as HTML and Markdown, from blocks made by hand."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.report.page import documents
from advisor.report.page.blocks import (
    Bullets,
    Chart,
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
)

NUMBERS = Table("Numbers", (Column("a"), Column("b", number=True)), (("x", "1"),))
PICTURE = Picture("a/b.png", "a bee", "data:image/webp;base64,AAAA", 12, 8, lines=("like c",))
BROKEN = Picture("a/c.png", "a cat", "", 0, 0, "truncated", ())
EVERY = (
    Text("A paragraph."), Text("A lead.", "lead"), Text("A note.", "note"), Bullets(("one", "two")),
    Facts((Fact("Images", "12", "3 classes"),)), CommandLine("Next", "advisor tune"), NUMBERS, Fold("Paths", NUMBERS),
    Gallery("Odd", (PICTURE, BROKEN), rest=2), Shelf(Name("bees"), "9 % recognised", (Gallery("Odd", (PICTURE,)),)),
    Heading("Third"), Heading("Second", 2), Pair((Text("left"), Text("right"))),
)  # fmt: skip


def page(*blocks, first=(), foot="Made today."):
    return Page("About", Name("birds"), "Kicker", "A title", first, (Section("one", "One", "1st", blocks),), foot)


@pytest.mark.parametrize("write", [documents.to_html, documents.to_markdown])
def test_every_kind_of_block_is_written_with_its_words(write):
    text = write(page(*EVERY))
    for word in (
        "A paragraph.", "A lead.", "A note.", "one", "two", "Images", "12", "3 classes", "advisor tune", "Numbers",
        "bees", "9 % recognised", "Third", "Second", "left", "right", "a/b.png", "Made today.", "Kicker",
    ):  # fmt: skip
        assert word in text, word


def test_a_picture_that_cannot_be_shown_says_why_and_has_no_image():
    text = documents.to_html(page(Gallery("Odd", (BROKEN,))))
    assert "truncated" in text
    assert "<img" not in text
    assert documents.to_html(page(Gallery("Odd", (PICTURE,)))).count("<img") == 1


def test_pictures_have_words_and_a_size_so_that_nothing_jumps():
    text = documents.to_html(page(Gallery("Odd", (PICTURE,))))
    (tag,) = re.findall("<img[^>]*>", text)
    for part in ('alt="a bee"', 'width="', 'height="'):
        assert part in tag


def test_charts_of_a_pair_and_of_the_first_screen_are_embedded_once_each():
    charts = [Chart(f"C{n}", "x", lambda n=n: {"mark": f"bar{n}"}, NUMBERS) for n in range(3)]
    text = documents.to_html(page(Pair((charts[0], charts[1])), first=(charts[2],)))
    data = json.loads(re.search(r"<script[^>]*application/json[^>]*>(.*?)</script>", text, re.DOTALL)[1])
    assert sorted(spec["mark"] for spec in data["charts"].values()) == ["bar0", "bar1", "bar2"]
    assert len(set(re.findall(r'id="(chart-\d)', text))) == 3


def test_a_page_without_a_chart_carries_no_library():
    assert len(documents.to_html(page(*EVERY))) < 60_000


@pytest.mark.parametrize("write", [documents.to_html, documents.to_markdown])
def test_a_page_without_a_foot_has_no_empty_one(write):
    text = write(page(Text("x"), foot=""))
    assert "<footer" not in text
    assert not text.rstrip().endswith("---")
    assert "Made today." in write(page(Text("x")))


def test_markdown_ends_with_one_line_end_and_has_no_gaps():
    text = documents.to_markdown(page(*EVERY))
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\n\n\n" not in text


def test_a_table_in_markdown_has_as_many_cells_in_each_row():
    rows = ((Name("a|b"), "1"), (Name("c\nd"), "2"))
    lines = documents.to_markdown(page(Table("T", NUMBERS.columns, rows))).splitlines()
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")]
    assert cells == [3, 3, 3, 3]


@given(st.text(max_size=40))
@settings(max_examples=80, deadline=None)
def test_no_text_ends_the_json_of_a_page(text):
    embedded = str(documents._embedded({"x": text}))
    assert not set(embedded) & set("<>&\u2028\u2029")
    assert json.loads(embedded) == {"x": text}


@pytest.mark.parametrize("character", ["<", ">", "&", "\u2028", "\u2029"])
def test_each_letter_that_could_end_a_script_is_written_out(character):
    embedded = str(documents._embedded([character]))
    assert character not in embedded
    assert json.loads(embedded) == [character]


@given(st.text(alphabet="ab`\n", max_size=30))
def test_a_fence_is_longer_than_any_run_within(text):
    fence, *_, end = documents._markdown_code(text).split("\n")
    assert fence == end
    assert set(fence) == {"`"}
    assert "`" * len(fence) not in text


@given(st.text(alphabet="a*_`[]<>#|~&\\{}", max_size=20))
def test_every_mark_of_markdown_is_escaped(text):
    escaped = documents._markdown(text)
    assert re.sub(r"\\([\\`*_{}\[\]<>|#~&])", r"\1", escaped) == " ".join(text.split())
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_`\[\]<>#|~&{}]", escaped)


def test_a_hash_is_that_of_the_script():
    assert documents._integrity("") == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
