"""Classes that some given parts have and others lack, whatever format lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.data.layout.record import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.types import Listing

_WORDS = {"val": "validation", "test": "test"}


def gaps_between_parts(listing: Listing) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Of each given part the classes to train on that it lacks, and sentences on these and on those it alone has."""
    classes: dict[str, set[str]] = {}
    for label, split in zip(listing.labels, listing.splits, strict=False):
        classes.setdefault(split or "train", set()).update(label if isinstance(label, tuple) else (label,))
    lacking = _lacking(classes)
    sentences = [f"The {_WORDS[part]} part has no images of {listed(names)}." for part, names in lacking.items()]
    for part, held in classes.items():
        if part in _WORDS and (extra := sorted(held - classes.get("train", held))):
            sentences.append(
                f"Only the {_WORDS[part]} part has images of {listed(extra)}: there are none to learn from."
            )
    return lacking, tuple(sentences)


def _lacking(classes: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    trained = classes.get("train", set())
    absent = {part: tuple(sorted(trained - classes[part])) for part in _WORDS if part in classes}
    return {part: names for part, names in absent.items() if names}
