"""Runs the trials of a search on real networks."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from advisor.errors import BackboneError
from advisor.network.joining import best_together
from advisor.network.kept import MIRRORED
from advisor.network.parts import PASSES
from advisor.network.stages import TOKENS
from advisor.network.sweep import batch_for
from advisor.recipe.values import FeatureValues, FreezeValues, HeadValues, TrialValues
from advisor.records.trial import probe_number
from advisor.tuning.finished import Finished
from advisor.tuning.folds import folds_of, most_folds, rows_of
from advisor.tuning.judging import score
from advisor.tuning.runner import REFIT, Footprint
from advisor.tuning.source import kept_views, missing_images, views_learnt
from advisor.tuning.trial import predict_logits, run_folds, run_trial
from advisor.tuning.weights import average_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from advisor.network.stages import Reading
    from advisor.network.transfer import TransferNetwork
    from advisor.records.trial import CurvePoint, Member
    from advisor.tuning.confirm import ScoredTrial
    from advisor.tuning.context import TrialContext
    from advisor.tuning.pool import ContextPool
    from advisor.tuning.weights import KeptWeights

_VIEWS = 4  # of an image that the probe on views learns from, the clean one among them
_TIMED = 3  # passes of a network whose speed counts
_PROBE = "ridge"  # the head that is the closed-form probe


class NetworkRunner:
    """Runs trials on the networks and images of a pool; see `advisor.tuning.runner.TrialRunner`.

    Args:
        contexts: networks with their images.
        origin: which network trials start from, before anything is done to it.
        weights: where models are kept until one is handed over.
        seed: of the division into folds.
    """

    def __init__(self, contexts: ContextPool, origin: TrialValues, weights: KeptWeights, *, seed: int = 0) -> None:
        self.contexts = contexts
        self.context = contexts.of(origin)
        self._origin = origin
        self._weights = weights
        self._seed = seed
        self._folded: dict[tuple[int, int, int, bool], list[TrialContext]] = {}
        self._footprints: dict[tuple[int, Reading, str], Footprint] = {}

    @property
    def images(self) -> int:
        """Images that may be trained on, validation images included."""
        return len(self.context.rows("train")) + len(self.context.rows("val"))

    @property
    def most_folds(self) -> int:
        """Folds in which every class has images of its own to be judged by; copies count once."""
        return most_folds(self.context)

    @property
    def given_validation(self) -> bool:
        """Whether the dataset came with a validation part of its own."""
        return not self.context.prepared.dataset.val_drawn

    def rows(self, folds: int) -> NDArray[np.int64]:
        """(n,) the validation images, ascending; with folds all that may be trained on."""
        return rows_of(self.fold_contexts(self._origin, folds))

    def sample_weight(self, folds: int) -> NDArray[np.float64]:
        """(n,) what each validation image counts, in the order of `rows`."""
        return self.context.sample_weight(self.rows(folds))

    def families(self, folds: int) -> NDArray[np.int64]:
        """(n,) equal for validation images that go together, in the order of `rows`."""
        return self.context.prepared.dataset.families(self.rows(folds))

    def seconds(self, values: TrialValues) -> float:
        """Seconds that a trial takes in one fold, about: a step is up to three forward passes of what is not frozen."""
        context = self.context
        tap = context.stages.tap_index(values.features.tap)
        frozen = context.stages.frozen_index(values.freeze.depth, tap)
        if frozen == tap:
            return self._seconds_of_views(values)
        images, train, share = len(context.rows("train")), values.steps[1], frozen / tap
        seen = train.length(images) * min(train.batch_size, images)
        codes = TOKENS if context.catalog.head(values.head.name).tokens else "mean"
        views = kept_views(context, values, tap=tap, frozen=frozen, codes=codes) if frozen else 0
        step = PASSES[values.parts]
        passes = seen * (share + step * (1 - share))
        if views and context.activations is not None:
            missing = missing_images(context, context.activations, values, views, min(frozen, tap - 1))
            passes = missing * share + seen * step * (1 - share)
        before = values.before
        earlier = self.seconds(before) if before is not None else 0.0
        return earlier + passes * self.contexts.seconds_per_image(values)

    def probes(self) -> Mapping[int, TrialValues]:
        """The closed-form probe at every stage by its number, the last stage first."""
        return {probe_number((tap,)): self._probe((tap,)) for tap in range(len(self.context.stages), 0, -1)}

    def probe_of_several(self, tap: int) -> tuple[int, TrialValues] | None:
        """The closed-form probe that reads the best stages together, chosen by leave-one-out on training images."""
        context = self.context
        if not self.can_read_several:
            return None
        labels = context.prepared.dataset.targets(context.rows("train"))
        read = best_together(
            [context.raw_features("train", stage + 1).numpy() for stage in range(len(context.stages))],
            labels, context.classes, tap,
            weights=context.task.sample_weight(labels), families=context.families("train"),
        )  # fmt: skip
        return (probe_number(read), self._probe(read)) if len(read) > 1 else None

    def variants(self, probe: TrialValues, kind: str) -> Mapping[int, TrialValues]:
        """A probe on random views of the images, too, and one that reads mirror images, too; each with its number.

        Args:
            probe: the closed-form probe that they are variants of.
            kind: of the random views, one of `advisor.data.augmentations.AUGMENTATIONS`.
        """
        read = probe.features.reading(self.context.stages).stages
        views = replace(probe.features, cache="views", views=_VIEWS)
        variants = {
            probe_number(read, mirrored=True): replace(probe, features=replace(probe.features, mirrored=True)),
            probe_number(read, views=_VIEWS): replace(probe, features=views, view_kind=kind),
        }
        return variants if self.context.pretrained and kind != "none" else dict([*variants.items()][:1])

    def _seconds_of_views(self, values: TrialValues) -> float:
        """Seconds to read the views, beside the clean one, that a head on a frozen network needs of all images."""
        if values.train is not None:
            return 0.0
        views = [view for view in views_learnt(values, 0) if not view.clean]
        if values.features.mirrored:
            views.append(MIRRORED)
        if not views:
            return 0.0
        context = self.contexts.of(values)
        return context.missing_views(views, "train", "val") * context.seconds_per_image()

    def _probe(self, read: Sequence[int]) -> TrialValues:
        """The closed-form probe of some stages, ascending."""
        *also, tap = (stage / len(self.context.stages) for stage in read)
        text = " ".join(f"{fraction:.4g}" for fraction in also)
        return replace(
            self._origin,
            features=replace(self._origin.features, tap=tap, also=text or None),
            head=HeadValues(_PROBE),
            freeze=FreezeValues(1.0, "eval"),
        )

    def run(
        self,
        values: TrialValues,
        *,
        folds: int,
        seed: int,
        deadline: float,
        draw: int = 0,
        report: Callable[[CurvePoint], None] = lambda _point: None,
        grows: int | None = None,
    ) -> Finished:
        """Run a trial; see `TrialRunner.run`."""
        kept = None if grows is None else self._weights.load(grows)

        def start(fold: int, deadline: float) -> Mapping[str, Tensor] | None:
            if kept is not None:
                return kept
            return self._start(values, lambda one: self.fold_contexts(one, folds, draw)[fold], seed, deadline)

        contexts = self.fold_contexts(values, folds, draw)
        return run_folds(contexts, values, seed=seed, deadline=deadline, report=report, start=start)

    def run_unchosen(
        self, values: TrialValues, *, folds: int, draw: int, seed: int, deadline: float, first: bool = False
    ) -> Finished:
        """A trial judged as none was in the search, see `unchosen_contexts`; errors as of `run`.

        Of several folds all, or with `first` the first alone, which has a curve.
        """

        def start(fold: int, deadline: float) -> Mapping[str, Tensor] | None:
            return self._start(values, lambda one: self.unchosen_contexts(one, folds, draw)[fold], seed, deadline)

        contexts = self.unchosen_contexts(values, folds, draw)
        return run_folds(contexts[:1] if first else contexts, values, seed=seed, deadline=deadline, start=start)

    def _start(
        self, values: TrialValues, context_of: Callable[[TrialValues], TrialContext], seed: int, deadline: float
    ) -> Mapping[str, Tensor] | None:
        """What a training at a larger input goes on from, trained; None where it begins anew."""
        before = values.before
        if before is None:
            return None
        start = self._start(before, context_of, seed, deadline)
        done = run_trial(context_of(before), before, seed=seed, deadline=deadline, start=start)
        return done.network().state_dict()

    def can_grow(self, values: TrialValues, side: int) -> bool:
        """Whether every weight fits at another input size: networks whose positions have parameters begin anew.

        Statistics of BatchNorm that were taken anew are those of one size.
        """
        if values.freeze.batchnorm == "adabn":
            return False
        try:
            smaller, larger = (self.contexts.of(one).network for one in (values, values.at_size(side)))
        except BackboneError:
            return False
        shapes = [{name: tensor.shape for name, tensor in one.state_dict().items()} for one in (smaller, larger)]
        return shapes[0] == shapes[1]

    def is_linear(self, head: str) -> bool:
        """Whether a head is one linear layer."""
        return self.context.catalog.head(head).linear

    @property
    def can_read_several(self) -> bool:
        """Whether the network can be traced, so that a head may read several of its stages."""
        return self.context.pretrained and self.context.segments is not None

    def can_hand_over(self, tap: int) -> bool:
        """Whether the network can be cut at a stage; some cannot be traced, and none needs it at the last."""
        return tap == len(self.context.stages) or self.context.segments is not None

    def keep(self, number: int, finished: Finished, seed: int = 0) -> None:
        """Keep the model of a trial that may be handed over, or that of one of its further seeds."""
        self._weights.keep(number, finished.network(), seed)

    def drop_all_but(self, numbers: Collection[int]) -> None:
        """Delete the models that were beaten."""
        self._weights.drop_all_but(numbers)

    def members(self) -> Collection[Member]:
        """Trainings whose models are kept."""
        return self._weights.members()

    def judge_average(self, values: TrialValues, members: Sequence[Member]) -> Finished | None:
        """The average of the weights of kept trainings, judged on the one validation part."""
        network = self._averaged(values, members)
        if network is None:
            return None
        context = self.contexts.of(values)
        held, frozen = context.rows("val"), context.stages.frozen_index(values.freeze.depth, network.tap)
        network.freeze(frozen, batchnorm="eval")
        judged = score(predict_logits(network, context, held), context.labels("val"))
        kept = sum(p.numel() for p in network.trunk.parameters())
        still = sum(p.numel() for p in network.trunk.parameters() if not p.requires_grad)
        return Finished(
            rows=held, image_scores=judged.image_scores, sample_weight=context.sample_weight(held), loss=judged.loss,
            temperature=judged.temperature, tap=network.tap, frozen=frozen, frozen_share=still / kept, steps=0,
            planned_steps=0, audit=network.frozen_digest(), network=lambda: network, also=network.also,
        )  # fmt: skip

    def footprint(self, values: TrialValues) -> Footprint:
        """See `TrialRunner.footprint`; networks that read alike are measured once."""
        context = self.contexts.of(values)
        kind = context.catalog.head(values.head.name)
        read = values.features.reading(context.stages)
        key = (id(context), read, values.head.name)
        if key not in self._footprints:
            width = context.standardise(read, tokens=kind.tokens).mean.numel()
            head = kind.create(width, context.classes, **values.head.params)
            network = context.build(read, head, tokens=kind.tokens)
            tensors = [*network.parameters(), *network.buffers()]
            size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
            self._footprints[key] = Footprint(_seconds_per_image(network, context), size)
        return self._footprints[key]

    def judging_seconds(self, values: TrialValues) -> float:
        """Seconds that it takes to judge a trained model, about."""
        return len(self.context.rows("val")) * self.contexts.seconds_per_image(values)

    def _averaged(self, values: TrialValues, members: Sequence[Member]) -> TransferNetwork | None:
        states = [self._weights.load(member.trial, member.seed) for member in members]
        loaded = [state for state in states if state is not None]
        average = average_weights(loaded) if len(loaded) == len(members) else None
        return None if average is None else self._built(values, average)

    def _built(self, values: TrialValues, state: Mapping[str, Tensor]) -> TransferNetwork:
        """A trial's network with weights that were kept."""
        context = self.contexts.of(values)
        kind = context.catalog.head(values.head.name)
        read = values.features.reading(context.stages)
        width = context.standardise(read, tokens=kind.tokens).mean.numel()
        head = kind.create(width, context.classes, **values.head.params)
        network = context.build(read, head, tokens=kind.tokens)
        network.load_state_dict(state, strict=True)
        return network.eval()

    def fold_contexts(self, values: TrialValues, folds: int, draw: int = 0) -> list[TrialContext]:
        """The folds of a trial's images on the network that its values ask for; `draw` gives other folds and views.

        Where BatchNorm is re-estimated, each fold has a network that has read none of the images that judge it.
        """
        adapted = folds > 1 and values.freeze.batchnorm == "adabn"
        context = self.contexts.of(
            replace(values, freeze=replace(values.freeze, batchnorm="eval")) if adapted else values
        )
        key = (id(context), folds, draw, adapted)
        if key not in self._folded:
            contexts = folds_of(context.redrawn(draw) if draw else context, folds, self._seed + draw)
            self._folded[key] = [self.contexts.adapted(fold) for fold in contexts] if adapted else contexts
        return self._folded[key]

    def unchosen_contexts(self, values: TrialValues, folds: int, draw: int) -> list[TrialContext]:
        """Contexts by which no trial was chosen: other folds, or another validation part of about the same size.

        A validation part that came with the dataset stays, with other views only.

        Args:
            values: of the trial.
            folds: of the study.
            draw: under which no trial was judged.
        """
        if folds > 1:
            return self.fold_contexts(values, folds, draw)
        judged = len(self.context.rows("val"))
        parts = min(self.most_folds, round(self.images / max(1, judged)))
        if self.given_validation or not judged or parts < 2:
            return self.fold_contexts(values, 1, draw)
        return self.fold_contexts(values, parts, draw)[:1]

    def network(
        self,
        chosen: ScoredTrial,
        *,
        folds: int,
        seed: int,
        deadline: float = math.inf,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> tuple[TransferNetwork, bool]:
        """A trial's model: fitted again on all images that may be trained on, or from its kept weights.

        After cross-validation it is always fitted again. Where one part was drawn for validation, a head always learns
        from it too, and a training where the time allows; a validation part that came with the dataset is left alone.
        An average of trainings is handed over as it was judged: its members would all have to be trained again.

        Args:
            chosen: the trial.
            folds: of the study.
            seed: of its training.
            deadline: on `time.monotonic`, for learning from the validation images, too.
            tell: told that a training begins, before it does.

        Returns:
            The model, and whether it has learnt from the validation images.
        """
        values = chosen.values
        if chosen.record.members and (average := self._averaged(values, chosen.record.members)) is not None:
            return average, False
        context = self.contexts.of(values)
        refitted = folds > 1 or (
            not self.given_validation and (chosen.head_only or time.monotonic() + REFIT * chosen.seconds < deadline)
        )
        kept = None if chosen.deterministic or refitted else self._weights.load(chosen.number)
        if kept is not None:
            return self._built(values, kept), False
        steps_on = len(context.rows("train"))
        rows = np.sort(np.concatenate([context.rows("train"), context.rows("val")]))
        if refitted and not chosen.head_only:
            tell("Training the winner on all images that may be trained on.")

        def context_of(one: TrialValues) -> TrialContext:
            return self.contexts.of(one).divided(rows, rows[:0]) if refitted else self.contexts.of(one)

        if chosen.trained < 1 and values.train is not None:
            steps = max(1, round(chosen.trained * values.train.length(steps_on)))
            values = replace(values, train=replace(values.train, steps=steps, epochs=0))
        start = self._start(values, context_of, seed, math.inf)
        done = run_trial(context_of(values), values, seed=seed, deadline=math.inf, start=start)
        return done.network().eval(), refitted


def _seconds_per_image(network: TransferNetwork, context: TrialContext) -> float:
    """Of a forward pass in evaluation mode, the quickest of some, since whatever else runs only ever adds to it."""
    size = batch_for(context.device)
    rows = context.rows("train")[:size]
    times = []
    for _ in range(1 + _TIMED):  # the first sets up
        began = time.perf_counter()
        predict_logits(network, context, rows)
        times.append(time.perf_counter() - began)
    return min(times[1:]) / len(rows)


def origin_of(start: TrialValues, *, pretrained: bool, input_size: int = 0, fit: str = "crop") -> TrialValues:
    """Of a search's starting values only which network it begins with.

    Args:
        start: of the search.
        pretrained: whether any of its trials may begin with the pretrained weights.
        input_size: that all trials have; 0 is the backbone's own.
        fit: how pictures become squares at first.
    """
    weights = "pretrained" if pretrained else start.features.weights
    features = FeatureValues(weights=weights, input_size=input_size, fit=fit)
    return TrialValues(features=features, freeze=FreezeValues(batchnorm="eval"), backbone=start.backbone)
