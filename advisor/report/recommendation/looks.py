"""What of a dataset is to be looked at: how classes look, labels in doubt, copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.report.page.blocks import Column, Fold, Gallery, Heading, Name, Section, Shelf, Table, Text, said
from advisor.report.page.pictures import Pictures, Wanted
from advisor.report.page.words import counted
from advisor.report.recommendation.data import copies_of, suspects_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.advice.recommendation import Recommendation
    from advisor.report.page.blocks import Block
    from advisor.report.recommendation.data import Copies

# What a page can hold; the rest is counted.
_ROWS, _SHELVES, _SUSPECTS, _GROUPS, _OF_A_GROUP = 60, 24, 18, 8, 4


def looks_section(recommendation: Recommendation, pictures: Pictures) -> Section | None:
    """Typical and odd images, those classes first that are recognised worst."""
    task = recommendation.profile.task
    noun, nouns = task.noun
    recall = {entry.name: entry.recall for entry in recommendation.classes}
    shown = sorted((e for e in recommendation.examples if e.typical), key=lambda e: recall.get(e.name, 0.0))
    if not shown:
        return None
    blocks: list[Block] = [
        Text(
            f"The images closest to their {noun} and farthest from it, by the features that the classifier reads; the "
            f"hardest {nouns} come first. An odd image may be mislabelled, or show what the set has too little of."
        )
    ]
    for entry in shown[:_SHELVES]:
        galleries = tuple(
            Gallery(
                label, pictures.make([Wanted(path, f"{kind} image of {noun} {said(entry.name)}") for path in paths])
            )
            for label, kind, paths in (("Typical", "typical", entry.typical), ("Odd", "odd", entry.odd))
            if paths
        )
        note = task.class_words(recall[entry.name]) if entry.name in recall else ""
        blocks.append(Shelf(Name(entry.name), note, galleries))
    rows = tuple(
        (Name(entry.name), kind, Name(path, 200, tail=True))
        for entry in shown[:_SHELVES]
        for kind, paths in (("typical", entry.typical), ("odd", entry.odd))
        for path in paths
    )
    paths = Table("Paths of these images", (Column(noun), Column("kind"), Column("path", wide=True)), rows)
    blocks.append(Fold("Paths of these images", paths))
    if len(shown) > _SHELVES:
        rest = counted(len(shown) - _SHELVES, f"further {noun}", f"further {nouns}")
        blocks.append(Text(f"… and {rest}, recognised better than these; all with --json."))
    return Section("pictures", f"How images of each {noun} look", "Pictures", tuple(blocks))


def doubts_section(recommendation: Recommendation, pictures: Pictures) -> Section | None:
    """Labels that look wrong, and images that are there more than once."""
    blocks: list[Block] = []
    if recommendation.suspects and recommendation.verdict.learnable:
        shown = recommendation.suspects[:_SUSPECTS]
        wanted = [
            Wanted(s.path, f"labelled {said(s.label)}, looks like {said(s.looks_like)}",
                   (f"labelled {said(s.label, 24)}", f"like {said(s.looks_like, 24)} ({s.probability:.2f})"))
            for s in shown
        ]  # fmt: skip
        blocks += [
            Heading("Labels to check"),
            Text(
                "Two classifiers that had not seen the image agree on another label, with the probability in brackets. "
                "The surest come first."
            ),
            Gallery(counted(len(recommendation.suspects), "label") + " in doubt", pictures.make(wanted),
                    len(recommendation.suspects) - len(shown)),
            Fold("Paths of these images", suspects_table(recommendation.suspects)),
        ]  # fmt: skip
    for kind in copies_of(recommendation.profile):
        blocks += _copies(kind, pictures)
    if not blocks:
        return None
    return Section("doubts", "Images to look at", "To look at", tuple(blocks))


def _copies(kind: Copies, pictures: Pictures) -> Iterator[Block]:
    title, groups = kind.title, kind.groups
    yield Heading(title)
    yield Text(kind.count)
    for place, group in enumerate(groups[:_GROUPS], 1):
        shown = group[:_OF_A_GROUP]
        wanted = [Wanted(path, f"copy {i} of group {place}") for i, path in enumerate(shown, 1)]
        yield Gallery(f"Group {place}, {counted(len(group), 'file')}", pictures.make(wanted), len(group) - len(shown))
    rows = tuple((str(place), Name(path, 200, tail=True)) for place, group in enumerate(groups, 1) for path in group)
    table = Table(
        title, (Column("group", number=True), Column("path", wide=True)), rows[:_ROWS], max(0, len(rows) - _ROWS)
    )
    yield Fold("Paths of these files", table)
    if len(groups) > _GROUPS:
        yield Text(f"… and {counted(len(groups) - _GROUPS, 'group')} more; all with --json.")
