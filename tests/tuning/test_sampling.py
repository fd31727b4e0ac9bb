import optuna
import pytest

from advisor.tuning.importance import importances
from advisor.tuning.sampling import pick_sampler


def test_few_trials_go_to_a_gaussian_process_and_many_to_the_parzen_estimator():
    assert isinstance(pick_sampler(0, 12, 4), optuna.samplers.GPSampler)
    assert isinstance(pick_sampler(0, 30, 4), optuna.samplers.TPESampler)
    assert isinstance(pick_sampler(0, 12, 9), optuna.samplers.TPESampler)  # too many values for few trials
    assert isinstance(pick_sampler(0, 12, 0), optuna.samplers.TPESampler)


@pytest.mark.parametrize("expected", [12, 30])
def test_samplers_learn_although_values_come_and_go(expected):
    """Head-only trials have no learning rate, others no penalty; the best is the deepest, whatever the rest."""
    study = optuna.create_study(direction="maximize", sampler=pick_sampler(1, expected, 4))
    for _ in range(24):
        trial = study.ask()
        depth = trial.suggest_int("depth", 0, 8)
        if depth < 8:
            trial.suggest_float("lr", 1e-5, 1e-2, log=True)
        else:
            trial.suggest_categorical("head", ["linear", "svm"])
        study.tell(trial, depth / 8)
    late = [trial.params["depth"] for trial in study.trials[-8:]]
    assert sum(late) / len(late) > 5.5  # chance would be 4


def test_importances_find_what_mattered():
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trial(optuna.trial.create_trial(value=0.2))  # a probe has no values
    for _ in range(30):
        trial = study.ask()
        depth, noise = trial.suggest_int("depth", 0, 8), trial.suggest_float("noise", 0, 1)
        study.tell(trial, depth / 8 + noise / 50)
    found = importances(study.trials)
    assert list(found) == ["depth", "noise"]
    assert found["depth"] > 0.8
    assert sum(found.values()) == pytest.approx(1)
    assert importances([]) == {}
