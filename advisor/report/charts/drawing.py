"""What every chart is drawn with: Altair in the page's own style.

Colours are variables of the page's style sheet, so that charts follow light, dark and print without being drawn again.
Nothing is told by colour alone: shapes, fillings, dashes and labels say the same.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

    _Channel = TypeVar("_Channel", alt.X, alt.Y)
else:

    class _Altair:
        """Altair, imported when it is first asked for something: a page that draws nothing does without it."""

        def __getattr__(self, name: str) -> object:
            return getattr(import_module("altair"), name)

    alt = _Altair()

__all__ = [
    "ACCENT", "CARD", "CONFIG", "INK", "LINE", "MUTED", "ROW", "SECOND", "SOFT", "Layer", "Row", "Spec", "alt",
    "beside_edge", "chart", "dots", "finish", "geometric", "row_labels", "soft_band", "tips", "unit_axis",
    "upright_rules", "within",
]  # fmt: skip

Row = dict[str, Any]  # of a chart's data: whatever its marks show, by field
Spec = dict[str, object]
Layer = Any  # Altair's own types for a layer and what it is added to are not worth spelling out

INK, MUTED, LINE, CARD = "var(--ink)", "var(--muted)", "var(--line)", "var(--card)"
ACCENT, SOFT, SECOND = "var(--accent)", "var(--soft)", "var(--second)"
# A gradient cannot take variables of the style sheet in every browser; this gray serves on light and dark.
_CLEAR, _EDGE = "rgba(128,136,144,0)", "rgba(128,136,144,0.3)"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Helvetica Neue', sans-serif"
# Said once for all charts of a page.
CONFIG: Spec = {
    "background": "transparent",
    "font": _FONT,
    "padding": {"left": 2, "right": 10, "top": 6, "bottom": 2},
    "view": {"stroke": "transparent"},
    "axis": {"labelColor": MUTED, "titleColor": MUTED, "gridColor": LINE, "domainColor": LINE, "tickColor": LINE,
             "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 10,
             "labelPadding": 6, "tickSize": 4, "labelOverlap": "greedy"},
    "legend": {"labelColor": INK, "labelFontSize": 12, "orient": "top", "symbolSize": 70, "title": None, "padding": 0,
               "offset": 8, "labelLimit": 260},
    "text": {"color": INK, "fontSize": 12, "font": _FONT},
}  # fmt: skip
FIFTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]
ROW = 46  # pixels of a row that has its label above it


def chart(rows: Sequence[Row]) -> alt.Chart:
    """A chart of plain rows; they stay in the page, so no frame is needed."""
    return alt.Chart(alt.InlineData(values=list(rows)))


def finish(layers: Sequence[Layer], *, height: int) -> Spec:
    """A specification of Vega-Lite, checked by Altair, as wide as its place.

    Args:
        layers: the later above the earlier.
        height: of the plot, pixels.
    """
    spec: Spec = alt.layer(*layers).properties(width="container", height=height).to_dict()
    for key in ("$schema", "config"):  # the page has one of each
        spec.pop(key, None)
    return spec


def unit_axis(channel: type[_Channel], field: str, title: str) -> _Channel:
    """An axis from 0 to 1 without a grid."""
    return channel(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(grid=False, values=FIFTHS, format=".1f"),
    )


def soft_band(span: Row, *, across: bool) -> Layer:
    """A band that is darkest in its middle.

    Args:
        span: `x`, `x2`, `y` and `y2`.
        across: whether it fades from left to right.
    """
    stops = [alt.GradientStop(offset=at, color=colour) for at, colour in ((0, _CLEAR), (0.5, _EDGE), (1, _CLEAR))]
    fade = alt.LinearGradient(gradient="linear", stops=stops, x1=0, y1=0, x2=int(across), y2=int(not across))
    return chart([span]).mark_rect(color=fade).encode(x="x:Q", x2="x2:Q", y="y:Q", y2="y2:Q")


def dots(rows: Sequence[Row], field: str, x: alt.X) -> list[Layer]:
    """A dot with its interval in each row, under the row's name; the marked row's is a diamond.

    Args:
        rows: `p` with `low`, `high`, `words`, and `marked`.
        field: of the row's name.
        x: for `p`.
    """
    y = alt.Y(f"{field}:N", sort=None, axis=None)
    colour = alt.condition("datum.marked", alt.value(ACCENT), alt.value(MUTED))
    shape = alt.condition("datum.marked", alt.value("diamond"), alt.value("circle"))
    size = alt.condition("datum.marked", alt.value(150), alt.value(70))
    base = chart(rows).encode(y=y, color=colour)
    return [
        base.mark_rule(strokeWidth=2, yOffset=9).encode(x="low:Q", x2="high:Q"),
        base.mark_point(filled=True, opacity=1, yOffset=9).encode(
            x=x, shape=shape, size=size, tooltip=tips((f"{field}:N", field), ("words:N", ""))
        ),
        *row_labels(rows, field, y),
    ]


def row_labels(rows: Sequence[Row], field: str, y: alt.Y) -> list[Layer]:
    """Names at the left and `words` at the right over each row, so that no margin is lost on a small screen."""
    layers: list[Layer] = []
    for test, marked in (("datum.marked", True), ("!datum.marked", False)):  # weight is no channel of Vega-Lite's
        part = chart(rows).encode(y=y).transform_filter(test)
        layers += [
            part.mark_text(align="left", dy=-9, fontWeight=700 if marked else 400).encode(
                x=alt.value(0), text=f"{field}:N"
            ),
            part.mark_text(align="right", dy=-9, fontWeight=700 if marked else 400).encode(
                x=alt.value("width"), text="words:N"
            ),
        ]
    return layers


def upright_rules(marks: Sequence[tuple[float, str]], field: str) -> list[Layer]:
    """Dotted rules with their labels at the top, one under the other."""
    layers: list[Layer] = []
    for place, (at, label) in enumerate(marks):
        base = chart([{field: at, "label": label}])
        layers += [
            base.mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x=f"{field}:Q"),
            base.mark_text(align="right", dx=-5, dy=8 + 16 * place).encode(
                x=f"{field}:Q", y=alt.value(0), text="label:N"
            ),
        ]
    return layers


def tips(*fields: tuple[str, str], form: str = ".3f") -> list[alt.Tooltip]:
    """What is shown under the pointer: fields with their titles; numbers in one form."""
    return [
        alt.Tooltip(field, title=title or " ", format=form)
        if field.endswith(":Q")
        else alt.Tooltip(field, title=title or " ")
        for field, title in fields
    ]


def beside_edge(place: int, of: int) -> Row:
    """How a label stands at its point, the so-manieth from the left, so that it stays inside."""
    if place == of:
        return {"align": "right", "dx": 10}
    return {"align": "left", "dx": -10} if place == 1 else {"align": "center"}


def within(value: float) -> float | None:
    """A bound of a share, kept in 0..1; None where it is not known."""
    return min(1.0, max(0.0, value)) if math.isfinite(value) else None


def geometric(start: float, end: float, steps: int = 40) -> list[float]:
    """Numbers of equal ratios from start to end."""
    return [start * (end / start) ** (i / (steps - 1)) for i in range(steps)]
