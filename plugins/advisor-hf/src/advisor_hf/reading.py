"""From a set of Hugging Face `datasets` to a listing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from advisor.errors import DatasetError, UsageError, closest
from advisor.types import PARTS, Listing
from advisor_hf import PREFIX, is_saved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_IMAGE_TYPES = ("binary", "large_binary", "string", "large_string")  # encoded images, or their paths
_WORDS = ("image", "label", "config")


def read_set(location: str) -> Listing:
    """List the images of a set that was saved, or that is on the hub or in its cache.

    Raises:
        UsageError: a word behind the `?` means nothing.
        DatasetError: the set cannot be had, or has no images or no labels.
    """
    from datasets import Image

    where, _, query = location.removeprefix(PREFIX).partition("?")
    words = dict(parse_qsl(query))
    for word in words:
        if word not in _WORDS:
            raise UsageError(
                f"`{word}` in `{location}` means nothing here.",
                ways=[f"behind the `?` stand {', '.join(_WORDS)}"],
                hint=closest(word, _WORDS) or "hf:owner/birds?label=species",
            )
    splits = _load(where, words.get("config"))
    features = next(iter(splits.values())).features
    image, label = (
        _image_column(features, words.get("image"), location),
        _label_column(features, words.get("label"), location),
    )
    _require_columns(splits, (image, label), location)
    encoded = {name: part.cast_column(image, Image(decode=False)) for name, part in splits.items()}
    paths, labels, parts = [], [], []
    for name, part in encoded.items():
        found = part[label][:]
        if any(value in (None, -1, "") for value in found):
            raise DatasetError(
                f"The split `{name}` of `{location}` has images without a label.",
                ways=["leave it out of the set", "name another column: ?label="],
                hint="hidden test labels are given as -1 by some sets",
            )
        paths += [f"{name}/{number:07d}" for number in range(len(part))]
        names = getattr(part.features[label], "names", None)  # splits may number their classes differently
        labels += [names[value] if names else str(value) for value in found]
        parts += [PARTS.get(name.lower(), "")] * len(part)

    known = set(paths)

    def read(path: str) -> bytes:
        name, _, number = path.partition("/")
        if path not in known:
            raise FileNotFoundError(f"no image `{path}` in the set")
        cell = encoded[name][int(number)][image]
        if cell is None:
            raise OSError("the cell is empty")
        return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()

    return Listing(
        name=Path(where).name or "images",
        paths=paths,
        labels=labels,
        splits=parts if any(parts) else (),
        read=read,
    )


def _load(where: str, config: str | None) -> dict[str, Any]:
    """The splits of a set, by name."""
    import datasets
    from huggingface_hub import constants

    from advisor.network.hub import reachable

    try:
        if is_saved(Path(where)):
            found = datasets.load_from_disk(where)
        else:
            offline = datasets.config.HF_HUB_OFFLINE
            # Its client would try for most of a minute before it looks into its cache.
            datasets.config.HF_HUB_OFFLINE = offline or not (Path(where).exists() or reachable(constants.ENDPOINT))
            try:
                found = datasets.load_dataset(where, config)
            finally:
                datasets.config.HF_HUB_OFFLINE = offline
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DatasetError(
            f"The set `{where}` cannot be had: {reason}",
            ways=["check the name, and ?config= where a set has several", "go online once; the set stays in the cache",
                  "save it on a machine with a network (save_to_disk) and give the folder"],
            hint=f"python -c \"import datasets; datasets.load_dataset('{where}').save_to_disk('saved')\"",
        ) from error  # fmt: skip
    if not found and isinstance(found, dict):
        raise DatasetError(f"The set `{where}` has no splits.", hint="save it again with save_to_disk")
    return dict(found) if isinstance(found, dict) else {str(found.split or "all"): found}


def _require_columns(splits: Mapping[str, Any], columns: Sequence[str], location: str) -> None:
    for name, part in splits.items():
        if missing := [column for column in columns if column not in part.features]:
            raise DatasetError(
                f"The split `{name}` of `{location}` has no column `{missing[0]}`.",
                ways=[f"its columns: {', '.join(part.features)}", "leave the split out of the set"],
                hint="every split needs the same columns",
            )


def _image_column(features: Mapping[str, Any], named: str | None, location: str) -> str:
    from datasets import Image, Value

    images = [name for name, kind in features.items() if isinstance(kind, Image)]
    # Of another type, a column cannot be read as images.
    others = [name for name, kind in features.items() if isinstance(kind, Value) and kind.dtype in _IMAGE_TYPES]
    return _one(images, named, "image", images + others, location)


def _label_column(features: Mapping[str, Any], named: str | None, location: str) -> str:
    from datasets import ClassLabel, Value

    labels = [name for name, kind in features.items() if isinstance(kind, ClassLabel)]
    labels += [name for name, kind in features.items() if name == "label" and isinstance(kind, Value)]
    plain = [name for name, kind in features.items() if isinstance(kind, ClassLabel | Value)]
    return _one(labels or ([named] if named in plain else []), named, "label", plain, location)


def _one(found: list[str], named: str | None, what: str, columns: list[str], location: str) -> str:
    if named and named in columns:
        return named
    if named or not found:
        raise DatasetError(
            f"`{location}` has no {what} column `{named}`." if named else f"`{location}` has no {what} column.",
            ways=[f"its columns: {', '.join(columns) or 'none'}", f"name it: ?{what}="],
            hint=closest(named or what, columns) or f"hf:owner/birds?{what}=…",
        )
    return found[0]
