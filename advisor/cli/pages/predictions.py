"""The page of `advisor predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.cli.console import escape

if TYPE_CHECKING:
    import pandas as pd

    from advisor.cli.page import Page


def prediction_rows(frame: pd.DataFrame, top: int) -> list[dict[str, Any]]:
    """Plain rows: path, and either the error or the likeliest classes."""
    classes = [column for column in frame.columns if column.startswith("p(")]
    rows = []
    for record in frame.to_dict("records"):
        if record["error"]:
            rows.append({"path": record["path"], "error": record["error"]})
            continue
        ranked = sorted(classes, key=lambda column: -record[column])[:top]
        rows.append(
            {
                "path": record["path"],
                "label": record["label"],
                "probability": record["probability"],
                "top": [{"label": column[2:-1], "probability": record[column]} for column in ranked],
            }
        )
    return rows


def predictions(out: Page, rows: list[dict[str, Any]]) -> None:
    """The page of `advisor predict`."""
    width = max((len(row["path"]) for row in rows), default=0)
    for row in rows:
        if "error" in row:
            out.print(f"{escape(row['path']):<{width}}  unreadable: {escape(row['error'])}")
        else:
            words = [f"{escape(entry['label'])} {entry['probability']:.3f}" for entry in row["top"]]
            out.print(f"{escape(row['path']):<{width}}  {'   '.join(words)}")
