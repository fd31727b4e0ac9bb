"""What a run left in its folder, as `run_reading` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROBE, HEAD, TUNED = "closed-form probe", "head alone", "fine-tuning"
METRICS = {"accuracy": "accuracy", "balanced": "balanced accuracy", "map": "mean average precision"}


@dataclass(frozen=True)
class Moment:
    """The validation images judged during a training.

    Attributes:
        epoch: passes over the training images so far.
        seconds: of training so far.
        accuracy: on the validation images, 0..1.
    """

    epoch: int
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class Trial:
    """One trial, as the search left it.

    Attributes:
        number: in the study; that of a probe is negative and tells its tap.
        kind: `probe`, `trial`, `repeat`, `out of time` or `interrupted`.
        state: `COMPLETE`, `PRUNED` or `FAIL`.
        values: by key path, scalars.
        accuracy: on the validation images under its first seed; of a pruned one its last; None without any.
        seconds: that it took.
        tap: stages kept; None where it never began.
        frozen: stages frozen of those, likewise.
        trained: share of the recipe's steps that the time allowed; None without training.
        reason: why it was pruned or failed.
        ended: seconds since the epoch.
        curve: of its training.
    """

    number: int
    kind: str
    state: str
    values: Mapping[str, Any]
    accuracy: float | None
    seconds: float | None
    tap: int | None
    frozen: int | None
    trained: float | None
    reason: str
    ended: float
    curve: tuple[Moment, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return name_of(self.number)

    @property
    def way(self) -> str:
        """`PROBE`, `HEAD` or `TUNED`."""
        if self.kind == "probe":
            return PROBE
        if self.tap is None or self.frozen is None:
            return HEAD if self.values.get("freeze.depth") == 1 else TUNED
        return HEAD if self.tap == self.frozen else TUNED

    @property
    def complete(self) -> bool:
        """Whether it has the figure that it is judged by."""
        return self.state == "COMPLETE" and self.kind in ("probe", "trial") and self.accuracy is not None

    @property
    def lr_ratio(self) -> float | None:
        """Learning rate of the head over that of the backbone, where both learn."""
        found = self.values.get("optimizer.lr_ratio")
        return float(found) if self.way == TUNED and isinstance(found, int | float) and found > 0 else None


@dataclass(frozen=True)
class JudgedImage:
    """A test image.

    Attributes:
        path: its identifier.
        label: its label, or labels between `|`.
        predicted: what the model says, likewise.
        probability: of the likeliest label, calibrated.
        own: of the given label; the mean over all labels of being told right where there may be several.
    """

    path: str
    label: str
    predicted: str
    probability: float
    own: float

    @property
    def right(self) -> bool:
        """Whether the model says what is given."""
        return self.label == self.predicted


@dataclass(frozen=True)
class Rival:
    """A trial that the winner was compared with.

    Attributes:
        number: of the trial.
        kind: `probe` or `trial`.
        accuracy: over all its seeds.
        first: under the first seed.
        seeds: under how many it was judged.
    """

    number: int
    kind: str
    accuracy: float
    first: float
    seeds: int


@dataclass(frozen=True)
class Choice:
    """How the winner was chosen; see `advisor.tuning.confirm.Choice`."""

    chosen: int
    best: int
    behind: float
    behind_se: float
    optimism: float
    sure: int
    rivals: tuple[Rival, ...]


@dataclass(frozen=True)
class Figures:
    """`best/report.json`: what the run came to.

    Attributes:
        metric: in words.
        test: on the test images; None where there are none. Accuracy, or mean average precision.
        test_interval: 95 %.
        test_balanced: mean over classes of their recall; None of several labels.
        test_images: how many.
        per_class: by class, test images and recall (average precision), 0..1.
        multilabel: whether an image may have several labels.
        validation: of the winner over its seeds.
        probe: of the best closed-form probe on the same images.
        rest: all of the file.
    """

    metric: str
    test: float | None
    test_interval: tuple[float, float]
    test_balanced: float | None
    test_images: int
    per_class: Mapping[str, tuple[int, float]]
    multilabel: bool
    validation: float
    validation_images: int
    folds: int
    probe: float | None
    temperature: float
    classes: tuple[str, ...]
    splits: Mapping[str, int]
    backbone: Mapping[str, str]
    winner: int
    winner_kind: str
    winner_values: Mapping[str, Any]
    choice: Choice
    trials: int
    seconds: float
    budget: float
    ended: str
    facts: Mapping[str, str]
    versions: Mapping[str, str]
    plugins: tuple[str, ...]

    @property
    def compared(self) -> float | None:
        """The test figure in the measure that the validation figures and the forecast have."""
        return self.test_balanced if self.metric == METRICS["balanced"] else self.test


@dataclass(frozen=True)
class Evidence:
    """`evidence.json`: what a report is made of.

    Attributes:
        stages: names of those of the winner's network, input side first; may be empty.
        trials: that ended, in that order.
        importances: by key, share of the differences between trials.
        mistakes: the worst, with their pictures as data URIs.
        forecast: accuracy, and its 80 % interval, that the recommendation expected; None without one.
    """

    stages: tuple[str, ...]
    trials: tuple[Trial, ...]
    importances: Mapping[str, float]
    mistakes: tuple[tuple[JudgedImage, str], ...]
    forecast: tuple[float, float, float] | None


@dataclass(frozen=True)
class Change:
    """The winner with one value changed: what that value is worth, with its standard error, points of 0..1."""

    key: str
    winner: Any
    other: Any
    gain: float
    gain_se: float


@dataclass(frozen=True)
class Explained:
    """`explanation.json` of `advisor explain`; the curve is by way (`winner`, `from-scratch`)."""

    changes: tuple[Change, ...]
    left_out: tuple[str, ...]
    curve: Mapping[str, tuple[tuple[int, float], ...]]
    winner_steps: int | None
    scratch_steps: int | None


@dataclass(frozen=True)
class RunFolder:
    """All that a run left.

    Attributes:
        folder: of it.
        figures: what it came to.
        evidence: None where it is missing or damaged.
        tested: every test image; None likewise.
        explained: None where nobody asked for it, or likewise.
        missing: what could not be read and why, in sentences.
        timm: whether timm alone loads the model.
        model_bytes: of its file; 0 where it is gone.
    """

    folder: Path
    figures: Figures
    evidence: Evidence | None = field(repr=False)
    tested: tuple[JudgedImage, ...] | None = field(repr=False)
    explained: Explained | None = field(repr=False)
    missing: tuple[str, ...]
    timm: bool
    model_bytes: int

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Those that are known, in the order in which they ended."""
        return self.evidence.trials if self.evidence else ()

    @property
    def winner(self) -> Trial | None:
        """The trial that is handed over, where it is known."""
        return next((trial for trial in self.trials if trial.number == self.figures.winner), None)


def name_of(number: int) -> str:
    """What a trial is called; a probe by its stage."""
    return f"probe at stage {-number}" if number < 0 else f"trial {number}"
