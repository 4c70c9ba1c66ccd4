"""Agreement: how far methods, networks and starts find the same partition, and the table behind every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from decortex.evaluation.agreement import contingency, match_table, rand_matrix
from decortex_ops.dashboard.choosing import (
    DATASET,
    EMBEDDING,
    FINETUNE,
    MODEL,
    STUDY,
    Chosen,
    K,
    choose_count,
    choose_embedding,
    choose_family_finetuning,
    choose_network,
    choose_study,
)
from decortex_ops.dashboard.numbering import numbered_pair
from decortex_ops.dashboard.panels import construction_panels, geometry_panels, label_panels
from decortex_ops.dashboard.parts import Choice, Empty, Panel, View
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import ACCENT, category_colour, cluster_symbol, figure, number, plain
from decortex_ops.dashboard.urls import Field, State
from decortex_schemas import queries

PATH = "/agreement"
TITLE = "Agreement"
LEAD = "Do methods, networks and starts find the same partition? Click a cell, or choose two, to see where they differ."
FIELDS = (STUDY, DATASET, MODEL, EMBEDDING, K, FINETUNE, Field("a"), Field("b"))
CARRIED = FIELDS[:-2]


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_study(state, source)
    for step in (
        lambda one: choose_network(one, specification_only=True),
        choose_embedding,
        choose_count,
        choose_family_finetuning,
    ):
        if chosen.problem is None:
            chosen = step(chosen)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem], LEAD)
    state = chosen.state
    where = {"dataset": state["dataset"], "model_spec_id": state["model"], "embedding_spec_id": state["emb"]}
    found = source(queries.partitions_at, state["study"], **where, k=state["k"], finetune_id=state["ft"])
    names = [name_of(row) for row in found]
    state = _with_pair(state, found)
    pair = [names.index(state[side]) for side in ("a", "b")] if len(found) > 1 else []
    matrix = source(_matrix, _Once(found))
    curves = source(queries.agreement_by_count, state["study"], **where)
    choices = [
        *chosen.choices,
        *(
            Choice(side, label, [(name, {side: name}) for name in names], {side: state[side]})
            for side, label in (("a", "Compare"), ("b", "with"))
            if names
        ),
    ]
    panels = [
        matrix_panel(found, matrix, state, pair),
        contingency_panel(numbered_pair(chosen, source, found, pair), pair),
        curves_panel(chosen, curves, state),
        *stored_panels(chosen, source),
        *geometry_panels(chosen, source),
        *construction_panels(chosen, source),
        *label_panels(chosen, source),
    ]
    return View(state, choices, panels, LEAD)


class _Once(tuple):  # type: ignore[type-arg]
    """Partitions as an argument of a question whose answer is kept: told apart by their labels."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr([(name_of(row), hash(row["labels"].tobytes())) for row in self])


