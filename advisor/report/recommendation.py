"""The report of `advisor recommend`: the verdict on the first screen, then everything that it rests on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from advisor.advice.recommend import first_of
from advisor.advice.scenario import SCENARIOS
from advisor.data.cache import disk_errors, write_whole
from advisor.outcome.handover import versions
from advisor.plugins import load_catalog
from advisor.recipe import Choices, Range, show_duration
from advisor.report import charts
from advisor.report.blocks import (
    Bullets,
    Column,
    Command,
    Fact,
    Facts,
    Fold,
    Gallery,
    Heading,
    Name,
    Page,
    Pair,
    Section,
    Shelf,
    Table,
    Text,
    said,
)
from advisor.report.page import to_html, to_markdown
from advisor.report.pictures import Pictures, Wanted
from advisor.report.words import counted, number, share, whole
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from advisor.advice.recommend import Recommendation
    from advisor.data.profile import DatasetProfile
    from advisor.plugins import Catalog
    from advisor.recipe import Value
    from advisor.report.blocks import Block

# What a page can hold; the rest is counted.
_ROWS, _SHELVES, _SUSPECTS, _GROUPS, _OF_A_GROUP, _LINES = 60, 24, 18, 8, 4, 8
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
        _scenario(found), _depth(found), _ways(found), _labels(found), _looks(found, pictures),
        _doubts(found, pictures), _data(found), _classes(found), _change(found), _origin(found),
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
    size, far, _ = SCENARIOS[found.verdict.scenario]
    return f"Scenario {found.verdict.scenario}: {size} and {far}"


def _title(found: Recommendation) -> str:
    verdict = found.verdict
    if not verdict.learnable:
        return "Check the labels first: nothing that could be learned is visible"
    if verdict.scenario in (1, 3):
        where = "an earlier layer of the frozen network" if verdict.earlier_helps else "the frozen network"
        return f"Train a classifier on {where}"
    what = SCENARIOS[verdict.scenario][2]
    return f"{what[0].upper()}{what[1:]}"


def _first(found: Recommendation, plan: str) -> Iterator[Block]:
    verdict, metric = found.verdict, found.curve.metric
    way = str(verdict.scenario)
    expected, cost = verdict.expected[_way(found)], found.cost.ways[way]
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
    yield Command("What to do next", "advisor tune" if plan == "advisor.toml" else f"advisor tune {_quoted(plan)}")
    yield Heading("Why", 2)
    yield Bullets(tuple(_sentence(reason) for reason in verdict.reasons))


def _scenario(found: Recommendation) -> Section:
    verdict = found.verdict
    runner = SCENARIOS[verdict.runner_up]
    blocks: list[Block] = [
        charts.scenario_map(verdict, found.size, found.distance),
        Text(
            f"Runner-up is scenario {verdict.runner_up}, {runner[0]} and {runner[1]}: {runner[2]}. Size is counted, "
            "not estimated; the grey bands are where either could be called so or so."
        ),
    ]
    if verdict.scenario == 1 and verdict.earlier_helps:
        blocks.append(Text("An earlier layer is expected to serve better than the last, so it is read.", "note"))
    if verdict.scenario == 3 and not verdict.earlier_helps:
        blocks.append(Text("No earlier layer is better than the last, so the last is read.", "note"))
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
                charts.ways_accuracy(found.verdict, found.curve.metric, _way(found)),
                charts.ways_cost(found.cost.ways, str(found.verdict.scenario)),
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


def _looks(found: Recommendation, pictures: Pictures) -> Section | None:
    """Typical and odd images, those classes first that are recognised worst."""
    recall = {entry.name: entry.recall for entry in found.classes}
    shown = sorted((e for e in found.examples if e.typical), key=lambda e: recall.get(e.name) or 0.0)
    if not shown:
        return None
    blocks: list[Block] = [
        Text(
            "Closest to their class and farthest from it, by the features that the classifier reads. The classes that "
            "it finds hardest come first. An odd image may be mislabelled, or just what is missing more of."
        )
    ]
    for entry in shown[:_SHELVES]:
        galleries = tuple(
            Gallery(label, pictures.make([Wanted(path, f"{kind} image of class {said(entry.name)}") for path in paths]))
            for label, kind, paths in (("Typical", "typical", entry.typical), ("Odd", "odd", entry.odd))
            if paths
        )
        note = _recalled(recall.get(entry.name))
        blocks.append(Shelf(Name(entry.name), note, galleries))
    rows = tuple(
        (Name(entry.name), kind, Name(path, 200, tail=True))
        for entry in shown[:_SHELVES]
        for kind, paths in (("typical", entry.typical), ("odd", entry.odd))
        for path in paths
    )
    paths = Table("Paths of these images", (Column("class"), Column("kind"), Column("path", wide=True)), rows)
    blocks.append(Fold("Paths of these images", paths))
    if len(shown) > _SHELVES:
        rest = counted(len(shown) - _SHELVES, "further class", "further classes")
        blocks.append(Text(f"… and {rest}, recognised better than these; all with --json."))
    return Section("pictures", "How the classes look", "Pictures", tuple(blocks))


def _doubts(found: Recommendation, pictures: Pictures) -> Section | None:
    """Labels that look wrong, and images that are there more than once."""
    blocks: list[Block] = []
    if found.suspects and found.verdict.learnable:
        shown = found.suspects[:_SUSPECTS]
        wanted = [
            Wanted(s.path, f"labelled {said(s.label)}, looks like {said(s.looks_like)}",
                   (f"labelled {said(s.label, 24)}", f"like {said(s.looks_like, 24)} ({s.probability:.2f})"))
            for s in shown
        ]  # fmt: skip
        blocks += [
            Heading("Labels to check"),
            Text(
                "Two classifiers that had not seen the image agree on another label; in brackets how probable that is. "
                "The surest come first."
            ),
            Gallery(counted(len(found.suspects), "label") + " in doubt", pictures.make(wanted),
                    len(found.suspects) - len(shown)),
            Fold("Paths of these images", Table(
                "Labels to check",
                (Column("path", wide=True), Column("labelled"), Column("looks like"),
                 Column("probability", number=True)),
                tuple((Name(s.path, 200, tail=True), Name(s.label), Name(s.looks_like), number(s.probability))
                      for s in found.suspects[:_ROWS]),
                rest=max(0, len(found.suspects) - _ROWS))),
        ]  # fmt: skip
    profile = found.profile
    for title, groups, words in (
        ("Copies that carry different labels", profile.conflicting, "One of the labels must be wrong."),
        ("Copies on both sides of a split", profile.leaking, "Scores come out too high."),
        ("Identical files", _others(profile.duplicates, profile), ""),
        ("Near copies", _others(profile.near_duplicates, profile), "One picture, re-encoded or resized."),
    ):
        if groups:
            blocks += _copies(title, groups, words, pictures)
    if not blocks:
        return None
    return Section("doubts", "Images to look at", "To look at", tuple(blocks))


def _others(groups: Sequence[tuple[str, ...]], profile: DatasetProfile) -> list[tuple[str, ...]]:
    """Groups that are not shown for something worse."""
    worse = {*profile.conflicting, *profile.leaking}
    return [group for group in groups if group not in worse]


def _copies(title: str, groups: Sequence[tuple[str, ...]], words: str, pictures: Pictures) -> Iterator[Block]:
    yield Heading(title)
    yield Text(f"{counted(len(groups), 'group')}. {words}".strip())
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


def _data(found: Recommendation) -> Section:
    profile = found.profile
    blocks: list[Block] = [
        Facts(
            (
                Fact("Images", whole(profile.images), f"{counted(len(profile.per_class), 'class', 'classes')}"),
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
    notes = [_sentence(_short(note)) for note in profile.notes]
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
    names = sorted(counts, key=lambda name: (name not in seen, (seen[name].recall or 0.0) if name in seen else 0.0))
    far = any(entry.distance for entry in found.classes)
    columns = [Column("class"), Column("images", number=True), Column("recognised, %", number=True)]
    columns += [Column("distance", number=True), Column("± error", number=True)] if far else []
    rows = []
    for name in names[:_ROWS]:
        entry = seen.get(name)
        recall = None if entry is None or entry.recall is None else 100 * entry.recall
        row: list[str | Name] = [Name(name), whole(counts[name]), number(recall, 1)]
        if far:
            distance = entry.distance if entry else None
            row += [number(distance.value, 3), number(distance.se, 3)] if distance else ["–", "–"]
        rows.append(tuple(row))
    blocks: list[Block] = [
        Text(
            "Hardest first. Recognised is the share of a class's images that the classifier at the best stage names "
            "right without having seen them."
            + (" Distance is how unlike the network's training data its images are, in the late layers." if far else "")
        ),
        Table("Classes", tuple(columns), tuple(rows), rest=len(names) - len(rows)),
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
    return Section("classes", "Class by class", "Classes", tuple(blocks))


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
        ("weights", Name(found.weights["source"], 80)),
        ("trained on", Name(found.weights["trained_on"], 80)),
        ("licence of the weights", Name(found.weights["licence"], 80)),
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


def _way(found: Recommendation) -> str:
    """The way whose expected accuracy is that of the verdict: scenario 1 may read an earlier layer, and 3 the last."""
    if found.verdict.scenario in (1, 3):
        return "3" if found.verdict.earlier_helps else "1"
    return str(found.verdict.scenario)


def _recalled(recall: float | None) -> str:
    return "" if recall is None else f"{share(recall)} recognised"


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
