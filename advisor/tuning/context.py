"""What all trials of a run share: pretrained networks, pixels, features, activations, and who is judged on what."""

from __future__ import annotations

import copy
import hashlib
import inspect
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from advisor.data.views import clean_view, enlarged
from advisor.errors import BackboneError
from advisor.network.activations import DEFAULT_LIMIT, ActivationCache
from advisor.network.drop_path import set_drop_path
from advisor.network.features import weights_digest
from advisor.network.kept import CLEAN, MIRRORED
from advisor.network.segments import Segments
from advisor.network.stages import TOKENS, Reading
from advisor.network.sweep import BATCH
from advisor.network.transfer import Standardise, TransferNetwork
from advisor.tuning.features import Features
from advisor.tuning.memory import activation_bytes, free_memory
from advisor.tuning.precision import bfloat16_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from advisor.data.prepare import Prepared
    from advisor.network.kept import View
    from advisor.network.stages import Stages
    from advisor.plugins import Catalog
    from advisor.progress import Progress
    from advisor.types import Backbone

_MOST_RESIDENT = 0.25  # of a GPU's free memory that pixels may take
_MOST_ENLARGED = 256 * 2**20  # bytes of main memory that enlarged images may take


@dataclass(frozen=True)
class Limits:
    """What a run may take.

    Attributes:
        memory: bytes of the whole process that training may fill; None knows no limit.
        cache: bytes that kept activations may take on disk.
    """

    memory: int | None = None
    cache: int = DEFAULT_LIMIT


