"""The page of a run: what it came to first, then how it got there, made from its folder alone.

`run_page` is the whole as a file, `run_screen` what of it `advisor tune` ends with on the terminal; both are put
together from the same blocks, which the other modules of this folder make.
"""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import TYPE_CHECKING

from advisor.data.cache import disk_errors, write_whole
from advisor.errors import UsageError
from advisor.records.folder import read_run
from advisor.records.trial import TrialKind, TrialState, Way, stages_said
from advisor.report.charts import search as charts_of_search
from advisor.report.charts import tested as charts
from advisor.report.page.blocks import (
    Bullets,
    Column,
    CommandLine,
    Fact,
    Facts,
    Fold,
    Name,
    Page,
    Section,
    Table,
    Text,
    said,
)
from advisor.report.page.documents import to_html, to_markdown
from advisor.report.page.words import counted, number, points, share, whole
from advisor.report.run.search import (
    choice_section,
    difference_section,
    explanation_section,
    failures,
    learning_section,
    trials_section,
)
from advisor.report.run.tested import classes_section, confusions_section, mistakes_section, rough, trust_section
from advisor.units import show_duration, show_images, show_size
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from advisor.recipe.values import TrialValues
    from advisor.records.folder import RunFolder
    from advisor.report.page.blocks import Block, Cell

_PARTS = {"all": "", "bias": "the biases of ", "lora": "low-rank updates of the attention (LoRA) in "}
_BEST = 8  # trials that the terminal shows
_WHOLE = {"squash": " Pictures are squashed into squares.", "pad": " Pictures get borders that make them squares."}
_ENDED = {
    "trials": "all trials were done",
    "time": "its time was spent",
    "interrupted": "it was stopped",
    "exhausted": "nothing new was left to try",
}


def write_run_report(folder: Path, *, html: Path | None, markdown: Path | None = None) -> None:
    """Write the report of a run from its folder alone, as one HTML file, as Markdown, or both.

    Args:
        folder: of the run.
        html: file to write; None leaves it out.
        markdown: likewise.

    Raises:
        RunError: the folder holds no run that has handed something over, or its figures are damaged.
        UsageError: there is no such folder to write to, or a folder stands in the file's way.
        AdvisorError: the disk is full or may not be written.
    """
    page = run_page(read_run(folder), made=datetime.now().astimezone())
    for path, text in ((html, to_html), (markdown, to_markdown)):
        if path is not None:
            if path.is_dir():
                raise UsageError(f"`{path}` is a folder; the report is a file.", hint=f"-o {path}/report.html")
            if not path.parent.is_dir():
                raise UsageError(f"There is no folder `{path.parent}` to write to.", hint=f"mkdir -p {path.parent}")
            with disk_errors(path.parent):
                write_whole(path, text(page))


def run_page(run: RunFolder, *, made: datetime) -> Page:
    """The whole report.

    Args:
        run: what the run left.
        made: when.
    """
    sections = [
        _outcome(run), trials_section(run), difference_section(run), choice_section(run), learning_section(run),
        confusions_section(run), classes_section(run), mistakes_section(run), trust_section(run),
        explanation_section(run), _limits(run), _origin(run),
    ]  # fmt: skip
    return Page(
        about="Run",
        subject=Name(run.folder.resolve().name),
        kicker=_kicker(run),
        title=_title(run),
        first=(*_summary(run), *_notes(run), *_use(run), *_resuming(run)),
        sections=tuple(section for section in sections if section is not None),
        foot=f"Made by transfer-advisor {__version__} on {made:%d %B %Y, %H:%M}, from the run's folder alone. This "
        "file needs no network: everything that it shows is in it.",
    )


def run_screen(run: RunFolder, *, reports: Sequence[str] = ()) -> Page:
    """What of it stands on the terminal when a search has ended.

    Args:
        run: what the run left.
        reports: where those were written.
    """
    importance = charts_of_search.importance_chart(run.evidence.importances) if run.evidence else None
    blocks = choice_section(run).blocks[0], *([Text(importance.finding)] if importance else [])
    trials = (charts_of_search.leaderboard(run).first(_BEST), *failures(run))
    return Page(
        about="Run",
        subject=Name(run.folder.resolve().name),
        kicker=_kicker(run),
        title=_title(run),
        first=(*_summary(run), *_notes(run)),
        sections=(
            *([Section("trials", "", "", trials)] if run.trials else []),
            Section("choice", "How the winner was chosen", "", blocks),
            Section("use", "", "", (*_use(run), *_resuming(run))),
            *([Section("reports", "", "", tuple(_where(reports)))] if reports else []),
        ),
    )


def _where(reports: Sequence[str]) -> Iterator[Text]:
    return (Text(f"Report with charts and pictures: {report}") for report in reports)


def _kicker(run: RunFolder) -> str:
    search = run.record.search
    return f"{counted(search.trials_run, 'trial')} in {show_duration(search.seconds)}"


