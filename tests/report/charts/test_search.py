"""Words and numbers of the charts of a search, against trials made by hand."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import VALUES, drawn_rows, evidence_record, head_only_trial, probe, run_folder, run_record, trial

from advisor.recipe.values import FreezeValues, TrialValues
from advisor.records.trial import TrialKind, TrialState
from advisor.report.charts import search as charts


def cells(table):
    return [[getattr(cell, "text", cell) for cell in row] for row in table.rows]


@pytest.fixture
def run(tmp_path):
    """From trials to the run that they are of."""

    def _run(*trials, **changes):
        return run_folder(tmp_path, run_record(**changes), evidence_record(*trials))

    return _run


def test_trials_are_tallied_by_kind_and_the_best_is_named(run):
    chart = charts.trials_chart(run(probe(8), probe(7), head_only_trial(0, 0.75), trial(1, 0.85), trial(2, 0.8)))
    assert chart.finding == (
        "2 closed-form probes, 1 classifier on frozen features, 2 fine-tunings. The best under its first seed is "
        "trial 1 with 0.850."
    )


def test_those_without_a_figure_are_counted_by_why(run):
    pruned = trial(2, 0.4, state=TrialState.PRUNED, reason="behind")
    failed = [trial(n, None, state=TrialState.FAIL, reason="it broke") for n in (3, 4)]
    repeat = trial(5, None, kind=TrialKind.REPEAT, state=TrialState.PRUNED)
    finding = charts.trials_chart(run(trial(1), pruned, *failed, repeat)).finding
    assert "1 trial stopped early, behind earlier ones after the same time." in finding
    assert "2 trials ended without a figure, for the reasons below." in finding


def test_without_a_finished_trial_there_is_no_chart(run):
    assert charts.trials_chart(run(trial(0, 0.4, state=TrialState.PRUNED))) is None
    assert charts.depth_chart(run(trial(0, 0.4))) is None
    assert charts.importance_chart({}) is None


def test_the_line_is_the_best_so_far_and_never_falls(run):
    chart = charts.trials_chart(run(*(trial(n, value) for n, value in enumerate((0.8, 0.7, 0.9, 0.85, 0.95)))))
    steps = sorted((row["n"], row["value"]) for row in drawn_rows(chart) if set(row) == {"n", "value"})
    assert [value for _, value in steps] == [0.8, 0.8, 0.9, 0.9, 0.95]


def test_a_bad_trial_is_drawn_at_the_foot_and_told_with_its_own_figure(run):
    good = [trial(n, 0.9 + n / 1000) for n in range(6)]
    chart = charts.trials_chart(run(trial(9, 0.1), *good))
    assert "1 trial is drawn at the foot with an arrow, being under 0." in chart.caption
    (low,) = [row for row in drawn_rows(chart) if row.get("low") and "t" not in row and row["name"] == "trial 9"][:1]
    assert low["value"] > 0.5
    assert low["words"] == "0.100 (drawn at the foot)"
    assert "0.100" in [row[1] for row in cells(chart.numbers)]


def test_the_winner_is_marked_in_the_drawing_and_the_table(run):
    chart = charts.trials_chart(run(trial(0, 0.8), trial(1, 0.85)))
    assert [row["n"] for row in drawn_rows(chart) if row.get("t") == "winner"] == [2]
    assert chart.numbers.marked == {0}  # the best comes first


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=100)
def test_the_foot_is_never_above_the_better_half(values):
    floor = charts._floor(values)
    assert min(values) <= floor <= max(values)
    better = sorted(values)[len(values) // 2 :]
    assert floor <= min(better) + 1e-12


def test_the_table_has_the_best_first_and_those_without_a_figure_last(run):
    table = charts.leaderboard(
        run(trial(0, None, state=TrialState.FAIL, reason="it broke"), trial(1, 0.8), trial(2, 0.9),
            trial(3, 0.95, kind=TrialKind.REPEAT))
    )  # fmt: skip
    assert [row[0] for row in cells(table)] == ["trial 2", "trial 1", "trial 0"]
    assert cells(table)[2][1] == ""
    assert cells(table)[2][-1] == "failed: it broke"


def test_a_row_says_stage_head_and_rates_where_they_are(run):
    table = charts.leaderboard(run(trial(1, 0.85), head_only_trial(2, 0.72), probe(8)))
    tuned, head, closed = cells(table)[0], *cells(table)[1:]
    assert tuned[2:9] == ["fine-tuning", "8 (blocks.7)", "4", "linear", "1.0e-03", "10.0", "8.0"]
    assert (head[2], head[6], head[7]) == ("head alone", "–", "–")
    assert (closed[0], closed[2]) == ("probe at stage 8", "closed-form probe")


def test_the_stage_of_another_network_has_no_name_of_ours(run):
    other = trial(1, 0.85, values=replace(VALUES, backbone="other"))
    assert cells(charts.leaderboard(run(other)))[0][3] == "8"


def test_a_trial_that_never_began_has_dashes(run):
    lost = trial(3, None, state=TrialState.FAIL, tap=None, frozen=None, values=None, seconds=None, reason="x" * 300)
    (row,) = cells(charts.leaderboard(run(lost)))
    assert row[3:9] == ["–", "–", "–", "–", "–", "–"]
    shown = charts.leaderboard(run(lost)).rows[0][-1].short
    assert len(shown) == 160
    assert shown.endswith("…")


def test_a_table_of_many_trials_is_cut_and_counted(run):
    table = charts.leaderboard(run(*(trial(n, 0.5 + n / 1000) for n in range(100))))
    assert (len(table.rows), table.rest, table.where) == (60, 40, "all in leaderboard.csv")
    assert table.rows[0][0] == "trial 99"


def test_depth_and_rates_are_told_of_the_best_of_each_kind(run):
    deep = trial(2, 0.9, frozen=6)
    chart = charts.depth_chart(run(trial(0, 0.8), trial(1, 0.85), deep, head_only_trial(3, 0.7)))
    assert chart.finding == (
        "The best fine-tuning is trial 2 with 0.900: 6 of 8 stages frozen, head 10.0 times as fast as the backbone. "
        "The best head alone is trial 3 with 0.700, on 8 frozen stages."
    )
    assert "0.700 to 0.900" in chart.key
    assert [row[0] for row in cells(chart.numbers)] == ["trial 2", "trial 1", "trial 0", "trial 3"]


@pytest.mark.parametrize("count", [1, 4, 11])
def test_heads_alone_stand_in_a_column_apart_and_not_on_each_other(run, count):
    chart = charts.depth_chart(
        run(trial(0, 0.8), trial(1, 0.85), *(head_only_trial(n, 0.7) for n in range(2, 2 + count)))
    )
    rows = [row for row in drawn_rows(chart) if "ratio" in row]
    heads = {row["name"]: row["x"] for row in rows if row["kind"] == "head alone"}
    tuned = [row["x"] for row in rows if row["kind"] == "fine-tuning"]
    assert max(heads.values()) < min(tuned)
    assert len(set(heads.values())) == count


def test_equal_trials_do_not_divide_by_nothing(run):
    chart = charts.depth_chart(run(*(trial(n, 0.8) for n in range(3))))
    assert all(row["weight"] == 1 for row in drawn_rows(chart) if "weight" in row)


@pytest.mark.parametrize("ratio", [1e-3, 1.0, 30.0, 1e5])
def test_any_ratio_has_its_place(run, ratio):
    flat = {**VALUES.to_flat(), "optimizer.lr_ratio": ratio}
    chart = charts.depth_chart(run(*(trial(n, 0.8 + n / 100, values=TrialValues.from_flat(flat)) for n in range(3))))
    json.dumps(chart.spec, allow_nan=False)
    assert f"head {ratio:.1f} times" in chart.finding


def test_importances_are_shares_the_largest_first_in_words():
    chart = charts.importance_chart(
        {"optimizer.lr": 0.62, "freeze.depth": 0.3, "head.name": 0.06, "train.epochs": 0.02}
    )
    assert (
        "\u2068optimizer.lr\u2069 62 %, \u2068freeze.depth\u2069 30 %, \u2068head.name\u2069 6 % (functional"
        in chart.finding
    )
    assert "train.epochs" not in chart.finding
    assert cells(chart.numbers)[-1] == ["train.epochs", "2.0"]


def test_only_eight_importances_are_drawn_and_all_are_in_the_table():
    chart = charts.importance_chart({f"head.x.{n}": 0.1 for n in range(10)})
    assert len({row["key"] for row in drawn_rows(chart)}) == 8
    assert len(chart.numbers.rows) == 10


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=20))
def test_labels_that_are_kept_do_not_lie_on_each_other(places):
    rows = [{"x": x, "y": y} for x, y in places]
    kept = charts._apart(rows, 10, 10)
    assert kept[:1] == rows[:1]
    for a in kept:
        for b in kept:
            assert a is b or abs(a["x"] - b["x"]) > 1.2 or abs(a["y"] - b["y"]) > 0.8


def test_a_trial_of_a_frozen_network_is_no_fine_tuning(run):
    values = TrialValues(freeze=FreezeValues(1.0, "eval"))
    lost = trial(0, None, state=TrialState.FAIL, tap=None, frozen=None, values=values)
    assert cells(charts.leaderboard(run(lost)))[0][2] == "head alone"
