"""What of a set is to be looked at: which pictures, in which order, and how many are left out."""

import pytest
from made import png, profile, recommendation, verdict

from advisor.advice.examples import Examples
from advisor.advice.health import Suspect
from advisor.advice.inspection import ClassAdvice
from advisor.report.page.blocks import Fold, Gallery, Heading, Shelf, Text
from advisor.report.page.pictures import Pictures
from advisor.report.recommendation.looks import doubts_section, looks_section


@pytest.fixture
def read():
    """What reads images, and remembers which."""
    asked = []

    def _read(path):
        asked.append(path)
        if "gone" in path:
            raise FileNotFoundError(2, "No such file or directory")
        return png()

    _read.asked = asked
    return _read


def of_kind(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_the_hardest_class_comes_first_with_its_share(read):
    shelves = of_kind(looks_section(recommendation(), Pictures(read)), Shelf)
    assert [(shelf.name.text, shelf.note) for shelf in shelves] == [
        ("cat", "40 % recognised"),
        ("auk", "90 % recognised"),
    ]
    assert [gallery.label for gallery in shelves[1].galleries] == ["Typical", "Odd"]
    assert [gallery.label for gallery in shelves[0].galleries] == ["Typical"]


def test_a_label_is_told_by_average_precision(read):
    found = recommendation(profile=profile(multilabel=True))
    assert of_kind(looks_section(found, Pictures(read)), Shelf)[0].note == "average precision 0.40"


def test_a_class_that_was_not_judged_has_no_note(read):
    found = recommendation(classes=(ClassAdvice("cat", 9, 0.5, None),))
    notes = {shelf.name.text: shelf.note for shelf in of_kind(looks_section(found, Pictures(read)), Shelf)}
    assert notes["auk"] == ""


def test_a_picture_that_is_gone_says_so_and_keeps_its_place(read):
    found = recommendation(examples=(Examples("auk", ("gone.png", "auk/1.png"), ()),))
    (shelf,) = of_kind(looks_section(found, Pictures(read)), Shelf)
    gone, there = shelf.galleries[0].pictures
    assert "No such file" in gone.flaw
    assert not gone.data
    assert there.data.startswith("data:image/webp;base64,")


def test_pictures_have_words_that_say_what_they_are(read):
    (first, *_) = of_kind(looks_section(recommendation(), Pictures(read)), Shelf)
    assert first.galleries[0].pictures[0].alt == "typical image of class \u2068cat\u2069"


@pytest.mark.parametrize("examples", [(), (Examples("auk", (), ()),)])
def test_without_examples_there_is_no_section(read, examples):
    assert looks_section(recommendation(examples=examples), Pictures(read)) is None


def test_of_many_classes_those_that_are_not_shown_are_not_read(read):
    examples = tuple(Examples(f"class {n}", (f"{n}.png",), ()) for n in range(2000))
    section = looks_section(recommendation(examples=examples), Pictures(read))
    assert len(of_kind(section, Shelf)) == 24 == len(read.asked)
    assert section.blocks[-1].text == "… and 1976 further classes, recognised better than these; all with --json."
    (fold,) = of_kind(section, Fold)
    assert len(fold.table.rows) == 24


def test_labels_in_doubt_are_shown_with_both_labels(read):
    section = doubts_section(recommendation(), Pictures(read))
    (gallery,) = of_kind(section, Gallery)
    assert gallery.label == "2 labels in doubt"
    assert gallery.pictures[0].lines == ("labelled \u2068cat\u2069", "like \u2068bee\u2069 (0.93)")


def test_of_many_doubts_the_surest_are_shown_and_the_rest_counted(read):
    suspects = tuple(Suspect(f"{n}.png", "auk", "bee", 0.9) for n in range(50))
    (gallery,) = of_kind(doubts_section(recommendation(suspects=suspects), Pictures(read)), Gallery)
    assert (len(gallery.pictures), gallery.rest, gallery.label) == (18, 32, "50 labels in doubt")
    assert len(read.asked) == 18


def test_labels_that_say_nothing_are_not_doubted_one_by_one(read):
    assert doubts_section(recommendation(verdict=verdict(learnable=False)), Pictures(read)) is None


def test_copies_are_shown_group_by_group(read):
    groups = tuple(tuple(f"{g}/{n}.png" for n in range(6)) for g in range(10))
    section = doubts_section(recommendation(suspects=(), profile=profile(duplicates=groups)), Pictures(read))
    galleries = of_kind(section, Gallery)
    assert [gallery.label for gallery in galleries][:2] == ["Group 1, 6 files", "Group 2, 6 files"]
    assert (len(galleries), galleries[0].rest) == (8, 2)
    assert of_kind(section, Heading)[0].text == "Identical files"
    assert of_kind(section, Text)[-1].text == "… and 2 groups more; all with --json."
    (fold,) = of_kind(section, Fold)
    assert (len(fold.table.rows), fold.table.rest) == (60, 0)


def test_with_nothing_in_doubt_there_is_no_section(read):
    assert doubts_section(recommendation(suspects=()), Pictures(read)) is None


def test_a_page_that_is_full_says_so_of_the_rest(read):
    section = doubts_section(recommendation(), Pictures(read, most_bytes=10))
    (gallery,) = of_kind(section, Gallery)
    assert {picture.flaw for picture in gallery.pictures} == {"left out: the page would be too large"}
