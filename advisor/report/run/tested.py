"""The sections of a run's report that are about its test images: confusions, classes, mistakes, when to believe it."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from advisor.report.charts import tested as charts
from advisor.report.page.blocks import Column, CommandLine, Fold, Gallery, Name, Picture, Section, Table, Text, said
from advisor.report.page.words import counted, number, whole
from advisor.report.run.judged import confusions
from advisor.report.run.search import beside

if TYPE_CHECKING:
    from advisor.report.page.blocks import Cell
    from advisor.report.run_folder import JudgedImage, RunFolder

_ROWS = 60
_SIDE = 128  # pixels of a kept picture
FEW = 10  # test images of a class; under that its figure is rough


def confusions_section(run: RunFolder) -> Section | None:
    """Which class is taken for which."""
    if run.tested is None or run.figures.multilabel:
        return None
    heat = charts.confusion_chart(run.tested, run.figures.classes)
    return None if heat is None else Section("confusions", "Where it errs", "Confusions", (heat,))


def classes_section(run: RunFolder) -> Section | None:
    """Every class, the hardest first."""
    found = run.figures
    if not found.per_class:
        return None
    names = sorted(found.per_class, key=lambda name: (found.per_class[name][1], name))
    taken: dict[str, str] = {}
    told: Counter[str] = Counter()
    right: Counter[str] = Counter()
    if run.tested is not None and not found.multilabel:
        for pair in confusions(run.tested):
            taken.setdefault(pair.label, f"{said(pair.taken_for)} ({pair.images})")
        told.update(one.predicted for one in run.tested)
        right.update(one.predicted for one in run.tested if one.right)
    columns = [Column("label" if found.multilabel else "class"), Column("test images", number=True),
               Column("average precision" if found.multilabel else "recognised, %", number=True)]  # fmt: skip
    if told:
        columns += [Column("right when said, %", number=True), Column("most often taken for", wide=True)]
    rows: list[tuple[Cell, ...]] = []
    for name in names[:_ROWS]:
        images, value = found.per_class[name]
        row: list[Cell] = [Name(name), whole(images), number(value, 3) if found.multilabel else number(100 * value, 1)]
        if told:
            row += [number(100 * right[name] / told[name], 1) if told[name] else "–", taken.get(name, "–")]
        rows.append(tuple(row))
    words = (
        "Hardest first. Average precision tells how high the model ranks the images that have the label."
        if found.multilabel
        else "Hardest first. Recognised is the share of a class's images that the model names right; right when said, "
        "the share of its answers of that name that are."
    )
    few = rough(run)
    if few:
        words += f" {few}"
    title = ("Label by label", "Labels") if found.multilabel else ("Class by class", "Classes")
    table = Table(title[1], tuple(columns), tuple(rows), rest=len(names) - len(rows), where="all in best/report.json")
    return Section("classes", *title, (Text(words), table))


def rough(run: RunFolder) -> str:
    """A sentence on classes with few test images; empty where there are none."""
    few = sum(images < FEW for images, _ in run.figures.per_class.values())
    one, plural = ("label has", "labels have") if run.figures.multilabel else ("class has", "classes have")
    return f"{counted(few, one, plural)} fewer than {FEW} test images, so their figures are rough." if few else ""


def mistakes_section(run: RunFolder) -> Section | None:
    """The worst mistakes as pictures."""
    if run.evidence is None or not run.evidence.mistakes:
        return None
    shown, multilabel = run.evidence.mistakes, run.figures.multilabel
    wrong = len(shown) if run.tested is None else sum(not one.right for one in run.tested)
    label = (
        f"The {len(shown)} worst of {whole(wrong)}"
        if wrong > len(shown)
        else "All of them"
        if wrong > 1
        else "Only one"
    )
    words = (
        "Test images with a wrong answer; those whose true labels got the least probability come first."
        if multilabel
        else "Test images with a wrong answer; those whose label got the least probability come first. In brackets the "
        "probability of the model's own answer. The surest mistakes may be wrong labels, so look at those first."
    )
    table = Table(
        "Paths of these images",
        (Column("path", wide=True), Column("label"), Column("the model says"),
         Column("probability of the truth" if multilabel else "probability of the label", number=True)),
        tuple((Name(one.path, 200, tail=True), Name(one.label), Name(one.predicted), number(one.own, 3))
              for one, _ in shown),
    )  # fmt: skip
    pictures = tuple(_picture(one, data, multilabel=multilabel) for one, data in shown)
    blocks = (Text(words), Gallery(label, pictures), Fold("Paths of these images", table))
    return Section("mistakes", "The hardest mistakes", "Mistakes", blocks)


def _picture(one: JudgedImage, data: str, *, multilabel: bool) -> Picture:
    sure = "" if multilabel else f" ({one.probability:.2f})"
    side = _SIDE if data else 0
    return Picture(
        one.path,
        f"labelled {said(one.label or 'nothing')}, the model says {said(one.predicted or 'nothing')}",
        data, side, side, "" if data else "the picture was not kept",
        (f"is {said(one.label or 'nothing', 24)}", f"said {said(one.predicted or 'nothing', 24)}{sure}"),
    )  # fmt: skip


def trust_section(run: RunFolder) -> Section | None:
    """Calibration, and what is left when unsure answers are left out."""
    if not run.tested or run.figures.multilabel:
        return None
    pair = beside([charts.calibration_chart(run.tested), charts.abstaining_chart(run.tested)])
    note = Text(
        f"Probabilities are calibrated: logits are multiplied by {run.figures.temperature:.3g}, a factor fitted on the "
        "validation images. Both charts show the test images, which had no part in that."
    )
    best = shlex.quote(str(run.folder / "best"))
    command = CommandLine("To leave out unsure answers", f"advisor predict {best} photos/ --least 0.9")
    return Section("trust", "When to believe it", "Trust", (*pair, note, command))
