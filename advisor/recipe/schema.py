"""What a recipe and a plan are, and every key they may hold.

A recipe says what a trial may do. Each value is a scalar (fixed), `{ low, high, log, start }` or
`{ choices, start }` (searched); a missing key takes its default. `start` is where the search begins.
A plan, `advisor.toml`, is a recipe together with a dataset, a backbone and the evidence for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from advisor.data.augmentations import AUGMENTATIONS
from advisor.data.range import NO_RANGES, ValueRanges
from advisor.network.stages import CODES
from advisor.types import FITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.types import Param, Scalar

SCHEMA = 1
PARTS = ("all", "bias", "lora")
MAX_SEED = 2**32 - 1  # of numpy and Optuna


@dataclass(frozen=True, slots=True)
class Range:
    """A searched number between two bounds, both included."""

    low: float
    high: float
    log: bool = False
    start: float | None = None

    @property
    def first(self) -> float:
        """Where the search begins: `start`, or the middle."""
        if self.start is not None:
            return self.start
        return math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2


@dataclass(frozen=True, slots=True)
class Choices:
    """A value searched among a few."""

    choices: tuple[Scalar, ...]
    start: Scalar | None = None

    @property
    def first(self) -> Scalar:
        """Where the search begins: `start`, or the first choice."""
        return self.choices[0] if self.start is None else self.start


Value = bool | int | float | str | Range | Choices


@dataclass(frozen=True, slots=True)
class Key:
    """What a recipe key may hold.

    Attributes:
        kind: `float`, `int`, `str` or `bool`.
        default: what a missing key means.
        low: smallest number.
        high: largest number.
        choices: allowed words; empty for free text.
        searchable: whether a range or choices may stand here.
        help: one line, with the unit.
    """

    kind: type
    default: Scalar
    help: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Scalar, ...] = ()
    searchable: bool = True


KEYS: Mapping[str, Key] = {
    "features.tap": Key(
        float,
        1.0,
        "where the head reads, as a fraction of the stages; 1.0 is the penultimate vector",
        0.0,
        1.0,
    ),
    "features.also": Key(
        str,
        "",
        'earlier stages that the head reads beside the tap, as fractions of the stages: "0.5" or "0.4 0.7"; empty is '
        "none",
    ),
    "features.mirrored": Key(
        bool,
        False,
        "answer with the mean over an image and its mirror image, which takes twice the time at prediction",
    ),
    "features.codes": Key(
        str,
        "mean",
        "how a stage's output becomes a vector: its mean, that of its positive parts, or mean and deviation",
        choices=CODES,
        searchable=False,
    ),
    "features.weights": Key(
        str,
        "pretrained",
        "start from the pretrained weights, or from random ones: the honest baseline",
        choices=("pretrained", "random"),
    ),
    "features.input_size": Key(int, 0, "side of the square input, pixels; 0 is the backbone's own", 0, 4096),
    "features.fit": Key(
        str,
        "crop",
        "how a picture that is not square becomes one: crop keeps the middle, squash all of it with both sides of one "
        "length, pad all of it with borders",
        choices=FITS,
    ),
    "features.cache": Key(
        str,
        "auto",
        "what the frozen part computes: views once and kept, or fresh ones every epoch; auto keeps what is worth it, "
        "and a head that trains alone reads clean features, computed once; one fitted in closed form learns from all "
        "its views at once, which every trial shares, or fresh ones of its own",
        choices=("auto", "views", "fresh"),
        searchable=False,
    ),
    "features.views": Key(
        int, 4, "kept views of an image, the clean one among them; each epoch draws one", 1, 64, searchable=False
    ),
    "head.name": Key(str, "linear", "classifier on the tapped features; see `advisor heads`"),
    "head.init": Key(
        str, "probe", "start the head from the closed-form probe or at random", choices=("probe", "random")
    ),
    "freeze.depth": Key(
        float,
        1.0,
        "fraction of the stages below the tap that stay frozen; 1.0 trains the head only",
        0.0,
        1.0,
    ),
    "freeze.batchnorm": Key(
        str,
        "auto",
        "BatchNorm statistics: eval keeps the pretrained, adabn re-estimates them once on these images, train lets "
        "those of the part that trains follow; auto is eval in short trainings",
        choices=("auto", "eval", "adabn", "train"),
    ),
    "optimizer.name": Key(str, "adamw", "AdamW, or SGD with Nesterov momentum 0.9", choices=("adamw", "sgd")),
    "optimizer.lr": Key(float, 3e-4, "peak learning rate of the backbone", 1e-8, 10.0),
    "optimizer.lr_ratio": Key(float, 3.0, "learning rate of the head over that of the backbone", 1e-3, 1e4),
    "optimizer.weight_decay": Key(float, 1e-2, "decoupled weight decay, not on vectors", 0.0, 1.0),
    "optimizer.clip": Key(float, 1.0, "largest norm of the gradient; 0 is off", 0.0, 1e6),
    "optimizer.layer_decay": Key(
        float,
        1.0,
        "learning rate of the lowest stage over that of the highest, those between evenly in the logarithm; 1.0 treats "
        "all alike",
        1e-4,
        1.0,
    ),
    "optimizer.l2_sp": Key(float, 0.0, "pull of trained weights back to the pretrained ones; 0 is off", 0.0, 100.0),
    "train.steps": Key(
        int,
        0,
        "optimiser steps; 0 is as many as the images call for: 30 (1000/n)^(1/4) passes, never under 300 steps",
        0,
        10_000_000,
    ),
    "train.grow_from": Key(
        str,
        "",
        "sides and steps of what comes before, such as 64:300: the training begins at 64 pixels for 300 steps and goes "
        "on at the input size for steps",
        searchable=False,
    ),
    "train.epochs": Key(int, 0, "passes over the training images in place of steps; 0 leaves it to steps", 0, 10_000),
    "train.batch_size": Key(int, 32, "images per step", 2, 65_536),
    "train.warmup": Key(float, 0.1, "share of the steps in which the learning rate rises", 0.0, 0.9),
    "train.label_smoothing": Key(float, 0.0, "probability mass spread over the other classes", 0.0, 0.9),
    "train.augment": Key(
        str,
        "crop",
        "random views: none, crops, crops and mirroring, RandAugment or TrivialAugment (both without mirroring)",
        choices=AUGMENTATIONS,
    ),
    "train.mixup": Key(float, 0.0, "alpha of mixup's Beta distribution; 0 is off", 0.0, 10.0),
    "train.ema": Key(float, 0.0, "decay of the averaged weights that are kept; 0 is off", 0.0, 0.99999),
    "train.drop_path": Key(float, 0.0, "largest rate of stochastic depth in the part that trains; 0 is off", 0.0, 0.9),
    "train.parts": Key(
        str,
        "all",
        "what trains of the unfrozen stages: all, biases only (BitFit), or low-rank updates of the attention (LoRA), "
        "which are added to its weights in the end",
        choices=PARTS,
    ),
    "train.lora_rank": Key(int, 8, "rank of the low-rank updates", 1, 256),
    "train.balance": Key(
        str,
        "auto",
        "unequal classes: weight them, draw them equally often, or leave them; auto weights when balanced accuracy is "
        "wanted and the largest class has three times as many images as the smallest",
        choices=("auto", "none", "weights", "sampling"),
    ),
    "search.trials": Key(int, 20, "trials at most", 1, 100_000, searchable=False),
    "search.metric": Key(
        str,
        "accuracy",
        "what trials are judged by; balanced is the mean over classes of their recall; where images may have several "
        "labels it is mean average precision whatever stands here",
        choices=("accuracy", "balanced"),
        searchable=False,
    ),
    "search.folds": Key(
        int,
        0,
        "parts of the cross-validation; 1 is a single validation part, 0 decides by size and budget",
        0,
        20,
        searchable=False,
    ),
    "search.seeds": Key(int, 3, "seeds under which the best three trials are judged", 1, 20, searchable=False),
    "search.budget": Key(str, "10m", "time at most, such as 90s, 20m or 1h30m", searchable=False),
    "search.prefer": Key(
        str,
        "accurate",
        "which model is handed over of those within a standard error of the best: the best, the one that predicts "
        "fastest here, or the one with the smallest file",
        choices=("accurate", "fast", "small"),
        searchable=False,
    ),
}
WHEN = {"size": ("small", "large"), "distance": ("similar", "different")}
PLAN_TABLES: Mapping[str, Mapping[str, type]] = {
    "data": {"location": str, "digest": str, "seed": int, "skip_small_classes": bool},
    "backbone": {"name": str},
}
RANGE_TABLE = "range"  # of images deeper than eight bits; `advisor.data.range` has its keys
FREE_TABLES = ("evidence", "provenance")


@dataclass(frozen=True)
class Recipe:
    """What a trial may do.

    Attributes:
        name: short, unique among the installed recipes.
        summary: one line.
        scenario: 1 to 4 for the four classic transfer scenarios, None for another way.
        when: for `recommend`: `size` (small, large) and `distance` (similar, different).
        values: by key path such as `optimizer.lr`; only the keys that were given.
    """

    name: str
    summary: str = ""
    scenario: int | None = None
    when: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)

    def get(self, key: str) -> Value:
        """The value at a key path, or the key's default."""
        return self.values.get(key, KEYS[key].default if key in KEYS else "")

    def text(self, key: str) -> str:
        """A fixed text."""
        return str(self.get(key))

    def whole(self, key: str) -> int:
        """A fixed whole number.

        Raises:
            TypeError: it is no number, or it is searched.
        """
        value = self.get(key)
        if not isinstance(value, int | float):
            raise TypeError(f"{key} is {value!r}, no whole number")
        return int(value)

    def with_values(self, changes: Mapping[str, Value]) -> Recipe:
        """The same recipe with some values replaced."""
        return replace(self, values={**self.values, **changes})


@dataclass(frozen=True)
class Plan:
    """A recipe for one dataset and one backbone.

    Attributes:
        recipe: what a trial may do.
        location: of the dataset, as typed.
        digest: of the dataset when the plan was made; empty when not known.
        backbone: its name; where several are searched, that of the first trial.
        backbones: all that are searched; empty where there is only one.
        ranges: what is black and white in images deeper than eight bits; measured again where it says nothing.
        seed: of the split and of every trial.
        skip_small_classes: whether classes too small to split are left out.
        evidence: plain data on why; not read by `tune`.
    """

    recipe: Recipe
    location: str
    backbone: str
    digest: str = ""
    seed: int = 0
    skip_small_classes: bool = False
    evidence: Mapping[str, object] = field(default_factory=dict)
    backbones: tuple[str, ...] = ()
    ranges: ValueRanges = NO_RANGES


def key_of(param: Param) -> Key:
    """A head's own parameter as a recipe key."""
    low = -math.inf if param.low is None else param.low
    high = math.inf if param.high is None else param.high
    return Key(type(param.default), param.default, param.help, low, high, param.choices)