def _title(run: RunFolder) -> str:
    record = run.record
    if record.test is None:
        return f"Validation {record.metric_name} {record.validation:.3f}; no image was left for a test"
    headline = record.task.headline(record.test)
    if record.beats_guessing is False:
        return f"Not clearly better than guessing: {headline[0].lower()}{headline[1:]}"
    return headline


def _summary(run: RunFolder) -> Iterator[Block]:
    yield Text(
        " ".join(
            filter(
                None,
                (
                    _against_guessing(run),
                    _what_won(run),
                    _against_floor(run),
                    _refitted(run),
                    charts.forecast_words(run),
                ),
            )
        ),
        "lead",
    )
    yield Facts(tuple(_facts(run)))


def _notes(run: RunFolder) -> Iterator[Text]:
    """What is missing from the folder, and searches that came to nothing."""
    for line in run.missing:
        yield Text(line, "note")
    searched = [trial for trial in run.trials if trial.kind is TrialKind.TRIAL]
    if searched and all(trial.state is TrialState.FAIL for trial in searched):
        yield Text("No searched trial succeeded, so the closed-form probe is handed over.", "note")
    if run.evidence is not None and not searched and run.record.search.ended == "time":
        yield Text("No trial fitted into the budget, so the closed-form probe is handed over. Give more time with "
                   "--budget.", "note")  # fmt: skip


def _use(run: RunFolder) -> Iterator[CommandLine]:
    best = str(run.folder / "best")
    yield CommandLine("To use it", f"advisor predict {shlex.quote(best)} photo.jpg")
    yield _loading(run, best)


def _resuming(run: RunFolder) -> Iterator[Text]:
    if run.record.search.ended == "interrupted":
        resume = f"advisor tune --resume {shlex.quote(str(run.folder))}"
        yield Text(f"The search was stopped. To go on, run the same command again, or {resume}", "note")


def _loading(run: RunFolder, best: str) -> CommandLine:
    """How the model is loaded in Python."""
    if run.timm:
        text = (
            f"import timm\nmodel = timm.create_model({'local-dir:' + best!r}, pretrained=True).eval()\n"
            "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))\n"
            "logits = model(transform(image)[None])  # image: a Pillow image in RGB"
        )
        return CommandLine("Or with timm alone", text)
    text = f'import advisor\nmodel = advisor.load({best!r})\nadvisor.predict(model, ["photo.jpg"])'
    return CommandLine("Or from Python, since timm alone cannot express this network", text)


def _facts(run: RunFolder) -> Iterable[Fact]:
    record = run.record
    low, high = record.test_interval
    if record.test is not None:
        note = f"{low:.3f} to {high:.3f}, 95 % interval, {show_images(record.test_images, record.test_independent)}"
        yield Fact(f"Test {record.task.test_metric_name}", number(record.test, 3), note)
    if record.compared is not None and record.compared != record.test:
        yield Fact("Test balanced accuracy", number(record.compared, 3), "every class counts alike")
    if record.probe is not None:
        note = f"validation {record.metric_name}; the winner's is {record.validation:.3f}"
        yield Fact("Floor: the best probe", number(record.probe, 3), note)
    if run.evidence and run.evidence.forecast:
        forecast = run.evidence.forecast
        yield Fact("Expected before", number(forecast.accuracy),
                   f"{forecast.low:.2f} to {forecast.high:.2f}, 80 % interval")  # fmt: skip
    size = f"; a model of {show_size(run.model_bytes)}" if run.model_bytes else ""
    note = f"{counted(record.search.trials_run, 'trial')} on {record.device}{size}"
    yield Fact("What it cost", show_duration(record.search.seconds), note)


def _what_won(run: RunFolder) -> str:
    """The winner as a sentence."""
    winner, trial = run.record.winner, run.winner
    name = said(run.record.backbone.name, 60)
    head = said(winner.values.head.name)
    if trial is None or trial.tap is None:
        return f"The winner is {winner.name}, with the head {head} on {name}."
    shape = _WHOLE.get(winner.values.features.fit, "")
    stages = run.evidence.stages if run.evidence else ()
    where = stages_said(trial.stages_read) + (f" of {len(stages)}" if stages else "")
    if trial.way in {Way.TUNED, Way.SOUP}:
        depth = (
            "the whole network" if not trial.frozen else
            f"what is above its first {counted(trial.frozen, 'stage')}"
        )  # fmt: skip
        depth = _PARTS[winner.values.parts] + depth
        if before := winner.values.before:
            size, sides = winner.values.features.input_size, before.features.input_size
            depth += f" (begun at {sides} pixels, gone on with at {size})"
        start = "random weights" if winner.values.features.weights == "random" else "the pretrained weights"
        cut = "" if len(stages) in (0, trial.tap) else f", cut after {where}"
        if winner.members:
            return (
                f"An average won: the weights of {winner.member_names}, fine-tunings of {name}{cut}, from {start}, "
                f"with the head {head}. It costs no more at prediction than one of them.{shape}"
            )
        return f"Fine-tuning won: {depth} of {name}{cut}, from {start}, with the head {head}.{shape}"
    what = "the closed-form probe" if trial.kind is TrialKind.PROBE else f"the head {head}"
    views = learnt_from(winner.values)
    return f"A frozen network won: {what} reads {where} of {name}{', and ' + views if views else ''}.{shape}"


