"""What a run came to: `best/report.json`, the one source of its figures for report, card, `explain` and Python."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from advisor.records.plain import Plain, rounded
from advisor.records.trial import Member, TrialKind, members_from_list, members_to_list, trial_name, values_of
from advisor.task import ClassScore, Task, make_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.recipe.values import TrialValues

_CORE = "transfer-advisor"


@dataclass(frozen=True)
class DatasetRecord:
    """The images of a run.

    Attributes:
        location: as typed.
        digest: of files, labels and given parts.
        multilabel: whether an image may have several labels.
        splits: images in each part.
        classes: names, in the order of the model's answers.
    """

    location: str
    digest: str
    multilabel: bool
    splits: Mapping[str, int]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class BackboneRecord:
    """The network that the winner began with, and where its weights come from; see `advisor.types.Weights`."""

    name: str
    source: str = ""
    sha256: str = ""
    licence: str = "unknown"
    trained_on: str = "unknown"


@dataclass(frozen=True)
class SearchRecord:
    """How long it was searched.

    Attributes:
        budget: seconds allowed.
        trials: allowed.
        ended: `trials`, `time`, `exhausted` or `interrupted`.
        seconds: of the session that handed over.
        trials_run: that used up one of the allowed number.
    """

    budget: float
    trials: int
    ended: str
    seconds: float
    trials_run: int


@dataclass(frozen=True)
class WinnerRecord:
    """The trial that is handed over.

    Attributes:
        number: in the study; that of a probe is negative.
        kind: `TrialKind.PROBE`, `TrialKind.TRIAL` or `TrialKind.SOUP`.
        trained: share of its steps that the time allowed.
        values: of the trial.
        refitted: whether it was fitted again on training and validation images; the validation figures are those
            from before.
        members: trainings whose weights it averages, the best first; empty where it is one training. `values` are then
            those of the first of them.
    """

    number: int
    kind: TrialKind
    trained: float
    values: TrialValues
    refitted: bool = False
    members: tuple[Member, ...] = ()

    @property
    def is_probe(self) -> bool:
        """Whether it is a closed-form probe."""
        return self.kind is TrialKind.PROBE

    @property
    def member_names(self) -> str:
        """The trainings whose weights it averages, in words; empty where it is one training."""
        return " and ".join(member.name for member in self.members)

    @property
    def name(self) -> str:
        """What it is called."""
        if self.members:
            return f"the average of {len(self.members)} trainings"
        return "the closed-form probe" if self.is_probe else trial_name(self.number)


@dataclass(frozen=True)
class RivalRecord:
    """A trial that the winner was compared with.

    Attributes:
        number: of the trial.
        kind: as above.
        accuracy: over all its seeds.
        first_seed: under the first.
        seeds: under how many it was judged.
        seconds: of an image through its network on the run's device; None where speed and size did not count.
        size: of its weights, bytes; likewise.
    """

    number: int
    kind: TrialKind
    accuracy: float
    first_seed: float
    seeds: int
    seconds: float | None = None
    size: int | None = None


@dataclass(frozen=True)
class ChoiceRecord:
    """How the winner was chosen; see `advisor.tuning.confirm.Choice`.

    Attributes:
        chosen: number of the winner.
        best: number of the most accurate trial over all its seeds.
        behind: how much less accurate the winner is, 0..1.
        behind_se: paired standard error of that.
        optimism: by how much the best figure is too high, from being the best.
        sure: leaders that were judged under every seed.
        unsure: leaders that were not.
        rivals: that were compared.
        prefer: `accurate`, or `fast` or `small` where a cheaper one was taken of those that cannot be told apart.
    """

    chosen: int
    best: int
    behind: float
    behind_se: float
    optimism: float
    sure: int
    unsure: int
    rivals: tuple[RivalRecord, ...]
    prefer: str = "accurate"


@dataclass(frozen=True)
class PluginRecord:
    """An installed plugin."""

    name: str
    distribution: str
    version: str
    status: str

    @property
    def is_core(self) -> bool:
        """Whether it came with the core."""
        return self.distribution == _CORE


@dataclass(frozen=True)
class RunRecord:
    """A run's figures and where they come from.

    Attributes:
        dataset: the images.
        backbone: of the winner.
        recipe: name of the plan's.
        scenario: its number, 1 to 4; None for another way.
        advice: the plan's evidence, as the recommendation wrote it; an open table.
        seed: of splits and trials.
        device: that computed.
        search: how long.
        winner: what is handed over.
        choice: why.
        metric: of all validation figures, `advisor.task.Task.metric`.
        validation: of the winner over all its seeds; optimistic, since it was chosen by it.
        validation_seeds: under how many the winner was judged.
        folds: of the cross-validation; 1 is a single validation part.
        validation_images: that judged.
        probe: of the best closed-form probe on the same images, the floor; None without one.
        test: score on the untouched test images, every image counting the same; None without any.
        test_interval: its 95 % interval.
        test_balanced: mean over the classes of their recall; None without test images, or where classes have none.
        test_images: how many.
        temperature: factor that turns logits into calibrated ones.
        per_class: of the test images, classes without any left out.
        versions: of everything a result depends on.
        plugins: that were installed.
        test_independent: test images when those that go together (near copies, or a given group) count as one; None
            where that is not known, as of old runs.
        validation_independent: likewise, of the images that judged.
        validation_interval: 95 % interval of the winner's validation figure; None where it is not known.
        probe_interval: likewise, of the probe's.
    """

    dataset: DatasetRecord
    backbone: BackboneRecord
    recipe: str
    scenario: int | None
    advice: Mapping[str, object] = field(repr=False)
    seed: int
    device: str
    search: SearchRecord
    winner: WinnerRecord
    choice: ChoiceRecord
    metric: str
    validation: float
    validation_seeds: int
    folds: int
    validation_images: int
    probe: float | None
    test: float | None
    test_interval: tuple[float, float]
    test_balanced: float | None
    test_images: int
    temperature: float
    per_class: tuple[ClassScore, ...] = field(repr=False)
    versions: Mapping[str, str] = field(repr=False)
    plugins: tuple[PluginRecord, ...] = field(repr=False)
    test_independent: int | None = None
    validation_independent: int | None = None
    validation_interval: tuple[float, float] | None = None
    probe_interval: tuple[float, float] | None = None

    @property
    def task(self) -> Task:
        """What was learnt, and how it was judged."""
        return make_task(self.dataset.classes, multilabel=self.dataset.multilabel, metric=self.metric)

    @property
    def metric_name(self) -> str:
        """Of the validation figures, in words."""
        return self.task.metric_name

    @property
    def guessing(self) -> float | None:
        """What `compared` would be of an answer that does not look at the image; None without test images."""
        return self.task.guess(self.per_class, self.test_images) if self.test_images else None

    @property
    def beats_guessing(self) -> bool | None:
        """Whether the test images say so, at 95 %; None without any."""
        if self.guessing is None or self.compared is None:
            return None
        if self.metric != "balanced":
            return self.test_interval[0] > self.guessing
        # One image more that is told wrong in a class where all agree (rule of succession).
        shares = [(one.worth * one.value + 0.5) / (one.worth + 1) for one in self.per_class]
        variance = sum(p * (1 - p) / one.worth for p, one in zip(shares, self.per_class, strict=True))
        return bool(self.compared - 1.96 * variance**0.5 / len(shares) > self.guessing)

    @property
    def compared(self) -> float | None:
        """The test figure in the measure that the validation figures and the forecast have."""
        return self.test_balanced if self.metric == "balanced" else self.test

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON, numbers to six digits."""
        measure, choice, winner = self.task.class_metric, self.choice, self.winner
        plain = rounded({
            "dataset": {
                "location": self.dataset.location, "digest": self.dataset.digest,
                "several_labels": self.dataset.multilabel, "splits": dict(self.dataset.splits),
                "classes": list(self.dataset.classes),
            },
            "backbone": asdict(self.backbone),
            "recipe": self.recipe,
            "scenario": self.scenario,
            "advice": dict(self.advice),
            "seed": self.seed,
            "device": self.device,
            "search": asdict(self.search),
            "winner": {"number": winner.number, "kind": winner.kind.value, "trained": winner.trained,
                       "values": winner.values.to_flat(), "refitted": winner.refitted,
                       "members": members_to_list(winner.members)},
            "choice": {
                "chosen": choice.chosen, "best": choice.best, "behind": choice.behind,
                "behind_standard_error": choice.behind_se, "optimism": choice.optimism,
                "judged_under_every_seed": choice.sure, "judged_under_fewer": choice.unsure,
                "rivals": [{"trial": one.number, "kind": one.kind.value, "accuracy": one.accuracy,
                            "seeds": one.seeds, "first_seed": one.first_seed, "seconds": one.seconds,
                            "size": one.size} for one in choice.rivals],
                "prefer": choice.prefer,
            },
            "metric": self.metric,
            "validation_accuracy": self.validation,
            "validation_seeds": self.validation_seeds,
            "validation_folds": self.folds,
            "validation_images": self.validation_images,
            "validation_independent": self.validation_independent,
            "validation_interval_95": _listed(self.validation_interval),
            "probe_validation_accuracy": self.probe,
            "probe_interval_95": _listed(self.probe_interval),
            "test_accuracy": self.test,
            "test_interval_95": list(self.test_interval),
            "test_balanced_accuracy": self.test_balanced,
            "test_images": self.test_images,
            "test_independent": self.test_independent,
            "test_guessing": self.guessing,
            "test_beats_guessing": self.beats_guessing,
            "temperature": self.temperature,
            "test_per_class": {
                one.name: {"images": one.images, measure: one.value, **_known("effective", one.effective)}
                for one in self.per_class
            },
            "versions": dict(self.versions),
            "plugins": {one.name: {"distribution": one.distribution, "version": one.version, "status": one.status}
                        for one in self.plugins},
        })  # fmt: skip
        assert isinstance(plain, dict)
        return plain

    @classmethod
    def from_dict(cls, data: object) -> RunRecord:
        """The inverse of `to_dict`, to six digits.

        Raises:
            KeyError: something is missing.
            TypeError: something is of another kind.
            ValueError: likewise.
        """
        plain = Plain(data)
        dataset, backbone, search = plain.table("dataset"), plain.table("backbone"), plain.table("search")
        winner, choice = plain.table("winner"), plain.table("choice")
        multilabel, metric = dataset.flag("several_labels"), plain.text("metric")
        task = make_task(dataset.texts("classes"), multilabel=multilabel, metric=metric)
        if task.metric != metric:
            raise ValueError(f"`{metric}` is no metric of several labels an image")
        per_class, plugins = plain.table("test_per_class"), plain.table("plugins")
        return cls(
            dataset=DatasetRecord(
                dataset.text("location"), dataset.text("digest"), multilabel, dataset.counts("splits"),
                task.classes,
            ),
            backbone=BackboneRecord(
                backbone.text("name"), backbone.text("source", ""), backbone.text("sha256", ""),
                backbone.text("licence", "unknown"), backbone.text("trained_on", "unknown"),
            ),
            recipe=plain.text("recipe"),
            scenario=plain.maybe_whole("scenario"),
            advice=dict(plain.table("advice").items()) if "advice" in plain else {},
            seed=plain.whole("seed"),
            device=plain.text("device"),
            search=SearchRecord(
                search.number("budget"), search.maybe_whole("trials") or 0, search.text("ended"),
                search.number("seconds"), search.whole("trials_run"),
            ),
            winner=WinnerRecord(
                winner.whole("number"), winner.choice("kind", TrialKind), 1.0 if (t := winner.maybe("trained")) is None
                else t, values_of(winner.scalars("values")), winner.flag("refitted"),
                members_from_list(winner.rows("members")) if "members" in winner else (),
            ),
            choice=ChoiceRecord(
                chosen=choice.whole("chosen"), best=choice.whole("best"), behind=choice.number("behind"),
                behind_se=choice.number("behind_standard_error"), optimism=choice.number("optimism"),
                sure=choice.whole("judged_under_every_seed"), unsure=choice.maybe_whole("judged_under_fewer") or 0,
                rivals=tuple(
                    RivalRecord(one.whole("trial"), one.choice("kind", TrialKind), one.number("accuracy"),
                                one.number("first_seed"), one.whole("seeds"), one.maybe("seconds"),
                                one.maybe_whole("size"))
                    for one in choice.tables("rivals")
                ),
                prefer=choice.text("prefer", "accurate"),
            ),
            metric=metric,
            validation=plain.number("validation_accuracy"),
            validation_seeds=plain.maybe_whole("validation_seeds") or 1,
            folds=plain.whole("validation_folds"),
            validation_images=plain.whole("validation_images"),
            probe=plain.maybe("probe_validation_accuracy"),
            test=plain.maybe("test_accuracy"),
            test_interval=plain.pair("test_interval_95"),
            test_balanced=plain.maybe("test_balanced_accuracy"),
            test_images=plain.whole("test_images"),
            temperature=plain.number("temperature"),
            per_class=tuple(
                ClassScore(name, one.whole("images"), one.number(task.class_metric), one.maybe("effective"))
                for name, one in ((name, per_class.table(name)) for name, _ in per_class.items())
            ),
            versions=plain.words("versions"),
            plugins=tuple(
                PluginRecord(name, one.text("distribution"), one.text("version"), one.text("status", "active"))
                for name, one in ((name, plugins.table(name)) for name, _ in plugins.items())
            ),
            test_independent=plain.maybe_whole("test_independent"),
            validation_independent=plain.maybe_whole("validation_independent"),
            validation_interval=plain.maybe_pair("validation_interval_95"),
            probe_interval=plain.maybe_pair("probe_interval_95"),
        )  # fmt: skip


def _known(key: str, value: float | None) -> dict[str, float]:
    """An entry of a table; none where the value is not known."""
    return {} if value is None else {key: value}


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
