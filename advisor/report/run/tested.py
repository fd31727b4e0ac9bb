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
    from advisor.records.evidence import Mistake
    from advisor.records.folder import RunFolder
    from advisor.report.page.blocks import Cell
    from advisor.task import Task

_ROWS = 60
_SIDE = 128  # pixels of a kept picture
FEW = 10  # test images of a class; under that its figure is rough


def confusions_section(run: RunFolder) -> Section | None:
    """Which class is taken for which."""
    if run.tested is None or not run.record.task.exclusive:
        return None
    heat = charts.confusion_chart(run.tested, run.record.dataset.classes)
    return None if heat is None else Section("confusions", "Where it errs", "Confusions", (heat,))


def classes_section(run: RunFolder) -> Section | None:
    """Every class, the hardest first."""
    if not run.record.per_class:
        return None
    task = run.record.task
    noun, nouns = task.noun
    scores = sorted(run.record.per_class, key=lambda one: (one.value, one.name))
    taken: dict[str, str] = {}
    answers: Counter[str] = Counter()
    right: Counter[str] = Counter()
    if run.tested is not None and task.exclusive:
        for pair in confusions(run.tested):
            taken.setdefault(pair.label, f"{said(pair.taken_for)} ({pair.images})")
        answers.update(one.predicted for one in run.tested)
        right.update(one.predicted for one in run.tested if one.right)
    columns = [Column(noun), Column("test images", number=True), Column(task.class_metric_name, number=True)]
    words = ["Hardest first.", task.class_meaning("the model")]
    if answers:
        columns += [Column("right when said, %", number=True), Column("most often taken for", wide=True)]
        words.append("Right when said is the share of its answers of that name that are right.")
    rows: list[tuple[Cell, ...]] = []
    for one in scores[:_ROWS]:
        row: list[Cell] = [Name(one.name), whole(one.images), task.class_figure(one.value)]
        if answers:
            said_so = answers[one.name]
            row += [number(100 * right[one.name] / said_so, 1) if said_so else "–", taken.get(one.name, "–")]
        rows.append(tuple(row))
    table = Table(nouns.capitalize(), tuple(columns), tuple(rows), rest=len(scores) - len(rows),
                  where="all in best/report.json")  # fmt: skip
    text = Text(" ".join(filter(None, (*words, rough(run)))))
    return Section("classes", f"{noun.capitalize()} by {noun}", nouns.capitalize(), (text, table))


def rough(run: RunFolder) -> str:
    """A sentence on classes with few test images; empty where there are none."""
    few = sum(one.worth < FEW for one in run.record.per_class)
    noun, nouns = run.record.task.noun
    return (
        f"{counted(few, f'{noun} has', f'{nouns} have')} fewer than {FEW} test images, so their figures are rough."
        if few
        else ""
    )


def mistakes_section(run: RunFolder) -> Section | None:
    """The worst mistakes as pictures."""
    if run.evidence is None or not run.evidence.mistakes:
        return None
    shown, task = run.evidence.mistakes, run.record.task
    wrong = len(shown) if run.tested is None else sum(not one.right for one in run.tested)
    label = (
        f"The {len(shown)} worst of {whole(wrong)}"
        if wrong > len(shown)
        else "All of them"
        if wrong > 1
        else "Only one"
    )
    brackets = " In brackets is the probability of the model's own answer." if task.exclusive else ""
    words = (
        f"Test images with a wrong answer; those with the least {task.own_probability_name} come first.{brackets} The "
        "surest mistakes may be wrong labels, so look at those first."
    )
    table = Table(
        "Paths of these images",
        (Column("path", wide=True), Column("label"), Column("the model says"),
         Column(task.own_probability_name, number=True)),
        tuple((Name(one.path, 200, tail=True), Name(one.label), Name(one.predicted), number(one.own, 3))
              for one in (mistake.image for mistake in shown)),
    )  # fmt: skip
    pictures = tuple(_picture(mistake, task) for mistake in shown)
    blocks = (Text(words), Gallery(label, pictures), Fold("Paths of these images", table))
    return Section("mistakes", "The hardest mistakes", "Mistakes", blocks)


def _picture(mistake: Mistake, task: Task) -> Picture:
    one, data = mistake.image, mistake.picture
    sure = f" ({one.probability:.2f})" if task.exclusive else ""
    side = _SIDE if data else 0
    return Picture(
        one.path,
        f"labelled {said(one.label or 'nothing')}, the model says {said(one.predicted or 'nothing')}",
        data, side, side, "" if data else "the picture was not kept",
        (f"is {said(one.label or 'nothing', 24)}", f"said {said(one.predicted or 'nothing', 24)}{sure}"),
    )  # fmt: skip


def trust_section(run: RunFolder) -> Section | None:
    """Calibration, and what is left when unsure answers are left out."""
    if not run.tested or not run.record.task.exclusive:
        return None
    pair = beside([charts.calibration_chart(run.tested), charts.abstaining_chart(run.tested)])
    note = Text(
        f"Probabilities are calibrated: logits are multiplied by {run.record.temperature:.3g}, a factor fitted on the "
        "validation images. Both charts show the test images, which had no part in that."
    )
    best = shlex.quote(str(run.folder / "best"))
    command = CommandLine("To leave out unsure answers", f"advisor predict {best} photos/ --least 0.9")
    return Section("trust", "When to believe it", "Trust", (*pair, note, command))
