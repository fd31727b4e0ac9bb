"""The charts of size and distance: the four scenarios, the distance by depth, and its votes.

Words and numbers are made at once, for every kind of page; what draws is called only where something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.advice import priors
from advisor.report.charts.drawing import (
    ACCENT,
    CARD,
    LINE,
    ROW,
    SOFT,
    alt,
    chart,
    dots,
    finish,
    soft_band,
    tips,
    unit_axis,
    within,
)
from advisor.report.page.blocks import Chart, Column, Table
from advisor.report.page.words import interval, number
from advisor.strategy import SCENARIOS

if TYPE_CHECKING:
    from advisor.advice.distance import Distance
    from advisor.advice.scenario import Size, Verdict
    from advisor.report.charts.drawing import Layer, Row, Spec

_VOTES = {
    "late": "late layers' statistics",
    "gain": "spread of the class predictions",
    "kurtosis": "peaks of the class scores",
}


def scenario_map(verdict: Verdict, size: Size, distance: Distance) -> Chart:
    """The plane of size and distance with its four quadrants and where the dataset stands."""
    low, high = distance.interval
    here = {"x": distance.different, "y": size.large, "low": low, "high": high, "words": (
        f"different {distance.different:.2f} ({low:.2f} to {high:.2f}), large {size.large:.2f}")}  # fmt: skip
    mine = SCENARIOS[verdict.scenario]
    left, right = (priors.DIFFERENT_ABOVE, 1) if mine.distance == "different" else (0, priors.SIMILAR_BELOW)
    bottom, top = (priors.LARGE_ABOVE, 1) if mine.size == "large" else (0, priors.SMALL_BELOW)
    p = verdict.probabilities
    ranking = ", ".join(f"{n} ({SCENARIOS[n].words}) {p[n]:.2f}" for n in sorted(p, key=lambda n: -p[n]))
    likeliest = max(p, key=lambda n: p[n])
    turned = (
        f" The expected accuracies still favour scenario {verdict.scenario}." if likeliest != verdict.scenario else ""
    )
    rows = tuple(
        (f"{n} {one.size}, {one.distance}", f"{p[n]:.2f}", "advised" if n == verdict.scenario else "")
        for n, one in SCENARIOS.items()
    )

    def draw() -> Spec:
        layers: list[Layer] = [
            chart([{"x": left, "x2": right, "y": bottom, "y2": top}])
            .mark_rect(color=SOFT)
            .encode(
                x=unit_axis(alt.X, "x", "similar  ←  probability of different  →  different"),
                x2="x2:Q",
                y=unit_axis(alt.Y, "y", "small  ←  probability of large  →  large"),
                y2="y2:Q",
            ),
            soft_band(
                {"x": priors.SIMILAR_BELOW, "x2": priors.DIFFERENT_ABOVE, "y": 0, "y2": 1}, across=True
            ),
            soft_band({"x": 0, "x2": 1, "y": priors.SMALL_BELOW, "y2": priors.LARGE_ABOVE}, across=False),
        ]  # fmt: skip
        for line in (0, 1):
            labels = chart([_quadrant(n, verdict, here)[line] for n in SCENARIOS])
            text = labels.mark_text(fontWeight=400 if line else 700, dy=16 * line - 8, fontSize=13 - line)
            layers.append(text.encode(x="x:Q", y="y:Q", text="t:N"))
        layers += [
            chart([here]).mark_rule(strokeWidth=2, color=ACCENT).encode(x="low:Q", x2="high:Q", y="y:Q"),
            chart([here])
            .mark_point(shape="diamond", size=190, filled=True, color=ACCENT, stroke=CARD, strokeWidth=2, opacity=1)
            .encode(x="x:Q", y="y:Q", tooltip=alt.Tooltip("words:N", title="this dataset")),
        ]
        return finish(layers, height=330)

    return Chart(
        "The four scenarios, and where this dataset stands",
        f"The probability of different is {distance.different:.2f} (95 % interval {low:.2f} to {high:.2f}), that of "
        f"large {size.large:.2f}. By these alone the scenarios have the probabilities {ranking}.{turned}",
        draw,
        Table(
            "Probability of each scenario by size and distance alone",
            (Column("scenario"), Column("probability", number=True), Column("")),
            rows,
            marked=frozenset({verdict.scenario - 1}),
        ),
        key="The diamond is this dataset, its bar the interval; in the grey bands either side would do.",
    )


def depth_profile(distance: Distance) -> Chart | None:
    """How far the images are from the source data in early, middle and late layers."""
    thirds = {"early third": distance.early, "middle third": distance.middle, "late third": distance.late}
    rows: list[Row] = [
        {
            "part": part,
            "value": e.value,
            "low": within(e.value - priors.JACKKNIFE_95 * e.se),
            "high": within(e.value + priors.JACKKNIFE_95 * e.se),
        }
        for part, e in thirds.items()
        if e is not None
    ]
    if not rows:
        return None
    most = max(rows, key=lambda r: r["value"])["part"]
    shift = {
        "content": "The late layers, which see content, meet something unfamiliar.",
        "low-level": "Only the early layers, which see colour and sharpness, meet something unfamiliar; the content "
        "is familiar.",
        "none": "No depth meets much that is unfamiliar.",
        "unknown": "",
    }[distance.shift]
    words = ", ".join(f"{r['part']} {r['value']:.3f}" for r in rows)

    def draw() -> Spec:
        base = chart(rows).encode(x=alt.X("part:N", sort=None, title="layers of the network, input side first",
                                           axis=alt.Axis(labelAngle=0, grid=False)))  # fmt: skip
        y = alt.Y("value:Q", title="distance (0 the same, 1 apart)", scale=alt.Scale(domainMin=0, nice=True))
        shown = tips(("part:N", "layers"), ("value:Q", "distance"), ("low:Q", "from"), ("high:Q", "to"), form=".4f")
        layers: list[Layer] = [
            base.mark_line(color=ACCENT, strokeWidth=1.5).encode(y=y),
            *([base.mark_rule(color=ACCENT, strokeWidth=2).encode(y="low:Q", y2="high:Q")]
              if all(r["low"] is not None for r in rows) else []),
            base.mark_point(filled=True, size=90, color=ACCENT, opacity=1).encode(y="value:Q", tooltip=shown),
        ]  # fmt: skip
        return finish(layers, height=220)

    return Chart(
        "Distance by depth",
        f"Squared Hellinger distance between the channel statistics of these images and of the network's training "
        f"data: {words}; largest in the {most}. {shift}".strip(),
        draw,
        Table(
            "Distance by depth, with 95 % intervals (jackknife)",
            (Column("layers"), Column("distance", number=True), Column("from", number=True), Column("to", number=True)),
            tuple((r["part"], number(r["value"], 4), number(r["low"], 4), number(r["high"], 4)) for r in rows),
        ),
    )


def distance_votes(distance: Distance) -> Chart | None:
    """What each vote says of similar or different, and all together."""
    if not distance.votes:
        return None
    together = "all votes together"
    rows: list[Row] = [
        {"vote": _VOTES.get(name, name), "p": p, "low": distance.vote_intervals[name][0],
         "high": distance.vote_intervals[name][1], "marked": False}
        for name, p in distance.votes.items()
    ]  # fmt: skip
    rows.append({"vote": together, "p": distance.different, "low": distance.interval[0],
                 "high": distance.interval[1], "marked": True})  # fmt: skip
    for row in rows:
        row["words"] = interval(row["p"], row["low"], row["high"])
    border = {"x": priors.SIMILAR_BELOW, "x2": priors.DIFFERENT_ABOVE}
    sides = [f"{row['vote']} {row['p']:.2f}" for row in rows[:-1]]

    def draw() -> Spec:
        band = chart([border]).mark_rect(color=LINE, opacity=0.5).encode(x="x:Q", x2="x2:Q")
        layers = [band, *dots(rows, "vote", unit_axis(alt.X, "p", "probability of different"))]
        return finish(layers, height=ROW * len(rows))

    return Chart(
        "Votes on the distance",
        f"Together {distance.different:.2f}, which counts as {distance.side} (from {priors.SIMILAR_BELOW:.2f} to "
        f"{priors.DIFFERENT_ABOVE:.2f} is borderline): {', '.join(sides)}.",
        draw,
        Table(
            "Probability that the images are unlike the training data, with 95 % intervals",
            (
                Column("vote"),
                Column("probability", number=True),
                Column("from", number=True),
                Column("to", number=True),
            ),
            tuple((row["vote"], number(row["p"]), number(row["low"]), number(row["high"])) for row in rows),
            marked=frozenset({len(rows) - 1}),
        ),
        key="The grey band is borderline.",
    )


def _quadrant(number_: int, verdict: Verdict, here: Row) -> tuple[Row, Row]:
    """The two lines that name a quadrant, out of the way of the dataset's point."""
    scenario = SCENARIOS[number_]
    x, y = (0.75 if scenario.distance == "different" else 0.25), (0.75 if scenario.size == "large" else 0.25)
    if abs(here["x"] - x) < 0.25 and abs(here["y"] - y) < 0.14:
        y += 0.16 if here["y"] < y else -0.16
    first = {"x": x, "y": y, "t": f"{number_}  {scenario.size}, {scenario.distance}"}
    return first, {"x": x, "y": y, "t": f"probability {verdict.probabilities[number_]:.2f}"}
