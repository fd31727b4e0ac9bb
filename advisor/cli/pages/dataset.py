"""What is said about a set of images: the page of `advisor profile`, and its part of `advisor recommend`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from advisor.advice import priors
from advisor.cli.console import escape
from advisor.data.layout.names import by_ending, unread_pictures

if TYPE_CHECKING:
    from advisor.advice.inspection import Inspected
    from advisor.advice.recommendation import Recommendation
    from advisor.cli.page import TerminalPage
    from advisor.data.profile import DatasetProfile

_MANY = 5


def profile(out: TerminalPage, found: DatasetProfile, seen: Inspected | None) -> None:
    """The page of `advisor profile`."""
    data(out, found)
    if seen is not None:
        classes(out, seen)
    width = min(max(map(cell_len, found.per_class)), max(10, out.width - 22))
    bar = max(10, min(40, out.width - width - 12))
    most = max(found.per_class.values())
    for name, count in found.per_class.items():
        shown = name if cell_len(name) <= width else set_cell_size(name, width - 1) + "…"
        shown += " " * (width - cell_len(shown))
        out.command(f"  {escape(shown)} {count:>7} {'#' * max(1, round(bar * count / most))}")


def data(out: TerminalPage, found: DatasetProfile) -> None:
    """What the files are like: counts, sizes, copies, leaks, and what gives the class away."""
    splits = ", ".join(f"{name} {count}" for name, count in found.splits.items() if count)
    out.print(
        f"[bold]Data[/bold] {escape(found.name)}: {found.images} images, {len(found.per_class)} classes ({splits})"
    )
    for sentence in found.reading:
        out.print(f"  {escape(sentence)}")
    least, most = min(found.per_class.values()), max(found.per_class.values())
    widths, heights = found.width, found.height
    out.print(f"  {least} to {most} images per class; median size {widths[1]} × {heights[1]} pixels")
    modes = ", ".join(f"{name} {count}" for name, count in found.modes.items())
    out.print(f"  colour modes: {escape(modes)}")
    _unused(out, found)
    for groups, one, plural in (
        (found.duplicates, "group of identical files", "groups of identical files"),
        (found.near_duplicates, "group of near copies", "groups of near copies (one picture, re-encoded or resized)"),
        (found.conflicting, "group of copies carries different labels", "groups of copies carry different labels"),
        (found.leaking, "group of copies stands on both sides of a split: scores come out too high",
         "groups of copies stand on both sides of a split: scores come out too high"),
    ):  # fmt: skip
        if groups:
            words = one if len(groups) == 1 else plural
            out.print(f"  {len(groups)} {words}, such as {escape(', '.join(groups[0][:3]))}")
    names = list(found.per_class)
    for shortcut in found.shortcuts:
        out.print(
            f"  the {shortcut.property} alone tells the class with balanced accuracy {shortcut.accuracy:.2f} "
            f"(chance {shortcut.chance:.2f}), best for {escape(', '.join(names[i] for i in shortcut.classes[:3]))}: "
            "a model may learn that instead"
        )
    if found.imbalance >= priors.IMBALANCED:
        out.print(f"  the largest class has {found.imbalance:.0f} times as many images as the smallest")
    for note in found.notes:
        out.print(f"  {escape(note)}")
    out.print()


def _unused(out: TerminalPage, counts: DatasetProfile) -> None:
    """Files that cannot be read, or are none of the images."""
    if counts.broken:
        out.print(f"  {len(counts.broken)} files cannot be read and are left out:")
        for path, reason in counts.broken[:_MANY]:
            out.print(f"    {escape(path)}: {escape(reason)}")
        if len(counts.broken) > _MANY:
            out.print(f"    … and {len(counts.broken) - _MANY} more; all with --json")
    if counts.ignored:
        kinds = escape(by_ending(counts.ignored))
        what = "1 other file is" if len(counts.ignored) == 1 else f"{len(counts.ignored)} other files are"
        out.print(f"  {what} ignored ({kinds}), such as {escape(counts.ignored[0])}")
    if pictures := unread_pictures(counts.ignored):
        out.print(f"  {escape(pictures)}")


def classes(out: TerminalPage, found: Recommendation | Inspected) -> None:
    """What the probes say about single images and classes."""
    for suspect in found.suspects[:_MANY]:
        out.print(
            f"  label to check: {escape(suspect.path)} is labelled {escape(suspect.label)} and looks like "
            f"{escape(suspect.looks_like)} ({suspect.probability:.2f})"
        )
    if len(found.suspects) > _MANY:
        out.print(f"  … and {len(found.suspects) - _MANY} more labels to check; all with --json")
    if found.confusions:
        pairs = [f"{entry.label} for {entry.taken_for} ({entry.share:.0%})" for entry in found.confusions[:3]]
        out.print(f"  taken for each other most: {escape('; '.join(pairs))}")
    far = sorted((c for c in found.classes if c.distance), key=lambda c: -c.distance.value if c.distance else 0)
    if far:
        words = [f"{c.name} ({c.distance.value:.3f} ± {c.distance.se:.3f})" for c in far[:3] if c.distance]
        out.print(f"  least like the network's training data: {escape(', '.join(words))}")
    if found.suspects or found.confusions or far:
        out.print()
