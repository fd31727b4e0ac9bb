"""The page of `advisor recommend`: the verdict first, then everything that it rests on.

`recommendation_page` is the whole as a file, `recommendation_screen` what of it fits on a terminal; both are put
together from the same blocks, which the other modules of this folder make.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from advisor.data.cache import disk_errors, write_whole
from advisor.plugins import load_catalog
from advisor.report.charts import recommendation as charts
from advisor.report.charts.times import times_chart
from advisor.report.page.blocks import Heading, Name, Page, Section, Text
from advisor.report.page.documents import to_html, to_markdown
from advisor.report.page.pictures import Pictures
from advisor.report.recommendation import verdict
from advisor.report.recommendation.data import classes_section, data_section, in_doubt
from advisor.report.recommendation.looks import doubts_section, looks_section
from advisor.report.recommendation.measured import (
    backbones_table,
    depth_section,
    fits_blocks,
    labels_section,
    scenario_section,
    sizes_blocks,
    ways_section,
)
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from advisor.advice.recommendation import Recommendation
    from advisor.plugins import Catalog


def recommendation_page(
    recommendation: Recommendation, *, plan: str, read: Callable[[str], bytes], made: datetime
) -> Page:
    """The whole report.

    Args:
        recommendation: what it tells of.
        plan: where the plan was written.
        read: from an image's identifier to the bytes of its file.
        made: when.
    """
    pictures, profile = Pictures(read, recommendation.plan.ranges), recommendation.profile
    sections = [
        scenario_section(recommendation), depth_section(recommendation), ways_section(recommendation),
        labels_section(recommendation), looks_section(recommendation, pictures),
        doubts_section(recommendation, pictures), data_section(profile), classes_section(recommendation),
        verdict.change_section(recommendation), verdict.origin_section(recommendation),
    ]  # fmt: skip
    return Page(
        about="Advice for",
        subject=Name(profile.name),
        kicker=verdict.kicker(recommendation),
        title=verdict.title(recommendation),
        first=(
            *verdict.expectation(recommendation),
            verdict.next_command(plan),
            Heading("Why", 2),
            verdict.why(recommendation),
        ),
        sections=tuple(section for section in sections if section is not None),
        foot=f"Made by transfer-advisor {__version__} on {made:%d %B %Y, %H:%M}. This file needs no network: "
        "everything that it shows is in it.",
    )


def recommendation_screen(recommendation: Recommendation, *, plan: str, reports: Sequence[str] = ()) -> Page:
    """What of it stands on the terminal; it ends with where the plan and the reports are.

    Args:
        recommendation: what it tells of.
        plan: where the plan was written.
        reports: where those were written.
    """
    curve, labels = recommendation.curve, recommendation.labels
    backbones = backbones_table(recommendation)
    doubts = in_doubt(recommendation.profile, recommendation if recommendation.verdict.learnable else None)
    more = [] if labels is None else [charts.label_curve(recommendation, labels).finding]
    return Page(
        about="Advice for",
        subject=Name(recommendation.profile.name),
        kicker=verdict.kicker(recommendation),
        title=verdict.title(recommendation),
        first=(
            *verdict.expectation(recommendation),
            *verdict.departures(recommendation),
            Heading("Why"),
            verdict.why(recommendation),
        ),
        sections=(
            data_section(recommendation.profile, *doubts),
            *([Section("backbones", "", "", (backbones,))] if backbones else []),
            Section("depth", "", "", (charts.probe_curve(curve, recommendation.verdict.tap_stage),)),
            Section("ways", "", "", (
                times_chart(recommendation),
                charts.ways_accuracy(recommendation),
                *fits_blocks(recommendation),
                *sizes_blocks(recommendation),
                *map(Text, more),
                verdict.runner_up(recommendation),
            )),
            verdict.change_section(recommendation),
            Section("cost", "", "", (verdict.cost_table(recommendation), verdict.weights(recommendation))),
            Section("next", "", "", (
                *(Text(f"Report with charts and pictures: {report}") for report in reports),
                Text(f"Plan: {plan}"),
                verdict.next_command(plan),
            )),
        ),
    )  # fmt: skip


def write_recommendation(
    recommendation: Recommendation,
    *,
    plan: str,
    html: Path | None,
    markdown: Path | None = None,
    catalog: Catalog | None = None,
) -> None:
    """Write the report as one HTML file, as Markdown, or both.

    Args:
        recommendation: what it tells of.
        plan: where the plan was written, for the next command.
        html: file to write; None leaves it out.
        markdown: likewise.
        catalog: of dataset formats, to read the pictures; the installed plugins by default.

    Raises:
        DatasetError: the images are no longer there.
        AdvisorError: the disk is full or may not be written.
    """
    location = recommendation.plan.location
    read = (catalog or load_catalog()).dataset_for(location).open(location).read
    page = recommendation_page(recommendation, plan=plan, read=read, made=datetime.now().astimezone())
    for path, text in ((html, to_html), (markdown, to_markdown)):
        if path is not None:
            with disk_errors(path.parent):
                write_whole(path, text(page))
