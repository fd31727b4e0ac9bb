"""The page of `advisor recommend`: what to do, why, and what would change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.cli.console import escape
from advisor.cli.pages.dataset import classes, data
from advisor.recipe import Choices, Range
from advisor.strategy import SCENARIOS
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.advice.cost import WayCost
    from advisor.advice.recommendation import Recommendation
    from advisor.cli.page import TerminalPage
    from advisor.recipe import Value

_WIDE = 80  # columns
_CODES = {"mean": "", "relu": ", positive parts only", "mean+std": ", mean and deviation of each channel"}


def recommendation(out: TerminalPage, found: Recommendation, plan: str, reports: Sequence[str] = ()) -> None:
    """The page of `advisor recommend`; it ends with where the plan and the reports are."""
    verdict, recipe = found.verdict, found.plan.recipe
    _headline(out, found)
    out.print("[bold]Why[/bold]")
    for reason in verdict.reasons:
        out.print(f"  - {escape(reason)}")
    out.print()
    data(out, found.profile)
    if verdict.learnable:
        classes(out, found)
    _backbones(out, found)
    out.print(
        f"[bold]Linear probe at every stage[/bold] of {found.backbone}, leave-one-out {found.curve.metric} on "
        f"{found.curve.images} images{_CODES[found.curve.codes]}; in brackets that of the ten nearest neighbours"
    )
    _curve(out, found)
    out.print()
    _ways(out, found)
    _labels(out, found)
    out.print()
    runner = SCENARIOS[verdict.runner_up]
    out.print(f"[bold]Runner-up[/bold] scenario {verdict.runner_up}: {runner.words}, {runner.strategy.label}")
    out.print()
    out.print("[bold]What would change this[/bold]")
    for flip in found.flips:
        out.print(f"  - {escape(flip)}")
    out.print()
    out.print(f"[bold]Recipe[/bold] {recipe.name}, starting from")
    for label, key in (
        ("tap", "features.tap"), ("freeze depth", "freeze.depth"), ("head", "head.name"),
        ("learning rate", "optimizer.lr"), ("head : backbone", "optimizer.lr_ratio"),
        ("weight decay", "optimizer.weight_decay"), ("augmentation", "train.augment"),
    ):  # fmt: skip
        out.print(f"  {label:<16} {_value(recipe.get(key))}")
    out.print()
    cost = found.cost
    out.print(
        f"[bold]Cost here[/bold] {cost.forward_ms:.0f} ms per image forward, {cost.train_ms:.0f} ms in training; "
        f"this advice took {show_duration(cost.seconds)}"
    )
    weights = found.weights
    out.print(f"[bold]Weights[/bold] {escape(weights.trained_on)}, licence {escape(weights.licence)}")
    out.print()
    for report in reports:
        out.command(f"Report with charts and pictures: {escape(report)}")
    default = "" if plan == "advisor.toml" else f" {escape(plan)}"
    out.command(f"Written to {escape(plan)}. Next:  advisor tune{default}")


def _curve(out: TerminalPage, found: Recommendation) -> None:
    """A line for each stage, with a bar as long as there is room for."""
    points, best = found.curve.points, found.curve.best.stage
    tied, read = (" tied with the best", " <- read here") if out.width >= _WIDE else (" tied", " <- read")
    width = max(12, *(len(point.name) for point in points))
    most = max(5, min(30, out.width - width - 29 - max(len(tied), len(read))))
    for point in points:
        out.print(
            f"  {point.stage:>2} {escape(point.name):<{width}} {point.accuracy:.3f} ± {point.se:.3f} "
            f"({point.neighbours:.3f}) {'#' * round(most * point.accuracy)}"
            f"{tied if point.tied and point.stage != best else ''}"
            f"{read if point.stage == found.verdict.tap_stage else ''}"
        )


def _headline(out: TerminalPage, found: Recommendation) -> None:
    verdict = found.verdict
    label = verdict.strategy.label
    if not verdict.learnable:
        out.print("[bold]No probe learns anything from these images: check the labels first.[/bold]")
        out.print()
    words = SCENARIOS[verdict.scenario].words
    out.print(f"[bold]Scenario {verdict.scenario}: {words}.[/bold] {label[0].upper()}{label[1:]}.")
    if verdict.departure:
        out.print(verdict.departure)
    out.print()


def _ways(out: TerminalPage, found: Recommendation) -> None:
    """What each way may bring and cost; the recommended one is starred."""
    columns = ("scenario", "probability", f"expected {found.curve.metric} (80 %)", "one training", "memory", "way")
    rows = []
    for row in found.way_rows:
        scenario = SCENARIOS.get(row.strategy.scenario or 0)
        name = f"{scenario.number} {scenario.size}, {scenario.distance}" if scenario else row.strategy.value
        expected = row.expected
        rows.append((
            f"{'*' if row.recommended else ' '}{name}",
            f"{row.probability:.2f}" if scenario else "",
            f"{expected.accuracy:.2f} ({expected.low:.2f} to {expected.high:.2f})",
            *_cost(row.cost),
            row.strategy.label,
        ))  # fmt: skip
    out.table(columns, rows, header="")


def _backbones(out: TerminalPage, found: Recommendation) -> None:
    if not found.backbones:
        return
    columns = ("backbone", found.curve.metric, "best stage", "published", "parameters", "here", "weights")
    rows = [
        (
            ("*" if row.name == found.backbone else " ") + escape(row.name),
            f"{row.accuracy:.3f} ± {row.se:.3f}{' tied' if row.tied else ''}",
            escape(row.stage),
            f"{row.imagenet_top1:.1f} %" if row.imagenet_top1 else "unknown",
            f"{row.parameters:.1f} M",
            f"{row.forward_ms:.0f} ms per image",
            escape(f"{row.trained_on}, {row.licence}"),
        )
        for row in found.backbones
    ]
    out.table(columns, rows, header="")
    out.print("Of those tied, the one with the best published ImageNet accuracy is taken (*).")
    out.print()


def _labels(out: TerminalPage, found: Recommendation) -> None:
    labels = found.labels
    if labels is None:
        return
    low, high = labels.doubled_interval
    out.print()
    out.print(
        f"[bold]More labels[/bold] with twice as many the probe would reach about {labels.doubled:.2f} "
        f"({low:.2f} to {high:.2f}); {labels.more}"
    )


def _cost(way: WayCost) -> tuple[str, str]:
    return show_duration(way.seconds), f"+ {way.extra_bytes / 1e9:.1f} GB" if way.extra_bytes else ""


def _value(value: Value) -> str:
    if isinstance(value, Range):
        return f"{value.first:.3g}  (searched {value.low:g} to {value.high:g})"
    if isinstance(value, Choices):
        return f"{value.first}  (searched: {', '.join(str(choice) for choice in value.choices)})"
    return f"{value:g}" if isinstance(value, float) else str(value)
