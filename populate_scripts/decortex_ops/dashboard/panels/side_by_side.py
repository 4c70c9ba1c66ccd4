"""Up to six partitions beside each other: where their neurons lie, agreement over K, performance by cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from decortex.columns import axis_label
from decortex_ops.dashboard.numbering import SAID, Numbering, numbering
from decortex_ops.dashboard.parts import Empty, Panel
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.theme import (
    SYMBOLS,
    category_colour,
    cluster_colour,
    cluster_symbol,
    figure,
    number,
    plain,
)
from decortex_schemas import queries
from decortex_schemas.queries import PARTITION

_EMBEDDING = ("dataset", "model_spec_id", "model_seed", "embedding_spec_id")
_FAMILY = ("dataset", "model_spec_id", "embedding_spec_id")
_MOST_IN_HALF = 3  # titles of more partitions run into each other on half a page
_MOST_POINTS = 4000  # a map; more are drawn on the page Map


def name_of(row: Mapping[str, Any]) -> str:
    """What a partition is called in comparisons."""
    return (
        f"{row['method_name']} K={row['k']} {row['finetune']} · net {row['model_seed']} · start {row['seed']}"
    )


def _in_lines(row: Mapping[str, Any]) -> str:
    """The name over two lines, so that six stand beside each other."""
    return plain(name_of(row)).replace(" · ", "<br>", 1)


def side_by_side(source: Source, study: str, rows: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Maps, curves over K and performance by cluster of partitions that `queries.describe` tells.

    Parameters
    ----------
    source : Source
    study : str
    rows : sequence of mapping
        At most six.
    """
    keys = [{name: row[name] for name in PARTITION} for row in rows]
    numbers = [numbering(source, study, key) for key in keys]
    labels = [own.labels(source(queries.labels, key)) for own, key in zip(numbers, keys, strict=True)]
    scores = [source(queries.scores, key) for key in keys]
    return [
        maps_panel(source, study, rows, labels, numbers),
        curves_panel(source, study, rows),
        scores_panel(rows, labels, scores, numbers),
    ]


