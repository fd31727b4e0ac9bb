"""What a name says: that it is an image, junk, a part of a dataset, a label, or another name written differently."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from advisor.data.layout.twins import alike
from advisor.types import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Written by NAS boxes, Windows, macOS and Linux; bare `trash` may be a class. Lower case.
_JUNK = frozenset({
    "@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", "@recently-snapshot", "$recycle.bin", "recycler", "recycled",
    "system volume information", "__macosx", "lost+found", "found.000", "__pycache__", "network trash folder",
    "temporary items", "@__thumb", ".@__thumb",
})  # fmt: skip
_THUMBNAILS = frozenset({"thumb", "thumbs", "thumbnail", "thumbnails", "_thumb", "_thumbs", "_thumbnails"})
_MASKS = frozenset({
    "mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "segmentations", "gt",
    "groundtruth", "ground_truth", "seg", "lbl",
})  # fmt: skip
_UNLABELLED = re.compile(
    r"(?<![a-z])(un-?label+ed|unlabel|pred|preds|predict|predictions?|inference|submission)(?![a-z])"
)
_FILLER = (
    "datasets", "dataset", "data", "sets", "set", "images", "image", "imgs", "img", "pictures", "pics", "photos",
    "samples", "splits", "split", "part", "seg", "folder", "files", "dir", "cropped", "crops", "resized", "processed",
    "raw", "original", "final", "new", "my", "the", "jpg", "jpeg", "png", "full", "small", "large", "all", "stg", "x",
    "labelled", "labeled", "annotated",
)  # fmt: skip
_NEUTRAL = frozenset({*_FILLER, "google", "bing", "flickr", "baidu", "yahoo", "duckduckgo", "originals", "jpegimages"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]")
_FILLERS, _PARTS = "|".join(_FILLER), "|".join(sorted(PARTS, key=len, reverse=True))
_COMPOUND = re.compile(f"(?:{_FILLERS})*({_PARTS})(?:{_FILLERS})*")
_NUMBERED = re.compile(r"(.*?)[\s._\-]*\(?\d+\)?")
_LEAST_LABELLED = 0.9  # of the files, for labels to be seen in their names


def is_skipped(name: str, *, beside_images: bool) -> bool:
    """Whether a folder is hidden, a system's own, or holds thumbnails of the images beside it.

    Args:
        name: of the folder.
        beside_images: whether images stand beside it; a class may be called `thumbs`.
    """
    lower = name.lower()
    return name.startswith(".") or lower in _JUNK or (beside_images and lower in _THUMBNAILS)


def is_mask_name(name: str) -> bool:
    """Whether a folder beside images is called as masks and annotations of them are."""
    return name.strip().lower() in _MASKS


def is_unlabelled_name(name: str) -> bool:
    """Whether a folder is called as images to be predicted are."""
    return bool(_UNLABELLED.search(name.lower().replace("_", " ")))


def is_neutral_name(name: str, above: str) -> bool:
    """Whether a folder within a class folder says nothing of its own: `images`, `google`, `12`, or `mug_3` in `mug`."""
    words = [word.lower() for word in _WORD.findall(name)]
    return all(word in _NEUTRAL for word in words) or alike(name).startswith(alike(above))


def part_names(names: Iterable[str]) -> dict[str, str]:
    """The names that are those of parts, with the part: `train`, `val` or `test`.

    A word for a part may stand with words that say nothing (`data_train`, `train_images`, `train2017`), or with others
    that another part among these names has too (`birds_train` beside `birds_test`).
    """
    read = {name: spelled for name in names if (spelled := _spelled(name)) is not None}
    parts_of: dict[tuple[str, ...], set[str]] = {}
    for part, rest in read.values():
        parts_of.setdefault(rest, set()).add(part)
    parts = {name: part for name, (part, rest) in read.items() if not rest or len(parts_of[rest]) > 1}
    evals = [name for name in parts if "eval" in name.lower()]
    others = {part for name, part in parts.items() if name not in evals}
    if len(evals) == 1 and "test" in others and "val" not in others:
        parts[evals[0]] = "val"
    return parts


def _spelled(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The part that a name speaks of, and its words that say something else."""
    parts: list[str] = []
    rest: list[str] = []
    whole = re.sub(r"(?i)hold[\s_\-]out", "holdout", unicodedata.normalize("NFKC", name))
    for word in _WORD.findall(whole):
        lower = word.lower()
        if lower in PARTS:
            parts.append(PARTS[lower])
        elif match := _COMPOUND.fullmatch(lower):
            parts.append(PARTS[match[1]])
        elif lower not in _FILLER:
            rest.append(lower)
    if set(parts) == {"train", "val"}:  # `train_val`, what is neither is the test
        parts = ["train"]
    return (parts[0], tuple(rest)) if len(set(parts)) == 1 else None


def label_in_name(name: str) -> str:
    """The words before the number in `cat.12.jpg` or `american_bulldog_203.jpg`; empty where there are none."""
    match = _NUMBERED.fullmatch(PurePosixPath(name).stem)
    return match[1].strip() if match and re.search(r"[^\W\d_]", match[1]) else ""


def labels_in_names(names: Sequence[str]) -> Counter[str]:
    """How often each label stands in the names of files; nothing where they do not look like labels."""
    labels = Counter(filter(None, map(label_in_name, names)))
    total = sum(labels.values())
    if total < _LEAST_LABELLED * len(names) or len(labels) < 2 or min(labels.values()) < 2:
        return Counter()
    return labels if 2 * len(labels) <= total else Counter()