def learnt_from(values: TrialValues) -> str:
    """What a head on a frozen network does with further views of an image, in words; empty where it has none."""
    words = []
    if values.train is None and values.view_kind:
        words.append(f"learnt from {values.features.views} views of each image")
    if values.features.mirrored:
        words.append("answers to the mean over an image and its mirror image")
    return " and ".join(words)


def _refitted(run: RunFolder) -> str:
    """That the model has learnt from the validation images, too, after it was chosen by them."""
    record = run.record
    if not record.winner.refitted:
        return ""
    images = sum(record.dataset.splits.get(part, 0) for part in ("train", "val"))
    return (
        f"What is handed over was then fitted once more, on all {images} images of the training and validation parts; "
        "the validation figures are from before that."
    )


def _against_guessing(run: RunFolder) -> str:
    """What an answer that does not look would reach, where the test images do not rule it out."""
    record = run.record
    if record.beats_guessing is not False or record.guessing is None:
        return ""
    advice = (
        "Check the labels before anything else; no probe learnt anything from them either."
        if record.advice.get("learnable") is False
        else "More test images would tell, or the labels are wrong."
    )
    return (
        f"Guessing, without a look at the image, gives {record.guessing:.3f}, which {record.test_images} test images "
        f"do not rule out for this model. {advice}"
    )


def _against_floor(run: RunFolder) -> str:
    """The winner beside the probe, on the validation images."""
    record = run.record
    if record.probe is None:
        return ""
    if record.winner.is_probe:
        return "Nothing that was trained has a better estimate, so the probe itself is handed over."
    gain = record.validation - record.probe
    if gain < 0.0005:
        return f"On the validation images it is level with the best closed-form probe ({record.probe:.3f})."
    return f"On the validation images it is {points(gain, sign=False)} points above the best closed-form probe."


def _outcome(run: RunFolder) -> Section | None:
    figures = charts.figures_chart(run)
    return None if figures is None else Section("outcome", "What was expected, and what came", "Outcome", (figures,))


def _limits(run: RunFolder) -> Section:
    record = run.record
    low, high = record.test_interval
    if record.test is None:
        lines = ["No image was left for a test, so every figure here is from images that the winner was chosen on."]
    else:
        reach = (
            f"The test figure rests on {show_images(record.test_images, record.test_independent)}; others of their "
            f"kind may give anything from {low:.2f} to {high:.2f}. Only the winner saw them, after it was chosen."
        )
        source = "They come from the same place as those it learned from. Another camera, place or time is not tested."
        lines = [reach, source]
    lines += [sentence for sentence in (rough(run),) if sentence]
    ended = _ENDED.get(record.search.ended, record.search.ended)
    lines.append(f"The search ended because {ended}; what it did not try may be better.")
    if record.winner.trained < 0.999:
        lines.append(f"The winner trained {share(record.winner.trained)} of its recipe's steps: more time may help it.")
    if run.explanation is None:
        quoted = shlex.quote(str(run.folder))
        lines.append(f"Why it won is not measured yet: advisor explain {quoted}, then advisor report {quoted}.")
    return Section("limits", "What this does not tell", "Limits", (Bullets(tuple(lines)),))


def _origin(run: RunFolder) -> Section:
    record = run.record
    dataset, backbone = record.dataset, record.backbone
    plugins = (f"{one.name} {one.version} ({one.distribution})" for one in record.plugins if not one.is_core)
    splits = ", ".join(f"{part} {whole(count)}" for part, count in dataset.splits.items())
    rows: list[tuple[Cell, ...]] = [
        ("images", Name(dataset.location, 80, tail=True)),
        ("digest of the images", Name(dataset.digest, 80)),
        ("parts", splits),
        (record.task.noun[1], whole(len(dataset.classes))),
        ("backbone", Name(backbone.name or "–", 80)),
        ("weights", Name(backbone.source or "–", 80)),
        ("hash of the weights", Name(backbone.sha256 or "–", 80)),
        ("trained on", Name(backbone.trained_on or "–", 80)),
        ("licence of the weights", Name(backbone.licence or "–", 80)),
        ("recipe", Name(record.recipe, 80)),
        ("seed", str(record.seed)),
        ("budget", show_duration(record.search.budget)),
        ("device", Name(record.device)),
        ("plugins", Name(", ".join(plugins) or "only the core's own", 200)),
        ("versions", Name(", ".join(f"{name} {version}" for name, version in record.versions.items()), 300)),
    ]
    values = tuple((Name(key), Name(str(value), 80)) for key, value in record.winner.values.to_flat().items())
    return Section("origin", "Where this comes from", "Origin", (
        Table("Data, network and versions", (Column("what"), Column("which", wide=True)), tuple(rows)),
        Fold("The winner's recipe", Table("Every value of the winner, as in best/best.toml",
                                          (Column("key"), Column("value", wide=True)), values)),
    ))  # fmt: skip
