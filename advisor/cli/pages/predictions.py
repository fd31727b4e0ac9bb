"""The page of `advisor predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.cli.console import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.cli.page import TerminalPage


def predictions(out: TerminalPage, rows: Sequence[dict[str, Any]]) -> None:
    """One line per image: the likeliest labels, or why it could not be read.

    Args:
        out: where to.
        rows: as `advisor.outcome.predict.Predicted.to_dict` gives them.
    """
    width = max((len(row["path"]) for row in rows), default=0)
    for row in rows:
        if "error" in row:
            words = f"unreadable: {escape(row['error'])}"
        else:
            words = "   ".join(f"{escape(entry['label'])} {entry['probability']:.3f}" for entry in row["top"])
            words = words if row["label"] else f"none likely enough ({words})"
        out.print(f"{escape(row['path']):<{width}}  {words}")
