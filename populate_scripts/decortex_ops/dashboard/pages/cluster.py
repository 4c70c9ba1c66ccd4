"""Cluster: one cluster of one partition: its mean readout, its members, and its share of every animal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from dash import dcc, html
from numpy.typing import NDArray

from decortex_ops.dashboard.choosing import PARTITION, against, choose, choose_partition, partition_key
from decortex_ops.dashboard.numbering import SAID, Numbering, neuron_columns, numbering
from decortex_ops.dashboard.parts import Empty, Panel, View, number_tiles
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import pages, table
from decortex_ops.dashboard.theme import (
    MUTED,
    OKABE_ITO,
    cluster_colour,
    cluster_symbol,
    figure,
    number,
    plain,
)
from decortex_ops.dashboard.urls import Field, State
from decortex_schemas import queries

PATH = "/cluster"
TITLE = "Cluster"
LEAD = (
    "One cluster: what its neurons' readouts have in common, who they are, and which animals they come from."
)
SIZE = 50
FIELDS = (
    *PARTITION,
    Field("cluster", "int", low=0, high=100_000),
    Field("page", "int", default=1, low=1, high=10_000),
)
CARRIED = PARTITION
_MOST_FEATURES = 400
_MOST_NAMED = 30  # features whose names stand below the figure


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_partition(state, source)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem], LEAD)
    key = partition_key(chosen)
    if not source(queries.exists, key):
        command = "decortex schedule    # then: decortex work"
        problem = Panel("members", "Members", empty=Empty("This partition is not computed yet.", command))
        return View(chosen.state, chosen.choices, [problem], LEAD)
    own = numbering(source, chosen.state["study"], key)
    labels = own.labels(source(queries.labels, key))
    options = {(c,): f"{c} ({size} neurons)" for c, size in sizes_of(labels).items()}
    chosen = choose(chosen, "cluster", "Cluster", ("cluster",), options)
    state = chosen.state
    neurons = source(queries.neurons, key["dataset"])
    scores = source(queries.scores, key)
    kind = next(r["kind"] for r in chosen.options["finetunings"] if r["finetune_id"] == state["ft"])
    start = own
    if kind != "none":
        untouched = next(r["finetune_id"] for r in chosen.options["finetunings"] if r["kind"] == "none")
        start = numbering(source, state["study"], {**key, "finetune_id": untouched})
    centres = start.rows(source(queries.clusters, key), "cluster")
    members = np.flatnonzero(labels == state["cluster"])
    panels = [
        tiles(
            labels,
            members,
            scores,
            centres if kind == "none" else (),
            state["cluster"],
            stored=own.stored(state["cluster"]),
        ),
        readout_panel(
            centres,
            state["cluster"],
            start,
            features=source(queries.feature_names, key["dataset"], key["embedding_spec_id"]),
            moved=kind != "none",
        ),
        groups_panel(neurons, labels, state["cluster"]),
        overview_panel(state, labels, scores, centres if kind == "none" else (), own),
        members_panel(state, neurons, members, scores),
    ]
    return View(state, chosen.choices, panels, LEAD + against(chosen))


def sizes_of(labels: NDArray[np.integer[Any]]) -> dict[int, int]:
    """Neurons of every cluster, by its number."""
    found, sizes = np.unique(labels[labels >= 0], return_counts=True)
    return dict(zip(found.tolist(), sizes.tolist(), strict=True))


def tiles(
    labels: NDArray[np.integer[Any]],
    members: NDArray[np.int64],
    scores: NDArray[np.float64] | None,
    centres: Sequence[Mapping[str, Any]],
    cluster: int,
    *,
    stored: int,
) -> Any:
    """Size, share, spread and performance, and what the cluster is called in the tables."""
    placed = max(int((labels >= 0).sum()), 1)
    own = np.array([]) if scores is None else scores[members]
    own = own[np.isfinite(own)]
    spread = next((row["spread"] for row in centres if row["cluster"] == cluster), None)
    return number_tiles(
        [
            ("neurons", number(len(members)), ""),
            ("share of the neurons", f"{len(members) / placed:.1%}", ""),
            ("spread, RMS distance to the mean", number(spread), ""),
            ("mean test correlation", number(float(own.mean()) if len(own) else None), ""),
            ("label in the tables, its rank by size", number(stored), ""),
        ]
    )


def readout_panel(
    centres: Sequence[Mapping[str, Any]],
    cluster: int,
    numbers: Numbering,
    *,
    features: Sequence[str] | None,
    moved: bool,
) -> Panel:
    """Mean readout of the cluster, and of all clusters behind it; features by name where a table named them."""
    own = next((row for row in centres if row["cluster"] == cluster), None)
    n_features = 0 if own is None else len(own["centre"])
    empty = None
    if own is None:
        empty = Empty(
            "No mean readout is stored for this cluster.", "decortex schedule    # then: decortex work"
        )
    return Panel(
        "readout",
        "Mean readout" + (" before fine-tuning" if moved else ""),
        f"n = {0 if own is None else own['size']} neurons, {n_features} features of the embedding; no unit",
        figure=None if own is None else readout_figure(centres, cluster, features),
        rows=[
            {
                "page_cluster": row["cluster"],
                "cluster": numbers.stored(row["cluster"]),
                "feature": i if features is None else features[i],
                "mean": float(value),
            }
            for row in centres
            for i, value in enumerate(row["centre"])
        ],
        empty=empty,
        note="Grey: the other clusters of the partition."
        + (" Of the clusters before fine-tuning, whose numbers theirs follow." if moved else ""),
        width="half",
    )


def readout_figure(
    centres: Sequence[Mapping[str, Any]], cluster: int, features: Sequence[str] | None = None
) -> go.Figure:
    """Bars of one cluster's mean over grey lines of the others'."""
    own = next(row for row in centres if row["cluster"] == cluster)
    n_features = len(own["centre"])
    traces: list[Any] = []
    if n_features <= _MOST_FEATURES:
        x: list[Any] = []
        y: list[Any] = []
        for row in centres:
            if row["cluster"] != cluster:
                x += [*range(n_features), None]
                y += [*row["centre"].tolist(), None]
        traces.append(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line={"color": "#c3cad3", "width": 1},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    traces.append(
        go.Bar(
            x=list(range(n_features)),
            y=own["centre"],
            marker_color=cluster_colour(cluster),
            customdata=[plain(one) for one in features or map(str, range(n_features))],
            hovertemplate="feature %{customdata}: %{y:.3f}<extra></extra>",
            showlegend=False,
        )
    )
    made = figure(*traces, x="feature of the embedding", y="mean readout", height=320, bargap=0.15)
    if features is not None and n_features <= _MOST_NAMED:
        made.update_xaxes(
            tickmode="array", tickvals=list(range(n_features)), ticktext=list(map(plain, features))
        )
    made.add_hline(y=0, line={"color": MUTED, "width": 1})
    return made


def groups_panel(
    neurons: Mapping[str, NDArray[Any]], labels: NDArray[np.integer[Any]], cluster: int
) -> Panel:
    """Share of every animal's neurons, else session's, that the cluster holds."""
    by = "animal" if (neurons["animal"] != "").any() else "session"
    rows: list[dict[str, Any]] = []
    for name in np.unique(neurons[by]):
        own = (neurons[by] == name) & (labels >= 0)
        n = int(own.sum())
        inside = int((labels[own] == cluster).sum())
        rows.append({by: str(name), "neurons": n, "in_cluster": inside, "share": inside / n if n else None})
    overall = sum(row["in_cluster"] for row in rows) / max(sum(row["neurons"] for row in rows), 1)
    return Panel(
        "groups",
        f"Size in every {by}",
        f"n = {sum(row['in_cluster'] for row in rows)} neurons of {len(rows)} {by}s; share of the {by}'s neurons",
        figure=groups_figure(rows, by, overall, cluster),
        rows=rows,
        note=f"Dotted: the share over all {by}s. A cluster that one {by} fills is that {by}.",
        width="half",
    )


def groups_figure(rows: Sequence[Mapping[str, Any]], by: str, overall: float, cluster: int) -> go.Figure:
    """Share of each, with a 95 % interval of a proportion (Wilson)."""
    intervals = [wilson(row["in_cluster"], row["neurons"]) for row in rows]
    made = figure(
        go.Bar(
            x=[plain(row[by]) for row in rows],
            y=[row["share"] for row in rows],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high - (row["share"] or 0) for row, (_, high) in zip(rows, intervals, strict=True)],
                "arrayminus": [
                    (row["share"] or 0) - low for row, (low, _) in zip(rows, intervals, strict=True)
                ],
                "color": OKABE_ITO[6],
                "thickness": 1.2,
            },
            customdata=[[row["in_cluster"], row["neurons"]] for row in rows],
            marker_color=cluster_colour(cluster),
            hovertemplate="%{x}: %{customdata[0]} of %{customdata[1]} neurons (%{y:.1%})<extra></extra>",
            showlegend=False,
        ),
        x=by,
        y=f"share of the {by}'s neurons",
        height=320,
    )
    made.update_xaxes(type="category")
    made.update_yaxes(tickformat=".0%", rangemode="tozero")
    made.add_hline(y=overall, line={"color": MUTED, "dash": "dot", "width": 1.4})
    return made


def wilson(count: int, n: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927)."""
    if n == 0:
        return 0.0, 0.0
    z = 1.959964
    share, scale = count / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


