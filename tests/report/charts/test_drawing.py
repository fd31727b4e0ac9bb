"""What charts are drawn with."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.report.charts.drawing import (
    ACCENT,
    alt,
    beside_edge,
    chart,
    dots,
    finish,
    geometric,
    soft_band,
    tips,
    unit_axis,
    upright_rules,
    within,
)

ROWS = [
    {"way": "a", "p": 0.5, "low": 0.4, "high": 0.6, "words": "0.50", "marked": False},
    {"way": "b", "p": 0.7, "low": 0.6, "high": 0.8, "words": "0.70", "marked": True},
]


@pytest.mark.parametrize(
    ("value", "kept"), [(0.5, 0.5), (-0.1, 0.0), (1.2, 1.0), (math.nan, None), (math.inf, None), (-math.inf, None)]
)
def test_bounds_of_a_share_stay_within_it(value, kept):
    assert within(value) == kept


@given(st.floats(1, 1e4), st.floats(1.1, 100), st.integers(2, 60))
def test_geometric_numbers_have_equal_ratios_and_both_ends(start, factor, steps):
    found = geometric(start, start * factor, steps)
    assert len(found) == steps
    assert found[0] == pytest.approx(start)
    assert found[-1] == pytest.approx(start * factor)
    ratios = [b / a for a, b in zip(found, found[1:], strict=False)]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))


def test_labels_at_an_edge_stand_inside():
    assert beside_edge(1, 4)["align"] == "left"
    assert beside_edge(4, 4)["align"] == "right"
    assert beside_edge(2, 4)["align"] == "center"
    assert beside_edge(1, 1)["align"] == "right"


def test_tips_have_titles_and_numbers_a_form():
    name, value = (tip.to_dict() for tip in tips(("way:N", ""), ("p:Q", "accuracy"), form=".4f"))
    assert name["title"] == " "
    assert "format" not in name
    assert (value["title"], value["format"]) == ("accuracy", ".4f")


def test_a_finished_chart_is_json_in_variables_of_the_page():
    x = unit_axis(alt.X, "p", "accuracy")
    spec = finish([soft_band({"x": 0, "x2": 1, "y": 0, "y2": 1}, across=True), *dots(ROWS, "way", x)], height=80)
    text = json.dumps(spec, allow_nan=False)
    assert spec["height"] == 80
    assert ACCENT in text
    assert "$schema" not in spec


def test_marked_rows_differ_in_shape_and_not_in_colour_alone():
    layers = finish(dots(ROWS, "way", alt.X("p:Q")), height=80)["layer"]
    (points,) = [layer for layer in layers if layer["mark"]["type"] == "point"]
    assert points["encoding"]["shape"]["condition"]["value"] != points["encoding"]["shape"]["value"]
    weights = {layer["mark"].get("fontWeight") for layer in layers if layer["mark"]["type"] == "text"}
    assert weights == {400, 700}


def test_labels_of_rules_stand_one_under_the_other():
    layers = finish(upright_rules([(1.0, "one"), (2.0, "two"), (3.0, "three")], "n"), height=80)["layer"]
    heights = [layer["mark"]["dy"] for layer in layers if layer["mark"]["type"] == "text"]
    assert len(set(heights)) == 3
    assert heights == sorted(heights)


def test_a_mistake_in_a_chart_is_found_when_it_is_drawn():
    with pytest.raises(Exception, match=r"(?i)nonsense|invalid|schema"):
        finish([chart(ROWS).mark_bar().encode(x=alt.X("p:Q", stack="nonsense"))], height=40)
