"""What is said of a model, to people: where it comes from, how good it is, and where that ends."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.data.range import ValueRanges
from advisor.errors import BundleError
from advisor.packaging.new import in_markdown, one_line, quoted
from advisor.records.plain import UNREADABLE
from advisor.records.run import RunRecord
from advisor.strategy import SCENARIOS
from advisor.units import show_images
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.outcome.config import ModelConfig

_FIT_WORDS = {
    "crop": "The network sees the middle of a picture, as a square.",
    "squash": "The network sees the whole of a picture, both sides brought to one length.",
    "pad": "The network sees the whole of a picture, with borders that make it a square.",
}
_CLASSES = 50  # at most, in a card; the report has them all
_FEW = 30  # test images of a class, under which its recall is known to ± 18 points at best


def report_of(best: Path) -> RunRecord:
    """The report beside a model.

    Raises:
        BundleError: there is none that can be read.
    """
    try:
        return RunRecord.from_dict(json.loads((best / "report.json").read_text(encoding="utf-8")))
    except UNREADABLE as error:
        raise BundleError(
            f"`{best}` has no report that can be read, so nothing can be said of where the model comes from.",
            ways=["give the `best` folder of a run"],
            hint="advisor export runs/<name> --to onnx --name my-birds",
        ) from error


def known_of(config: ModelConfig, report: RunRecord) -> dict[str, str]:
    """What is said of a model in one line each, in words that may hold anything.

    Args:
        config: of the bundle.
        report: of its run.
    """
    classes = config["advisor"]["classes"]
    return {
        "network": f"{config['advisor']['backbone']}, tuned to {len(classes)} classes",
        "classes": ", ".join(classes),
        **_figures(report),
    }


def model_card(config: ModelConfig, report: RunRecord, *, title: str, place: str, licence: str = "") -> str:
    """A model card in Markdown, its front matter as the Hugging Face hub reads it.

    Args:
        config: of the bundle.
        report: of its run.
        title: name of the model.
        place: what `timm.create_model` is given: `local-dir:FOLDER` or `hf-hub:OWNER/NAME`.
        licence: SPDX identifier; by default that of the weights it was tuned from.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("advisor.outcome"), undefined=jinja2.StrictUndefined, finalize=_word,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,  # noqa: S701 - `_word` does
    )  # fmt: skip
    known = known_of(config, report)
    timm_loads_it = "architecture" in config
    task, scenario, per_class = report.task, report.scenario, _per_class(report)
    ranges = ValueRanges.from_dict(config["advisor"].get("range", {}))
    return environment.get_template("card.md.j2").render(
        front=_Ready(_front_matter(known, report, timm_loads_it=timm_loads_it, title=one_line(title), licence=licence)),
        title=title,
        place=_Ready(quoted(place)),
        folder=_Ready(quoted(place.partition(":")[2] if place.startswith("local-dir:") else one_line(title))),
        timm_loads_it=timm_loads_it,
        known=known,
        activation=_Ready(task.activation),
        class_noun=_Ready(task.noun[0]),
        class_metric=_Ready(task.class_metric_name),
        class_figure=task.class_figure,
        class_words=task.class_words,
        limit=_Ready(task.limit),
        fit_words=_Ready(_FIT_WORDS[report.winner.values.features.fit]),
        scales=ranges.scales,
        splits=report.dataset.splits,
        scenario=SCENARIOS.get(scenario or 0),
        number=scenario,
        probability=_advised(report, "scenario_probabilities", str(scenario)),
        different=_advised(report, "probability_different"),
        report=report,
        # A zero is what is not done, but for the freeze depth.
        values={name: _plain(value) for name, value in report.winner.values.to_flat().items()
                if value != 0 or name == "freeze.depth"},
        shown=per_class[:_CLASSES],
        classes=len(per_class),
        weak=[row for row in per_class if row.value < (report.test or 0) - 0.1][:5],
        thin=[row.name for row in per_class if row.worth < _FEW],
        few=_FEW,
        share="{:.3f}".format,
    )  # fmt: skip


class _Ready(str):
    """Text that stands in the card as it is."""

    __slots__ = ()


def _word(value: object) -> str:
    """What is put into a card: words of strangers stay words."""
    return str(value) if isinstance(value, _Ready) else in_markdown(str(value))


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class _ClassRow:
    """A class in the card.

    Attributes:
        name: of the class.
        images: of it in the test part.
        worth: independent images that would tell as much.
        value: recall or average precision.
        span: its 95 % interval, where it is a share of images.
    """

    name: str
    images: int
    worth: float
    value: float
    span: tuple[float, float] | None


def _per_class(report: RunRecord) -> list[_ClassRow]:
    """The worst first."""
    rows = [
        _ClassRow(one.name, one.images, one.worth, one.value, report.task.class_interval(one))
        for one in report.per_class
    ]
    return sorted(rows, key=lambda row: row.value)


def _advised(report: RunRecord, *keys: str) -> float | None:
    """A number in the plan's evidence, which is an open table; None where it does not say."""
    value: object = report.advice
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _front_matter(known: Mapping[str, str], report: RunRecord, *, timm_loads_it: bool, title: str, licence: str) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    test, backbone = report.test, report.backbone.name
    results = [] if test is None else [
        EvalResult(
            task_type="image-classification", dataset_name=one_line(known["dataset"]),
            dataset_type=one_line(known["dataset"]), dataset_split="test", metric_value=test,
            metric_type=report.task.test_metric, metric_name=known["figure"],
        )
    ]  # fmt: skip
    based_on = re.fullmatch(r"hf-hub:([\w.-]+/[\w.-]+)|(timm/[\w.-]+)", backbone)
    data = ModelCardData(
        license=one_line(licence or known["weights_licence"]).lower(),
        library_name="timm" if timm_loads_it else "transfer-advisor",
        pipeline_tag="image-classification",
        tags=["image-classification", "transfer-learning", "transfer-advisor"],
        base_model=(based_on[1] or based_on[2]) if based_on else None,
        model_name=title,
        eval_results=results,
    )
    return str(data.to_yaml())


def _images(report: RunRecord) -> str:
    words = show_images(report.test_images, report.test_independent)
    return f"{words}," if "independent" in words else words


def _figures(report: RunRecord) -> dict[str, str]:
    low, high = report.test_interval
    return {
        "backbone": report.backbone.name,
        "weights_licence": report.backbone.licence,
        "trained_on": report.backbone.trained_on,
        "dataset": Path(report.dataset.location.rstrip("/:")).name or "images",
        "digest": report.dataset.digest,
        "images": str(sum(report.dataset.splits.values())),
        "figure": f"test {report.task.test_metric_name}",
        "test": "not measured: there were no test images" if report.test is None
        else f"{report.test:.3f} (95 % {low:.3f} to {high:.3f}, {_images(report)} used for nothing else)",
        "recipe": report.recipe,
        "version": __version__,
    }  # fmt: skip