class TrialContext:
    """One starting network with the images: everything that trials on it share.

    Args:
        backbone: its description.
        network: in evaluation mode, on `device`; trials copy it and never change it.
        stages: of the network.
        prepared: the dataset and its pixels.
        catalog: for heads.
        device: where to compute.
        progress: told how far the features are.
        limits: of memory and disk.
        pretrained: whether the network has learnt anything; if not, its features say nothing.
        metric: what trials are judged by, where the dataset's task leaves a choice.
    """

    def __init__(
        self,
        backbone: Backbone,
        network: nn.Module,
        stages: Stages,
        prepared: Prepared,
        catalog: Catalog,
        device: torch.device,
        progress: Progress,
        *,
        limits: Limits | None = None,
        pretrained: bool = True,
        metric: str = "accuracy",
    ) -> None:
        self.backbone = backbone
        self.network = network
        self.stages = stages
        self.prepared = prepared
        self.catalog = catalog
        self.device = device
        self.progress = progress
        self.limits = limits or Limits()
        self.pretrained = pretrained
        self.task = prepared.dataset.task.with_metric(metric)
        self.metric = self.task.metric
        self.classes = len(prepared.dataset.classes)
        self._features = Features(network, stages, prepared, backbone, progress)
        self._standardise: dict[Reading, Standardise] = {}
        self._parts = {name: prepared.dataset.rows(name) for name in ("train", "val", "test")}
        self._pool: NDArray[np.int64] | None = None
        self._measured: dict[str, float] = {}
        self._audits: dict[tuple[int, ...], str] = {}
        self._resident: dict[str, Tensor] = {}  # of the rows asked for last
        self._cache: list[ActivationCache | None] = []
        self.notes: list[str] = []
        self.draw = 0  # of random views; further seeds have others

    def rows(self, part: str) -> NDArray[np.int64]:
        """Rows of the pixel store in a part: `train`, `val` or `test`."""
        return self._parts[part]

    def labels(self, part: str) -> Tensor:
        """Labels of a part as heads and losses take them, on the CPU."""
        return self.task.tensor(self.prepared.dataset.targets(self.rows(part)))

    def sample_weight(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """What each of these images counts in the metric; (n,) with mean 1."""
        return self.task.sample_weight(self.prepared.dataset.targets(rows))

    def divided(self, train: NDArray[np.int64], val: NDArray[np.int64]) -> TrialContext:
        """The same network and caches, with other images to train on and to be judged on."""
        other = copy.copy(self)
        other._parts = {**self._parts, "train": train, "val": val}  # noqa: SLF001 - a copy of itself
        other._standardise = {}  # noqa: SLF001
        other._pool = np.sort(np.concatenate([self.rows("train"), self.rows("val")]))  # noqa: SLF001
        return other

    def redrawn(self, draw: int) -> TrialContext:
        """The same with other random views of the images."""
        other = copy.copy(self)
        other.draw = draw
        return other

    def kept(self, part: str) -> tuple[NDArray[np.int64], Tensor]:
        """Which rows activations are kept of together, and the places of a part's images among them.

        Folds share one pool, so that no image is computed once per fold.
        """
        rows = self.rows(part)
        if self._pool is None:
            return rows, torch.arange(len(rows))
        return self._pool, torch.from_numpy(np.searchsorted(self._pool, rows))

    def features(self, part: str, read: Reading | int, view: View = CLEAN) -> Tensor:
        """Standardised features (n, width) of a part, as a head reads them or at a tap, on the CPU."""
        standardised: Tensor = self.standardise(read)(self.raw_features(part, read, view))
        return standardised

    def standardise(self, read: Reading | int, *, tokens: bool = False) -> Standardise:
        """The standardisation at a tap, from the training images; of random features only the width counts.

        Where earlier stages are read, too, each is standardised by itself. That of `tokens`, which have the width of
        the stage itself, is that of their mean.
        """
        read = Reading(read) if isinstance(read, int) else read
        if read.also:
            return Standardise.joined([self.standardise(replace(read, tap=stage, also=())) for stage in read.stages])
        if tokens:
            pooled = self.standardise(read)
            width = len(pooled.mean) // (2 if self.stages.codes == "mean+std" else 1)
            return Standardise(pooled.mean[:width].clone(), pooled.scale[:width].clone())
        if read not in self._standardise:
            self._standardise[read] = (
                Standardise.of(self.raw_features("train", read))
                if self.pretrained
                else self._plain_standardise(read.tap)
            )
        return self._standardise[read]

    def scaling_known(self, fit: Callable[..., None]) -> dict[str, object]:
        """What a head's closed form must be told of `features`: that it shall not standardise them once more.

        Twice is not once, since a share of the mean variance would be added again: the probe of a search would be
        another than that of a recommendation.
        """
        return {"scaled": True} if self.pretrained and "scaled" in inspect.signature(fit).parameters else {}

    def raw_features(self, part: str, read: Reading | int, view: View = CLEAN) -> Tensor:
        """Pooled features (n, width) of a part, as a head reads them or at a tap, on the CPU; computed once per view.

        Of a random view nothing is mirrored, whatever is read: it stands for itself.
        """
        read = Reading(read) if isinstance(read, int) else read
        rows = self.rows(part)
        pooled = torch.cat([self._features.get(rows, stage, view) for stage in read.stages], dim=1)
        if not (read.mirrored and view.clean):
            return pooled
        return (pooled + torch.cat([self._features.get(rows, stage, MIRRORED) for stage in read.stages], dim=1)) / 2

    def missing_views(self, views: Sequence[View], *parts: str) -> int:
        """How many features of these views of some parts would have to be computed first, each image counted."""
        rows = np.concatenate([self.rows(part) for part in parts])
        return sum(self._features.missing(rows, view) for view in views)

    def families(self, part: str) -> NDArray[np.int64]:
        """(n,) equal for images of a part that belong together: copies of each other, or of one given group."""
        return self.prepared.dataset.families(self.rows(part))

    def build(
        self, read: Reading | int, head: nn.Module, *, tokens: bool = False, drop_path: float = 0.0
    ) -> TransferNetwork:
        """A fresh copy of the starting network, cut at a tap, with a copy of a head and a rate of stochastic depth.

        With `tokens` the head reads all positions, not their mean.

        Raises:
            BackboneError: the network has no place for stochastic depth, or cannot be cut.
        """
        read = Reading(read) if isinstance(read, int) else read
        start = copy.deepcopy(self.network)
        if drop_path and not set_drop_path(start, drop_path):
            raise BackboneError(
                f"`{self.backbone.name}` has no place for stochastic depth.",
                ways=["leave it out: [train] drop_path = 0.0"],
                hint="ConvNeXt, EfficientNet and ViT have it",
            )
        network = TransferNetwork(
            start,
            replace(self.stages, codes=TOKENS) if tokens else self.stages,
            read.tap,
            copy.deepcopy(self.standardise(read, tokens=tokens)),
            copy.deepcopy(head),
            also=read.also,
            mirrored=read.mirrored,
        )
        return network.to(device=self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]

    @property
    def segments(self) -> Segments | None:
        """The network cut at its stages; None where it cannot be traced, which is noted once."""
        cache = self.activations
        return cache.segments if cache is not None else None

    @property
    def activations(self) -> ActivationCache | None:
        """Where activations at freeze boundaries are kept; None where the network cannot be cut."""
        if not self._cache:
            try:
                segments = Segments(self.network, self.stages, self.clean(self.rows("train")[:1]))
                self._cache.append(
                    ActivationCache(
                        self.network, self.stages, segments, self.prepared.pixels, self.backbone.input,
                        device=self.device, limit=self.limits.cache, progress=self.progress,
                    )
                )  # fmt: skip
            except BackboneError as error:
                self.notes.append(f"frozen parts are computed anew every epoch: {error.message}")
                self._cache.append(None)
        return self._cache[0]

    def audit(self) -> str:
        """SHA-256 of the starting network; hashed again only after a tensor has been written to."""
        network = self.network
        versions = tuple(tensor._version for tensor in (*network.parameters(), *network.buffers()))  # noqa: SLF001
        if versions not in self._audits:
            self._audits[versions] = weights_digest(network)
        return self._audits[versions]

    def resident(self, rows: NDArray[np.int64]) -> Tensor | None:
        """Pixels (n, side, side, 3) uint8 of some rows on the device, copied once; None where it is not worth it.

        A GPU gets them as they are stored. In main memory they are kept where they had to be enlarged for every view,
        which takes longer than all else that a view needs.
        """
        pixels, spec = self.prepared.pixels, self.backbone.input
        on_gpu = self.device.type == "cuda"
        side = pixels.side if on_gpu else spec.resize
        room = _MOST_RESIDENT * free_memory(self.device) if on_gpu else _MOST_ENLARGED
        if (not on_gpu and side == pixels.side) or len(rows) * side**2 * 3 > room:
            return None
        key = hashlib.sha256(rows.tobytes()).hexdigest()
        if key not in self._resident:
            if on_gpu:
                self._resident = {key: torch.from_numpy(pixels.batch(rows)).to(self.device)}
            else:
                parts = [pixels.batch(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)]
                self._resident = {key: torch.cat([enlarged(torch.from_numpy(part), spec) for part in parts])}
        return self._resident[key]

    def seconds_per_image(self) -> float:
        """Forward time through the whole network, measured once on a few images."""
        if "forward" not in self._measured:
            rows = self.rows("train")[: 2 * BATCH]
            images = [self.clean(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)]
            with torch.inference_mode():
                self.network(images[0])
                began = time.perf_counter()
                for batch in images:
                    self.network(batch).sum().item()
            self._measured["forward"] = (time.perf_counter() - began) / len(rows)
        return self._measured["forward"]

    def bytes_per_image(self, key: str, model: nn.Module, inputs: tuple[Tensor, ...]) -> int:
        """Activations that a model's backward pass keeps of one image; measured once per key."""
        if key not in self._measured:
            self._measured[key] = activation_bytes(model, inputs)
        return int(self._measured[key])

    def bfloat16_ratio(self, key: str, model: nn.Module, example: tuple[Tensor, ...], batch_size: int) -> float:
        """Time of a model's step in bfloat16 over that in float32; measured once per key and size of the input."""
        key = f"bfloat16/{key}/{tuple(example[0].shape[1:])}/{batch_size}"
        if key not in self._measured:
            self._measured[key] = bfloat16_ratio(model, example, batch_size)
        return self._measured[key]

    def clean(self, rows: NDArray[np.int64]) -> Tensor:
        """Evaluation views (B, 3, size, size) of some rows, on the device."""
        pixels = torch.from_numpy(self.prepared.pixels.batch(rows)).to(self.device)
        return clean_view(pixels, self.backbone.input)

    def _plain_standardise(self, tap: int) -> Standardise:
        width = self._features.get(self.rows("train")[:1], tap).shape[1]
        return Standardise(torch.zeros(width), torch.full((width,), width**0.5))
