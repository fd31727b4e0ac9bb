"""The whole way behind scikit-learn's interface: for people who have images in memory and labels beside them."""

from __future__ import annotations

import io
import tempfile
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageFile, ImageOps
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from advisor.advice.recommend import recommend
from advisor.data.decode import UnreadableImageError, decode_for
from advisor.data.levels import white_is_zero
from advisor.data.views import clean_view
from advisor.errors import DatasetError, UsageError
from advisor.network.sweep import BATCH
from advisor.outcome.bundle import load
from advisor.outcome.run import Machine, tune
from advisor.plugins import load_catalog
from advisor.recipe import Plan, load_recipe
from advisor.stability import experimental

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Images = Sequence[object] | NDArray[np.generic]
    Values = NDArray[Any]  # labels, or an image: of whatever type was given

_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_WITH_ALPHA = ("PA", "La", "RGBa")  # other ways to keep opacity, which few formats hold
_GRAY = ("bool", "uint8", "uint16", "int16", "int32", "float16", "float32", "float64")


@experimental("0.1")
class AdvisorClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An image classifier that finds out by itself how to transfer a pretrained network.

    Images are an array (n, height, width) or (n, height, width, 3), or a list of such arrays, of Pillow images, or of
    paths, of any sizes. Arrays hold unsigned bytes, or floats in 0..1; gray ones also 16-bit or 32-bit integers and
    floats of any scale, and a second or fourth channel is their opacity. A path, its open image and its upright array
    give the same probabilities. A fifth of the images is kept for an honest test figure.

    Args:
        backbone: name of the pretrained network.
        recipe: name of a recipe; by default the one that is recommended for these images.
        budget: time for the search, such as `5m`.
        trials: at most so many; the recipe's number by default.
        device: `auto`, `cpu` or `cuda`.
        random_state: of the split and of every training; a number, or whatever scikit-learn takes.

    Attributes:
        classes_: (k,) the labels, sorted.
        bundle_: the model, loaded; see `advisor.outcome.bundle.Bundle`.
        recommendation_: why this way, as plain data; None where a recipe was given.
        result_: figures of the search, as plain data.
        test_accuracy_: on the images kept apart, 0..1.
        test_interval_: its 95 % interval.
    """

    def __init__(
        self,
        *,
        backbone: str = "lite0",
        recipe: str | None = None,
        budget: str = "5m",
        trials: int | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.backbone = backbone
        self.recipe = recipe
        self.budget = budget
        self.trials = trials
        self.device = device
        self.random_state = random_state

    def fit(self, X: Images, y: ArrayLike) -> AdvisorClassifier:
        """Recommend, search, and keep the best model.

        Args:
            X: images.
            y: (n,) labels.

        Raises:
            UsageError: there are not as many labels as images.
            DatasetError: an image cannot be read, or a class is too small.
        """
        labels = np.asarray(y)
        if labels.ndim != 1 or len(labels) != len(X):
            raise UsageError(
                f"There are {len(X)} images and labels of shape {labels.shape}.",
                ways=["give one label an image, as a flat sequence"],
                hint="y = [row.label for row in rows]",
            )
        if pd.isna(labels).any():
            raise UsageError(
                f"{int(pd.isna(labels).sum())} of {len(labels)} images have no label.",
                ways=["leave them out, or label them"],
                hint="y = y[known]; X = X[known]",
            )
        classes, places = np.unique(labels, return_inverse=True)
        catalog, seed = load_catalog(), self.random_state
        if not isinstance(seed, Integral):  # None and generators, as elsewhere in scikit-learn
            seed = check_random_state(seed).randint(2**31 - 1)
        why: dict[str, object] | None
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for number, (place, data) in enumerate(zip(places.tolist(), _encoded(X), strict=True)):
                # Numbered, so that the order of the classes is that of `classes_`, whatever they are called.
                file = root / "images" / f"{place:06d}" / f"{number:08d}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            if self.recipe is None:
                advice = recommend(
                    str(root / "images"), backbone=self.backbone, device=self.device, seed=seed, catalog=catalog
                )
                plan, why = advice.plan, advice.to_dict()
            else:
                chosen = load_recipe(self.recipe, catalog)
                plan = Plan(chosen, str(root / "images"), self.backbone, seed=seed)
                why = None
            found = tune(
                plan, runs=root / "runs", budget=self.budget, trials=self.trials, machine=Machine(self.device),
                catalog=catalog,
            )  # fmt: skip
            self.bundle_ = load(found.best, device=self.device, catalog=catalog)
            self.classes_ = classes
            self.recommendation_, self.result_ = why, found.to_dict()
            self.test_accuracy_, self.test_interval_ = found.test, found.test_interval
        return self

    def predict_proba(self, X: Images) -> NDArray[np.float64]:
        """Probabilities (n, k) of the classes, in the order of `classes_`, calibrated on validation images."""
        check_is_fitted(self, "bundle_")
        spec, network = self.bundle_.input, self.bundle_.network
        where = next(network.parameters()).device
        parts: list[NDArray[np.float64]] = [np.zeros((0, len(self.classes_)))]
        pixels: list[NDArray[np.uint8]] = []
        for number, data in enumerate(_encoded(X)):
            try:
                pixels.append(decode_for(data, spec, self.bundle_.ranges, in_full=True))
            except UnreadableImageError as error:
                raise DatasetError(f"Image {number} cannot be read: {error}.", hint="leave it out") from error
            if len(pixels) == BATCH or number == len(X) - 1:
                with torch.inference_mode():
                    logits = network(clean_view(torch.from_numpy(np.stack(pixels)).to(where), spec))
                probabilities = self.bundle_.task.probabilities(logits.double(), self.bundle_.temperature)
                parts.append(probabilities.cpu().numpy())
                pixels = []
        return np.concatenate(parts)

    def predict(self, X: Images) -> Values:
        """(n,) the most probable label of each image."""
        probabilities = self.predict_proba(X)
        labels: Values = self.classes_[probabilities.argmax(1)]
        return labels


def _encoded(X: Images) -> Iterator[bytes]:
    """The bytes of an image file for each image.

    Raises:
        DatasetError: it is one image instead of several, or one of them cannot be read.
    """
    if isinstance(X, str | Path | Image.Image) or (isinstance(X, np.ndarray) and X.ndim == 3 and X.shape[2] == 3):
        raise DatasetError("This is one image.", ways=["give a list: [image]"], hint="predict([image])[0]")
    for number, image in enumerate(X):
        if isinstance(image, str | Path):
            try:
                yield Path(image).read_bytes()
            except OSError as error:
                raise DatasetError(f"`{image}` cannot be read: {error.strerror}.", hint="check the path") from error
            continue
        picture = image if isinstance(image, Image.Image) else _picture(np.asarray(image), number)
        try:
            yield _file_of(picture)
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"Image {number}, of mode {picture.mode}, cannot be read: {error}.",
                               hint="image.convert('RGB')") from error  # fmt: skip


def _file_of(picture: Image.Image) -> bytes:
    """An image file with all that a Pillow image shows: upright, with its opacity, at its depth.

    One that was opened and not yet loaded is its own file.
    """
    if (own := _own_file(picture)) is not None:
        return own
    inverted = white_is_zero(picture)
    upright = ImageOps.exif_transpose(picture)
    if inverted:
        values = np.asarray(upright)
        upright = Image.fromarray(65535 - values if values.dtype.kind == "u" else -values)
    if upright.mode in _WITH_ALPHA:
        upright = upright.convert("RGBA")
    buffer = io.BytesIO()
    if upright.mode in _PNG_MODES:
        upright.save(buffer, "PNG", compress_level=1)
    else:
        upright.save(buffer, "TIFF")
    return buffer.getvalue()


def _own_file(picture: Image.Image) -> bytes | None:
    """The bytes of the file that a Pillow image was opened from, where nothing of it has been loaded or changed."""
    if getattr(picture, "map", None) is not None and picture.readonly:
        # Still the file's own pixels, mapped into memory; Pillow maps a TIFF that lies on its side in the wrong shape.
        return Path(getattr(picture, "filename", "")).read_bytes()
    file = getattr(picture, "fp", None)
    if not isinstance(picture, ImageFile.ImageFile) or file is None or not picture.tile or picture.tell() != 0:
        return None
    place = file.tell()
    try:
        file.seek(0)
        data: bytes = file.read()
    finally:
        file.seek(place)
    return data


def _picture(values: Values, number: int) -> Image.Image:
    gray = values.ndim == 2 and values.dtype.name in _GRAY
    channels = values.shape[2] if values.ndim == 3 else 1
    if channels == 3 and values.dtype.kind == "f" and values.size and np.isfinite(values).all() and (
        0 <= values.min() <= values.max() <= 1
    ):  # fmt: skip
        values = np.round(values * 255).astype(np.uint8)
    coloured = values.ndim == 3 and channels in {2, 3, 4} and values.dtype == np.uint8
    if not (gray or coloured) or not values.size:
        raise DatasetError(
            f"Image {number} is an array of shape {values.shape} and type {values.dtype}.",
            ways=["give (height, width) or (height, width, 3), unsigned bytes or floats in 0..1",
                  "give 16-bit and 32-bit integers and floats of another scale as (height, width)"],
            hint="scikit-learn's digits: load_digits().images / 16",
        )  # fmt: skip
    if values.dtype.kind == "f":
        values = values.astype(np.float32)
    elif values.dtype == np.int16:
        values = values.astype(np.int32)
    return Image.fromarray(np.ascontiguousarray(values))
