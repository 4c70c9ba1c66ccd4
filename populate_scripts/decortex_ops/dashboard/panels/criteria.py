"""Criteria of K as small multiples: value with interval over K, and where surrogates of every null model lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from decortex.columns import CRITERIA, NULL_COLOURS
from decortex_ops.dashboard.theme import INK, LINE, MUTED, OKABE_ITO, figure, plain

# Null models, and their colours in every figure.
NULLS = NULL_COLOURS
_COLUMNS = 3
# Told apart in grey too; the same as in print.
_DASHES = {"gaussian": "solid", "t": "dash", "permuted": "dot", "copula": "dashdot"}


def criteria_figure(one: Mapping[str, Any], shown: Sequence[str]) -> go.Figure:
    """One panel a criterion: value with interval over K, and the band of every null model."""
    n_rows = -(-len(shown) // _COLUMNS)
    made = make_subplots(
        n_rows,
        min(_COLUMNS, len(shown)),
        subplot_titles=[f"<b>{CRITERIA[name][0]}</b>" for name in shown],
        vertical_spacing=0.34 / max(n_rows, 1),
        horizontal_spacing=0.07,
    )
    named: set[str] = set()
    traces: list[go.Scatter] = []
    places: list[tuple[int, int]] = []
    axes: dict[str, Any] = {}
    for index, name in enumerate(shown):
        own: list[go.Scatter] = []
        for kind in NULLS:
            band = null_band(one, name, kind, show_legend=kind not in named)
            own += band
            named |= {kind} if band else set()
        own.append(curve(one, name))
        choice = one["single"].get(name)
        if choice is not None:
            own.append(_mark(one, name, choice))
        traces += own
        places += [(index // _COLUMNS + 1, index % _COLUMNS + 1)] * len(own)
        number = "" if index == 0 else str(index + 1)
        last = index >= len(shown) - _COLUMNS
        axes[f"yaxis{number}"] = {
            "title": {"text": CRITERIA[name][1], "font": {"size": 11, "color": MUTED}},
            "gridcolor": LINE,
            "zeroline": False,
            "automargin": True,
        }
        axes[f"xaxis{number}"] = {
            "title": {"text": "K" if last else "", "font": {"color": MUTED, "size": 12}},
            "gridcolor": LINE,
            "zeroline": False,
            # Ticks at K that were computed, and only there.
            "tickmode": "array",
            "tickvals": [count["k"] for count in one["counts"]],
        }
    # All at once: plotly checks the whole figure anew at every call.
    made.add_traces(traces, rows=[row for row, _ in places], cols=[column for _, column in places])
    look = figure(height=60 + 235 * n_rows).layout
    made.update_layout(
        height=look.height,
        font=look.font,
        paper_bgcolor="#fff",
        plot_bgcolor="#fff",
        hoverlabel=look.hoverlabel,
        margin={"l": 60, "r": 16, "t": 62, "b": 40},
        legend={"orientation": "h", "y": 1, "yref": "container", "yanchor": "top", "x": 0},
        shapes=[] if one["decision"] is None else [_decision(one["decision"], i) for i in range(len(shown))],
        **axes,
    )
    made.update_annotations(font={"size": 13, "color": INK})
    return made


def _decision(k: int, index: int) -> dict[str, Any]:
    number = "" if index == 0 else str(index + 1)
    line = {"color": MUTED, "dash": "dot", "width": 1.2}
    return {
        "type": "line",
        "x0": k,
        "x1": k,
        "y0": 0,
        "y1": 1,
        "xref": f"x{number}",
        "yref": f"y{number} domain",
        "line": line,
    }


def curve(one: Mapping[str, Any], name: str) -> go.Scatter:
    """A criterion of the data over K, with its interval."""
    points = [(count["k"], count["values"].get(name, {})) for count in one["counts"]]
    points = [(k, value) for k, value in points if value.get("value") is not None]

    def reach(value: Mapping[str, Any], end: str) -> float:
        return abs(value[end] - value["value"]) if value[end] is not None else 0.0

    return go.Scatter(
        x=[k for k, _ in points],
        y=[value["value"] for _, value in points],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [reach(value, "high") for _, value in points],
            "arrayminus": [reach(value, "low") for _, value in points],
            "color": OKABE_ITO[0],
            "thickness": 1.2,
            "width": 3,
        },
        mode="lines+markers",
        line={"color": OKABE_ITO[0], "width": 1.8},
        marker={"size": 6},
        name="data",
        showlegend=False,
        customdata=[[value["n_used"], plain(value["status"])] for _, value in points],
        hovertemplate="K = %{x}: %{y:.4g}<br>n = %{customdata[0]} neurons, %{customdata[1]}<extra>data</extra>",
    )


def null_band(one: Mapping[str, Any], name: str, kind: str, *, show_legend: bool) -> list[go.Scatter]:
    """Where 95 % of the surrogates of a null model lie, and their mean."""
    points = [(count["k"], count["excess"].get(name, {}).get(kind, {})) for count in one["counts"]]
    points = [(k, null) for k, null in points if null.get("null_low") is not None]
    if not points:
        return []
    ks = [k for k, _ in points]
    colour = NULLS[kind]
    common = {"mode": "lines", "legendgroup": kind, "hoverinfo": "skip"}
    return [
        go.Scatter(x=ks, y=[n["null_low"] for _, n in points], line={"width": 0}, showlegend=False, **common),
        go.Scatter(
            x=ks,
            y=[n["null_high"] for _, n in points],
            line={"width": 0},
            fill="tonexty",
            fillcolor=_faint(colour),
            showlegend=False,
            **common,
        ),
        go.Scatter(
            x=ks,
            y=[n["null_mean"] for _, n in points],
            mode="lines",
            legendgroup=kind,
            line={"color": colour, "width": 1.4, "dash": _DASHES[kind]},
            name=f"null: {kind}",
            showlegend=show_legend,
            customdata=[[n["z"], n["p"], n["n_surrogates"]] for _, n in points],
            hovertemplate="K = %{x}: null mean %{y:.4g}<br>z = %{customdata[0]:.2f}, p = %{customdata[1]:.3g}, "
            "%{customdata[2]} surrogates<extra>%{fullData.name}</extra>",
        ),
    ]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.13)"


def _mark(one: Mapping[str, Any], name: str, choice: int) -> go.Scatter:
    value = next((c["values"].get(name, {}).get("value") for c in one["counts"] if c["k"] == choice), None)
    return go.Scatter(
        x=[choice],
        y=[value],
        mode="markers",
        marker={"symbol": "diamond-open", "size": 13, "color": INK, "line": {"width": 1.8}},
        showlegend=False,
        hovertemplate="alone it would choose K = %{x}<extra></extra>",
    )
