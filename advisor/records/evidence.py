"""What a report is made of beside the figures: `evidence.json`, `predictions.csv` and `explanation.json`."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from advisor.records.plain import Plain
from advisor.records.trial import CurvePoint, TrialRecord, trial_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from advisor.types import Scalar

_FORMAT = 2  # 1 had the share `trained` in place of a trial's steps


@dataclass(frozen=True)
class JudgedImage:
    """A test image and what the model says of it.

    Attributes:
        path: its identifier.
        label: its label, or labels between `|`.
        predicted: what the model says, likewise.
        probability: of the likeliest label, calibrated.
        own: of the given label; the mean over all labels of being told right where there may be several.
        family: equal for images that go together; empty where that is not known.
    """

    path: str
    label: str
    predicted: str
    probability: float
    own: float
    family: str = ""

    @property
    def right(self) -> bool:
        """Whether the model says what is given."""
        return self.label == self.predicted

    @classmethod
    def from_dict(cls, data: object) -> JudgedImage:
        """Out of a row of `predictions.csv` or an entry of `evidence.json`; errors as of `Plain`."""
        plain = Plain(data)
        return cls(
            plain.text("path"), plain.text("label"), plain.text("predicted"),
            min(1.0, max(0.0, plain.number("probability"))), plain.number("own"), plain.text("family", ""),
        )  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """A test image that the model is sure to know and does not.

    Attributes:
        image: which, and what was said of it.
        picture: a small one as a data URI; empty where it was none.
    """

    image: JudgedImage
    picture: str = field(repr=False)


@dataclass(frozen=True)
class ForecastRecord:
    """Accuracy, and its 80 % interval, that the recommendation expected."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class EvidenceRecord:
    """`evidence.json`.

    Attributes:
        stages: names of those of the winner's network, input side first; may be empty.
        trials: that ended, in that order.
        importances: by key path, share of the differences between trials.
        mistakes: the worst.
        forecast: what the recommendation expected; None without one.
    """

    stages: tuple[str, ...]
    trials: tuple[TrialRecord, ...]
    importances: Mapping[str, float]
    mistakes: tuple[Mistake, ...]
    forecast: ForecastRecord | None

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "format": _FORMAT,
            "stages": list(self.stages),
            "trials": [trial.to_dict() for trial in self.trials],
            "importances": dict(self.importances),
            "mistakes": [{**asdict(one.image), "picture": one.picture} for one in self.mistakes],
            "forecast": asdict(self.forecast) if self.forecast else {},
        }

    @classmethod
    def from_dict(cls, data: object) -> EvidenceRecord:
        """The inverse of `to_dict`, for this format and the one before; errors as of `Plain`."""
        plain = Plain(data)
        written = plain.maybe_whole("format") or 1
        if written > _FORMAT:
            raise ValueError(f"it is of format {written}, which a later version of transfer-advisor wrote")
        read = TrialRecord.from_dict if written == _FORMAT else _trial_of_format_1
        trials = (read(one) for one in plain.list_of("trials"))
        return cls(
            stages=plain.texts("stages", ()),
            trials=tuple(sorted(trials, key=lambda trial: (trial.ended or 0.0, trial.number))),
            importances=plain.shares("importances"),
            mistakes=tuple(map(_mistake, plain.list_of("mistakes"))),
            forecast=forecast_of(plain.table("forecast")),
        )


@dataclass(frozen=True)
class Ablation:
    """The winner with one value changed.

    Attributes:
        key: path of the value.
        winner: its value in the winner.
        other: what it was changed to.
        gain: accuracy of the winner less that of the changed trial, 0..1.
        gain_se: paired standard error of that over the validation images.
    """

    key: str
    winner: Scalar
    other: Scalar
    gain: float
    gain_se: float


