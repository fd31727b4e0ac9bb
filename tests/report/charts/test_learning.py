"""Words and numbers of the charts of trainings, against curves made by hand."""

import pytest
from made import curve_of, drawn_rows, evidence_record, head_only_trial, probe, run_folder, run_record, trial

from advisor.records.evidence import Ablation, Explanation
from advisor.records.run import WinnerRecord
from advisor.records.trial import CurvePoint, TrialKind, TrialState
from advisor.report.charts.learning import changes_chart, learning_chart, scratch_chart


def cells(table):
    return [[getattr(cell, "text", cell) for cell in row] for row in table.rows]


def explanation(*ablations, curves=None, **changes):
    usual = {"winner_steps": 20, "scratch_steps": 80, **changes}
    return Explanation(1, {}, ablations, (), curves or {}, **usual)


@pytest.fixture
def run(tmp_path):
    def _run(*trials, explained=None, **changes):
        return run_folder(tmp_path, run_record(**changes), evidence_record(*trials), explained=explained)

    return _run


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [
        ((0.5, 0.7, 0.8), "the last epoch brought +10.0 points, so a longer training may help."),
        ((0.5, 0.8, 0.801), "the last epoch brought +0.1 points."),
        ((0.5, 0.9, 0.8), "its best, 0.900, was after epoch 2."),
        ((0.5, 0.8), "in 2 epochs, 4 s."),
        ((0.8,), "went from 0.800 to 0.800 in 1 epoch, 2 s."),
    ],
)
def test_a_training_is_told_by_its_course(run, accuracies, words):
    chart = learning_chart(run(trial(1, accuracies[-1], curve=curve_of(*accuracies))))
    assert chart.finding.startswith(f"Trial 1 went from {accuracies[0]:.3f} to {accuracies[-1]:.3f}")
    assert chart.finding.endswith(words)


def test_the_winner_comes_first_whatever_the_others_reached(run):
    chart = learning_chart(run(trial(0, 0.99), trial(1, 0.85), trial(2, 0.9)))
    names = list(dict.fromkeys(row[0] for row in cells(chart.numbers)))
    assert names == ["trial 1, the winner", "trial 0", "trial 2"]


def test_four_trainings_are_shown_and_no_more(run):
    chart = learning_chart(run(*(trial(n, 0.5 + n / 100) for n in range(9))))
    names = list(dict.fromkeys(row[0] for row in cells(chart.numbers)))
    assert names == ["trial 1, the winner", "trial 8", "trial 7", "trial 6"]
    colours = {tuple(layer["encoding"]["color"]["scale"]["range"]) for layer in chart.spec["layer"]}
    assert all(len(set(each)) == 4 for each in colours)


def test_a_winner_in_closed_form_has_no_curve_and_that_is_said(run):
    winner = WinnerRecord(-8, TrialKind.PROBE, 1.0, probe().values)
    chart = learning_chart(run(probe(), trial(3, 0.7), winner=winner))
    assert chart.finding.startswith("The winner was fitted in closed form and has no curve. Trial 3 went from")


def test_of_folds_it_is_said_that_one_is_shown(run):
    assert learning_chart(run(trial(1, 0.85), folds=5)).finding.endswith(
        "the first fold, so the figures differ from those above."
    )
    assert "fold" not in learning_chart(run(trial(1, 0.85))).finding


def test_without_a_curve_there_is_no_chart(run):
    assert learning_chart(run(probe(), head_only_trial(1))) is None
    assert learning_chart(run(trial(1, 0.4, state=TrialState.PRUNED))) is None


def test_a_long_training_is_cut_in_the_table_and_drawn_whole(run):
    chart = learning_chart(run(trial(1, 0.9, curve=curve_of(*(n / 200 for n in range(100))))))
    assert (len(chart.numbers.rows), chart.numbers.rest) == (60, 40)
    assert len(drawn_rows(chart)) == 100


def test_a_point_that_is_no_number_is_left_out(run):
    curve = (*curve_of(0.5, 0.6), CurvePoint(3, 30, 6.0, float("nan")))
    assert len(learning_chart(run(trial(1, 0.6, curve=curve))).numbers.rows) == 2


ABLATIONS = (
    Ablation("optimizer.lr", 1e-3, 1e-4, 0.05, 0.01), Ablation("head.name", "linear", "ridge", 0.02, 0.015),
    Ablation("train.epochs", 4, 8, 0.0, 0.01), Ablation("freeze.depth", 0.5, 1.0, -0.03, 0.01),
)  # fmt: skip


def test_what_a_value_is_worth_is_clear_beyond_its_error(run):
    chart = changes_chart(run(explained=explanation(*ABLATIONS)).explanation, "accuracy")
    assert chart.finding.startswith(
        "Clear, beyond one standard error: \u2068optimizer.lr\u2069 (+5.0), \u2068head.name\u2069 (+2.0). All were judged"
    )
    assert cells(chart.numbers)[0] == ["optimizer.lr", "0.001", "0.0001", "+5.0", "1.0"]
    marked = {row["key"].split(":")[0] for row in drawn_rows(chart) if row.get("marked")}
    assert marked == {"optimizer.lr", "head.name"}


def test_where_nothing_is_clear_it_is_said(run):
    chart = changes_chart(run(explained=explanation(ABLATIONS[2])).explanation, "accuracy")
    assert chart.finding.startswith("No single value makes a difference beyond one standard error.")


def test_eight_changes_are_drawn_and_all_are_told(run):
    many = [Ablation(f"head.x.{n}", n, n + 1, 0.1 - n / 100, 0.01) for n in range(12)]
    chart = changes_chart(run(explained=explanation(*many)).explanation, "accuracy")
    assert len({row["key"] for row in drawn_rows(chart) if "key" in row}) == 8
    assert len(chart.numbers.rows) == 12


def test_without_changes_or_curves_there_are_no_charts(run):
    explained = run(explained=explanation()).explanation
    assert changes_chart(explained, "accuracy") is None
    assert scratch_chart(explained, "accuracy") is None


WINNER, SCRATCH = curve_of(0.6, 0.85), curve_of(0.2, 0.4, 0.5)


@pytest.mark.parametrize(
    ("steps", "words"),
    [(20, "the winner after 20 steps."), (1, "the winner after 1 step."), (None, "the winner never did.")],
)
def test_pretraining_is_told_by_when_random_weights_reached_their_best(run, steps, words):
    curves = {"winner": WINNER, "from-scratch": SCRATCH}
    chart = scratch_chart(run(explained=explanation(curves=curves, winner_steps=steps)).explanation, "accuracy")
    assert "Best figures: \u2068winner\u2069 0.850, \u2068from-scratch\u2069 0.500." in chart.finding
    assert f"Random weights reached their best after 80 steps, {words}" in chart.finding


def test_one_curve_alone_makes_no_comparison(run):
    explained = run(explained=explanation(curves={"winner": WINNER}, winner_steps=None, scratch_steps=None)).explanation
    assert scratch_chart(explained, "accuracy").finding == "Best figures: \u2068winner\u2069 0.850."