def overview_panel(
    state: State,
    labels: NDArray[np.integer[Any]],
    scores: NDArray[np.float64] | None,
    centres: Sequence[Mapping[str, Any]],
    numbers: Numbering,
) -> Panel:
    """All clusters, as links."""
    spreads = {row["cluster"]: row["spread"] for row in centres}
    placed = max(int((labels >= 0).sum()), 1)
    rows: list[dict[str, Any]] = []
    for cluster, size in sizes_of(labels).items():
        own = np.array([]) if scores is None else scores[labels == cluster]
        own = own[np.isfinite(own)]
        rows.append(
            {
                "cluster": cluster,
                "size": int(size),
                "share": float(size / placed),
                "spread": spreads.get(cluster),
                "mean_test_correlation": float(own.mean()) if len(own) else None,
            }
        )

    def link(row: Mapping[str, Any]) -> Any:
        shape = cluster_symbol(row["cluster"])
        chip = html.Span(className=f"chip {shape}", style={"background": cluster_colour(row["cluster"])})
        target = state.link(cluster=row["cluster"], page=None)
        return html.Span([chip, dcc.Link(f"cluster {row['cluster']}", href=target)])

    return Panel(
        "overview",
        "All clusters",
        f"n = {len(rows)} clusters; spread in the units of the embedding",
        note=SAID,
        content=table(
            rows,
            [
                "cluster",
                "size",
                "share",
                "spread",
                "mean_test_correlation",
            ],
            caption="All clusters of the partition",
            cells={"cluster": link},
            row_class=lambda row: "chosen" if row["cluster"] == state["cluster"] else "",
        ),
        rows=[
            {"page_cluster": row["cluster"], **row, "cluster": numbers.stored(row["cluster"])} for row in rows
        ],
        width="half",
    )


def members_panel(
    state: State,
    neurons: Mapping[str, NDArray[Any]],
    members: NDArray[np.int64],
    scores: NDArray[np.float64] | None,
) -> Panel:
    """Neurons of the cluster, a page at a time."""

    def rows_of(picked: NDArray[np.int64]) -> list[dict[str, Any]]:
        return [
            {
                **{name: neurons[name][i].item() for name in neuron_columns(neurons)},
                "test_correlation": None if scores is None else float(scores[i]),
            }
            for i in picked
        ]

    first = (state["page"] - 1) * SIZE
    shown = rows_of(members[first : first + SIZE])
    return Panel(
        "members",
        "Members",
        f"n = {number(len(members))} neurons; test correlation, no unit",
        content=[
            table(
                shown,
                [
                    "neuron_idx",
                    "session",
                    "id" if "id" in neurons else "unit_id",
                    "animal",
                    "area",
                    "test_correlation",
                ],
                caption="Neurons of the cluster",
            ),
            pages(state, len(members), SIZE, len(shown)),
        ],
        rows=lambda: rows_of(members),
        empty=None if len(shown) else Empty("No neuron is on this page; go back to the first."),
        width="half",
    )
