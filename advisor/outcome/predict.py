"""Class probabilities for new images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from advisor.builtin.datasets import is_image_name
from advisor.data.decode import UnreadableImageError, decode_square
from advisor.data.views import clean_view
from advisor.errors import UsageError
from advisor.network.sweep import BATCH
from advisor.outcome.bundle import Bundle, load
from advisor.outcome.evidence import said
from advisor.plugins import Catalog, load_catalog
from advisor.progress import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class _Source:
    """One image to predict."""

    path: str
    read: Callable[[], bytes]


def predict(
    bundle: str | Path | Bundle,
    inputs: Sequence[str | Path],
    *,
    device: str = "auto",
    limit: int | None = None,
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Predict images with a handed-over model.

    Args:
        bundle: a bundle or its folder.
        inputs: image files, folders (searched for images), or locations of a dataset format such as
            `digits:`.
        device: `auto`, `cpu` or `cuda`.
        limit: at most this many images.
        catalog: the installed plugins by default.
        progress: told how far it is.

    Returns:
        One row per image, in order: `path`, `label` (empty if it could not be read), `probability` (calibrated on
        the validation images), `error` (empty if it could), then one column of probability per class. Where images may
        have several labels, `label` holds all that are at least as likely as not, between `|`, the likeliest first,
        and `probability` that of the first.

    Raises:
        UsageError: an input is not there, or holds no images.
        BundleError: the bundle cannot be loaded.
    """
    catalog, progress = catalog or load_catalog(), progress or Silent()
    model = bundle if isinstance(bundle, Bundle) else load(bundle, device=device, catalog=catalog)
    sources = [source for given in inputs for source in _sources(str(given), catalog)][:limit]
    where = next(model.network.parameters()).device
    errors: dict[int, str] = {}
    scores = np.full((len(sources), len(model.classes)), np.nan)
    with progress.task("Predicting", len(sources)) as advance:
        for start in range(0, len(sources), BATCH):
            pixels, places = [], []
            for place in range(start, min(start + BATCH, len(sources))):
                outcome = _decode(sources[place], model)
                if isinstance(outcome, str):
                    errors[place] = outcome
                else:
                    pixels.append(outcome)
                    places.append(place)
            if pixels:
                images = clean_view(torch.from_numpy(np.stack(pixels)).to(where), model.input)
                with torch.inference_mode():
                    scores[places] = model.probabilities(model.network(images)).cpu().numpy()
            advance(min(BATCH, len(sources) - start))
    best = np.where(np.isnan(scores).any(1), -1, np.nan_to_num(scores).argmax(1))
    frame = pd.DataFrame(
        {
            "path": [source.path for source in sources],
            "label": [
                said(scores[row], model.classes, several=model.several) if i >= 0 else "" for row, i in enumerate(best)
            ],
            "probability": [float(scores[row, i]) if i >= 0 else np.nan for row, i in enumerate(best)],
            "error": [errors.get(row, "") for row in range(len(sources))],
        }
    )
    columns = pd.DataFrame(scores, columns=[f"p({name})" for name in model.classes])
    return pd.concat([frame, columns], axis=1)


def _sources(given: str, catalog: Catalog) -> Iterator[_Source]:
    """An image file, the images below a folder, or what an installed format reads: a table, shards, `digits:`."""
    path = Path(given)
    if path.is_file() and is_image_name(path.name):
        yield _Source(given, path.read_bytes)
        return
    found = sorted(file for file in path.rglob("*") if file.is_file() and is_image_name(file.name))
    if found:
        for file in found:
            yield _Source(str(file), file.read_bytes)
        return
    others = [offer.item for name, offer in catalog.datasets.items() if name != "folder"]
    score, place = max(((one.recognise(given), place) for place, one in enumerate(others)), default=(0.0, 0))
    if score > 0:
        listing = others[place].open(given)
        for image in listing.paths:
            yield _Source(f"{given}{'' if given.endswith(':') else '/'}{image}", partial(listing.read, image))
    elif path.is_file():
        yield _Source(given, path.read_bytes)
    elif path.is_dir():
        raise UsageError(f"There are no images in `{given}`.", hint="give image files or a folder of them")
    else:
        raise UsageError(
            f"`{given}` is neither a file nor a folder.",
            ways=["check the spelling"],
            hint="advisor predict runs/<name>/best photo.jpg more/",
        )


def _decode(source: _Source, model: Bundle) -> NDArray[np.uint8] | str:
    try:
        return decode_square(source.read(), model.input.resize, model.input.interpolation)
    except UnreadableImageError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
