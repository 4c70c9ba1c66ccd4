"""Map: neurons on a plane, coloured by cluster, performance or what is known of them; a lasso lists neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from dash import dcc, html
from matplotlib.path import Path
from numpy.typing import NDArray

from decortex_ops.dashboard.choosing import (
    PARTITION,
    Chosen,
    against,
    choose,
    choose_partition,
    partition_key,
)
from decortex_ops.dashboard.numbering import SAID, neuron_columns, numbering
from decortex_ops.dashboard.parts import Choice, Empty, Panel, View
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import (
    MUTED,
    OUTSIDE,
    SEQUENTIAL,
    category_colour,
    cluster_colour,
    cluster_symbol,
    figure,
    number,
    plain,
)
from decortex_ops.dashboard.urls import Field, State
from decortex_schemas import queries

PATH = "/map"
TITLE = "Map"
LEAD = (
    "Neurons on a plane, to look at: islands, gaps and sizes on it mean nothing by themselves, and nothing is "
    "clustered or decided by it."
)
COLOURS = {
    "cluster": "cluster",
    "performance": "test correlation",
    "session": "session",
    "animal": "animal",
    "area": "area",
    "depth": "depth (z)",
    "type": "known type",
}
VIEW = Field("view", "int", low=0)
VIEW_SEED = Field("vseed", "int")
LASSO = Field("lasso", "points")
FIELDS = (*PARTITION, VIEW, VIEW_SEED, Field("colour", default="cluster", choices=tuple(COLOURS)), LASSO)
CARRIED = PARTITION
DETAIL = ("lasso",)
LISTED = 200
_CONTINUOUS = ("performance", "depth")
_MOST_CATEGORIES = 60
_GRAPH = {
    "displayModeBar": True,
    "scrollZoom": True,
    "modeBarButtons": [["lasso2d", "select2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
}


@dataclass(frozen=True)
class Scene:
    """What a map shows.

    Attributes
    ----------
    points : ndarray, shape (n_neurons, 2)
        NaN: not in the embedding.
    labels : ndarray of int, shape (n_neurons,)
        Clusters as pages number them.
    stored : ndarray of int, shape (n_neurons,)
        Clusters as tables and files do.
    scores : ndarray or None, shape (n_neurons,)
        Test correlations.
    neurons : mapping
        Columns of `Dataset.Neuron`.
    view : mapping
        Row of `queries.views`.
    """

    points: NDArray[np.floating[Any]]
    labels: NDArray[np.integer[Any]]
    stored: NDArray[np.integer[Any]]
    scores: NDArray[np.float64] | None
    neurons: Mapping[str, NDArray[Any]]
    view: Mapping[str, Any]


def render(state: State, source: Source) -> View:
    """The page."""
    chosen, scene, problem = _scene(state, source)
    if problem is not None or scene is None:
        return View(chosen.state, chosen.choices, [problem], LEAD)
    state = chosen.state
    colours = [(text, {"colour": name}) for name, text in COLOURS.items()]
    choices = [*chosen.choices, Choice("colour", "Colour by", colours, {"colour": state["colour"]})]
    return View(state, choices, [map_panel(scene, state)], LEAD + against(chosen))


def detail(state: State, source: Source) -> list[Panel]:
    """Neurons inside the lasso."""
    if not state["lasso"]:
        return []
    chosen, scene, _ = _scene(state, source)
    return [] if scene is None else [selection_panel(scene, chosen.state)]


def _scene(state: State, source: Source) -> tuple[Chosen, Scene | None, Panel | None]:
    chosen = choose_partition(state, source)
    if chosen.problem is not None:
        return chosen, None, chosen.problem
    state = chosen.state
    key = partition_key(chosen)
    drawn = [
        row
        for row in source(queries.views, state["study"])
        if row["done"]
        and all(row[n] == key[n] for n in ("dataset", "model_spec_id", "model_seed", "embedding_spec_id"))
    ]
    if not drawn:
        command = f"decortex view add {state['study']} tsne    # then: decortex schedule and decortex work"
        return (
            chosen,
            None,
            Panel("map", "Map", empty=Empty("No view of this embedding is drawn yet.", command)),
        )
    if not source(queries.exists, key):
        command = "decortex schedule    # then: decortex work"
        return chosen, None, Panel("map", "Map", empty=Empty("This partition is not computed yet.", command))
    options = {
        (row["view_spec_id"], row["view_seed"]): f"{row['view']} · seed {row['view_seed']}" for row in drawn
    }
    usual = next(((r["view_spec_id"], r["view_seed"]) for r in drawn if r["kind"] != "pca"), None)
    chosen = choose(chosen, "view", "View", ("view", "vseed"), options, default=usual)
    state = chosen.state
    view = next(r for r in drawn if (r["view_spec_id"], r["view_seed"]) == (state["view"], state["vseed"]))
    view_key = {name: view[name] for name in queries.VIEW_KEY}
    stored = source(queries.labels, key)
    scene = Scene(
        points=source(queries.view_points, view_key),
        labels=numbering(source, state["study"], key).labels(stored),
        stored=stored,
        scores=source(queries.scores, key),
        neurons=source(queries.neurons, key["dataset"]),
        view=view,
    )
    return chosen, scene, None


def map_panel(scene: Scene, state: State) -> Panel:
    """The plane."""
    colour = state["colour"]
    missing = values_of(scene, colour) is None
    shown = int(np.isfinite(scene.points).all(axis=1).sum())
    kept = number(scene.view["neighbours_kept"], 2)
    return Panel(
        "map",
        f"{scene.view['view']} of the embedding, coloured by {COLOURS[colour]}",
        f"n = {number(shown)} neurons; axes without unit; {kept} of each neuron's 15 nearest are nearest here too",
        figure=None if missing else map_figure(scene, colour, state["lasso"]),
        rows=lambda: neuron_rows(scene, np.arange(len(scene.labels))),
        empty=Empty(
            f"Nobody knows the {COLOURS[colour]} of these neurons; choose another colour.",
            "decortex register dataset FOLDER    # positions and areas come from its neurons/ files",
        )
        if missing
        else None,
        note="Drag a lasso to list neurons below; scroll to zoom, double-click to see all again."
        + (f" {SAID}" if colour == "cluster" else ""),
        graph=_GRAPH,
        graph_id={"type": "lasso", "name": "map"},
    )


def values_of(scene: Scene, colour: str) -> NDArray[Any] | None:
    """What neurons are coloured by; None where nobody knows it."""
    if colour == "cluster":
        return scene.labels
    if colour == "performance":
        return scene.scores
    if colour == "depth":
        depth = scene.neurons["z"]
        return depth if np.isfinite(depth).any() else None
    if colour == "type":
        types = scene.neurons["true_type"]
        return types if (types >= 0).any() else None
    names = scene.neurons[colour]
    return names if (names != "").any() else None


def map_figure(scene: Scene, colour: str, lasso: Any = None) -> go.Figure:
    """Markers on the graphics card: one trace a category, or one with a colour scale."""
    placed = np.isfinite(scene.points).all(axis=1)
    values = values_of(scene, colour)
    assert values is not None
    size = float(np.clip(220 / np.sqrt(max(placed.sum(), 1)), 2.5, 9))
    if colour in _CONTINUOUS:
        defined = placed & np.isfinite(values.astype(float))
        traces = [_trace(scene, placed & ~defined, "not defined", {"color": OUTSIDE, "size": size})]
        unit = "test correlation" if colour == "performance" else "depth, µm"
        marker = {
            "color": values[defined].astype(np.float32),
            "colorscale": SEQUENTIAL,
            "size": size,
            "colorbar": {"title": {"text": unit, "side": "right"}, "thickness": 12, "outlinewidth": 0},
        }
        traces.append(_trace(scene, defined, unit, marker))
    else:
        traces = _categories(scene, values, placed, size, numbered=colour in ("cluster", "type"))
    made = figure(*[one for one in traces if one is not None], height=640)
    made.update_layout(
        dragmode="lasso",
        uirevision=f"{scene.view['view_spec_id']} {scene.view['view_seed']} {scene.view['model_seed']}",
        hovermode="closest",
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top", "itemsizing": "constant"},
        newselection={"line": {"color": MUTED, "width": 1.5}},
    )
    made.update_xaxes(visible=False)
    made.update_yaxes(visible=False, scaleanchor="x")
    if lasso:
        path = "M" + "L".join(f"{x},{y}" for x, y in lasso) + "Z"
        made.add_shape(type="path", path=path, line={"color": MUTED, "width": 1.5, "dash": "dot"})
    return made


def _categories(
    scene: Scene, values: NDArray[Any], placed: NDArray[np.bool_], size: float, *, numbered: bool
) -> list[go.Scattergl | None]:
    names = list(np.unique(values[placed]))
    others = names[_MOST_CATEGORIES:]
    traces = []
    for index, name in enumerate(names[:_MOST_CATEGORIES]):
        at = int(name) if numbered else index
        label = str(name) if not numbered else "none" if at < 0 else str(at)
        colour = cluster_colour(at) if numbered else category_colour(at)
        marker = {"color": colour, "symbol": cluster_symbol(at), "size": size}
        traces.append(_trace(scene, placed & (values == name), label, marker))
    if others:
        marker = {"color": OUTSIDE, "size": size}
        traces.append(_trace(scene, placed & np.isin(values, others), f"{len(others)} others", marker))
    return traces


def _trace(
    scene: Scene, picked: NDArray[np.bool_], name: str, marker: Mapping[str, Any]
) -> go.Scattergl | None:
    if not picked.any():
        return None
    x, y = scene.points[picked].astype(np.float32).T
    score = np.full(len(picked), np.nan) if scene.scores is None else scene.scores
    extra = np.column_stack([np.flatnonzero(picked), scene.labels[picked], score[picked]]).astype(np.float32)
    return go.Scattergl(
        x=x,
        y=y,
        mode="markers",
        name=plain(name),
        marker={**marker, "opacity": 0.85},
        customdata=extra,
        hovertemplate="neuron %{customdata[0]}<br>cluster %{customdata[1]}<br>test correlation %{customdata[2]:.3f}"
        "<extra>%{fullData.name}</extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 0.15}},
    )


def selected(scene: Scene, lasso: Any) -> NDArray[np.int64]:
    """Neurons inside a polygon."""
    if len(lasso) < 3:
        return np.array([], dtype=np.int64)
    placed = np.flatnonzero(np.isfinite(scene.points).all(axis=1))
    inside = Path(np.array(lasso)).contains_points(scene.points[placed])
    picked: NDArray[np.int64] = placed[inside]
    return picked


def neuron_rows(scene: Scene, picked: NDArray[np.int64]) -> list[dict[str, Any]]:
    """One row per neuron; ``cluster`` is that of tables and files, ``page_cluster`` what pages number and colour."""
    columns = {name: scene.neurons[name][picked] for name in neuron_columns(scene.neurons)}
    scores = np.full(len(scene.labels), np.nan) if scene.scores is None else scene.scores
    return [
        {
            **{name: _item(values[i]) for name, values in columns.items()},
            "page_cluster": int(scene.labels[neuron]),
            "cluster": int(scene.stored[neuron]),
            "test_correlation": _item(scores[neuron]),
            "map_x": float(scene.points[neuron, 0]),
            "map_y": float(scene.points[neuron, 1]),
        }
        for i, neuron in enumerate(picked)
    ]


def _item(value: Any) -> Any:
    plain_value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain_value, float) and not np.isfinite(plain_value) else plain_value


def selection_panel(scene: Scene, state: State) -> Panel:
    """Neurons inside the lasso, and which clusters they are of."""
    picked = selected(scene, state["lasso"])
    rows = neuron_rows(scene, picked[:LISTED])
    clusters, sizes = np.unique(scene.labels[picked], return_counts=True)
    order = np.argsort(-sizes, kind="stable")
    said = ", ".join(f"{sizes[i]} in cluster {clusters[i]}" for i in order[:8])
    columns = [
        "neuron_idx",
        "page_cluster",
        "test_correlation",
        "session",
        "id" if "id" in scene.neurons else "unit_id",
        "animal",
        "area",
    ]
    content = [
        html.P(
            [said, " · " if said else "", dcc.Link("clear the lasso", href=state.link(lasso=None))],
            className="note",
        ),
        table(rows, columns, caption="Neurons inside the lasso"),
    ]
    return Panel(
        "selection",
        "Neurons in the lasso",
        f"n = {number(len(picked))} neurons"
        + (f", the first {LISTED} listed" if len(picked) > LISTED else ""),
        content=content,
        rows=lambda: neuron_rows(scene, picked),
        empty=None if len(picked) else Empty("No neuron lies inside this lasso; draw another one."),
    )
