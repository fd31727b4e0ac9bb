"""The values of one trial, typed; key paths such as `optimizer.lr` are for TOML, Optuna and tables only.

To add a value to the search, add its key to `schema.KEYS` and a field of the same name here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, TypeVar

from advisor.network.stages import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.network.stages import Stages
    from advisor.types import Scalar

BACKBONE = "backbone.name"
_BALANCE, _AUGMENT = "train.balance", "train.augment"
_PASSES, _LEAST_STEPS = 30, 300
MOST_ALSO = 2  # stages beside the tap; more columns than that brought nothing (benchmarks/several_stages.py)
JUDGEMENTS = 10  # of a training on the validation images
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class FeatureValues:
    """What the head reads; see `features.*` in `schema.KEYS`. None is a value that does nothing in this trial."""

    tap: float = 1.0
    weights: str = "pretrained"
    input_size: int = 0
    fit: str = "crop"
    also: str | None = None
    mirrored: bool | None = None
    cache: str | None = None
    views: int | None = None

    def reading(self, stages: Stages) -> Reading:
        """What of a network with these stages the head reads."""
        tap = stages.tap_index(self.tap)
        return Reading(tap, stages.also_indices(fractions_of(self.also or ""), tap), bool(self.mirrored))


def fractions_of(text: str) -> tuple[float, ...]:
    """What `features.also` says: fractions of the stages, separated by blanks.

    Raises:
        ValueError: something is no number above 0 and below 1, or there are more than two.
    """
    fractions = tuple(float(word) for word in text.split())
    if len(fractions) > MOST_ALSO or not all(0 < fraction < 1 for fraction in fractions):
        raise ValueError(f"`{text}` is not one or two fractions of the stages")
    return fractions


@dataclass(frozen=True, slots=True)
class HeadValues:
    """The classifier; see `head.*` in `schema.KEYS`.

    Attributes:
        name: of the head.
        init: `probe` or `random`.
        params: the head's own values by name, as its plugin declares them.
    """

    name: str = "linear"
    init: str = "probe"
    params: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FreezeValues:
    """What is not trained; see `freeze.*` in `schema.KEYS`."""

    depth: float = 1.0
    batchnorm: str = "auto"


@dataclass(frozen=True, slots=True)
class OptimizerValues:
    """How weights are moved; see `optimizer.*` in `schema.KEYS`. None does nothing where only a head trains."""

    name: str
    lr: float
    lr_ratio: float
    weight_decay: float
    clip: float = 1.0
    layer_decay: float | None = None
    l2_sp: float | None = None

    @property
    def head_lr(self) -> float:
        """Peak learning rate of the head."""
        return self.lr * self.lr_ratio


@dataclass(frozen=True, slots=True)
class TrainValues:
    """How long and on what; see `train.*` in `schema.KEYS`. None does nothing where only a head trains."""

    batch_size: int
    warmup: float
    label_smoothing: float
    mixup: float
    ema: float
    steps: int = 0
    epochs: int = 0
    augment: str | None = None
    drop_path: float | None = None
    parts: str | None = None
    lora_rank: int | None = None
    grow_from: str | None = None

    def length(self, images: int) -> int:
        """Optimiser steps on so many training images."""
        if self.epochs:
            return self.epochs * steps_per_epoch(images, self.batch_size)
        return self.steps or automatic_steps(images, self.batch_size)

    def passes(self, images: int) -> int:
        """Passes over so many training images, a begun one counted whole."""
        return math.ceil(self.length(images) / steps_per_epoch(images, self.batch_size))


def growth_of(text: str) -> tuple[tuple[int, int], ...]:
    """Sides and steps of `train.grow_from`, in the order in which they are trained.

    Raises:
        ValueError: it is not written as `64:300, 96:150`.
    """
    phases = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        side, colon, steps = part.partition(":")
        if not colon or not side.strip().isdigit() or not steps.strip().isdigit() or not int(side) or not int(steps):
            raise ValueError(f"`{part}` is no side and steps, such as 64:300")
        phases.append((int(side), int(steps)))
    return tuple(phases)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Steps of one pass; a last batch of a single image is left out."""
    size = min(batch_size, max(1, images))
    return max(1, images // size + (images % size > 1 or (size == 1 and images % size > 0)))


def automatic_steps(images: int, batch_size: int) -> int:
    """As many steps as a set of so many images calls for.

    30 (1000/n)^(1/4) passes: near the 500 steps of the smallest published recipes, the 1 000 of VTAB-1k and some ten
    passes at 50 000; never under 300 steps [Kolesnikov 2020, Zhai 2019; docs/method.md section 6].
    """
    passes = _PASSES * math.sqrt(math.sqrt(1000 / max(1, images)))
    return max(_LEAST_STEPS, round(passes * steps_per_epoch(images, batch_size)))


@dataclass(frozen=True, slots=True)
class TrialValues:
    """Everything that makes one trial differ from another.

    Attributes:
        features: what the head reads.
        head: the classifier.
        freeze: what is not trained.
        balance: how classes are made to count alike: `auto`, `none`, `weights` or `sampling`.
        optimizer: None where nothing takes gradient steps.
        train: likewise.
        backbone: its name where several are searched; empty otherwise.
        view_kind: random views that a head fitted in closed form learns from, as `train.augment` names them; empty
            where it learns from the clean ones alone, or takes steps.
    """

    features: FeatureValues = FeatureValues()
    head: HeadValues = field(default_factory=HeadValues)
    freeze: FreezeValues = FreezeValues()
    balance: str = "auto"
    optimizer: OptimizerValues | None = None
    train: TrainValues | None = None
    backbone: str = ""
    view_kind: str = ""

    @property
    def steps(self) -> tuple[OptimizerValues, TrainValues]:
        """How gradient steps are taken.

        Raises:
            ValueError: this trial takes none.
        """
        if self.optimizer is None or self.train is None:
            raise ValueError("a trial that takes gradient steps needs values for optimizer and train")
        return self.optimizer, self.train

    @property
    def augment(self) -> str:
        """Random views of the images; `none` where the plain ones are read."""
        return (self.train.augment if self.train else self.view_kind) or "none"

    @property
    def drop_path(self) -> float:
        """Largest rate of stochastic depth; 0 is off."""
        return (self.train.drop_path if self.train else None) or 0.0

    @property
    def parts(self) -> str:
        """What trains of the unfrozen stages: `all`, `bias` or `lora`."""
        return (self.train.parts if self.train else None) or "all"

    @property
    def before(self) -> TrialValues | None:
        """The training at a smaller input that this one goes on from; None where it begins anew.

        Raises:
            ValueError: `train.grow_from` cannot be read.
        """
        if self.train is None or not self.train.grow_from:
            return None
        *earlier, (side, steps) = growth_of(self.train.grow_from)
        text = ", ".join(f"{side}:{steps}" for side, steps in earlier)
        return replace(self.at_size(side), train=replace(self.train, steps=steps, epochs=0, grow_from=text or None))

    def grown(self, side: int, steps: int, taken: int) -> TrialValues:
        """This training, gone on with at a larger input.

        Args:
            side: of the larger input, pixels.
            steps: there.
            taken: steps of this training.
        """
        assert self.train is not None
        mine = f"{self.features.input_size}:{taken}"
        text = f"{self.train.grow_from}, {mine}" if self.train.grow_from else mine
        return replace(self.at_size(side), train=replace(self.train, steps=steps, epochs=0, grow_from=text))

    def at_depth(self, depth: float) -> TrialValues:
        """The same with another freeze depth."""
        return replace(self, freeze=replace(self.freeze, depth=depth))

    def at_size(self, side: int) -> TrialValues:
        """The same with another input size, pixels."""
        return replace(self, features=replace(self.features, input_size=side))

    def to_flat(self) -> dict[str, Scalar]:
        """By key path, without what does nothing."""
        flat: dict[str, Scalar | None] = {BACKBONE: self.backbone or None}
        for name in ("features", "freeze", "optimizer", "train"):
            part = getattr(self, name)
            if part is not None:
                flat |= {f"{name}.{one.name}": getattr(part, one.name) for one in fields(part)}
        if self.train is None:
            flat[_AUGMENT] = self.view_kind or None
        flat |= {"head.name": self.head.name, "head.init": self.head.init, _BALANCE: self.balance}
        flat |= {f"head.{self.head.name}.{name}": value for name, value in self.head.params.items()}
        return {key: value for key, value in flat.items() if value is not None}

    @classmethod
    def from_flat(cls, flat: Mapping[str, Scalar]) -> TrialValues:
        """The inverse of `to_flat`; keys of other heads and of the search are left out.

        Raises:
            KeyError: gradient steps are described in part only.
        """
        head = str(flat.get("head.name", "linear"))
        own = f"head.{head}."
        params = {key.removeprefix(own): value for key, value in flat.items() if key.startswith(own)}
        trains = "optimizer.lr" in flat
        return cls(
            features=_part(FeatureValues, "features", flat),
            head=HeadValues(head, str(flat.get("head.init", "probe")), params),
            freeze=_part(FreezeValues, "freeze", flat),
            balance=str(flat.get(_BALANCE, "auto")),
            optimizer=_part(OptimizerValues, "optimizer", flat) if trains else None,
            train=_part(TrainValues, "train", flat) if trains else None,
            backbone=str(flat.get(BACKBONE, "")),
            view_kind="" if trains else str(flat.get(_AUGMENT, "")),
        )


def _part(kind: type[_T], name: str, flat: Mapping[str, Scalar]) -> _T:
    """A section out of flat values; a missing one that has no default is a `KeyError`, a whole number is a float."""
    given: dict[str, Scalar] = {}
    for one in fields(kind):  # type: ignore[arg-type]
        key = f"{name}.{one.name}"
        if key in flat:
            value = flat[key]
            given[one.name] = float(value) if "float" in str(one.type) and isinstance(value, int) else value
    try:
        return kind(**given)
    except TypeError as error:
        raise KeyError(f"{name}: {error}") from error
