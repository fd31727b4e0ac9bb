"""What to do, why, what would change it, and where it comes from."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from advisor.advice.planning import first_of
from advisor.outcome.handover import versions
from advisor.recipe import Choices, Range
from advisor.report.page.blocks import Bullets, Column, CommandLine, Fact, Facts, Name, Section, Table, Text, said
from advisor.report.page.words import article, memory, number, plain, sentence, whole
from advisor.strategy import SCENARIOS
from advisor.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.advice.recommendation import Recommendation
    from advisor.recipe import Value
    from advisor.report.page.blocks import Block, Cell

_START = (
    ("features.tap", "where the head reads, as a share of the stages"),
    ("features.fit", "how a picture becomes a square"),
    ("freeze.depth", "share of those stages that stay frozen"),
    ("head.name", "classifier"),
    ("optimizer.lr", "learning rate of the backbone"),
    ("optimizer.lr_ratio", "learning rate of the head, times that"),
    ("optimizer.weight_decay", "weight decay"),
    ("train.steps", "optimiser steps"),
    ("train.epochs", "passes over the images"),
    ("train.batch_size", "images in a step"),
    ("train.augment", "changes to the images in training"),
)


def kicker(recommendation: Recommendation) -> str:
    """The scenario by its name."""
    scenario = SCENARIOS[recommendation.verdict.scenario]
    return f"Scenario {scenario.number}: {scenario.words}"


def title(recommendation: Recommendation) -> str:
    """The verdict in one sentence."""
    verdict = recommendation.verdict
    if not verdict.learnable:
        return "Check the labels first: no probe learns anything from these images"
    if not verdict.strategy.fine_tunes:
        where = "an earlier layer of the frozen network" if verdict.earlier_helps else "the frozen network"
        return f"Train a classifier on {where}"
    label = verdict.strategy.label
    return f"{label[0].upper()}{label[1:]}"


def expectation(recommendation: Recommendation) -> Iterator[Block]:
    """What to expect, in a sentence and in figures."""
    verdict, metric = recommendation.verdict, recommendation.curve.metric
    expected, cost = verdict.forecast, recommendation.cost.ways[verdict.strategy]
    if verdict.learnable:
        yield Text(
            f"Expect {article(metric)} of about {expected.accuracy:.2f} on images like these. One training takes about "
            f"{show_duration(cost.seconds)} on this machine; the search tries further settings.",
            "lead",
        )
    size = recommendation.size
    apart = "" if size.independent == size.images else f"{whole(size.independent)} independent, "
    further = f"{memory(cost.extra_bytes)} of further memory" if cost.extra_bytes else "no further memory"
    yield Facts(
        (
            Fact(f"Expected {metric}", number(expected.accuracy),
                 f"{expected.low:.2f} to {expected.high:.2f}, 80 % interval"),
            Fact("One training here", show_duration(cost.seconds), further),
            Fact("Probability of this scenario", number(verdict.probabilities[verdict.scenario]),
                 "by size and distance alone"),
            Fact("Images to train on", whole(size.images), f"{apart}{size.per_class:.0f} per class"),
        )
    )  # fmt: skip


def departures(recommendation: Recommendation) -> Iterator[Text]:
    """Where the way is another than the scenario's own."""
    if recommendation.verdict.departure:
        yield Text(recommendation.verdict.departure, "note")


def why(recommendation: Recommendation) -> Bullets:
    """The reasons."""
    return Bullets(tuple(sentence(reason) for reason in recommendation.verdict.reasons))


def runner_up(recommendation: Recommendation) -> Text:
    """The second likeliest scenario."""
    scenario = SCENARIOS[recommendation.verdict.runner_up]
    return Text(f"Runner-up is scenario {scenario.number}, {scenario.words}: {scenario.strategy.label}.")


def next_command(plan: str) -> CommandLine:
    """The search that the plan is for."""
    return CommandLine("Next", "advisor tune" if plan == "advisor.toml" else f"advisor tune {shlex.quote(plan)}")


def change_section(recommendation: Recommendation) -> Section:
    """What would change the verdict, and the recipe."""
    recipe = recommendation.plan.recipe
    rows = tuple(
        (words, Name(plain(first_of(recipe.values[key]))), Name(_searched(recipe.values[key]), 80), key)
        for key, words in _START
        if key in recipe.values
    )
    table = Table(
        f"The recipe {said(recipe.name)}",
        (Column("what"), Column("begins with"), Column("is searched", wide=True), Column("key", terminal=False)),
        rows,
    )
    blocks = (Bullets(tuple(sentence(flip) for flip in recommendation.flips)), table)
    return Section("change", "What would change this, and where the search begins", "What would change it", blocks)


def cost_table(recommendation: Recommendation) -> Table:
    """What was measured on this machine."""
    cost = recommendation.cost
    rows: tuple[tuple[Cell, ...], ...] = (
        ("one image forward", f"{cost.forward_ms:.0f} ms"),
        ("one image in training", f"{cost.train_ms:.0f} ms"),
        ("this advice", f"{show_duration(cost.seconds)} for {whole(recommendation.curve.images)} images"),
    )
    return Table("Cost on this machine", (Column("what"), Column("takes")), rows)


def weights(recommendation: Recommendation) -> Text:
    """Source data and licence of the pretrained weights."""
    about = recommendation.weights
    return Text(
        f"The weights of {said(recommendation.backbone, 80)} were trained on {said(about.trained_on, 80)}; their "
        f"licence: {said(about.licence, 80)}."
    )


def origin_section(recommendation: Recommendation) -> Section:
    """Where the advice comes from."""
    profile = recommendation.profile
    rows: tuple[tuple[Cell, ...], ...] = (
        ("images", Name(profile.location, 80, tail=True)),
        ("digest of the images", Name(profile.digest, 80)),
        ("backbone", Name(recommendation.backbone, 80)),
        ("weights", Name(recommendation.weights.source, 80)),
        ("seed", str(recommendation.plan.seed)),
        ("versions", Name(", ".join(f"{name} {version}" for name, version in versions().items()), 200)),
    )
    table = Table("Data, network and versions", (Column("what"), Column("which", wide=True)), rows)
    blocks = (table, weights(recommendation), cost_table(recommendation))
    return Section("origin", "Where this comes from", "Origin", blocks)


def _searched(value: Value) -> str:
    if isinstance(value, Range):
        return f"{value.low:g} to {value.high:g}" + (", in the logarithm" if value.log else "")
    return ", ".join(str(choice) for choice in value.choices) if isinstance(value, Choices) else "fixed"
