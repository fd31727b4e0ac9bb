"""Labels that are one name, differently written: named, and made one or kept apart as a person says."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from advisor.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

DECISIONS = ("merge", "keep")
_NUMBER = re.compile(r"([+-]?)0*(\d+)(?:\.0*)?")
_FEW = 5  # things named in a message


def alike(name: str) -> str:
    """What remains of a name without case, spelling of accents, kind of blanks, and zeros that change no number.

    `_` and `-` are blanks. Single letters keep their case: `a` and `A` are two letters.
    """
    text = unicodedata.normalize("NFKC", name).strip()
    if number := _NUMBER.fullmatch(text):
        return number[1].replace("+", "") + number[2]
    return text if len(text) == 1 else re.sub(r"[\s_\-]+", " ", text.casefold()).strip()


def twins(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that are one name, differently written."""
    same: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        same.setdefault(alike(name), []).append(name)
    return [tuple(group) for group in same.values() if len(group) > 1]


def difference(first: str, second: str) -> str:
    """What two names that are `alike` differ in."""
    one, two = (unicodedata.normalize("NFC", name) for name in (first, second))
    if one == two:
        return "in how accents are stored (NFC and NFD)"
    if _NUMBER.fullmatch(one.strip()):
        return "in how a number is written"
    if one.casefold() == two.casefold():
        return "in capital letters"
    if one.strip() == two.strip():
        return "in blanks at an end"
    return "in blanks, `_`, `-` or capital letters"


def settle(
    counts: Mapping[str, int], decision: str, where: str, command: Callable[[str], str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """From each label that is renamed to its name, the most frequent one, and a sentence on what was done.

    Args:
        counts: images of each label.
        decision: one of `DECISIONS`, or empty.
        where: the folder or table, for the message.
        command: what to type for a decision.

    Raises:
        DatasetError: two labels look like one, and nobody said what they are.
    """
    groups = [sorted(group, key=lambda one: (-counts[one], one)) for group in twins(counts)]
    if not groups:
        return {}, ()
    shown = "; ".join(
        f"{' and '.join(f'`{one}` ({counts[one]})' for one in group[:_FEW])} differ only {difference(*group[:2])}"
        for group in groups[:_FEW]
    ) + (f"; and {len(groups) - _FEW} more" if len(groups) > _FEW else "")
    if decision == "keep":
        return {}, (f"Labels that look alike are kept apart: {shown}.",)
    if decision == "merge":
        renamed = {one: group[0] for group in groups for one in group[1:]}
        return renamed, (f"Labels that look alike are one class: {shown}.",)
    raise DatasetError(
        f"Some labels of `{where}` look like one, written in several ways: {shown}.",
        ways=[f"one class: {command('merge')}", f"classes of their own: {command('keep')}",
              "or give them one name yourself"],
        hint=command("merge"),
    )  # fmt: skip
