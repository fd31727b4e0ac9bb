"""What is said about a set of images, against profiles made by hand."""

from dataclasses import replace

import pytest
from made import profile, recommendation, verdict

from advisor.advice.distance import Estimate
from advisor.advice.health import ConfusedClasses, Suspect
from advisor.advice.inspection import ClassAdvice
from advisor.data.shortcuts import Shortcut
from advisor.report.page.blocks import Bullets, Facts, Fold, Heading, Table, Text
from advisor.report.page.documents import to_html, to_markdown
from advisor.report.recommendation import data as blocks


def cells(table):
    return [[getattr(cell, "text", cell) for cell in row] for row in table.rows]


def of_kind(section, kind):
    return [block for block in section if isinstance(block, kind)]


def notes(found):
    bullets = of_kind(blocks.data_section(found).blocks, Bullets)
    return bullets[0].items if bullets else ()


def test_counts_are_facts_and_sizes_are_folded():
    section = blocks.data_section(profile())
    (facts,) = of_kind(section.blocks, Facts)
    assert [fact.value for fact in facts.items] == ["90", "54", "18", "18"]
    assert facts.items[0].note == "3 classes"
    (fold,) = of_kind(section.blocks, Fold)
    assert cells(fold.table) == [["width", "100", "200", "300"], ["height", "90", "180", "270"]]
    assert "20 to 40 images per class; median size 200 × 180 pixels." in of_kind(section.blocks, Text)[0].text


def test_a_set_with_nothing_odd_has_no_notes():
    assert notes(profile()) == ()
    assert not of_kind(blocks.data_section(profile()).blocks, Heading)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"imbalance": 3.0}, "The largest class has 3 times as many images as the smallest."),
        ({"broken": (("a.jpg", "truncated"),)}, "1 file cannot be read and is left out: \u2068a.jpg\u2069: \u2068truncated\u2069."),
        ({"broken": tuple((f"{n}.jpg", "x") for n in range(9))}, "9 files cannot be read and are left out, such as"),
        ({"notes": ("no test images for: bee",)}, "No test images for: bee."),
        ({"reading": ("one folder per class",)}, "One folder per class."),
        ({"shortcuts": (Shortcut("image size", 0.9, 0.33, (1, 2)),)},
         "The image size alone tells the class with balanced accuracy 0.90 (chance 0.33), best for \u2068bee\u2069, \u2068cat\u2069"),
    ],
)  # fmt: skip
def test_what_is_odd_is_said_in_a_sentence(changes, words):
    (note,) = notes(profile(**changes))
    assert note.startswith(words)


def test_files_that_are_ignored_are_counted_by_kind_with_an_example():
    (note,) = notes(profile(ignored=("readme.txt", "notes.txt", "a.csv")))
    assert note.startswith("3 other files are ignored (")
    assert "readme.txt" in note


def test_pictures_that_are_not_read_are_said_apart():
    assert len(notes(profile(ignored=("a.svg", "b.txt")))) == 2


def test_a_slight_imbalance_is_none():
    assert notes(profile(imbalance=2.99)) == ()


def test_a_long_note_is_cut():
    (note,) = notes(profile(notes=("no test images for: " + ", ".join(f"class {n}" for n in range(2000)),)))
    assert len(note) <= 402
    assert "…" in note


def test_labels_are_called_labels_where_an_image_may_have_several():
    text = of_kind(blocks.data_section(profile(multilabel=True)).blocks, Text)[0].text
    assert "images per label" in text
    assert blocks.data_section(profile(multilabel=True)).blocks[0].items[0].note == "3 labels"


def test_one_class_and_one_image_are_singular():
    section = blocks.data_section(profile(per_class={"auk": 1}, images=1))
    assert section.blocks[0].items[0].note == "1 class"
    assert "1 to 1 image per class" in section.blocks[1].text


COPIES = {
    "duplicates": (("a.png", "b.png"), ("c.png", "d.png")), "near_duplicates": (("e.png", "f.png"),),
    "conflicting": (("a.png", "b.png"),), "leaking": (("e.png", "f.png"),),
}  # fmt: skip


def test_a_group_of_copies_is_told_once_at_its_worst():
    kinds = blocks.copies_of(profile(**COPIES))
    assert [kind.title for kind in kinds] == [
        "Copies that carry different labels", "Copies on both sides of a split", "Identical files",
    ]  # fmt: skip
    assert kinds[2].groups == (("c.png", "d.png"),)
    assert kinds[0].count == "1 group. One of the labels must be wrong."
    assert kinds[2].count == "1 group."


def test_copies_are_told_with_an_example_and_nothing_where_there_are_none():
    heading, bullets = blocks.in_doubt(profile(**COPIES), None)
    assert heading.text == "Copies"
    assert "Such as \u2068a.png\u2069, \u2068b.png\u2069." in bullets.items[0]
    assert blocks.in_doubt(profile(), None) == ()


