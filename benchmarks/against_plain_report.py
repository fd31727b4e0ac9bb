"""Table and plot of `against_plain.py`: test accuracy against seconds, as shares of what training by hand took."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

TENTH = 0.1


def at(frame: pd.DataFrame, seconds: float) -> float:
    """Accuracy of what would have been handed over at a moment; nan before there was anything."""
    known = frame[frame["seconds"] <= seconds]
    return float(known["accuracy"].iloc[-1]) if len(known) else math.nan


def table(frame: pd.DataFrame) -> None:
    def spread(values: list[float], digits: int = 3) -> str:
        if any(math.isnan(value) for value in values):
            return f"- ({sum(map(math.isnan, values))} of {len(values)} with nothing yet)"
        return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"

    print(
        f"\n{'set':<20} seeds  {'plain':<20}  {'its seconds':<15}  {'ours, a tenth':<20}  {'first at':<15}  "
        f"{'ours, equal time':<20}  its seconds"
    )
    for name, mine in frame.groupby("set", sort=False):
        columns: dict[str, list[float]] = {key: [] for key in ("plain", "time", "tenth", "first", "equal", "used")}
        for _, run in mine.groupby("seed"):
            base, own = run[run["way"] == "plain"], run[run["way"] == "ours"]
            if base.empty or own.empty:
                continue
            seconds = float(base["seconds"].iloc[0])
            columns["plain"].append(float(base["accuracy"].iloc[0]))
            columns["time"].append(seconds)
            columns["tenth"].append(at(own, TENTH * seconds))
            columns["first"].append(float(own["seconds"].iloc[0]))
            columns["equal"].append(float(own["accuracy"].iloc[-1]))
            columns["used"].append(float(own["seconds"].iloc[-1]))
        if columns["plain"]:
            shown = [
                f"{name:<20} {len(columns['plain']):>5}", f"{spread(columns['plain']):<20}",
                f"{spread(columns['time'], 0):<15}", f"{spread(columns['tenth']):<20}",
                f"{spread(columns['first'], 1):<15}", f"{spread(columns['equal']):<20}", spread(columns["used"], 0),
            ]  # fmt: skip
            print("  ".join(shown))


def plot(frame: pd.DataFrame, file: str) -> None:
    """One panel a set: accuracy against the share of plain's seconds, thin lines for seeds, thick for their mean."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(frame["set"]))
    columns = min(3, len(names))
    lines = math.ceil(len(names) / columns)
    figure, axes = plt.subplots(lines, columns, figsize=(3.6 * columns, 2.9 * lines), squeeze=False, sharex=True)
    shares = np.geomspace(0.02, 1.1, 200)  # a little beyond: a run may end late
    for name, axis in zip(names, axes.flat, strict=False):
        curves, levels = [], []
        for _, run in frame[frame["set"] == name].groupby("seed"):
            base, own = run[run["way"] == "plain"], run[run["way"] == "ours"]
            if base.empty or own.empty:
                continue
            seconds = float(base["seconds"].iloc[0])
            levels.append(float(base["accuracy"].iloc[0]))
            curves.append([at(own, share * seconds) for share in shares])
            axis.step(shares, curves[-1], where="post", color="tab:blue", lw=0.6, alpha=0.6)
        if not curves:
            continue
        axis.step(shares, np.mean(curves, 0), where="post", color="tab:blue", lw=2, label="search")
        axis.errorbar([1.0], [np.mean(levels)], yerr=[[np.mean(levels) - min(levels)], [max(levels) - np.mean(levels)]],
                      fmt="o", color="tab:red", capsize=3, label="five epochs by hand")  # fmt: skip
        axis.axhline(float(np.mean(levels)), color="tab:red", lw=0.8, ls=":")
        axis.axvline(TENTH, color="gray", lw=0.6, ls="--")
        axis.set_xscale("log")
        axis.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1.0], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
        axis.minorticks_off()
        axis.set_title(name, fontsize=9)
    axes[0, 0].legend(fontsize=8, loc="center left")
    figure.supxlabel("share of the seconds that training by hand takes", fontsize=9)
    figure.supylabel("test accuracy", fontsize=9)
    figure.tight_layout()
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
