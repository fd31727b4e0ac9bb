"""From a recipe to what a trial really varies: conditional, and in steps that mean something."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from advisor.recipe import KEYS, Choices, Key, Range, Recipe, Value, key_of

if TYPE_CHECKING:
    import optuna

    from advisor.network.stages import Stages
    from advisor.plugins import Catalog
    from advisor.types import Scalar

Values = dict[str, Any]
_IN_STAGES = ("features.tap", "freeze.depth")
_ONLY_WHEN_TRAINING = (
    "optimizer.lr", "optimizer.lr_ratio", "optimizer.weight_decay", "freeze.batchnorm",
    "train.epochs", "train.batch_size", "train.warmup", "train.label_smoothing", "train.augment",
)  # fmt: skip


class SearchSpace:
    """A recipe over one network.

    The tap and the freeze depth are searched in whole stages. Parameters that would do nothing (a
    learning rate when a closed form fits the head, another head's penalty) are not asked for.

    Args:
        recipe: what may vary.
        stages: of the network.
        catalog: for the heads' own parameters.
    """

    def __init__(self, recipe: Recipe, stages: Stages, catalog: Catalog) -> None:
        self.recipe = recipe
        self.stages = stages
        self.catalog = catalog

    def suggest(self, trial: optuna.trial.BaseTrial, *, head_only: bool = False) -> Values:
        """Ask a trial for every active value; inactive ones are left out.

        Args:
            trial: an Optuna trial.
            head_only: freeze everything below the head, whatever else the recipe would allow.
        """

        def ask(key: str, value: Value) -> Scalar:
            if head_only and key == "freeze.depth":
                value = 1.0
            return _ask(trial, key, value, self._key(key).kind, len(self.stages))

        return self._walk(ask)

    @property
    def allows_head_only(self) -> bool:
        """Whether the recipe has room for a trial that trains the head alone."""
        depth = self._value("freeze.depth")
        if isinstance(depth, Range):
            return depth.high >= 1.0
        return 1.0 in depth.choices if isinstance(depth, Choices) else depth == 1.0

    def start(self) -> Values:
        """The recipe's starting values."""
        return self._walk(lambda _key, value: value.first if isinstance(value, Range | Choices) else value)

    def start_params(self) -> dict[str, Scalar]:
        """The starting values as Optuna parameters, for `study.enqueue_trial`."""
        out: dict[str, Scalar] = {}
        for key, value in self.start().items():
            asked = self._value(key)
            if isinstance(asked, Range | Choices):
                out[key] = _to_stages(value, asked, len(self.stages)) if key in _IN_STAGES else value
        return out

    def _value(self, key: str) -> Value:
        if key in self.recipe.values or key in KEYS:
            return self.recipe.get(key)
        return self._key(key).default

    def _key(self, path: str) -> Key:
        """What a key path may hold, a head's own parameters included."""
        if path in KEYS:
            return KEYS[path]
        _, head, name = path.split(".")
        return key_of(next(param for param in self.catalog.head(head).params if param.name == name))

    def _walk(self, ask: Any) -> Values:  # noqa: ANN401
        """Visit the active keys in an order in which each condition is known before it is needed."""
        values: Values = {}
        for key in ("features.tap", "freeze.depth", "head.name", "head.init"):
            values[key] = ask(key, self._value(key))
        head = self.catalog.head(values["head.name"])
        for param in head.params:
            key = f"head.{head.name}.{param.name}"
            values[key] = ask(key, self._value(key))
        tap = self.stages.tap_index(values["features.tap"])
        head_only = self.stages.frozen_index(values["freeze.depth"], tap) == tap
        if head_only and head.fit is not None and values["head.init"] == "probe":
            return values
        for key in _ONLY_WHEN_TRAINING:
            value = self._value(key)
            if key == "optimizer.lr_ratio" and head_only and isinstance(value, Range | Choices):
                value = value.first  # with nothing else to train, only the product with lr matters
            values[key] = ask(key, value)
        return values


def frozen_recipe(recipe: Recipe, values: Values) -> Recipe:
    """The recipe of one trial: scalars only."""
    kept = {key: value for key, value in recipe.values.items() if key.startswith("search.")}
    return Recipe(
        name=recipe.name,
        summary=recipe.summary,
        scenario=recipe.scenario,
        values={**kept, "search.trials": 1, **values},
    )


def _ask(trial: optuna.trial.BaseTrial, key: str, value: Value, kind: type, stages: int) -> Scalar:
    if isinstance(value, Choices):
        return trial.suggest_categorical(key, list(value.choices))  # type: ignore[return-value]
    if not isinstance(value, Range):
        return value
    if key in _IN_STAGES:
        low, high = _bounds(value, stages)
        return trial.suggest_int(key, low, high) / stages
    if kind is int:
        return trial.suggest_int(key, int(value.low), int(value.high), log=value.log)
    return trial.suggest_float(key, value.low, value.high, log=value.log)


def _bounds(value: Range, stages: int) -> tuple[int, int]:
    """Whole stages inside a range of fractions; the nearest one where there is none."""
    low, high = math.ceil(value.low * stages - 1e-9), math.floor(value.high * stages + 1e-9)
    return (low, high) if low <= high else (high, high)


def _to_stages(value: float, asked: Range | Choices, stages: int) -> Scalar:
    if isinstance(asked, Choices):
        return value
    low, high = _bounds(asked, stages)
    return min(high, max(low, round(value * stages)))
