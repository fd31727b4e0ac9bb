"""A search over a replaying runner, for the tests of what is tried and chosen."""

import optuna

from advisor.network.stages import Stage, Stages
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import Range, Recipe
from advisor.tuning.ledger import Ledger
from advisor.tuning.space import SearchSpace
from advisor.tuning.study import Search

CATALOG = load_catalog()
STAGES = Stages(tuple(Stage(f"s{i}", f"s{i}", (f"p{i}",)) for i in range(8)))
VALUES = {
    "freeze.depth": Range(0.0, 1.0, start=0.0), "optimizer.lr": Range(1e-5, 1e-2, log=True, start=1e-3),
    "search.seeds": 1,
}  # fmt: skip


class Heard(Silent):
    def __init__(self):
        self.sentences = []

    def say(self, text):
        self.sentences.append(text)


def ledger(storage=None):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = storage or optuna.storages.InMemoryStorage()
    return Ledger(*(
        optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        for name in ("search", "probes")
    ))  # fmt: skip


def searching(runner, book=None, *, scenarios=(), budget=1e6, trials=20, worker=0, **changes):
    values = {**VALUES, **{key.replace("__", "."): value for key, value in changes.items()}}
    recipe = Recipe("plan", values=values)
    heard = Heard()
    search = Search(
        recipe, SearchSpace(recipe, STAGES, CATALOG), book or ledger(), runner, scenarios=scenarios, budget=budget,
        trials=trials, worker=worker, progress=heard, clock=runner.clock,
    )  # fmt: skip
    search.begin()
    return search, heard