def test_suspects_are_cut_on_the_terminal_and_counted():
    suspects = tuple(Suspect(f"{n}.png", "auk", "bee", 0.9) for n in range(100))
    table = blocks.suspects_table(suspects)
    assert (len(table.rows), table.rest) == (60, 40)
    (short,) = [
        b
        for b in of_kind(blocks.in_doubt(profile(), recommendation(suspects=suspects)), Table)
        if b.caption == "Labels to check"
    ]
    assert (len(short.rows), short.rest) == (5, 95)


def test_confusions_are_shares_of_the_label():
    assert cells(blocks.confusions_table([ConfusedClasses("cat", "bee", 0.25, 4)])) == [["cat", "bee", "4", "25 %"]]


def test_the_farthest_classes_come_first_and_unmeasured_ones_not_at_all():
    (text,) = blocks.farthest(recommendation().classes)
    assert text.text == (
        "Least like the network's training data: \u2068bee\u2069 (0.080 ± 0.005), \u2068auk\u2069 (0.050 ± 0.004)."
    )
    assert blocks.farthest([ClassAdvice("a", 9, 0.5, None)]) == ()


def test_the_hardest_classes_come_first_and_those_without_advice_last():
    found = recommendation(profile=profile(per_class={"auk": 40, "bee": 30, "cat": 20, "dog": 2}))
    table = blocks.classes_section(found).blocks[-2]
    assert [row[0] for row in cells(table)] == ["cat", "bee", "auk", "dog"]
    assert cells(table)[0] == ["cat", "20", "40.0", "–", "–"]
    assert cells(table)[-1] == ["dog", "2", "–", "–", "–"]


def test_without_distances_there_are_no_columns_of_them():
    found = recommendation(classes=(ClassAdvice("auk", 9, 0.5, None),))
    table = next(block for block in blocks.classes_section(found).blocks if isinstance(block, Table))
    assert [column.label for column in table.columns] == ["class", "images", "recognised, %"]


def test_labels_are_told_by_average_precision():
    found = recommendation(profile=profile(multilabel=True))
    section = blocks.classes_section(found)
    assert section.title == "Label by label"
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert cells(table)[0][2] == "0.400"
    assert "recognised" not in section.blocks[0].text


def test_confusions_of_labels_that_say_nothing_are_not_told():
    shown = [b for b in blocks.classes_section(recommendation()).blocks if isinstance(b, Table)]
    hidden = blocks.classes_section(recommendation(verdict=verdict(learnable=False))).blocks
    assert len(shown) == 2
    assert len([b for b in hidden if isinstance(b, Table)]) == 1


def test_two_thousand_classes_are_cut_in_the_page_and_whole_on_the_terminal():
    many = {f"class {n}": 5 for n in range(2000)}
    found = recommendation(profile=profile(per_class=many), classes=())
    table = next(b for b in blocks.classes_section(found).blocks if isinstance(b, Table))
    assert (len(table.rows), table.rest) == (60, 1940)
    screen = blocks.profile_screen(profile(per_class=many), None)
    assert len(screen.sections[1].blocks[0].rows) == 2000


def test_bars_of_the_profile_are_shares_of_the_largest_class():
    (table,) = blocks.profile_screen(profile(), None).sections[1].blocks
    assert table.bars == (1.0, 0.75, 0.5)
    assert [row[1] for row in cells(table)] == ["40", "30", "20"]


EVIL = "</script>|`\u202e\n*x*"


@pytest.mark.parametrize("write", [to_html, to_markdown])
def test_names_of_any_kind_stay_names(write):
    found = profile(
        name=EVIL, per_class={EVIL: 3, "b": 2}, modes={EVIL: 5}, formats={EVIL: 5}, broken=((EVIL, EVIL),),
        ignored=(EVIL,), duplicates=((EVIL, EVIL),),
    )  # fmt: skip
    text = write(blocks.profile_screen(found, None))
    assert "\u202e" not in text
    assert "</script>|" not in text
    assert "\n*x*" not in text


def test_a_distance_is_told_with_its_error():
    found = recommendation(classes=(ClassAdvice("auk", 9, 0.5, Estimate(0.123, 0.01)),))
    table = next(b for b in blocks.classes_section(found).blocks if isinstance(b, Table))
    assert ["auk", "40", "50.0", "0.123", "0.010"] in cells(table)


def test_a_set_is_the_same_whether_labels_were_looked_at_or_not():
    plain = blocks.profile_screen(profile(), None).sections[0].blocks
    looked = blocks.profile_screen(profile(), replace(recommendation(), suspects=(), confusions=(), classes=()))
    assert plain == looked.sections[0].blocks
