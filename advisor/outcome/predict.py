"""Class probabilities for new images."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np
import pandas as pd
import torch

from advisor.data.decode import UnreadableImageError, decode_for, read_header
from advisor.data.views import clean_view
from advisor.errors import AdvisorError
from advisor.network.fold import fold_batchnorm
from advisor.network.sweep import batch_for
from advisor.outcome.bundle import Bundle, load
from advisor.outcome.inputs import InputImage, find_images
from advisor.plugins import Catalog, load_catalog
from advisor.progress import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

_AHEAD = 3  # batches that are decoded while one is computed
_MOST_DECODERS = 8
_WORTH_FOLDING = 64  # images; folding costs some three forward passes


class LikelyLabel(TypedDict):
    """One of the likeliest labels of an image."""

    label: str
    probability: float


class PredictionRow(TypedDict):
    """What a model says of one image, as JSON has it: the path, and either the error or all the others."""

    path: str
    error: NotRequired[str]
    label: NotRequired[str]
    probability: NotRequired[float]
    top: NotRequired[list[LikelyLabel]]


@dataclass(frozen=True)
class Predicted:
    """What a model says of one image.

    Attributes:
        path: of the image.
        label: the likeliest, or all that are likely enough where an image may have several; empty where it could not
            be read or none is likely enough.
        probability: of the likeliest label, 0..1; NaN where it could not be read.
        error: why it could not be read; empty if it could.
        scores: (classes,) calibrated probabilities; NaN where it could not be read.
    """

    path: str
    label: str
    probability: float
    error: str
    scores: NDArray[np.float64]

    def top(self, classes: Sequence[str], count: int) -> list[tuple[str, float]]:
        """The likeliest labels with their probabilities; none of an image that could not be read."""
        if self.error:
            return []
        return [(classes[i], float(self.scores[i])) for i in np.argsort(-self.scores, kind="stable")[:count]]

    def to_dict(self, classes: Sequence[str], top: int) -> PredictionRow:
        """Plain data for JSON: path, and either the error or label, probability and the likeliest labels."""
        if self.error:
            return {"path": self.path, "error": self.error}
        return {
            "path": self.path,
            "label": self.label,
            "probability": round(self.probability, 6),
            "top": [{"label": name, "probability": round(p, 6)} for name, p in self.top(classes, top)],
        }


def predict(
    bundle: str | Path | Bundle,
    inputs: Iterable[str | Path],
    *,
    device: str = "auto",
    limit: int | None = None,
    least: float = 0.0,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Predict images with a handed-over model.

    Args:
        bundle: a bundle, its folder or the folder of its run.
        inputs: image files, folders (searched for images), patterns, or locations of a dataset format such as
            `photos.csv`, whose labels are not looked at, or `digits:`.
        device: `auto`, `cpu` or `cuda`.
        limit: at most this many images.
        least: probability below which no label is given; of several labels an image it takes the place of one half.
        catalog: the installed plugins by default.
        progress: told how far it is.

    Returns:
        One row per image, or row of a table, in order: `path` (of a table as it stands there), `label` (empty if it
        could not be read), `probability` (calibrated on the validation images), `error` (empty if it could), then one
        column of probability per class. Where images may have several labels, `label` holds all that are at least as
        likely as not, between `|`, the likeliest first, and `probability` that of the first.

    Raises:
        UsageError: nothing of the inputs is there, or a folder holds no images.
        BundleError: the bundle cannot be loaded.
    """
    catalog = catalog or load_catalog()
    model = bundle if isinstance(bundle, Bundle) else load(bundle, device=device, catalog=catalog)
    rows = list(predict_each(model, inputs, limit=limit, least=least, catalog=catalog, progress=progress))
    columns = {name: [getattr(row, name) for row in rows] for name in ("label", "probability", "error")}
    # As objects: a file's name may hold bytes that are no text, which a column of text refuses.
    frame = pd.DataFrame({"path": pd.Series([row.path for row in rows], dtype=object), **columns})
    scores = np.stack([row.scores for row in rows]) if rows else np.zeros((0, len(model.classes)))
    return pd.concat([frame, pd.DataFrame(scores, columns=[f"p({name})" for name in model.classes])], axis=1)


