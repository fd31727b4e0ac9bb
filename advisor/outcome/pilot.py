"""A pilot: fine-tune briefly and let the measured gain take the place of the prior (method.md section 5)."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.advice import priors
from advisor.advice.recommend import replan
from advisor.advice.scenario import Pilot, decide
from advisor.data.sampling import sample_rows
from advisor.outcome.run import Machine, open_contexts
from advisor.plugins import Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.recipe import KEYS
from advisor.recipe.values import TrialValues, automatic_steps, steps_per_epoch
from advisor.task.interval import paired
from advisor.tuning.context import TrialContext
from advisor.tuning.judging import score
from advisor.tuning.trial import predict_logits, run_trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advisor.advice.recommendation import Recommendation

DEPTHS = (0.0, 0.5)  # everything trained, and the upper half
MOST_IMAGES = 2000
_EPOCHS = 3


def pilot(
    recommendation: Recommendation,
    *,
    device: str = "auto",
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> Recommendation:
    """Decide again, with the gain of fine-tuning measured instead of assumed.

    The head is fitted first, then the network is tuned for a short while at two freeze depths, on at most
    2 000 of the training images; both, and the head alone, are compared on the same validation images.

    Args:
        recommendation: its plan says which images and which backbone.
        device: `auto`, `cpu` or `cuda`.
        catalog: the installed plugins by default.
        progress: told how far it is.

    Returns:
        The recommendation with another verdict, recipe and plan.
    """
    catalog, progress = catalog or load_catalog(), progress or Silent()
    began = time.perf_counter()
    plan = recommendation.plan
    context = _fewer(open_contexts(plan, Machine(device=device), catalog, progress).first, plan.seed)
    held, labels = context.rows("val"), context.labels("val")
    images = len(context.rows("train"))
    batch = int(str(KEYS["train.batch_size"].default))
    steps = max(_EPOCHS * steps_per_epoch(images, batch), priors.LEAST_STEPS)
    base = TrialValues.from_flat({path: key.default for path, key in KEYS.items()} | {
        "head.name": "ridge",
        # So short a training is destroyed by the rate of a whole one.
        "optimizer.lr": recommendation.start_lr * min(1.0, steps / automatic_steps(images, batch)),
        "train.steps": steps,
        "train.augment": "crop" if recommendation.distance.different >= 0.5 else "flip_crop",
    })  # fmt: skip

    def right(depth: float) -> NDArray[np.float64]:
        done = run_trial(context, base.at_depth(depth), seed=plan.seed, deadline=math.inf, gated=False)
        return score(predict_logits(done.network(), context, held), labels).image_scores

    with progress.task("Pilot", 1 + len(DEPTHS)) as advance:
        probe = right(1.0)
        advance(1)
        tuned = []
        for depth in DEPTHS:
            tuned.append(right(depth))
            advance(1)
    sample_weight = context.sample_weight(held)  # of unequal classes the advice speaks in balanced accuracy
    best = max(range(len(DEPTHS)), key=lambda i: float(sample_weight @ tuned[i]))
    gain, se = paired(tuned[best] - probe, sample_weight, context.prepared.dataset.families(held))
    result = Pilot(
        gain=gain,
        se=se,
        depth=DEPTHS[best],
        images=images,
        judged_on=len(held),
        seconds=time.perf_counter() - began,
    )
    verdict = decide(recommendation.size, recommendation.distance, recommendation.curve, recommendation.times, result)
    return replan(recommendation, verdict, catalog=catalog, progress=progress)


def _fewer(context: TrialContext, seed: int) -> TrialContext:
    """The same with at most 2 000 images to train on."""
    dataset = context.prepared.dataset
    rows, labels = dataset.rows("train"), dataset.labels("train")
    if len(rows) <= MOST_IMAGES:
        return context
    kept, _ = sample_rows(rows, labels, MOST_IMAGES, seed)
    frame = dataset.frame
    keep = (frame["split"] != "train") | frame["row"].isin(kept.tolist())
    prepared = replace(context.prepared, dataset=replace(dataset, frame=frame.loc[keep].reset_index(drop=True)))
    return TrialContext(
        context.backbone, context.network, context.stages, prepared, context.catalog, context.device, context.progress,
        limits=context.limits, metric=context.metric,
    )  # fmt: skip
