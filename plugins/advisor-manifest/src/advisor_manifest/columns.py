"""Which column of a table means what: by what was said, by usual names, and a guess for the hint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from advisor.data.formats import is_image_name
from advisor.errors import DatasetError, closest
from advisor_manifest.cells import distinct, is_index, plain, text_of
from advisor_manifest.labels import marks_in
from advisor_manifest.onehot import inner_run, named_classes, refuse_one_of_many, refuse_unsure, runs_of, whole_run
from advisor_manifest.parts import is_part_column

if TYPE_CHECKING:
    from advisor_manifest.location import Place

USUAL = {
    "path": ("path", "file", "filename", "file_name", "file_path", "filepath", "image", "image_path", "image_file",
             "image_name", "image_index", "image_filename", "img", "img_path", "img_name", "img_file", "picture",
             "photo", "image_id", "img_id", "id"),
    "label": ("label", "class", "class_name", "category", "target", "species", "label_name", "category_name",
              "class_label", "class_id", "label_id", "category_id"),
    "labels": ("labels", "tags", "categories", "classes", "keywords"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id"),
}  # fmt: skip
_IDS = frozenset({"image_id", "img_id", "id"})  # of an image only where no column holds names of files
_LABEL_LIKE = re.compile(
    r"label|class|categ|target|species|breed|diagnos|finding|kind|type|truth|genus|variet|grade|cultivar|attribute"
)
_OTHER_LIKE = re.compile(
    r"(?:^|_)(?:id|uuid|age|sex|gender|width|height|date|time|year|source|url|author|licen[cs]e|camera|site|x|y)$"
)
_SAMPLE = 500  # rows that are looked at for a guess
_NAMED = 40  # columns named in a message


@dataclass(frozen=True)
class Columns:
    """The columns that were chosen; an empty name where there is none.

    Attributes:
        path: of the images.
        label: of one label.
        labels: of several.
        classes: columns of ones and zeros, one for each class.
        group: of what must not be parted.
        guessed: what only stands to be asked about: meaning and column, in the words of a location.
    """

    path: str
    label: str = ""
    labels: str = ""
    classes: tuple[str, ...] = ()
    group: str = ""
    guessed: tuple[tuple[str, str], ...] = ()


def choose(table: pa.Table, place: Place, *, labelled: bool = True) -> Columns:
    """The columns of path, labels and group.

    Args:
        table: all columns.
        place: what was said about them.
        labelled: whether there must be labels; for `predict` there need not.

    Raises:
        DatasetError: a named column is not there, or ones and zeros stand where a class was named.
    """
    guessed: dict[str, str] = {}
    path = _column(table, place, "path")
    if not path:
        path = _guess_path(table)
        guessed["path"] = path
    if not labelled:
        names = [name for name in table.column_names if name]
        certain = len(names) == 1 or path in _holding_images(table)
        return Columns(path, guessed=() if certain else tuple(guessed.items()))
    group = _column(table, place, "group")
    taken = {path, group} - {""}
    if "classes" in place.columns:
        classes = named_classes(table, place)
        return Columns(path, classes=classes, group=group, guessed=tuple(guessed.items()))
    plural = "labels" in place.columns
    label = "" if plural else _column(table, place, "label")
    labels = "" if label else _column(table, place, "labels")
    if label and pa.types.is_list(table[label].type):
        label, labels = "", label
    runs = runs_of(table, taken) if not labels else []
    if label:
        refuse_one_of_many(table, place, label, runs)
    elif not labels:
        run = whole_run(table, runs)
        if run and "path" not in guessed and not _label_like(table, taken | set(run)):
            return Columns(path, classes=run, group=group)
        if not runs:
            refuse_unsure(table, place, taken)
        guessed |= _guess_labels(table, taken, runs)
    return Columns(path, label, labels, (), group, tuple(guessed.items()))


def refuse_guesses(table: pa.Table, place: Place, columns: Columns, more: dict[str, str]) -> None:
    """Ask about what could only be guessed, with everything that is known in the hint.

    Args:
        table: all columns.
        place: what was said before.
        columns: with what was guessed.
        more: what the files ask for: folder and ending.

    Raises:
        DatasetError: something was guessed.
    """
    if not columns.guessed:
        return
    guessed = dict(columns.guessed)
    if guessed.get("label") == "":
        raise DatasetError(
            f"`{place.file}` has no column of labels: there is only {', '.join(table.column_names)}.",
            ways=["add a column `label`", f"to predict its images: advisor predict runs/NAME/best {place.file}"],
            hint="path,label",
        )
    known = [name for name in table.column_names if name]
    what = " and ".join(
        {"path": "path", "label": "label", "labels": "label", "classes": "label"}[one] for one in guessed
    )
    ways = [f"its columns: {', '.join(known[:_NAMED])}{' …' if len(known) > _NAMED else ''}"]
    ways += [f"usual names: {', '.join(USUAL['path' if one == 'path' else 'label'])}" for one in guessed]
    if "classes" in guessed:
        ways.append("columns of ones and zeros can be named together: ?classes=cat,dog,owl")
    raise DatasetError(
        f"No column of `{place.file}` has a usual name for the {what} of an image.",
        ways=ways,
        hint=f"name it: {place.command(**guessed, **more)}",
    )


def _column(table: pa.Table, place: Place, meaning: str) -> str:
    """The column that was named for a meaning, or has a usual name; empty where none does."""
    named, known = place.columns.get(meaning), table.column_names
    if named == "":
        return ""  # asked for: `?group=`
    if named is None:
        column = _usual(table, meaning)
        if column and known.count(column) == 1:
            return column
        if not column:
            return ""
        named = column
    for spelling in (named, named.replace("+", " "), *(one for one in known if one.lower() == named.lower())):
        if known.count(spelling) > 1:
            raise DatasetError(
                f"`{place.file}` has several columns called `{spelling}`.",
                ways=["rename all but one of each"],
                hint="path,label,split,group",
            )
        if spelling in known:
            return str(spelling)
    meant = closest(named, known)
    guess = meant.split("`")[1] if meant else known[min(1, len(known) - 1)]
    raise DatasetError(
        f"`{place.file}` has no column `{named}`.",
        ways=[f"its columns: {', '.join(known[:_NAMED])}"],
        hint=f"{meant or 'name another:'} {place.command(**{meaning: guess})}",
    )


def _usual(table: pa.Table, meaning: str) -> str:
    """The column with a usual name for a meaning; empty where there is none."""
    lower = {plain(name): name for name in reversed(table.column_names)}
    names = [lower[usual] for usual in USUAL[meaning] if usual in lower]
    if meaning == "path" and names and plain(names[0]) in _IDS and (better := _holding_images(table)):
        return names[0] if names[0] in better else ""
    return names[0] if names else ""


def _holding_images(table: pa.Table) -> list[str]:
    """Columns whose cells are names of image files."""
    columns = []
    for name in dict.fromkeys(table.column_names):
        if table.column_names.count(name) == 1 and not pa.types.is_nested(table[name].type):
            cells = [str(cell) for cell in table[name].slice(0, _SAMPLE).to_pylist() if cell not in (None, "")]
            images = sum(is_image_name(re.split(r"[\\/]", cell.strip(" '\""))[-1]) for cell in cells)
            if images and images >= 0.9 * len(cells):
                columns.append(name)
    return columns


def _guess_path(table: pa.Table) -> str:
    if columns := _holding_images(table):
        return columns[0]
    names = [name for name in table.column_names if not is_index(name)] or table.column_names
    rows = min(len(table), _SAMPLE)
    single = [name for name in names if table.column_names.count(name) == 1]
    unlike = [name for name in single if rows and pc.count_distinct(table[name].slice(0, rows)).as_py() == rows]
    return str((unlike or names)[0])


def _label_like(table: pa.Table, taken: set[str]) -> list[str]:
    """Columns called as labels are, beside others."""
    return [name for name in table.column_names if name not in taken and _LABEL_LIKE.search(plain(name))]


def _guess_labels(table: pa.Table, taken: set[str], runs: list[tuple[str, ...]]) -> dict[str, str]:
    """The meaning and column that are most probably the labels; nothing where there is no other column."""
    if runs and not _label_like(table, taken | {name for run in runs for name in run}):
        run = max(runs, key=lambda one: len(one))  # noqa: PLW0108 - mypy takes `len` for a function of anything sized
        return {"classes": ",".join(inner_run(table, run) or run)}
    scores: dict[str, float] = {}
    for place, name in enumerate(table.column_names):
        if name in taken or is_index(name) or table.column_names.count(name) > 1:
            continue
        column = table[name].slice(0, _SAMPLE)
        if pa.types.is_nested(column.type):
            scores[name] = 0.5 * pa.types.is_list(column.type)
            continue
        values = [str(cell).strip() for cell in column.to_pylist()]
        kinds = len(set(values))
        words = sum(not re.fullmatch(r"[-+.\d]*", value) for value in values) > 0.5 * len(values)
        score = 4.0 * bool(_LABEL_LIKE.search(plain(name))) + 2.0 * words + 2.0 * (1 < kinds <= len(values) / 2)
        score -= 2.5 * bool(_OTHER_LIKE.search(plain(name)))
        scores[name] = score - 3.0 * (kinds <= 1 or is_part_column(name, set(values))) - 0.01 * place
    if not scores:
        return {"label": ""}
    name = max(scores, key=lambda one: scores[one])
    column = table[name]
    several = pa.types.is_list(column.type) or marks_in(distinct(text_of(column, name)), plural=False)
    return {"labels" if several else "label": name}