@dataclass(frozen=True)
class Explanation:
    """Why a winner won: `explanation.json`.

    Attributes:
        trial: the winner's number.
        importances: share of the differences between trials that each searched value explains.
        ablations: by size of the gain.
        left_out: what the time did not allow, with the reason.
        curves: accuracy on the validation images by way, `winner` or `from-scratch`.
        winner_steps: after which the winner had the best accuracy that from-scratch reached; None if never, or if no
            such curve was made. A head that was fitted in closed form has it before the first step.
        scratch_steps: after which from-scratch had it.
    """

    trial: int
    importances: Mapping[str, float]
    ablations: tuple[Ablation, ...]
    left_out: tuple[str, ...]
    curves: Mapping[str, tuple[CurvePoint, ...]]
    winner_steps: int | None
    scratch_steps: int | None

    @property
    def name(self) -> str:
        """What the winner is called."""
        return f"the closed-form {trial_name(self.trial)}" if self.trial < 0 else trial_name(self.trial)

    @property
    def curve(self) -> pd.DataFrame:
        """All curves as one table: way, epoch, steps, seconds, accuracy."""
        import pandas as pd

        rows = [{"way": way, **asdict(point)} for way, points in self.curves.items() for point in points]
        return pd.DataFrame(rows, columns=["way", "epoch", "steps", "seconds", "accuracy"])

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "trial": self.trial,
            "importances": dict(self.importances),
            "ablations": [asdict(entry) for entry in self.ablations],
            "left_out": list(self.left_out),
            "curve": [{"way": way, **asdict(point)} for way, points in self.curves.items() for point in points],
            "winner_steps": self.winner_steps,
            "scratch_steps": self.scratch_steps,
        }

    @classmethod
    def from_dict(cls, data: object) -> Explanation:
        """The inverse of `to_dict`; errors as of `Plain`."""
        plain = Plain(data)
        curves: dict[str, tuple[CurvePoint, ...]] = {}
        for row in plain.tables("curve"):
            if (accuracy := row.maybe("accuracy")) is not None:
                way = row.text("way")
                point = CurvePoint(row.whole("epoch"), row.whole("steps"), row.maybe("seconds") or 0.0, accuracy)
                curves[way] = (*curves.get(way, ()), point)
        return cls(
            trial=plain.whole("trial"),
            importances=plain.shares("importances"),
            ablations=tuple(map(_ablation, plain.tables("ablations"))),
            left_out=plain.texts("left_out", ()),
            curves=curves,
            winner_steps=plain.maybe_whole("winner_steps"),
            scratch_steps=plain.maybe_whole("scratch_steps"),
        )


def read_predictions(path: Path) -> tuple[JudgedImage, ...]:
    """`predictions.csv`, a row for each test image.

    Raises:
        OSError: it cannot be read.
        csv.Error: it is damaged; errors as of `Plain`, too.
    """
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(JudgedImage.from_dict(row) for row in csv.DictReader(file, strict=True))


def forecast_of(expected: Plain) -> ForecastRecord | None:
    """What a plan's evidence expects; None where it expects nothing, or says it in part only."""
    accuracy, low, high = (expected.maybe(key) for key in ("accuracy", "low", "high"))
    return None if accuracy is None or low is None or high is None else ForecastRecord(accuracy, low, high)


def _trial_of_format_1(data: object) -> TrialRecord:
    """A trial whose steps are those at the end of its curve, and the planned ones what `trained` makes of them."""
    trial, trained = TrialRecord.from_dict(data), Plain(data).maybe("trained")
    if not trial.curve or not trained or trained < 0:
        return trial
    steps = trial.curve[-1].steps
    return replace(trial, steps=steps, planned_steps=round(steps / trained))


def _mistake(data: object) -> Mistake:
    uri = Plain(data).text("picture")
    return Mistake(JudgedImage.from_dict(data), uri if uri.startswith("data:image/") else "")


def _ablation(one: Plain) -> Ablation:
    winner, other = one.scalar("winner"), one.scalar("other")
    return Ablation(one.text("key"), winner, other, one.number("gain"), one.number("gain_se"))
