"""The report of `advisor recommend`: the verdict on the first screen, then everything that it rests on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from advisor.advice.planning import first_of
from advisor.data.cache import disk_errors, write_whole
from advisor.data.layout.names import unread_pictures
from advisor.outcome.handover import versions
from advisor.plugins import load_catalog
from advisor.recipe import Choices, Range
from advisor.report import charts
from advisor.report.blocks import (
    Bullets,
    Column,
    CommandLine,
    Fact,
    Facts,
    Heading,
    Name,
    Page,
    Pair,
    Section,
    Table,
    Text,
    said,
)
from advisor.report.looks import doubts_section, looks_section
from advisor.report.page import to_html, to_markdown
from advisor.report.pictures import Pictures
from advisor.report.words import counted, number, share, whole
from advisor.strategy import SCENARIOS
from advisor.units import show_duration
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from advisor.advice.recommendation import Recommendation
    from advisor.plugins import Catalog
    from advisor.recipe import Value
    from advisor.report.blocks import Block

# What a page can hold; the rest is counted.
_ROWS, _LINES = 60, 8
_LONGEST_NOTE = 400  # characters
_START = (
    ("features.tap", "where the head reads, as a share of the stages"),
    ("freeze.depth", "share of those stages that stay frozen"),
    ("head.name", "classifier"),
    ("optimizer.lr", "learning rate of the backbone"),
    ("optimizer.lr_ratio", "learning rate of the head, times that"),
    ("optimizer.weight_decay", "weight decay"),
    ("train.epochs", "passes over the images"),
    ("train.batch_size", "images in a step"),
    ("train.augment", "changes to the images in training"),
)


def recommendation_page(found: Recommendation, *, plan: str, read: Callable[[str], bytes], made: datetime) -> Page:
    """The whole report.

    Args:
        found: what was recommended.
        plan: where it was written.
        read: from an image's identifier to the bytes of its file.
        made: when.
    """
    pictures = Pictures(read)
    sections = [
        _scenario(found), _depth(found), _ways(found), _labels(found), looks_section(found, pictures),
        doubts_section(found, pictures), _data(found), _classes(found), _change(found), _origin(found),
    ]  # fmt: skip
    return Page(
        about="Advice for",
        subject=Name(found.profile.name),
        kicker=_kicker(found),
        title=_title(found),
        first=tuple(_first(found, plan)),
        sections=tuple(section for section in sections if section is not None),
        foot=f"Made by transfer-advisor {__version__} on {made:%d %B %Y, %H:%M}. This file needs no network: "
        "everything that it shows is in it.",
    )


def write_recommendation(
    found: Recommendation,
    *,
    plan: str,
    html: Path | None,
    markdown: Path | None = None,
    catalog: Catalog | None = None,
) -> None:
    """Write the report as one HTML file, as Markdown, or both.

    Args:
        found: what was recommended.
        plan: where it was written, for the next command.
        html: file to write; None leaves it out.
        markdown: likewise.
        catalog: of dataset formats, to read the pictures; the installed plugins by default.

    Raises:
        DatasetError: the images are no longer there.
        AdvisorError: the disk is full or may not be written.
    """
    location = found.plan.location
    read = (catalog or load_catalog()).dataset_for(location).open(location).read
    page = recommendation_page(found, plan=plan, read=read, made=datetime.now().astimezone())
    for path, text in ((html, to_html), (markdown, to_markdown)):
        if path is not None:
            with disk_errors(path.parent):
                write_whole(path, text(page))


def _kicker(found: Recommendation) -> str:
    return f"Scenario {found.verdict.scenario}: {SCENARIOS[found.verdict.scenario].words}"


def _title(found: Recommendation) -> str:
    verdict = found.verdict
    if not verdict.learnable:
        return "Check the labels first: no probe learns anything from these images"
    if not verdict.strategy.fine_tunes:
        where = "an earlier layer of the frozen network" if verdict.earlier_helps else "the frozen network"
        return f"Train a classifier on {where}"
    label = verdict.strategy.label
    return f"{label[0].upper()}{label[1:]}"


def _first(found: Recommendation, plan: str) -> Iterator[Block]:
    verdict, metric = found.verdict, found.curve.metric
    expected, cost = verdict.forecast, found.cost.ways[verdict.strategy]
    if verdict.learnable:
        yield Text(
            f"Expect {_article(metric)} of about {expected.accuracy:.2f} on images like these, after a training of "
            f"some {show_duration(cost.seconds)} on this machine. The search tries further settings around it.",
            "lead",
        )
    yield Facts(
        (
            Fact(f"Expected {metric}", number(expected.accuracy),
                 f"{expected.low:.2f} to {expected.high:.2f}, 80 % interval"),
            Fact("One training here", show_duration(cost.seconds),
                 f"{cost.extra_bytes / 1e9:.1f} GB of further memory" if cost.extra_bytes else "no further memory"),
            Fact("Probability of this scenario", number(verdict.probabilities[verdict.scenario]),
                 "by size and distance alone"),
            Fact("Images to train on", whole(found.size.images), f"{found.size.per_class:.0f} in a class"),
        )
    )  # fmt: skip
    yield CommandLine("What to do next", "advisor tune" if plan == "advisor.toml" else f"advisor tune {_quoted(plan)}")
    yield Heading("Why", 2)
    yield Bullets(tuple(_sentence(reason) for reason in verdict.reasons))


def _scenario(found: Recommendation) -> Section:
    verdict = found.verdict
    runner = SCENARIOS[verdict.runner_up]
    blocks: list[Block] = [
        charts.scenario_map(verdict, found.size, found.distance),
        Text(
            f"Runner-up is scenario {verdict.runner_up}, {runner.words}: {runner.strategy.label}. Size is counted, "
            "not estimated; the grey bands are where either could be called so or so."
        ),
    ]
    if verdict.departure:
        blocks.append(Text(verdict.departure, "note"))
    return Section("scenario", "Which of the four scenarios this is", "Scenario", tuple(blocks))


def _depth(found: Recommendation) -> Section:
    distance = found.distance
    profile, votes = charts.depth_profile(distance), charts.distance_votes(distance)
    blocks: list[Block] = []
    if profile and votes:
        blocks.append(Pair((profile, votes)))
    elif profile or votes:
        blocks += [chart for chart in (profile, votes) if chart]
    else:
        blocks.append(Text("The distance could not be measured: this backbone has neither BatchNorm nor a classifier."))
    if distance.borrowed:
        blocks.append(
            Text(f"{said(found.backbone)} has no BatchNorm; the statistics are those of {said(distance.borrowed)}.")
        )
    blocks.append(charts.probe_curve(found.curve, found.verdict.tap_stage))
    return Section("depth", "What the network sees, layer by layer", "Layer by layer", tuple(blocks))


def _ways(found: Recommendation) -> Section:
    blocks: list[Block] = [
        Pair(
            (
                charts.ways_accuracy(found.verdict, found.curve.metric),
                charts.ways_cost(found.cost.ways, found.verdict.strategy),
            )
        )
    ]
    if found.backbones:
        blocks.append(
            Table(
                "Backbones probed on the same images; of those tied, the best published one is taken",
                (Column("backbone"), Column(found.curve.metric, number=True), Column("± error", number=True),
                 Column(""), Column("best stage"), Column("published, %", number=True),
                 Column("parameters, million", number=True), Column("ms an image", number=True), Column("weights")),
                tuple(
                    (Name(row.name), number(row.accuracy, 3), number(row.se, 3),
                     ", ".join(word for word, holds in (("taken", row.name == found.backbone), ("tied", row.tied))
                               if holds),
                     Name(row.stage), number(row.imagenet_top1 or None, 1), number(row.parameters, 1),
                     f"{row.forward_ms:.0f}", Name(f"{row.trained_on}, {row.licence}"))
                    for row in found.backbones
                ),
                marked=frozenset(i for i, row in enumerate(found.backbones) if row.name == found.backbone),
            )
        )  # fmt: skip
    return Section("ways", "What each way may bring, and cost", "Gain and cost", tuple(blocks))


def _labels(found: Recommendation) -> Section | None:
    if found.labels is None:
        return None
    return Section("labels", "What more labels would bring", "More labels", (charts.label_curve(found, found.labels),))


def _data(found: Recommendation) -> Section:
    profile = found.profile
    kinds = counted(len(profile.per_class), *(("label",) if profile.multilabel else ("class", "classes")))
    blocks: list[Block] = [
        Facts(
            (
                Fact("Images", whole(profile.images), kinds),
                *(Fact(label, whole(profile.splits[part]), note) for part, label, note in (
                    ("train", "Training part", "weights are fitted to it"),
                    ("val", "Validation part", "settings are chosen by it"),
                    ("test", "Test part", "for one final figure"))),
            )
        ),
        Table(
            "Files",
            (Column("of the files"), Column("5 % are below", number=True), Column("half are below", number=True),
             Column("95 % are below", number=True)),
            (("width, pixels", *(whole(v) for v in profile.width)),
             ("height, pixels", *(whole(v) for v in profile.height))),
        ),
        Text(f"Colour modes: {_tally(profile.modes)}. Formats: {_tally(profile.formats)}."),
    ]  # fmt: skip
    pictures = [unread] if (unread := unread_pictures(profile.ignored)) else []
    notes = [_sentence(_short(note)) for note in (*profile.reading, *pictures, *profile.notes)]
    names = list(profile.per_class)
    notes += [
        f"The {s.property} alone tells the class with balanced accuracy {s.accuracy:.2f} (chance {s.chance:.2f}), best "
        f"for {', '.join(said(names[i]) for i in s.classes[:3])}: a model may learn that instead."
        for s in profile.shortcuts
    ]
    if profile.broken:
        some = "; ".join(f"{said(path, 60)}: {reason}" for path, reason in profile.broken[:_LINES])
        notes.append(f"{counted(len(profile.broken), 'file')} cannot be read and left out, such as {some}.")
    if profile.ignored:
        notes.append(f"{counted(len(profile.ignored), 'other file')} ignored, such as {said(profile.ignored[0], 60)}.")
    if notes:
        blocks += [Heading("To know"), Bullets(tuple(notes))]
    return Section("data", "The data", "Data", tuple(blocks))


def _classes(found: Recommendation) -> Section:
    """Every class, or those that need a look most, and what is taken for what."""
    seen = {entry.name: entry for entry in found.classes}
    counts = found.profile.per_class
    names = sorted(counts, key=lambda name: (name not in seen, seen[name].recall if name in seen else 0.0))
    multilabel = found.profile.multilabel
    far = any(entry.distance for entry in found.classes)
    columns = [Column("label" if multilabel else "class"), Column("images", number=True),
               Column("average precision" if multilabel else "recognised, %", number=True)]  # fmt: skip
    columns += [Column("distance", number=True), Column("± error", number=True)] if far else []
    rows = []
    for name in names[:_ROWS]:
        entry = seen.get(name)
        right = "–" if entry is None else number(entry.recall, 3) if multilabel else number(100 * entry.recall, 1)
        row: list[str | Name] = [Name(name), whole(counts[name]), right]
        if far:
            distance = entry.distance if entry else None
            row += [number(distance.value, 3), number(distance.se, 3)] if distance else ["–", "–"]
        rows.append(tuple(row))
    blocks: list[Block] = [
        Text(
            (
                "Hardest first. Average precision tells how high the classifier at the best stage, not having seen "
                "them, ranks the images that have the label."
                if multilabel
                else "Hardest first. Recognised is the share of a class's images that the classifier at the best stage "
                "names right without having seen them."
            )
            + (" Distance is how unlike the network's training data its images are, in the late layers." if far else "")
        ),
        Table("Labels" if multilabel else "Classes", tuple(columns), tuple(rows), rest=len(names) - len(rows)),
    ]
    if found.confusions and found.verdict.learnable:
        blocks.append(
            Table(
                "Taken for each other most",
                (
                    Column("images of"),
                    Column("taken for"),
                    Column("images", number=True),
                    Column("of them", number=True),
                ),
                tuple((Name(c.label), Name(c.taken_for), whole(c.images), share(c.share)) for c in found.confusions),
            )
        )
    title = ("Label by label", "Labels") if multilabel else ("Class by class", "Classes")
    return Section("classes", *title, tuple(blocks))


def _change(found: Recommendation) -> Section:
    recipe = found.plan.recipe
    rows = tuple(
        (words, Name(_plain(first_of(recipe.values[key]))), Name(_searched(recipe.values[key]), 80), key)
        for key, words in _START
        if key in recipe.values
    )
    return Section(
        "change",
        "What would change this, and where the search begins",
        "What would change it",
        (
            Bullets(tuple(_sentence(flip) for flip in found.flips)),
            Table(
                f"The recipe {said(recipe.name)}, as the search takes it up",
                (Column("what"), Column("begins with"), Column("is searched", wide=True), Column("key")),
                rows,
            ),
        ),
    )


def _origin(found: Recommendation) -> Section:
    profile = found.profile
    rows: list[tuple[str | Name, ...]] = [
        ("images", Name(profile.location, 80, tail=True)),
        ("digest of the images", Name(profile.digest, 80)),
        ("backbone", Name(found.backbone, 80)),
        ("weights", Name(found.weights.source, 80)),
        ("trained on", Name(found.weights.trained_on, 80)),
        ("licence of the weights", Name(found.weights.licence, 80)),
        ("seed", str(found.plan.seed)),
        ("images passed through the network", whole(found.curve.images)),
        ("time for one image", f"{found.cost.forward_ms:.0f} ms forward, {found.cost.train_ms:.0f} ms in training"),
        ("this advice took", show_duration(found.cost.seconds)),
        ("versions", Name(", ".join(f"{name} {version}" for name, version in versions().items()), 200)),
    ]
    return Section(
        "origin", "Where this comes from", "Origin",
        (Table("Data, network and versions", (Column("what"), Column("which", wide=True)), tuple(rows)),),
    )  # fmt: skip


def _tally(counts: dict[str, int]) -> str:
    shown = sorted(counts.items(), key=lambda item: -item[1])[:_LINES]
    return ", ".join(f"{said(name)} {whole(count)}" for name, count in shown)


def _plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _searched(value: Value) -> str:
    if isinstance(value, Range):
        return f"{value.low:g} to {value.high:g}" + (", in the logarithm" if value.log else "")
    return ", ".join(str(choice) for choice in value.choices) if isinstance(value, Choices) else "fixed"


def _sentence(words: str) -> str:
    """A reason as a sentence of its own."""
    return f"{words[:1].upper()}{words[1:]}" + ("" if words.endswith((".", "!", "?")) else ".")


def _short(note: str) -> str:
    return note if len(note) <= _LONGEST_NOTE else f"{note[: _LONGEST_NOTE - 1]}…"


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path)
