"""What was measured of the network and the ways: the scenario, the layers, gain and cost, more labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.report.charts import distance as distance_charts
from advisor.report.charts import recommendation as charts
from advisor.report.charts.times import times_chart
from advisor.report.page.blocks import Column, Name, Pair, Section, Table, Text, said
from advisor.report.page.words import number
from advisor.report.recommendation.verdict import departures, runner_up

if TYPE_CHECKING:
    from advisor.advice.recommendation import Recommendation
    from advisor.report.page.blocks import Block

_SHOWN = {
    "crop": "cut to its middle",
    "squash": "shown whole, both sides made equal",
    "pad": "shown whole, with borders",
}


def scenario_section(recommendation: Recommendation) -> Section:
    """The four scenarios, and the one that this is."""
    blocks: tuple[Block, ...] = (
        distance_charts.scenario_map(recommendation.verdict, recommendation.size, recommendation.distance),
        runner_up(recommendation),
        Text("Size is counted, not estimated."),
        *departures(recommendation),
    )
    return Section("scenario", "Which of the four scenarios this is", "Scenario", blocks)


def depth_section(recommendation: Recommendation) -> Section:
    """The distance, and a classifier at every stage."""
    distance = recommendation.distance
    profile, votes = distance_charts.depth_profile(distance), distance_charts.distance_votes(distance)
    blocks: list[Block] = []
    if profile and votes:
        blocks.append(Pair((profile, votes)))
    elif profile or votes:
        blocks += [chart for chart in (profile, votes) if chart]
    else:
        blocks.append(Text("The distance could not be measured: this backbone has neither BatchNorm nor a classifier."))
    if distance.borrowed:
        backbone, lender = said(recommendation.backbone), said(distance.borrowed)
        blocks.append(Text(f"{backbone} has no BatchNorm; the statistics are those of {lender}."))
    blocks.append(charts.probe_curve(recommendation.curve, recommendation.verdict.tap_stage))
    return Section("depth", "What the network sees, layer by layer", "Layer by layer", tuple(blocks))


def ways_section(recommendation: Recommendation) -> Section:
    """What each way may bring and cost, and the backbones where several were compared."""
    blocks: list[Block] = [
        times_chart(recommendation),
        Pair(
            (
                charts.ways_accuracy(recommendation),
                charts.ways_cost(recommendation.cost.ways, recommendation.verdict.strategy),
            )
        ),
    ]
    blocks += [*fits_blocks(recommendation), *sizes_blocks(recommendation)]
    table = backbones_table(recommendation)
    if table is not None:
        blocks.append(table)
    return Section("ways", "What each way may bring, and cost", "Gain and cost", tuple(blocks))


def fits_blocks(recommendation: Recommendation) -> tuple[Block, ...]:
    """The probe on central squares and on whole pictures; nothing where the pictures are about square."""
    fits = recommendation.fits
    if fits is None:
        return ()
    table = Table(
        f"How a picture becomes a square: the best stage's probe on {fits.images} images",
        (Column("fit"), Column("the picture is"), Column(recommendation.curve.metric, number=True),
         Column("above the crop, points", number=True), Column("")),
        tuple(
            (point.fit, _SHOWN[point.fit], number(point.accuracy, 3),
             "–" if point.fit == "crop" else f"{100 * point.gain:+.1f} ± {100 * point.gain_se:.1f}",
             "used" if point is fits.chosen else "")
            for point in fits.points
        ),
        marked=frozenset(i for i, point in enumerate(fits.points) if point is fits.chosen),
    )  # fmt: skip
    return (table,)


def sizes_blocks(recommendation: Recommendation) -> tuple[Block, ...]:
    """The probe at smaller inputs, and what each costs; nothing where the network takes no smaller one."""
    sizes = recommendation.sizes
    if sizes is None:
        return ()
    whole = sizes.points[-1].seconds
    table = Table(
        f"Input size: the best stage's probe on {sizes.images} images",
        (Column("pixels", number=True), Column(recommendation.curve.metric, number=True),
         Column("behind the best, points", number=True), Column("time for an image", number=True), Column("")),
        tuple(
            (str(point.size), number(point.accuracy, 3),
             "–" if point.behind == point.behind_se == 0 else f"{100 * point.behind:.1f} ± {100 * point.behind_se:.1f}",
             f"{point.seconds / whole:.0%}", "fine-tuning starts here" if point.size == sizes.start else "")
            for point in sizes.points
        ),
        marked=frozenset(i for i, point in enumerate(sizes.points) if point.size == sizes.start),
    )  # fmt: skip
    return Text(f"{sizes.sentence[0].upper()}{sizes.sentence[1:]}."), table


def backbones_table(recommendation: Recommendation) -> Table | None:
    """The backbones that were compared; None where one was given."""
    if not recommendation.backbones:
        return None
    return Table(
        "Backbones probed on the same images. Of those tied, the one with the best published accuracy is taken",
        (Column("backbone"), Column(recommendation.curve.metric, number=True), Column("± error", number=True),
         Column(""), Column("best stage"), Column("published, %", number=True),
         Column("million parameters", number=True), Column("ms an image", number=True), Column("weights")),
        tuple(
            (Name(row.name), number(row.accuracy, 3), number(row.se, 3),
             ", ".join(word for word, holds in (("taken", row.name == recommendation.backbone), ("tied", row.tied))
                       if holds),
             Name(row.stage), number(row.imagenet_top1 or None, 1), number(row.parameters, 1),
             f"{row.forward_ms:.0f}", Name(f"{row.trained_on}, {row.licence}"))
            for row in recommendation.backbones
        ),
        marked=frozenset(i for i, row in enumerate(recommendation.backbones) if row.name == recommendation.backbone),
    )  # fmt: skip


def labels_section(recommendation: Recommendation) -> Section | None:
    """What more labels would bring, where that could be measured."""
    if recommendation.labels is None:
        return None
    curve = charts.label_curve(recommendation, recommendation.labels)
    return Section("labels", "What more labels would bring", "More labels", (curve,))
