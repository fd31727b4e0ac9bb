"""From a recipe to what a trial really varies: conditional, and in steps that mean something."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from advisor.recipe import KEYS, Choices, Key, Range, Recipe, Value, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import optuna

    from advisor.network.stages import Stages
    from advisor.plugins import Catalog
    from advisor.types import Scalar

Values = dict[str, Any]
BACKBONE = "backbone.name"
MOST_LEVELS = 8  # of tap and freeze depth; finer steps cost trials and change little
_IN_LEVELS = ("features.tap", "freeze.depth")
_FIRST = (
    "features.weights", "features.input_size", "features.tap", "freeze.depth", "freeze.batchnorm",
    "head.name", "head.init", "train.balance",
)  # fmt: skip
_WHEN_TRAINING = (
    "optimizer.name", "optimizer.lr", "optimizer.lr_ratio", "optimizer.weight_decay", "train.epochs",
    "train.batch_size", "train.warmup", "train.label_smoothing", "train.mixup", "train.ema",
)  # fmt: skip
_WHEN_TUNING = (
    "optimizer.layer_decay", "optimizer.l2_sp", "train.drop_path", "train.augment", "features.cache", "features.views",
)  # fmt: skip


class SearchSpace:
    """A recipe over one or several networks.

    The tap and the freeze depth are searched in whole stages, at most eight of them. Parameters that would
    do nothing (a learning rate when a closed form fits the head, another head's penalty, the ratio when
    nothing but the head trains) are not asked for, and where they are not in use they have no value.

    Args:
        recipe: what may vary.
        stages: of the first network.
        catalog: for the heads' own parameters.
        backbones: names to choose from, the first one first; empty for one network.
        stages_of: from a backbone's name to its stages; needed with several.
    """

    def __init__(
        self,
        recipe: Recipe,
        stages: Stages,
        catalog: Catalog,
        *,
        backbones: Sequence[str] = (),
        stages_of: Callable[[str], Stages] | None = None,
    ) -> None:
        self.recipe = recipe
        self.stages = stages
        self.catalog = catalog
        self.backbones = tuple(backbones)
        self._stages_of = stages_of

    def suggest(self, trial: optuna.trial.BaseTrial, *, head_only: bool = False) -> Values:
        """Ask a trial for every active value; inactive ones are left out.

        Args:
            trial: an Optuna trial.
            head_only: freeze everything below the head, whatever else the recipe would allow.
        """

        def ask(key: str, value: Value) -> Scalar:
            if head_only and key == "freeze.depth":
                value = 1.0
            return _ask(trial, key, value, self._key(key).kind, self._levels)

        return self._walk(ask)

    @property
    def allows_head_only(self) -> bool:
        """Whether the recipe has room for a trial that trains the head alone."""
        depth = self._value("freeze.depth")
        if isinstance(depth, Range):
            return depth.high >= 1.0
        return 1.0 in depth.choices if isinstance(depth, Choices) else depth == 1.0

    @property
    def allows_pretrained(self) -> bool:
        """Whether any trial may start from pretrained weights."""
        weights = self._value("features.weights")
        return "pretrained" in weights.choices if isinstance(weights, Choices) else weights == "pretrained"

    def start(self) -> Values:
        """The recipe's starting values."""
        return self._walk(lambda _key, value: value.first if isinstance(value, Range | Choices) else value)

    def start_params(self) -> dict[str, Scalar]:
        """The starting values as Optuna parameters, for `study.enqueue_trial`."""
        return self._params(self.start())

    def nearest_params(self, other: Recipe) -> dict[str, Scalar]:
        """Where another recipe starts, brought into this space: searched values clipped, fixed ones left."""

        def near(key: str, value: Value) -> Scalar:
            if not isinstance(value, Range | Choices):
                return value
            wanted = other.get(key)
            first = wanted.first if isinstance(wanted, Range | Choices) else wanted
            if isinstance(value, Choices):
                return first if first in value.choices else value.first
            if not isinstance(first, int | float):  # a head's own parameter that the other does not name
                return value.first
            return min(value.high, max(value.low, first))

        return self._params(self._walk(near))

    def completed(self, values: Values) -> Values:
        """Values with what their conditions ask for: what is missing from the start, what does nothing left out."""

        def known(key: str, value: Value) -> Any:  # noqa: ANN401 - whatever a recipe holds
            return values.get(key, value.first if isinstance(value, Range | Choices) else value)

        return self._walk(known)

    def other_value(self, key: str, value: Scalar) -> Scalar:
        """What to compare a searched value with: where the search began, or else the other end of its range."""
        asked = self._value(key)
        assert isinstance(asked, Range | Choices)
        if asked.first != value:
            return asked.first
        if isinstance(asked, Choices):
            return next(choice for choice in asked.choices if choice != value)
        return asked.low if abs(value - asked.high) < abs(value - asked.low) else asked.high  # type: ignore[operator]

    def searched(self) -> tuple[str, ...]:
        """Key paths that vary."""
        known = {*KEYS, *self.recipe.values}
        found = [key for key in sorted(known) if isinstance(self.recipe.get(key), Range | Choices)]
        return (BACKBONE, *found) if self.backbones else tuple(found)

    @property
    def _levels(self) -> int:
        return MOST_LEVELS if self.backbones else min(MOST_LEVELS, len(self.stages))

    def _params(self, values: Values) -> dict[str, Scalar]:
        out: dict[str, Scalar] = {}
        for key, value in values.items():
            asked = self._value(key)
            if isinstance(asked, Range | Choices):
                out[key] = _to_levels(value, asked, self._levels) if key in _IN_LEVELS else value
        return out

    def _value(self, key: str) -> Value:
        if key == BACKBONE:
            return Choices(self.backbones) if self.backbones else ""
        if key in self.recipe.values or key in KEYS:
            return self.recipe.get(key)
        return self._key(key).default

    def _key(self, path: str) -> Key:
        """What a key path may hold, a head's own parameters included."""
        if path == BACKBONE:
            return Key(str, "", "")
        if path in KEYS:
            return KEYS[path]
        _, head, name = path.split(".")
        return key_of(next(param for param in self.catalog.head(head).params if param.name == name))

    def _walk(self, ask: Callable[[str, Value], Any]) -> Values:
        """Visit the active keys in an order in which each condition is known before it is needed."""
        values: Values = {}
        stages = self.stages
        if self.backbones:
            values[BACKBONE] = ask(BACKBONE, self._value(BACKBONE))
            stages = self._stages_of(values[BACKBONE]) if self._stages_of else stages
        for key in _FIRST:
            value = self._value(key)
            if values.get("features.weights") == "random" and key in _FROM_SCRATCH:
                value = _FROM_SCRATCH[key]
            values[key] = ask(key, value)
        head = self.catalog.head(values["head.name"])
        for param in head.params:
            key = f"head.{head.name}.{param.name}"
            values[key] = ask(key, self._value(key))
        tap = stages.tap_index(values["features.tap"])
        head_only = stages.frozen_index(values["freeze.depth"], tap) == tap
        if head_only and values["freeze.batchnorm"] != "adabn":
            values["freeze.batchnorm"] = "eval"  # nothing trains that could follow these images
        if head_only and head.fit is not None and values["head.init"] == "probe":
            return values
        for key in _WHEN_TRAINING if head_only else (*_WHEN_TRAINING, *_WHEN_TUNING):
            value = self._value(key)
            if key == "optimizer.lr_ratio" and head_only and isinstance(value, Range | Choices):
                value = value.first  # with nothing else to train, only the product with lr matters
            values[key] = ask(key, value)
        return values


