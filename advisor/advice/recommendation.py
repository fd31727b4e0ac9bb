"""What `advisor recommend` hands back: the measurements, the verdict and the plan."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from advisor.advice.planning import first_of
from advisor.advice.scenario import turning_point
from advisor.notebook import bullets, card, paragraph, table
from advisor.strategy import SCENARIOS
from advisor.units import show_duration

if TYPE_CHECKING:
    import pandas as pd

    from advisor.advice.backbones import BackboneRow
    from advisor.advice.cost import Cost, WayCost
    from advisor.advice.distance import Distance
    from advisor.advice.examples import Examples
    from advisor.advice.fits import FitComparison
    from advisor.advice.forecast import Expected
    from advisor.advice.health import ConfusedClasses, Suspect
    from advisor.advice.input_sizes import SizeCurve
    from advisor.advice.inspection import ClassAdvice
    from advisor.advice.labels import LabelCurve
    from advisor.advice.priors import Family
    from advisor.advice.probe import ProbeCurve
    from advisor.advice.scenario import Size, Verdict
    from advisor.advice.timetable import Timetable
    from advisor.data.profile import DatasetProfile
    from advisor.recipe import Plan
    from advisor.strategy import Strategy
    from advisor.types import Weights


@dataclass(frozen=True)
class WayRow:
    """What one way may bring and cost.

    Attributes:
        strategy: the way.
        probability: of its scenario by size and distance alone; not a number for LP-FT, which belongs to none.
        expected: accuracy.
        cost: of one training.
        recommended: whether it is the verdict's.
    """

    strategy: Strategy
    probability: float
    expected: Expected
    cost: WayCost
    recommended: bool


@dataclass(frozen=True)
class Recommendation:
    """What to do with a dataset, and why.

    Attributes:
        profile: of the dataset.
        backbone: its name.
        weights: where its weights come from, their licence and source data.
        size: soft size.
        distance: from the source data.
        curve: probes at every stage.
        labels: accuracy against labels; None with too few images.
        classes: one entry per class.
        suspects: images whose label looks wrong, the surest first.
        confusions: pairs of classes that are mixed up most.
        verdict: the decision.
        plan: the recipe with its values, for `advisor tune`.
        start_lr: learning rate of the backbone to begin with.
        family: how networks of this kind are fine-tuned.
        sizes: the probe at smaller inputs; None where the network takes no smaller one.
        times: what could be done in how much time.
        cost: measured here.
        backbones: those that were compared, the most accurate first; empty when one was given.
        examples: typical and odd images of every class.
        fits: the probe on central squares and on whole pictures; None where the pictures are about square.
    """

    profile: DatasetProfile
    backbone: str
    weights: Weights
    size: Size
    distance: Distance
    curve: ProbeCurve
    labels: LabelCurve | None
    classes: tuple[ClassAdvice, ...]
    suspects: tuple[Suspect, ...]
    confusions: tuple[ConfusedClasses, ...]
    verdict: Verdict
    plan: Plan
    start_lr: float
    family: Family
    sizes: SizeCurve | None
    times: Timetable
    cost: Cost
    backbones: tuple[BackboneRow, ...] = ()
    examples: tuple[Examples, ...] = ()
    fits: FitComparison | None = None

    @property
    def overtaking(self) -> int | None:
        """Images per class from which fine-tuning would be recommended; None where it is, or none are enough."""
        if self.verdict.strategy.fine_tunes:
            return None
        return turning_point(self.size, self.distance, self.curve, self.times)

    @property
    def flips(self) -> tuple[str, ...]:
        """What would change the verdict, in words: labels, thresholds, and the time there is for a training."""
        verdict, tuning = self.verdict, self.times.tuning
        rival = verdict.expected[verdict.rival].accuracy
        if verdict.strategy.fine_tunes:
            budget = (
                f"less than {show_duration(tuning.seconds)} for a training: a classifier on frozen features "
                f"({show_duration(self.cost.ways[verdict.rival].seconds)}, expected {rival:.2f} against "
                f"{verdict.forecast.accuracy:.2f})"
            )
        elif verdict.lead > 0:
            budget = (
                f"{show_duration(tuning.seconds)} to spare for an expected gain of {100 * verdict.lead:.1f} points: "
                "fine-tune"
            )
        else:
            return verdict.flips
        return (*verdict.flips, budget)

    @property
    def way_rows(self) -> tuple[WayRow, ...]:
        """What each way may bring and cost, where a recipe for it is installed."""
        return tuple(
            WayRow(
                strategy=strategy,
                probability=math.nan if strategy.scenario is None else self.verdict.probabilities[strategy.scenario],
                expected=expected,
                cost=self.cost.ways[strategy],
                recommended=strategy is self.verdict.strategy,
            )
            for strategy, expected in self.verdict.expected.items()
            if strategy in self.cost.ways
        )

    @property
    def ways(self) -> pd.DataFrame:
        """What each way may bring and cost, a row for each scenario's (`1` to `4`) and for `lp-ft`.

        Columns: `way` in words, `probability` of the scenario, `expected` accuracy with `low` and `high` (80 %),
        `seconds` of one training, `extra_bytes` of memory for it, `recommended`.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "scenario": row.strategy.value,
                "way": row.strategy.label,
                "probability": row.probability,
                "expected": row.expected.accuracy,
                "low": row.expected.low,
                "high": row.expected.high,
                "seconds": row.cost.seconds,
                "extra_bytes": row.cost.extra_bytes,
                "recommended": row.recommended,
            }
            for row in self.way_rows
        ).set_index("scenario")

    def _repr_html_(self) -> str:
        """For notebooks: the verdict, why, and what each way may bring."""
        verdict, profile = self.verdict, self.profile
        label = verdict.strategy.label
        point = self.curve.points[verdict.tap_stage - 1]
        rows = [
            (row.strategy.value, row.strategy.label, "" if math.isnan(row.probability) else f"{row.probability:.2f}",
             f"{row.expected.accuracy:.2f} ({row.expected.low:.2f} to {row.expected.high:.2f})",
             show_duration(row.cost.seconds))
            for row in self.way_rows
        ]  # fmt: skip
        columns = ("scenario", "way", "probability", f"expected {self.curve.metric} (80 %)", "one training")
        return card(
            f"Scenario {verdict.scenario}: {SCENARIOS[verdict.scenario].words}. {label[0].upper()}{label[1:]}.",
            ""
            if verdict.learnable
            else paragraph("No probe learns anything from these images: check the labels first."),
            paragraph(verdict.departure) if verdict.departure else "",
            bullets(verdict.reasons),
            table(columns, rows, strong=[row.recommended for row in self.way_rows].index(True)),
            paragraph(
                f"{profile.name}, {profile.images} images, read by {self.backbone} at {point.name}: "
                f"probe {point.accuracy:.3f} ± {point.se:.3f}. advisor.tune(…) runs the plan."
            ),
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        recipe = self.plan.recipe
        return {
            "dataset": self.profile.to_dict(),
            "backbone": {
                "name": self.backbone,
                "source": self.weights.source,
                "licence": self.weights.licence,
                "trained_on": self.weights.trained_on,
            },
            "size": self.size.to_dict(),
            "distance": self.distance.to_dict(),
            "probes": self.curve.to_dict(),
            "fits": self.fits.to_dict() if self.fits else None,
            "input_sizes": self.sizes.to_dict() if self.sizes else None,
            "times": self.times.to_dict(),
            "labels": self.labels.to_dict() if self.labels else None,
            "classes": [asdict(entry) for entry in self.classes],
            "suspects": [asdict(entry) for entry in self.suspects],
            "confusions": [asdict(entry) for entry in self.confusions],
            "verdict": {**self.verdict.to_dict(), "flips": self.flips},
            "recipe": {
                "name": recipe.name,
                "summary": recipe.summary,
                "start": {key: first_of(value) for key, value in recipe.values.items()},
            },
            "cost": self.cost.to_dict(),
            "backbones": [asdict(row) for row in self.backbones],
            "examples": [asdict(entry) for entry in self.examples],
        }
