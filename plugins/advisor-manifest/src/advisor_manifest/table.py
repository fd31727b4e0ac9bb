"""From a table to a listing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from advisor.data.layout.twins import settle
from advisor.errors import DatasetError
from advisor.types import Listing
from advisor_manifest.cells import distinct, shared, text_of
from advisor_manifest.columns import choose, refuse_guesses
from advisor_manifest.finding import locate
from advisor_manifest.labels import names_beside, require_one, tags_of, what_may_be_missing
from advisor_manifest.location import SKIP, parse_location
from advisor_manifest.onehot import one_hot
from advisor_manifest.parts import read_parts
from advisor_manifest.reading import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor_manifest.columns import Columns
    from advisor_manifest.finding import Located
    from advisor_manifest.location import Place

_FEW = 5  # things named in a message
Labels = list[str] | list[tuple[str, ...]]


def read_manifest(location: str) -> Listing:
    """List the images that a table names; none is read. Single missing ones are found out when they are.

    Args:
        location: a table, a folder that holds one, with the columns named behind a `?` where they are unusual.

    Raises:
        UsageError: there is no table at this location.
        DatasetError: the table is broken, a column is missing, rows contradict each other, or its images are not where
            it says.
    """
    place = parse_location(location)
    table, notes = read_table(place)
    if not len(table):
        raise DatasetError(f"`{place.file}` has no rows.", hint="a row is an image: path,label")
    columns = choose(table, place)
    table, skipped = _filled(table, place, columns)
    located = _located(table, place, columns)
    labels, label_notes = _labels(table, place, columns)
    _require_there(located, place)
    taken = {columns.path, columns.label, columns.labels, columns.group, *columns.classes}
    splits, part_notes = read_parts(table, place, taken)
    groups = shared(text_of(table[columns.group], columns.group)) if columns.group else []
    rows = _once(located.paths, {"label": labels, "split": splits, "group": groups}, place, columns.label)
    if rows is not None:
        paths = [located.paths[row] for row in rows]
        labels = _merged(located.paths, labels, rows)
        splits, groups = ([column[row] for row in rows] if column else [] for column in (splits, groups))
    else:
        paths = located.paths
    if columns.labels and "labels" not in place.columns and all(len(own) == 1 for own in labels):
        labels = [own[0] for own in labels]  # nothing says that it could be otherwise
    root = place.file.parent
    usual_name = place.file.stem.lower() in {"metadata", "labels", "manifest"}
    return Listing(
        name=root.resolve().name if usual_name else place.file.stem,
        paths=paths,
        labels=labels,
        splits=splits,
        groups=groups,
        read=lambda path: (root / path).read_bytes(),
        reading=_sentences(*notes, *skipped, *located.reading, *label_notes, *part_notes),
    )


def read_images(location: str) -> Listing:
    """List the images that a table names for `predict`: one for each row, as it stands there, whatever its label.

    Args:
        location: as for `read_manifest`.

    Raises:
        UsageError: there is no table at this location.
        DatasetError: the table is broken, no column looks like one of images, or none is where the table says.
    """
    place = parse_location(location)
    table, notes = read_table(place)
    if not len(table):
        raise DatasetError(f"`{place.file}` has no rows.", hint="a row is an image")
    columns = choose(table, place, labelled=False)
    located = _located(table, place, columns)
    _require_there(located, place)
    column = table[columns.path]
    cells = ["" if cell is None else str(cell) for cell in column.to_pylist()]
    root, places = place.file.parent, dict(zip(cells, located.paths, strict=True))

    def read(cell: str) -> bytes:
        if not places[cell]:
            raise OSError("the row names no image")
        return (root / places[cell]).read_bytes()

    return Listing(place.file.stem, cells, (), read, reading=_sentences(*notes, *located.reading))


def _sentences(*notes: str) -> tuple[str, ...]:
    return tuple(f"{note[:1].upper()}{note[1:]}." for note in notes)


def _located(table: pa.Table, place: Place, columns: Columns) -> Located:
    """Where the images are.

    Raises:
        DatasetError: a column could only be guessed; the hint knows the folder, too.
    """
    located = locate(text_of(table[columns.path], columns.path).to_pylist(), place)
    refuse_guesses(table, place, columns, located.trouble.options if located.trouble else {})
    return located


def _require_there(located: Located, place: Place) -> None:
    if located.trouble:
        options = located.trouble.options or {"folder": "images", "ending": ".jpg"}
        raise DatasetError(located.trouble.message, ways=located.trouble.ways, hint=place.command(**options))


def _labels(table: pa.Table, place: Place, columns: Columns) -> tuple[Labels, tuple[str, ...]]:
    """The label or labels of each row, and what a person should know about them."""
    if columns.classes:
        classes, sentence = one_hot(table, columns.classes, place.file.name)
        return classes, (sentence,)
    if columns.labels:
        tagged, assumed = tags_of(table[columns.labels], place, columns.labels)
        renamed, notes = _settled(Counter(label for own in tagged for label in own), place)
        if renamed:
            unlike = {own: tuple(dict.fromkeys(renamed.get(one, one) for one in own)) for own in set(tagged)}
            tagged = [unlike[own] for own in tagged]
        return tagged, (*assumed, *notes)
    text = text_of(table[columns.label], columns.label)
    require_one(distinct(text), place, columns.label)
    single = shared(text)
    renamed, notes = _settled(Counter(single), place)
    beside = names_beside(table, place, columns.label, {columns.path, columns.group})
    return ([renamed.get(one, one) for one in single] if renamed else single), (*notes, *([beside] if beside else []))


def _settled(counts: Counter[str], place: Place) -> tuple[dict[str, str], tuple[str, ...]]:
    """Labels that are renamed, since they look like another one, and what a person should know about labels."""
    decision = place.options.get("alike", "")
    renamed, notes = settle(counts, decision, str(place.file), lambda word: place.command(alike=word))
    return renamed, (*(note.rstrip(".") for note in notes), *what_may_be_missing(counts))


def _filled(table: pa.Table, place: Place, columns: Columns) -> tuple[pa.Table, tuple[str, ...]]:
    """The rows that have a path and, where each image has one label, a label; and how many were left out.

    Raises:
        DatasetError: some have not, and nobody said that they are to be left out; or none has.
    """
    notes = []
    for meaning, name in (("path", columns.path), ("label", columns.label)):
        if not name or any(meaning == guess for guess, _ in columns.guessed):
            continue  # a guess is asked about first
        empty = pc.equal(text_of(table[name], name), "")
        count = pc.sum(empty).as_py() or 0
        if not count:
            continue
        what = f"{count} of {len(table)} rows"
        if count == len(table):
            others = [one for one in table.column_names if one and one not in {columns.path, columns.label}]
            raise DatasetError(
                f"No row of `{place.file}` has a {meaning}: the column `{name}` is empty.",
                ways=[
                    "fill it in",
                    *([f"name another column: {place.command(**{meaning: others[0]})}"] if others else []),
                    *(
                        [f"to predict its images: advisor predict runs/NAME/best {place.file}"]
                        if meaning == "label"
                        else []
                    ),
                ],
                hint=f"its columns: {', '.join(table.column_names)}",
            )
        if place.options.get("empty") != SKIP:
            raise DatasetError(
                f"{what} of `{place.file}` have no {meaning} in the column `{name}`, the first of them row "
                f"{pc.index(empty, True).as_py() + 1}.",
                ways=[f"leave these rows out: {place.command(empty=SKIP)}", "fill them in"],
                hint=place.command(empty=SKIP),
            )
        notes.append(f"{what} have no {meaning} in the column `{name}`, and are left out")
        table = table.filter(pc.invert(empty))
    return table, tuple(notes)


def _once(paths: list[str], others: dict[str, Sequence[object]], place: Place, label: str) -> list[int] | None:
    """Positions of the first row of each image; None where no image comes twice.

    Raises:
        DatasetError: rows of one image differ.
    """
    if len(set(paths)) == len(paths):
        return None
    first: dict[str, int] = {}
    differing: dict[str, dict[str, None]] = {}
    for row, path in enumerate(paths):
        start = first.setdefault(path, row)
        for meaning, column in others.items():
            if start != row and column and column[start] != column[row] and not isinstance(column[row], tuple):
                differing.setdefault(meaning, {})[path] = None
    for meaning, images in differing.items():
        named = ", ".join(f"`{path}`" for path in list(images)[:_FEW])
        raise DatasetError(
            f"{len(images)} images of `{place.file}` stand in several rows with different {meaning}s: {named}.",
            ways=["keep one row per image", f"leave the {meaning} out" if meaning != "label" else "decide on one"],
            hint=f"images may have several labels if you say so: {place.command(labels=label)}" if label else "",
        )
    return list(first.values())


def _merged(paths: list[str], labels: Labels, rows: list[int]) -> Labels:
    """The labels of all rows of each image, at its first row."""
    of_path: dict[str, dict[str, None]] = {}
    for path, own in zip(paths, labels, strict=True):
        if isinstance(own, tuple):
            of_path.setdefault(path, {}).update(dict.fromkeys(own))
    if of_path:
        return [tuple(of_path[paths[row]]) for row in rows]
    return [label for row in rows if isinstance(label := labels[row], str)]
