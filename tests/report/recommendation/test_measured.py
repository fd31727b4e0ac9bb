"""The sections of what was measured, against recommendations made by hand."""

from made import backbone_row, distance, profile, recommendation, verdict

from advisor.report.page.blocks import Chart, Pair, Table, Text
from advisor.report.page.documents import to_markdown
from advisor.report.recommendation import recommendation_screen
from advisor.report.recommendation.measured import (
    backbones_table,
    depth_section,
    labels_section,
    scenario_section,
    ways_section,
)
from advisor.strategy import Strategy


def texts(section):
    return [block.text for block in section.blocks if isinstance(block, Text)]


def cells(table):
    return [[getattr(cell, "text", cell) for cell in row] for row in table.rows]


def test_the_scenario_is_told_with_its_runner_up_and_a_departure():
    assert len(texts(scenario_section(recommendation()))) == 2
    found = recommendation(verdict=verdict(strategy=Strategy.EARLIER_LAYER))
    assert texts(scenario_section(found))[-1].startswith("Scenario 1 usually reads the last layer")


def test_distance_by_depth_stands_beside_its_votes():
    section = depth_section(recommendation())
    assert isinstance(section.blocks[0], Pair)
    assert isinstance(section.blocks[-1], Chart)


def test_one_of_both_stands_alone_and_neither_is_said():
    alone = depth_section(recommendation(distance=distance(votes={}, vote_intervals={})))
    assert [block.title for block in alone.blocks] == ["Distance by depth", "A linear classifier at every stage"]
    neither = distance(early=None, middle=None, late=None, votes={}, vote_intervals={})
    assert texts(depth_section(recommendation(distance=neither)))[0].startswith("The distance could not be measured")


def test_borrowed_statistics_are_owned_up_to():
    section = depth_section(recommendation(distance=distance(borrowed="resnet18")))
    assert "has no BatchNorm" in texts(section)[0]
    assert "\u2068resnet18\u2069 judges in its place" in texts(section)[0].replace("\n", " ")


def test_ways_have_gain_and_cost_and_backbones_only_where_several_were_compared():
    assert len(ways_section(recommendation()).blocks) == 2
    rows = (backbone_row("lite0", 0.8, tied=True), backbone_row("other", 0.81, imagenet_top1=0.0))
    section = ways_section(recommendation(backbones=rows))
    assert isinstance(section.blocks[2], Table)


def test_the_backbone_that_is_taken_is_marked_although_another_is_ahead():
    rows = (backbone_row("other", 0.81, imagenet_top1=0.0), backbone_row("lite0", 0.8, tied=True))
    table = backbones_table(recommendation(backbones=rows))
    assert table.marked == {1}
    assert cells(table)[1][3] == "taken, tied"
    assert cells(table)[0][5] == "–"  # what was never published is not 0 %
    assert cells(table)[1][5] == "75.5"
    assert backbones_table(recommendation()) is None


def test_more_labels_are_told_where_they_were_measured():
    assert labels_section(recommendation(labels=None)) is None
    assert len(labels_section(recommendation()).blocks) == 1


def test_the_terminal_ends_with_where_the_plan_and_the_reports_are():
    page = recommendation_screen(recommendation(), plan="a b.toml", reports=["a b.html"])
    lines = [line for line in to_markdown(page).splitlines() if line]
    assert lines[-6:] == [
        "Report with charts and pictures: a b.html",
        "Plan: a b.toml",
        "Next:",
        "```",
        "advisor tune 'a b.toml'",
        "```",
    ]


def test_without_a_curve_of_labels_the_terminal_says_nothing_of_them():
    text = to_markdown(recommendation_screen(recommendation(labels=None), plan="a.toml"))
    assert "twice the labels" not in text
    assert "twice the labels" in to_markdown(recommendation_screen(recommendation(), plan="a.toml"))


def test_labels_that_say_nothing_leave_copies_as_the_only_doubt():
    found = recommendation(verdict=verdict(learnable=False), profile=profile(duplicates=(("a.png", "b.png"),)))
    text = to_markdown(recommendation_screen(found, plan="a.toml"))
    assert "Identical files: 1 group." in text
    assert "Labels to check" not in text
    assert text.startswith("# Check the labels first")