def maps_panel(
    source: Source,
    study: str,
    rows: Sequence[Mapping[str, Any]],
    labels: Sequence[NDArray[np.int64]],
    numbers: Sequence[Numbering],
) -> Panel:
    """A view of each partition's embedding, neurons in the colour of their cluster."""
    made = make_subplots(rows=1, cols=len(rows), subplot_titles=[_in_lines(row) for row in rows])
    drawn = 0
    table: list[dict[str, Any]] = []
    for place, (row, own) in enumerate(zip(rows, labels, strict=True)):
        views = [
            view
            for view in source(queries.views, study)
            if view["done"] and all(view[name] == row[name] for name in _EMBEDDING)
        ]
        if not views:
            continue
        drawn += 1
        view = min(views, key=lambda one: (one["kind"] == "pca", one["view_spec_id"], one["view_seed"]))
        points = source(queries.view_points, {name: view[name] for name in queries.VIEW_KEY})
        placed = np.flatnonzero(np.isfinite(points).all(axis=1))
        shown = placed[:: -(-len(placed) // _MOST_POINTS)] if len(placed) else placed
        for cluster in np.unique(own[shown]).tolist():
            members = shown[own[shown] == cluster]
            made.add_trace(
                go.Scattergl(
                    x=points[members, 0],
                    y=points[members, 1],
                    mode="markers",
                    marker={
                        "size": 4,
                        "color": cluster_colour(cluster),
                        "symbol": cluster_symbol(cluster),
                    },
                    name=f"cluster {cluster}",
                    hovertemplate=f"cluster {cluster}<extra></extra>",
                    showlegend=False,
                ),
                row=1,
                col=place + 1,
            )
            said = {"page_cluster": cluster, "cluster": numbers[place].stored(cluster)}
            table += [{"partition": name_of(row), "neuron_idx": int(i), **said} for i in members]
    _look(made, 300)
    made.update_xaxes(visible=False)
    made.update_yaxes(visible=False)
    return Panel(
        "compare-maps",
        "Their maps",
        f"n = {drawn} views; axes without unit",
        figure=made if drawn else None,
        rows=table,
        empty=None
        if drawn
        else Empty("No view of these embeddings is drawn yet.", f"decortex view add {study} tsne"),
        note=f"Gaps and islands mean nothing by themselves. {SAID}",
    )


def curves_panel(source: Source, study: str, rows: Sequence[Mapping[str, Any]]) -> Panel:
    """Agreement between networks over K of each method and fine-tuning, its own K marked."""
    traces = []
    table: list[dict[str, Any]] = []
    # Partitions that differ in network, start or K alone are on one curve, with a large marker at each of their K.
    curves: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        own = (*(row[name] for name in _FAMILY), row["method_id"], row["finetune_id"])
        curves.setdefault(own, []).append(row)
    for place, (row, *others) in enumerate(curves.values()):
        marked = {one["k"] for one in (row, *others)}
        every = source(queries.agreement_by_count, study, **{name: row[name] for name in _FAMILY})
        shown = [
            one
            for one in every
            if (one["method_id"], one["finetune_id"]) == (row["method_id"], row["finetune_id"])
            and one["ari_seeds"] is not None
        ]
        name = f"{row['method_name']} {row['finetune']}"
        table += [{"curve": name, "k": one["k"], "ari_seeds": one["ari_seeds"]} for one in shown]
        if shown:
            traces.append(
                go.Scatter(
                    x=[one["k"] for one in shown],
                    y=[one["ari_seeds"] for one in shown],
                    mode="lines+markers",
                    name=plain(name),
                    line={"color": category_colour(place)},
                    marker={
                        "symbol": SYMBOLS[place],
                        "size": [13 if one["k"] in marked else 6 for one in shown],
                    },
                    hovertemplate="K = %{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
                )
            )
    made = figure(*traces, x="K", y=axis_label("ari_seeds"), height=340)
    made.update_xaxes(tickmode="array", tickvals=sorted({one["k"] for one in table}))
    return Panel(
        "compare-k",
        "Agreement between networks over K",
        f"n = {len(traces)} curves of a method and fine-tuning; large marker: K of a partition compared",
        figure=made if traces else None,
        rows=table,
        empty=None
        if traces
        else Empty("Networks are compared once the study is frozen.", f"decortex study freeze {study}"),
        width="half",
    )


def scores_panel(
    rows: Sequence[Mapping[str, Any]],
    labels: Sequence[NDArray[np.int64]],
    scores: Sequence[NDArray[np.float64] | None],
    numbers: Sequence[Numbering],
) -> Panel:
    """Test correlation by cluster, a box per cluster and partition."""
    known = [i for i, own in enumerate(scores) if own is not None and np.isfinite(own).any()]
    made = make_subplots(
        rows=1,
        cols=max(len(known), 1),
        shared_yaxes=True,
        horizontal_spacing=0.02,
        subplot_titles=[_in_lines(rows[i]) for i in known],
    )
    table: list[dict[str, Any]] = []
    for place, i in enumerate(known):
        own = np.asarray(scores[i], dtype=float)
        for cluster in np.unique(labels[i][labels[i] >= 0]).tolist():
            values = own[(labels[i] == cluster) & np.isfinite(own)]
            table.append(
                {
                    "partition": name_of(rows[i]),
                    "page_cluster": cluster,
                    "cluster": numbers[i].stored(cluster),
                    "neurons": len(values),
                    "median": float(np.median(values)) if len(values) else None,
                }
            )
            made.add_trace(
                go.Box(
                    y=values,
                    name=str(cluster),
                    marker_color=cluster_colour(cluster),
                    boxpoints=False,
                    showlegend=False,
                ),
                row=1,
                col=place + 1,
            )
    _look(made, 340)
    made.update_yaxes(title_text="test correlation", row=1, col=1)
    made.update_xaxes(title_text="cluster", type="category")
    return Panel(
        "compare-performance",
        "Test correlation by cluster",
        f"n = {number(len(known))} partitions with scores; box: median and quartiles, no unit",
        figure=made if known else None,
        rows=table,
        empty=None
        if known
        else Empty("No network of these has scores on test trials.", "decortex results STUDY"),
        width="half" if len(known) <= _MOST_IN_HALF else "full",
    )


def _look(made: go.Figure, height: int) -> None:
    """Subplots in the look of the dashboard."""
    look = figure(height=height).layout
    made.update_layout(
        height=height,
        margin={"l": 52, "r": 12, "t": 44, "b": 40},
        font=look.font,
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
        hoverlabel=look.hoverlabel,
    )
    titles = look.yaxis.title.font.to_plotly_json()  # an axis takes no font object of another
    made.update_xaxes(gridcolor=look.xaxis.gridcolor, zeroline=False, title_font=titles)
    made.update_yaxes(gridcolor=look.yaxis.gridcolor, zeroline=False, title_font=titles)
    made.update_annotations(font_size=10)
