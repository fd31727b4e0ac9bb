"""Pooled features of every stage as trials ask for them: each view of an image computed once and then held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.network.features import FeatureStore, compute_features, draw_features
from advisor.network.kept import CLEAN
from advisor.network.sweep import Sweeper

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from advisor.data.prepare import Prepared
    from advisor.network.kept import View
    from advisor.network.stages import Stages
    from advisor.progress import Progress
    from advisor.types import Backbone


class Features:
    """Pooled features of every stage, each view of an image computed once and then held in memory.

    Args:
        network: in evaluation mode, on its device.
        stages: of the network.
        prepared: the dataset and its pixels.
        backbone: for the input and the store's key.
        progress: told how far it is.
    """

    def __init__(
        self, network: nn.Module, stages: Stages, prepared: Prepared, backbone: Backbone, progress: Progress
    ) -> None:
        self._network, self._stages = network, stages
        self._sweeper = Sweeper(network, stages)
        self._pixels, self._spec, self._progress = prepared.pixels, backbone.input, progress
        self._device = next(network.parameters()).device
        self._store: dict[View, FeatureStore] = {}
        self._place: dict[View, dict[int, int]] = {}
        self._arrays: dict[View, list[NDArray[np.float32]]] = {}
        self._drawn: set[View] = set()  # of one trial at a time

    def get(self, rows: NDArray[np.int64], tap: int, view: View = CLEAN) -> Tensor:
        """Features (n, width) of a view of some rows at a tap, on the CPU.

        They are kept between runs, except those of views that were drawn for one trial.
        """
        if view.draw and view not in self._arrays:
            self._forget(view)
        place = self._place.setdefault(view, {})
        missing = self._missing(rows, view)
        if len(missing):
            new = self._computed(missing, view)
            place.update({int(row): len(place) + i for i, row in enumerate(missing)})
            known = self._arrays.get(view) or [array[:0] for array in new]
            self._arrays[view] = [np.concatenate(pair) for pair in zip(known, new, strict=True)]
        places = np.array([place[int(row)] for row in rows], np.int64)
        return torch.from_numpy(self._arrays[view][tap - 1][places])

    def missing(self, rows: NDArray[np.int64], view: View) -> int:
        """How many of some rows are neither in memory nor on disk."""
        left = self._missing(rows, view)
        if view.draw or not len(left):
            return len(left)
        return len(set(left.tolist()) - self._kept(view).known())

    def _forget(self, view: View) -> None:
        """Drop the views that another trial drew for itself."""
        for other in [one for one in self._drawn if one.draw != view.draw]:
            self._drawn.remove(other)
            self._place.pop(other, None)
            self._arrays.pop(other, None)
        self._drawn.add(view)

    def _missing(self, rows: NDArray[np.int64], view: View) -> NDArray[np.int64]:
        place = self._place.get(view, {})
        return np.array([row for row in rows.tolist() if row not in place], np.int64)

    def _kept(self, view: View) -> FeatureStore:
        if view not in self._store:
            self._store[view] = FeatureStore.open(self._pixels, self._network, self._stages, self._spec, view)
        return self._store[view]

    def _computed(self, rows: NDArray[np.int64], view: View) -> list[NDArray[np.float32]]:
        if view.draw:
            return draw_features(
                self._sweeper, self._pixels, rows, self._spec, device=self._device, progress=self._progress, view=view
            )
        return compute_features(
            self._sweeper, self._pixels, rows, self._spec,
            store=self._kept(view), device=self._device, progress=self._progress, view=view,
        )  # fmt: skip
