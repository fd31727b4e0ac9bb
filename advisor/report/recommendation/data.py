"""What is said about a set of images: its part of a recommendation, and the page of `advisor profile`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.advice import priors
from advisor.data.formats import by_ending, unread_pictures
from advisor.report.page.blocks import (
    Bullets,
    Column,
    Fact,
    Facts,
    Fold,
    Heading,
    Name,
    Page,
    Section,
    Table,
    Text,
    said,
)
from advisor.report.page.words import counted, number, sentence, share, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.advice.health import ConfusedClasses, Suspect
    from advisor.advice.inspection import ClassAdvice, Inspected
    from advisor.advice.recommendation import Recommendation
    from advisor.data.profile import DatasetProfile
    from advisor.report.page.blocks import Block

# What a page can hold; the rest is counted.
_ROWS, _LINES, _FEW = 60, 8, 5
_LONGEST_NOTE, _LONGEST_REASON = 400, 120  # characters
_PARTS = (
    ("train", "Training part", "weights are fitted to it"),
    ("val", "Validation part", "settings are chosen by it"),
    ("test", "Test part", "for one final figure"),
)


@dataclass(frozen=True)
class Copies:
    """Groups of files that are one picture.

    Attributes:
        title: what kind of groups.
        words: what it means; may be empty.
        groups: identifiers of the files.
    """

    title: str
    words: str
    groups: tuple[tuple[str, ...], ...]

    @property
    def count(self) -> str:
        """So many groups, and what it means."""
        return f"{counted(len(self.groups), 'group')}. {self.words}".strip()


def data_section(profile: DatasetProfile, *more: Block) -> Section:
    """Counts, sizes and what is odd about the files, then whatever is to be said beside."""
    noun, nouns = profile.task.noun
    kinds = counted(len(profile.per_class), noun, nouns)
    least, most = min(profile.per_class.values()), max(profile.per_class.values())
    apart = "" if profile.independent >= profile.images else f", {whole(profile.independent)} independent"
    blocks: list[Block] = [
        Facts(
            (
                Fact("Images", whole(profile.images), kinds + apart),
                *(Fact(label, whole(profile.splits[part]), note) for part, label, note in _PARTS),
            )
        ),
        Text(
            f"{whole(least)} to {counted(most, 'image')} per {noun}; median size {profile.width[1]} × "
            f"{profile.height[1]} pixels. Colour modes: {_tally(profile.modes)}. Formats: {_tally(profile.formats)}."
        ),
        Fold(
            "Sizes of the files",
            Table(
                "Sizes of the files, pixels",
                (Column("side"), Column("5 % are below", number=True), Column("half are below", number=True),
                 Column("95 % are below", number=True)),
                (("width", *map(whole, profile.width)), ("height", *map(whole, profile.height))),
            ),
        ),
    ]  # fmt: skip
    notes = tuple(_notes(profile))
    if notes:
        blocks += [Heading("To know"), Bullets(notes)]
    return Section("data", "The data", "Data", (*blocks, *more))


def in_doubt(profile: DatasetProfile, inspected: Recommendation | Inspected | None) -> tuple[Block, ...]:
    """Copies, doubtful labels and confused classes in a few lines; `looks` has them with their pictures."""
    blocks: list[Block] = []
    copies = copies_of(profile)
    if copies:
        lines = (
            f"{kind.title}: {kind.count} Such as {', '.join(_path(path) for path in kind.groups[0][:3])}."
            for kind in copies
        )
        blocks += [Heading("Copies"), Bullets(tuple(lines))]
    if inspected is None:
        return tuple(blocks)
    if inspected.suspects:
        blocks.append(suspects_table(inspected.suspects).first(_FEW))
    if inspected.confusions:
        blocks.append(confusions_table(inspected.confusions).first(_FEW))
    return (*blocks, *farthest(inspected.classes))


def copies_of(profile: DatasetProfile) -> tuple[Copies, ...]:
    """Every kind of copies that there are, the worst first; a group is in one of them."""
    worse = {*profile.conflicting, *profile.leaking}
    duplicates, near = (
        tuple(group for group in groups if group not in worse)
        for groups in (profile.duplicates, profile.near_duplicates)
    )
    kinds = (
        Copies("Copies that carry different labels", "One of the labels must be wrong.", tuple(profile.conflicting)),
        Copies("Copies on both sides of a split", "Scores come out too high.", tuple(profile.leaking)),
        Copies("Identical files", "", duplicates),
        Copies("Near copies", "One picture, re-encoded or resized.", near),
    )
    return tuple(kind for kind in kinds if kind.groups)


def suspects_table(suspects: Sequence[Suspect]) -> Table:
    """Labels that look wrong, the surest first."""
    return Table(
        "Labels to check",
        (Column("path", wide=True), Column("labelled"), Column("looks like"), Column("probability", number=True)),
        tuple((Name(s.path, 200, tail=True), Name(s.label), Name(s.looks_like), number(s.probability))
              for s in suspects[:_ROWS]),
        rest=max(0, len(suspects) - _ROWS),
    )  # fmt: skip


def confusions_table(confusions: Sequence[ConfusedClasses]) -> Table:
    """Classes that are taken for each other most."""
    return Table(
        "Taken for each other most",
        (Column("images of"), Column("taken for"), Column("images", number=True), Column("of them", number=True)),
        tuple((Name(c.label), Name(c.taken_for), whole(c.images), share(c.share)) for c in confusions),
    )


def farthest(classes: Sequence[ClassAdvice]) -> tuple[Text, ...]:
    """The classes that are least like what the network was trained on; nothing where that was not measured."""
    measured = sorted(
        ((entry.name, entry.distance) for entry in classes if entry.distance), key=lambda pair: -pair[1].value
    )
    if not measured:
        return ()
    leading = ", ".join(
        f"{said(name)} ({number(distance.value, 3)} ± {number(distance.se, 3)})" for name, distance in measured[:3]
    )
    return (Text(f"Least like the network's training data: {leading}."),)


def classes_section(recommendation: Recommendation) -> Section:
    """Every class, or those that need a look most, and what is taken for what."""
    advice = {entry.name: entry for entry in recommendation.classes}
    counts = recommendation.profile.per_class
    names = sorted(counts, key=lambda name: (name not in advice, advice[name].recall if name in advice else 0.0))
    task = recommendation.profile.task
    noun, nouns = task.noun
    far = any(entry.distance for entry in recommendation.classes)
    columns = [Column(noun), Column("images", number=True), Column(task.class_metric_name, number=True)]
    columns += [Column("distance", number=True), Column("± error", number=True)] if far else []
    rows = []
    for name in names[:_ROWS]:
        entry = advice.get(name)
        right = "–" if entry is None else task.class_figure(entry.recall)
        row: list[str | Name] = [Name(name), whole(counts[name]), right]
        if far:
            distance = entry.distance if entry else None
            row += [number(distance.value, 3), number(distance.se, 3)] if distance else ["–", "–"]
        rows.append(tuple(row))
    blocks: list[Block] = [
        Text(
            f"Hardest first. {task.class_meaning('the classifier at the best stage, not having seen them,')}"
            + (" Distance is how unlike the network's training data its images are, in the late layers." if far else "")
        ),
        *farthest(recommendation.classes),
        Table(nouns.capitalize(), tuple(columns), tuple(rows), rest=len(names) - len(rows)),
    ]
    if recommendation.confusions and recommendation.verdict.learnable:
        blocks.append(confusions_table(recommendation.confusions))
    return Section("classes", f"{noun.capitalize()} by {noun}", nouns.capitalize(), tuple(blocks))


def profile_screen(profile: DatasetProfile, inspected: Inspected | None) -> Page:
    """The page of `advisor profile` on the terminal.

    Args:
        profile: of the dataset.
        inspected: how a backbone sees it; None where none was asked.
    """
    most = max(profile.per_class.values())
    noun, _ = profile.task.noun
    table = Table(
        f"Images of each {noun}",
        (Column(noun), Column("images", number=True)),
        tuple((Name(name), whole(count)) for name, count in profile.per_class.items()),
        bars=tuple(count / most for count in profile.per_class.values()),
    )
    return Page(
        about="Profile of",
        subject=Name(profile.name),
        kicker="Profile of the data",
        title=Name(profile.name).full,
        first=(),
        sections=(data_section(profile, *in_doubt(profile, inspected)), Section("classes", "", "", (table,))),
    )


def _notes(profile: DatasetProfile) -> Iterator[str]:
    """What is odd about the files, in sentences."""
    pictures = [unread] if (unread := unread_pictures(profile.ignored)) else []
    yield from (sentence(_short(note)) for note in (*profile.reading, *pictures, *profile.notes))
    if profile.independent < profile.images:
        yield (
            f"{whole(profile.images)} images, {whole(profile.independent)} independent: near copies of one picture "
            "count as one, and so do the images of one given group."
        )
    names = list(profile.per_class)
    for shortcut in profile.shortcuts:
        best = ", ".join(said(names[place]) for place in shortcut.classes[:3])
        yield (
            f"The {shortcut.property} alone tells the class with balanced accuracy {shortcut.accuracy:.2f} (chance "
            f"{shortcut.chance:.2f}), best for {best}: a model may learn that instead."
        )
    if profile.imbalance >= priors.IMBALANCED:
        yield f"The largest class has {profile.imbalance:.0f} times as many images as the smallest."
    if profile.broken:
        some = "; ".join(f"{_path(path)}: {said(reason, _LONGEST_REASON)}" for path, reason in profile.broken[:_FEW])
        files = counted(len(profile.broken), "file cannot be read and is", "files cannot be read and are")
        yield f"{files} left out{', such as' if len(profile.broken) > _FEW else ':'} {some}."
    if profile.ignored:
        files = counted(len(profile.ignored), "other file is", "other files are")
        yield f"{files} ignored ({by_ending(profile.ignored)}), such as {_path(profile.ignored[0])}."


def _path(path: str) -> str:
    """A path in a sentence; of a long one its end."""
    return said(path, 60, tail=True)


def _tally(counts: dict[str, int]) -> str:
    shown = sorted(counts.items(), key=lambda item: -item[1])[:_LINES]
    return ", ".join(f"{said(name)} {whole(count)}" for name, count in shown)


def _short(note: str) -> str:
    return note if len(note) <= _LONGEST_NOTE else f"{note[: _LONGEST_NOTE - 1]}…"