# A frozen random network teaches nothing, and no closed form is fitted to one.
_FROM_SCRATCH: dict[str, Value] = {"freeze.depth": 0.0, "head.init": "random"}


def frozen_recipe(recipe: Recipe, values: Values) -> Recipe:
    """The recipe of one trial: scalars only."""
    fixed = ("features.codes",)
    kept = {key: value for key, value in recipe.values.items() if key.startswith("search.") or key in fixed}
    own = {key: value for key, value in values.items() if key != BACKBONE}
    return Recipe(
        name=recipe.name,
        summary=recipe.summary,
        scenario=recipe.scenario,
        values={**kept, "search.trials": 1, **own},
    )


def _ask(trial: optuna.trial.BaseTrial, key: str, value: Value, kind: type, levels: int) -> Scalar:
    if isinstance(value, Choices):
        return trial.suggest_categorical(key, list(value.choices))  # type: ignore[return-value]
    if not isinstance(value, Range):
        return value
    if key in _IN_LEVELS:
        low, high = _bounds(value, levels)
        return trial.suggest_int(key, low, high) / levels
    if kind is int:
        return trial.suggest_int(key, int(value.low), int(value.high), log=value.log)
    return trial.suggest_float(key, value.low, value.high, log=value.log)


def _bounds(value: Range, levels: int) -> tuple[int, int]:
    """Whole levels inside a range of fractions; the nearest one where there is none."""
    low, high = math.ceil(value.low * levels - 1e-9), math.floor(value.high * levels + 1e-9)
    return (low, high) if low <= high else (high, high)


def _to_levels(value: float, asked: Range | Choices, levels: int) -> Scalar:
    if isinstance(asked, Choices):
        return value
    low, high = _bounds(asked, levels)
    return min(high, max(low, round(value * levels)))