def _matrix(partitions: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    return rand_matrix([row["labels"] for row in partitions])


def name_of(row: Mapping[str, Any]) -> str:
    """Short name of a partition among those of one K."""
    return f"{row['method_name']} · network {row['model_seed']} · start {row['seed']}"


def _with_pair(state: State, found: Sequence[Mapping[str, Any]]) -> State:
    names = [name_of(row) for row in found]
    if len(names) < 2:
        return state.with_values(a=None, b=None)
    first = state["a"] if state["a"] in names else names[0]
    other = state["b"] if state["b"] in names else next(name for name in names if name != first)
    return state.with_values(a=first, b=other)


def matrix_panel(
    found: Sequence[Mapping[str, Any]], matrix: NDArray[np.float64], state: State, pair: Sequence[int]
) -> Panel:
    """Heat map of all pairs."""
    n = len(found)
    neurons = len(found[0]["labels"]) if n else 0
    upper = matrix[np.triu_indices(n, 1)]
    names = [name_of(row) for row in found]
    rows = [
        {"a": names[i], "b": names[j], "ari": float(matrix[i, j])} for i in range(n) for j in range(i + 1, n)
    ]
    cut = f" (the first {n})" if n == queries.MOST_PARTITIONS else ""
    return Panel(
        "matrix",
        "Adjusted Rand index of every pair",
        f"n = {len(upper)} pairs of {n} partitions{cut}, {number(neurons)} neurons; "
        "ARI, no unit: 1 is the same, 0 chance",
        figure=matrix_figure(names, matrix, state, pair) if n > 1 else None,
        rows=rows,
        empty=None
        if n > 1
        else Empty(
            "Fewer than two partitions are computed here.",
            "decortex schedule    # then: decortex work",
        ),
        graph_id={"type": "clickable", "name": "matrix"},
        width="half",
    )


def matrix_figure(
    names: Sequence[str], matrix: NDArray[np.float64], state: State, pair: Sequence[int]
) -> go.Figure:
    """Cells are links to their contingency table."""
    links = [[state.link(a=a, b=b) for b in names] for a in names]
    shown = [plain(name) for name in names]
    values = matrix.copy()
    np.fill_diagonal(values, np.nan)
    made = figure(
        go.Heatmap(
            z=values,
            x=shown,
            y=shown,
            customdata=links,
            zmin=0,
            zmax=1,
            colorscale="Viridis",
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": "ARI", "side": "right"}, "thickness": 12, "outlinewidth": 0},
            hovertemplate="%{y}<br>%{x}<br>ARI %{z:.3f}<extra></extra>",
        ),
        height=560,
    )
    many = len(names) > 24
    made.update_xaxes(tickangle=-60, showgrid=False, showticklabels=not many, tickfont={"size": 10})
    made.update_yaxes(autorange="reversed", showgrid=False, showticklabels=not many, tickfont={"size": 10})
    if pair:
        for row, column in (pair, pair[::-1]):
            made.add_shape(
                type="rect",
                x0=column - 0.5,
                x1=column + 0.5,
                y0=row - 0.5,
                y1=row + 0.5,
                line={"color": "#ffffff", "width": 4},
            )
            made.add_shape(
                type="rect",
                x0=column - 0.5,
                x1=column + 0.5,
                y0=row - 0.5,
                y1=row + 0.5,
                line={"color": "#D55E00", "width": 2},
            )
    return made


def contingency_panel(found: Sequence[Mapping[str, Any]], pair: Sequence[int]) -> Panel:
    """Where two partitions put the same neurons."""
    if not pair:
        return Panel(
            "contingency",
            "Contingency table",
            empty=Empty("Two partitions make one.", "decortex work"),
            width="half",
        )
    first, second = (found[i] for i in pair)
    counts = contingency(first["labels"], second["labels"])
    match = match_table(counts)
    order = [int(match.second[list(match.first).index(i)]) for i in match.first]
    columns = order + [j for j in range(counts.shape[1]) if j not in order]
    sides = first["numbers"], second["numbers"]
    rows = [
        sides[0].told("a", i) | sides[1].told("b", j) | {"neurons": int(counts[i, j])}
        for i, j in np.ndindex(counts.shape)
    ]
    return Panel(
        "contingency",
        f"{name_of(first)} against {name_of(second)}",
        f"n = {number(int(counts.sum()))} neurons that both place; {match.share:.1%} in matched clusters; "
        "columns in matched order",
        figure=contingency_figure(counts, columns, name_of(first), name_of(second)),
        rows=rows,
        width="half",
    )


def contingency_figure(
    counts: NDArray[np.int64], columns: Sequence[int], first: str, second: str
) -> go.Figure:
    """Neurons that share a cluster of both; rows as shares of the first's cluster."""
    table = counts[:, list(columns)]
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    small = max(table.shape) <= 20
    made = figure(
        go.Heatmap(
            z=share,
            customdata=table,
            x=[str(column) for column in columns],
            y=[str(i) for i in range(len(table))],
            text=table if small else None,
            texttemplate="%{text}" if small else None,
            zmin=0,
            zmax=1,
            colorscale=[[0, "#ffffff"], [1, ACCENT]],
            xgap=1,
            ygap=1,
            colorbar={
                "title": {"text": "share of the row", "side": "right"},
                "thickness": 12,
                "outlinewidth": 0,
            },
            hovertemplate="cluster %{y} and cluster %{x}: %{customdata} neurons (%{z:.0%})<extra></extra>",
        ),
        x=f"cluster of {plain(second)}",
        y=f"cluster of {plain(first)}",
        height=560,
    )
    made.update_xaxes(type="category", showgrid=False)
    made.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return made


def curves_panel(chosen: Chosen, curves: Sequence[Mapping[str, Any]], state: State) -> Panel:
    """Agreement between networks over K."""
    own = [row for row in curves if row["finetune_id"] == state["ft"]]
    pairs = sum(row["n_pairs_seeds"] for row in own)
    empty = None
    if not own:
        frozen = (chosen.study or {}).get("frozen_at") is not None
        command = "decortex schedule    # then: decortex work"
        empty = Empty(
            "Agreement over K is compared once the study is frozen.",
            command if frozen else f"decortex study freeze {state['study']}    # then schedule and work",
        )
    return Panel(
        "curves",
        "Agreement over K",
        f"n = {number(pairs)} pairs of networks; mean ARI, no unit; raw ARI falls with K by itself",
        figure=curves_figure(own) if own else None,
        rows=[dict(row) for row in own],
        empty=empty,
        note="Solid: between networks trained from other seeds. Dotted: between starts on one network.",
    )


def curves_figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """One colour a method; networks solid, starts dotted."""
    traces = []
    for index, method in enumerate(dict.fromkeys(row["method_id"] for row in rows)):
        own = [row for row in rows if row["method_id"] == method]
        for name, dash, kind in (
            ("ari_seeds", "solid", "networks"),
            ("ari_clustering_seeds", "dot", "starts"),
        ):
            points = [row for row in own if row[name] is not None]
            if points:
                traces.append(
                    go.Scatter(
                        x=[row["k"] for row in points],
                        y=[row[name] for row in points],
                        mode="lines+markers",
                        name=f"{plain(own[0]['method_name'])}, {kind}",
                        line={"color": category_colour(index), "dash": dash},
                        marker={"symbol": cluster_symbol(7 * index), "size": 7},
                        hovertemplate="K = %{x}: ARI %{y:.3f}<extra>%{fullData.name}</extra>",
                    )
                )
    ticks = {"tickmode": "array", "tickvals": sorted({row["k"] for row in rows})}
    return figure(*traces, x="K", y="mean ARI (higher is better)", height=320).update_xaxes(ticks)


BY_CONSTRUCTION = (
    "fine-tuned networks agree by construction here: judge them by known types, or above their null"
)
STORED: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "partitions": (
        "Networks, starts and consensus, by method",
        "mean over pairs; support: mean share of the partitions behind a neuron's consensus cluster; worst: smallest "
        "mean Jaccard of a consensus cluster",
        (
            "method",
            "ari_seeds",
            "n_pairs_seeds",
            "ari_clustering_seeds",
            "ami_seeds",
            "matched_seeds",
            "ari_consensus",
            "support",
            "worst_cluster",
            "ari_truth",
        ),
    ),
    "methods": (
        "Two methods, on the same network and on different ones",
        "mean adjusted Rand index over pairs",
        ("method_a", "method_b", "ari_same", "n_pairs_same", "ari_other", "n_pairs_other"),
    ),
    "models": (
        "Networks of two specifications",
        "mean adjusted Rand index over pairs, one network of each",
        (
            "model_a",
            "model_b",
            "method",
            "ari_models",
            "ami_models",
            "matched_models",
            "n_pairs_models",
        ),
    ),
    "subsamples": (
        "Subsamples of 80 % of the neurons, by network",
        "ARI between subsamples and against the whole; stable: mean share of its subsamples in which a neuron keeps "
        "its cluster",
        (
            "method",
            "model_seed",
            "ari_subsamples",
            "n_pairs_subsamples",
            "n_fits_not_ok",
            "ari_whole",
            "neuron_stability",
            "worst_cluster",
            "n_clusters_recovered",
        ),
    ),
}