def predict_each(
    model: Bundle,
    inputs: Iterable[str | Path],
    *,
    limit: int | None = None,
    least: float = 0.0,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> Iterator[Predicted]:
    """The same one by one, as they are ready, in order: for more images than fit into a table.

    Images are decoded while the network is at work on those before them.

    Args:
        model: a loaded bundle.
        inputs: as for `predict`.
        limit: at most this many images.
        least: probability below which no label is given.
        catalog: the installed plugins by default.
        progress: told how far it is.

    Raises:
        UsageError: nothing of the inputs is there, or a folder holds no images.
    """
    catalog, progress = catalog or load_catalog(), progress or Silent()
    sources = list(islice(find_images([str(given) for given in inputs], catalog, progress.say), limit))
    where = next(model.network.parameters()).device
    network, size, task = _quick(model, len(sources)), batch_for(where), model.task
    warned = False
    with (
        progress.task("Predicting", len(sources)) as advance,
        ThreadPoolExecutor(min(_MOST_DECODERS, os.cpu_count() or 1)) as pool,
    ):
        for batch, decoded in _decoded(sources, size, model, pool):
            pixels = [one.pixels for one in decoded if one.pixels is not None]
            scores = np.zeros((0, len(model.classes)))
            if pixels:
                images = clean_view(torch.from_numpy(np.stack(pixels)).to(where), model.input)
                with torch.inference_mode():
                    scores = model.probabilities(network(images)).double().cpu().numpy()
            known = iter(scores)
            for source, one in zip(batch, decoded, strict=True):
                if one.unscaled and not warned:
                    progress.say(
                        f"{source.path} is deeper than eight bits, and the model was tuned on no such images: "
                        "what is black and white in it, and in others like it, is guessed from each image alone."
                    )
                    warned = True
                if one.pixels is None:
                    nothing = np.full(len(model.classes), np.nan)
                    yield Predicted(source.path, "", float("nan"), one.error, nothing)
                else:
                    own = next(known)
                    yield Predicted(source.path, task.said(own, least), float(own.max()), "", own)
            advance(len(batch))


def _quick(model: Bundle, images: int) -> nn.Module:
    """The network, on a CPU and for many images with BatchNorm folded into its convolutions."""
    where, size = next(model.network.parameters()).device, model.input.size
    network = model.network.to(memory_format=torch.channels_last)
    if where.type != "cpu" or images < _WORTH_FOLDING:
        return network
    folded = fold_batchnorm(network, torch.zeros(1, 3, size, size), lambda net, example: [net(example)])
    return network if folded is None else folded


@dataclass(frozen=True)
class _Decoded:
    """An image's pixels, (side, side, 3) uint8, or why there are none; and whether its scale is a guess."""

    pixels: NDArray[np.uint8] | None
    error: str = ""
    unscaled: bool = False


def _decoded(
    sources: Sequence[InputImage], size: int, model: Bundle, pool: ThreadPoolExecutor
) -> Iterator[tuple[tuple[InputImage, ...], list[_Decoded]]]:
    """Batches in order, decoded; a few batches are decoded ahead."""
    ahead: deque[tuple[tuple[InputImage, ...], list[Future[_Decoded]]]] = deque()
    batches = (tuple(sources[start : start + size]) for start in range(0, len(sources), size))
    while True:
        while len(ahead) < _AHEAD and (batch := next(batches, None)):
            ahead.append((batch, [pool.submit(_decode, source, model) for source in batch]))
        if not ahead:
            return
        batch, futures = ahead.popleft()
        yield batch, [future.result() for future in futures]


def _decode(source: InputImage, model: Bundle) -> _Decoded:
    try:
        data = source.read()
        pixels = decode_for(data, model.input, model.ranges)
        depth = read_header(data).depth
        return _Decoded(pixels, unscaled=depth != "uint8" and model.ranges.of(depth) is None)
    except UnreadableImageError as error:
        return _Decoded(None, str(error))
    except OSError as error:
        return _Decoded(None, error.strerror or str(error))
    except AdvisorError as error:  # a stranger's reader has failed in a way of its own
        return _Decoded(None, error.message)
