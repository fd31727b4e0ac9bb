"""From a recipe to what a trial really varies: conditional, and in steps that mean something."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from advisor.recipe import KEYS, Choices, Key, Range, Recipe, Value, key_of
from advisor.recipe.values import BACKBONE, TrialValues

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import optuna

    from advisor.network.stages import Stages
    from advisor.plugins import Catalog
    from advisor.types import Scalar

MOST_LEVELS = 8  # steps of tap and freeze depth; finer ones cost trials and change little
_WORTH_LONGER = 1.25  # times the steps, below which a training is not repeated for being longer
_IN_LEVELS = ("features.tap", "freeze.depth")
_FIRST = (
    "features.weights", "features.tap", "features.also", "features.mirrored", "freeze.depth", "features.input_size",
    "features.fit",
    "freeze.batchnorm", "head.name", "head.init", "train.balance",
)  # fmt: skip
_WHEN_TRAINING = (
    "optimizer.name", "optimizer.lr", "optimizer.lr_ratio", "optimizer.weight_decay", "optimizer.clip", "train.steps",
    "train.epochs",
    "train.batch_size", "train.warmup", "train.label_smoothing", "train.mixup", "train.ema",
)  # fmt: skip
_WHEN_VIEWED = ("train.augment", "features.cache", "features.views")
_WHEN_TUNING = ("optimizer.layer_decay", "optimizer.l2_sp", "train.drop_path", "train.parts", *_WHEN_VIEWED)


class SearchSpace:
    """A recipe over one or several networks.

    The tap and the freeze depth are searched in whole stages, at most eight steps of them, the start and both ends
    always among them. Parameters that would do nothing (a learning rate when a closed form fits the head, another
    head's penalty, the ratio when nothing but the head trains) are not asked for, and where they are not in use they
    have no value.

    Args:
        recipe: what may vary.
        stages: of the first network.
        catalog: for the heads' own parameters.
        backbones: names to choose from; empty for one network.
        backbone: where to start among them.
        stages_of: from a backbone's name to its stages; needed with several.
    """

    def __init__(
        self,
        recipe: Recipe,
        stages: Stages,
        catalog: Catalog,
        *,
        backbones: Sequence[str] = (),
        backbone: str = "",
        stages_of: Callable[[str], Stages] | None = None,
    ) -> None:
        self.recipe = recipe
        self.stages = stages
        self.catalog = catalog
        self.backbones = tuple(backbones)
        self.backbone = backbone
        self._stages_of = stages_of

    def suggest(self, trial: optuna.trial.BaseTrial, *, head_only: bool = False) -> TrialValues:
        """Ask a trial for every active value; inactive ones are left out.

        Args:
            trial: an Optuna trial.
            head_only: freeze everything below the head, whatever else the recipe would allow.
        """

        def ask(key: str, value: Value) -> Scalar:
            if head_only and key == "freeze.depth":
                value = 1.0
            if isinstance(value, Range) and key in _IN_LEVELS:
                levels = self._levels(value)
                return levels[trial.suggest_int(key, 0, len(levels) - 1)]
            return _ask(trial, key, value, self._key(key).kind)

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

    def at(self, params: Mapping[str, Scalar]) -> TrialValues:
        """The values of a trial with given Optuna parameters."""
        import optuna

        return self.suggest(optuna.trial.FixedTrial(dict(params)))

    def start(self) -> TrialValues:
        """The recipe's starting values."""
        return self._walk(self._first)

    def start_params(self) -> dict[str, Scalar]:
        """The starting values as Optuna parameters, for `study.enqueue_trial`."""
        return self.params(self.start())

    def params(self, values: TrialValues) -> dict[str, Scalar]:
        """A trial's values as Optuna parameters, those that vary."""
        out: dict[str, Scalar] = {}
        for key, value in values.to_flat().items():
            asked = self._value(key)
            if isinstance(asked, Range) and key in _IN_LEVELS:
                levels = self._levels(asked)
                out[key] = levels.index(_nearest_of(levels, value))
            elif isinstance(asked, Range | Choices):
                out[key] = value
        return out

    def nearest_params(self, other: Recipe) -> dict[str, Scalar]:
        """Where another recipe starts, brought into this space: searched values clipped, fixed ones left."""

        def near(key: str, value: Value) -> Scalar:
            if not isinstance(value, Range | Choices):
                return value
            first = self._first(key, other.get(key))
            if isinstance(value, Choices):
                return first if first in value.choices else value.first
            if not isinstance(first, int | float):  # a head's own parameter that the other does not name
                return self._first(key, value)
            return min(value.high, max(value.low, first))

        return self.params(self._walk(near))

    def at_depth(self, values: TrialValues, depth: float) -> TrialValues:
        """The same at another freeze depth, with what that asks for."""
        return self.completed(values.at_depth(depth).to_flat())

    def completed(self, flat: Mapping[str, Scalar]) -> TrialValues:
        """Values with what their conditions ask for: what is missing from the start, what does nothing left out."""

        def known(key: str, value: Value) -> Scalar:
            return flat[key] if key in flat else self._first(key, value)

        return self._walk(known)

    def with_other(self, values: TrialValues, key: str) -> tuple[Scalar, TrialValues] | None:
        """A trial with one searched value changed: to where the search began, or else to the other end of its range.

        Args:
            values: of the trial.
            key: path of the value.

        Returns:
            The other value and the changed trial; None where the trial has no such value, or nothing would change.
        """
        flat = values.to_flat()
        if key not in flat:
            return None
        other = self._other(key, flat[key])
        changed = self.completed({**flat, key: other})
        return None if changed == values else (other, changed)

    def _other(self, key: str, value: Scalar) -> Scalar:
        asked = self._value(key)
        assert isinstance(asked, Range | Choices)
        first = self._nearest(asked, key, self._first(key, asked))
        if first != value:
            return first
        if isinstance(asked, Choices):
            return next(choice for choice in asked.choices if choice != value)
        number = float(value)
        end = asked.low if abs(number - asked.high) < abs(number - asked.low) else asked.high
        return self._nearest(asked, key, end)

    def depths(self) -> list[float]:
        """Freeze depths that a trial may have, ascending."""
        asked = self._value("freeze.depth")
        if isinstance(asked, Range):
            return self._levels(asked)
        choices = asked.choices if isinstance(asked, Choices) else (asked,)
        return sorted(float(choice) for choice in choices)

    def sizes(self) -> list[int]:
        """Input sizes that a training may have, ascending; 0 is the backbone's own."""
        asked = self._value("features.input_size")
        return sorted(int(choice) for choice in asked.choices) if isinstance(asked, Choices) else []

    def longer(self, values: TrialValues, factor: float) -> TrialValues | None:
        """The same training with more steps, as far as the recipe searches its length.

        Args:
            values: of the training.
            factor: times its steps, or what the range leaves of that.

        Returns:
            The longer training; None where the length is fixed, or hardly more is allowed.
        """
        flat = values.to_flat()
        for key in ("train.epochs", "train.steps"):
            asked, length = self._value(key), int(flat.get(key, 0))
            if length and isinstance(asked, Range | Choices):
                if isinstance(asked, Range):
                    most = min(round(factor * length), int(asked.high))
                else:
                    most = min((int(choice) for choice in asked.choices if int(choice) > length), default=0)
                return self.completed({**flat, key: most}) if most >= _WORTH_LONGER * length else None
        return None

    def grown(self, values: TrialValues, taken: int) -> TrialValues | None:
        """The same training, gone on with at the next larger input for half as many steps again.

        Args:
            values: of the training.
            taken: its steps.

        Returns:
            None where inputs or lengths are not searched, or there is no larger one.
        """
        length = self._value("train.steps")
        larger = next((side for side in self.sizes() if side > values.features.input_size > 0), None)
        if larger is None or not isinstance(length, Range):
            return None
        return values.grown(larger, max(int(length.low), round(taken / 2)), taken)

    def searched(self) -> tuple[str, ...]:
        """Key paths that vary."""
        known = {*KEYS, *self.recipe.values}
        found = [key for key in sorted(known) if isinstance(self.recipe.get(key), Range | Choices)]
        return (BACKBONE, *found) if self.backbones else tuple(found)

    def _levels(self, asked: Range) -> list[float]:
        """Fractions that stand for whole stages inside a range, ascending; the start and both ends among them."""
        stages = MOST_LEVELS if self.backbones else len(self.stages)
        low, high = math.ceil(asked.low * stages - 1e-9), math.floor(asked.high * stages + 1e-9)
        if low > high:
            return [high / stages]
        kept = list(range(low, high + 1))
        if len(kept) > MOST_LEVELS + 1:
            step = (high - low) / MOST_LEVELS
            kept = [round(low + step * place) for place in range(MOST_LEVELS + 1)]
            start = min(high, max(low, round(asked.first * stages)))
            if start not in kept:
                inner = kept[1:-1]
                kept[kept.index(min(inner, key=lambda stage: abs(stage - start)))] = start
        return [stage / stages for stage in sorted(kept)]

    def _nearest(self, asked: Range | Choices, key: str, value: Scalar) -> Scalar:
        if isinstance(asked, Range) and key in _IN_LEVELS:
            return _nearest_of(self._levels(asked), value)
        return value

    def _first(self, key: str, value: Value) -> Scalar:
        """Where a value starts; whole numbers stay whole."""
        if not isinstance(value, Range | Choices):
            return value
        return round(value.first) if isinstance(value, Range) and self._key(key).kind is int else value.first

    def _value(self, key: str) -> Value:
        if key == BACKBONE:
            return Choices(self.backbones, self.backbone or None) if self.backbones else ""
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

    def _walk(self, ask: Callable[[str, Value], Scalar]) -> TrialValues:
        """Visit the active keys in an order in which each condition is known before it is needed."""
        return TrialValues.from_flat(self._walked(ask))

    def _walked(self, ask: Callable[[str, Value], Scalar]) -> dict[str, Scalar]:
        values: dict[str, Scalar] = {}
        stages = self.stages
        if self.backbones:
            values[BACKBONE] = ask(BACKBONE, self._value(BACKBONE))
            stages = self._stages_of(str(values[BACKBONE])) if self._stages_of else stages
        for key in _FIRST:
            value = self._first_value(key, values)
            if value is not None:
                values[key] = ask(key, value)
        head = self.catalog.head(str(values["head.name"]))
        for param in head.params:
            key = f"head.{head.name}.{param.name}"
            values[key] = ask(key, self._value(key))
        tap = stages.tap_index(float(values["features.tap"]))
        head_only = stages.frozen_index(float(values["freeze.depth"]), tap) == tap
        if head_only and values["freeze.batchnorm"] != "adabn":
            values["freeze.batchnorm"] = "eval"  # nothing trains that could follow these images
        # A head alone reads clean features, computed once, unless the recipe says how its views come about.
        viewed = _WHEN_VIEWED if self._value("features.cache") != "auto" else ()
        if head_only and head.fit is not None and values["head.init"] == "probe":
            return values | {key: ask(key, self._value(key)) for key in viewed}
        for key in (*_WHEN_TRAINING, *(viewed if head_only else _WHEN_TUNING)):
            values[key] = ask(key, self._narrowed(key, values, stages, head_only=head_only))
        return values if head_only else {**values, **self._depending(values, ask)}

    def _depending(self, known: Mapping[str, Scalar], ask: Callable[[str, Value], Scalar]) -> dict[str, Scalar]:
        """Values that mean something beside some others only."""
        values: dict[str, Scalar] = {}
        if known["train.parts"] == "lora":
            values["train.lora_rank"] = ask("train.lora_rank", self._value("train.lora_rank"))
        if growth := ask("train.grow_from", self._value("train.grow_from")):
            values["train.grow_from"] = growth
        return values

    def _narrowed(self, key: str, known: Mapping[str, Scalar], stages: Stages, *, head_only: bool) -> Value:
        """What a value of a training may be beside those that are known, less what would do nothing."""
        value = self._value(key)
        if key == "optimizer.lr_ratio" and head_only and isinstance(value, Range | Choices):
            return value.first  # with nothing else to train, only the product with lr matters
        if key == "train.parts" and known["features.weights"] == "random":
            return "all"
        if key == "train.parts" and isinstance(value, Choices) and not stages.tokens:
            return "all"  # the parts are a transformer's; a recipe may fix them for any network
        return value

    def _first_value(self, key: str, known: Mapping[str, Scalar]) -> Value | None:
        """What a key of `_FIRST` may be in view of those before it; None where it does nothing."""
        value = self._value(key)
        if (key, value) in (("features.also", ""), ("features.mirrored", False)):
            return None  # as in most trials: one stage is read, and one view of an image
        if known.get("features.weights") == "random" and key in _FROM_SCRATCH:
            return _FROM_SCRATCH[key]
        if key == "features.input_size" and isinstance(value, Choices) and float(known["freeze.depth"]) == 1.0:
            return 0  # smaller inputs buy training steps; frozen features are read at the network's own size
        return value


# A frozen random network teaches nothing, and no closed form is fitted to one.
_FROM_SCRATCH: dict[str, Value] = {"freeze.depth": 0.0, "head.init": "random"}


def frozen_recipe(recipe: Recipe, values: TrialValues) -> Recipe:
    """The recipe of one trial: scalars only."""
    fixed = ("features.codes",)
    kept = {key: value for key, value in recipe.values.items() if key.startswith("search.") or key in fixed}
    own = {key: value for key, value in values.to_flat().items() if key != BACKBONE}
    return Recipe(
        name=recipe.name,
        summary=recipe.summary,
        scenario=recipe.scenario,
        values={**kept, "search.trials": 1, **own},
    )


def _nearest_of(levels: Sequence[float], value: Scalar) -> float:
    return min(levels, key=lambda level: abs(level - float(value)))


def _ask(trial: optuna.trial.BaseTrial, key: str, value: Value, kind: type) -> Scalar:
    if isinstance(value, Choices):
        return trial.suggest_categorical(key, list(value.choices))  # type: ignore[return-value]
    if not isinstance(value, Range):
        return value
    if kind is int:
        return trial.suggest_int(key, int(value.low), int(value.high), log=value.log)
    return trial.suggest_float(key, value.low, value.high, log=value.log)
