"""Which backbone: each probed on the same images, beside what is published about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from advisor.advice.fits import compare_fits
from advisor.advice.inspection import inspect
from advisor.data.prepare import prepare
from advisor.errors import BackboneError
from advisor.network.opening import open_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from advisor.advice.fits import FitComparison
    from advisor.plugins import Catalog
    from advisor.progress import Progress


@dataclass(frozen=True)
class BackboneRow:
    """A backbone on a dataset.

    Attributes:
        name: of the backbone.
        accuracy: leave-one-out, at its best stage, 0..1; balanced where the classes differ much in size.
        se: its standard error.
        stage: that stage's name.
        tied: whether the best backbone's lead over it is within two paired standard errors.
        imagenet_top1: published, percent; 0 when unknown.
        static_rank: place by published accuracy, then by parameters; 1 is the best.
        parameters: millions.
        forward_ms: one image, here.
        different: probability that the images are unlike its source data.
        licence: of the weights.
        trained_on: their source data.
    """

    name: str
    accuracy: float
    se: float
    stage: str
    tied: bool
    imagenet_top1: float
    static_rank: int
    parameters: float
    forward_ms: float
    different: float
    licence: str
    trained_on: str


def compare_backbones(
    location: str,
    names: Sequence[str],
    *,
    device: torch.device,
    images: int,
    seed: int,
    skip_small_classes: bool,
    catalog: Catalog,
    progress: Progress,
    codes: str = "mean",
) -> tuple[BackboneRow, ...]:
    """Probe backbones on the same images; the most accurate first.

    One whose weights are not here is named and left out.

    Args:
        location: of the dataset.
        names: of the backbones.
        device: to compute on.
        images: at most this many are passed through each.
        seed: of splits and samples.
        skip_small_classes: leave out classes too small to split.
        catalog: of backbones and dataset formats.
        progress: told how far it is.
        codes: how stages are read, one of `advisor.network.stages.CODES`.

    Raises:
        BackboneError: none of them can be used.
    """
    measured: list[BackboneRow] = []
    image_scores = []
    fits: FitComparison | None = None
    for name in dict.fromkeys(names):
        try:
            backbone = catalog.backbone(name)
            network = open_network(backbone, device)
        except BackboneError as error:
            progress.say(f"{name} is left out: {error.message}")
            last = error
            continue
        progress.say(f"Looking through {name} …")
        prepared = prepare(location, backbone.input, catalog=catalog, seed=seed,
                           skip_small_classes=skip_small_classes, progress=progress, tell=not measured)  # fmt: skip
        if not measured:  # the shapes of the pictures ask for one way, whatever the network
            fits = compare_fits(prepared, backbone, network, images=images, seed=seed, progress=progress, codes=codes)
        if fits is not None and fits.chosen.fit != "crop":
            backbone = replace(backbone, input=replace(backbone.input, fit=fits.chosen.fit))
            prepared = prepared.at(backbone.input, progress)
        inspected = inspect(
            prepared, backbone, network, catalog=catalog, images=images, seed=seed, progress=progress, codes=codes
        )
        curve, best = inspected.curve, inspected.curve.best
        image_scores.append(curve.image_scores[best.stage - 1])
        measured.append(
            BackboneRow(
                name=name,
                accuracy=best.accuracy,
                se=best.se,
                stage=best.name,
                tied=False,  # it takes all of them to say so, and which rank
                imagenet_top1=backbone.imagenet_top1,
                static_rank=0,
                parameters=sum(p.numel() for p in network.parameters()) / 1e6,
                forward_ms=1000 * inspected.measured.forward_seconds,
                different=inspected.measured.distance.different,
                licence=backbone.weights.licence,
                trained_on=backbone.weights.trained_on,
            )
        )
    if not measured:
        raise BackboneError(
            f"None of the {len(names)} backbones can be used; the last: {last.message}",
            ways=list(last.ways),
            hint=last.hint,
        )
    top = max(range(len(measured)), key=lambda i: measured[i].accuracy)
    static = sorted(measured, key=lambda row: (-row.imagenet_top1, row.parameters))
    rows = []
    for row, scores in zip(measured, image_scores, strict=True):
        # All were shown the same images.
        lead, se = curve.task.compare(image_scores[top], scores, curve.labels, curve.families)
        rows.append(replace(row, tied=lead <= 2 * se, static_rank=1 + static.index(row)))
    return tuple(sorted(rows, key=lambda row: -row.accuracy))


def best_backbone(rows: Sequence[BackboneRow]) -> str:
    """Of those tied with the most accurate, the one that is best by published accuracy.

    A static list orders backbones better than any transferability score [ICLR 2026 critique], so where the
    measurement cannot tell, it decides (method.md section 4).
    """
    return min((row for row in rows if row.tied), key=lambda row: row.static_rank).name
