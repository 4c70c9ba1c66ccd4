"""How everything looks: colours, the look of figures, and numbers and names as text."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from decortex.columns import CLUSTER_COLOURS

INK = "#1b2430"
MUTED = "#55606e"
LINE = "#e2e6eb"
ACCENT = "#0b5cad"
BAND = "rgba(85, 96, 110, 0.16)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
OKABE_ITO = CLUSTER_COLOURS
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
OUTSIDE = "#b4bac2"
STATES = {"done": "#009E73", "running": "#0072B2", "failed": "#D55E00", "waiting": "#b4bac2"}
SEQUENTIAL = "Viridis"


def cluster_colour(cluster: int) -> str:
    """Colour of a cluster, the same on every page; -1 is a neuron outside every cluster."""
    return OUTSIDE if cluster < 0 else OKABE_ITO[cluster % len(OKABE_ITO)]


def cluster_symbol(cluster: int) -> str:
    """Marker of a cluster: each of seven has its own, and clusters that share a colour differ in it."""
    n = len(SYMBOLS)
    return "circle" if cluster < 0 else SYMBOLS[(cluster + cluster // n) % n]


def category_colour(index: int) -> str:
    """Colour of the n-th of some categories that are not clusters."""
    return OKABE_ITO[index % len(OKABE_ITO)]


def plain(text: Any) -> str:
    """A name as text inside a figure, where angle brackets would be read as markup."""
    return html.escape(str(text), quote=False)


def number(value: Any, digits: int = 3) -> str:
    """A value as text: a dash for what is undefined, thousands apart, small numbers not rounded to zero."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u2009") if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        if value != 0 and abs(value) < 10**-digits:
            return f"{value:.2g}"
        return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", "\u2009")
    return str(value)


def p_value(value: float | None) -> str:
    """A p-value as text: four decimals at most, '< .0001' below, a dash where it is undefined."""
    if value is None:
        return "–"
    if value < 1e-4 * (1 - 1e-9):
        return "p < .0001"
    return f"p {value:.4f}".replace("0.", ".", 1) if value < 0.01 else f"p {value:.3f}".replace("0.", ".", 1)


_PLURALS = (
    "networks|epochs|keys|tables|pairs|partitions|neurons|clusters|packages|rows|criteria|answers|surrogates|animals|"
    "sessions|units|lines|features|curves|views"
)
_ONE = re.compile(rf"(?<![\d.,\u2009])1 ({_PLURALS})\b")


def one_thing(text: str) -> str:
    """A text in which one of something is not several: '1 networks' becomes '1 network'."""
    return _ONE.sub(
        lambda found: f"1 {'criterion' if found[1] == 'criteria' else found[1].removesuffix('s')}", text
    )


def duration(seconds: float | None) -> str:
    """A time span as text."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def figure(*traces: Any, x: str = "", y: str = "", height: int = 340, **layout: Any) -> go.Figure:
    """A figure in the look of the dashboard, with the axes' names and units."""
    axis: Mapping[str, Any] = {
        "gridcolor": LINE,
        "linecolor": LINE,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
        "title": {"font": {"color": MUTED, "size": 12}, "standoff": 8},
    }
    made = go.Figure(list(traces))
    made.update_layout(
        height=height,
        margin={"l": 56, "r": 16, "t": 12, "b": 44},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
        colorway=list(OKABE_ITO),
        hoverlabel={
            "font": {"family": FONT, "size": 12, "color": INK},
            "bgcolor": "#ffffff",
            "bordercolor": LINE,
        },
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "xanchor": "left", "x": 0, "title": ""},
        xaxis=axis,
        yaxis=axis,
    )
    made.update_xaxes(title_text=x)
    made.update_yaxes(title_text=y)
    made.update_layout(**layout)
    return made