def stored_panels(chosen: Chosen, source: Source) -> list[Panel]:
    """What is stored about agreement at this K: consensus, methods, networks of other specifications, subsamples."""
    if (chosen.study or {}).get("frozen_at") is None:
        return []
    found = source(queries.agreement, chosen.state["study"])
    names = chosen.names()
    same = {"k": chosen.state["k"], **{name: names[name] for name in ("dataset", "embedding", "finetune")}}
    panels = []
    for part, (title, how, columns) in STORED.items():
        rows = [
            row
            for row in found[part]
            if all(row[name] == value for name, value in same.items() if name in row)
            and names["model"] in (row.get("model"), row.get("model_a"), row.get("model_b"))
        ]
        if rows or part == "partitions":
            panels.append(stored_panel(part, title, how, columns, rows))
    return panels


def stored_panel(
    part: str, title: str, how: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> Panel:
    """One table of stored numbers."""
    command = "decortex schedule    # then: decortex work"
    if any(row.get("by_construction") for row in rows):
        how += f"; {BY_CONSTRUCTION}"
    return Panel(
        f"stored-{part}",
        title,
        f"n = {len(rows)} rows at this K; {how}",
        content=table(rows, columns, caption=title),
        rows=[dict(row) for row in rows],
        empty=None if rows else Empty("Nothing is compared at this K yet.", command),
    )
