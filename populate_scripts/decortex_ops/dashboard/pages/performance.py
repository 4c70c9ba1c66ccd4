"""Performance: is a neuron's predictability tied to its cluster? Distributions, effect sizes, pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from decortex_ops.dashboard.choosing import NO_RECORDINGS, PARTITION, against, choose_partition, partition_key
from decortex_ops.dashboard.numbering import SAID, numbering
from decortex_ops.dashboard.parts import Empty, Panel, View, number_tiles
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import cluster_colour, figure, number, p_value
from decortex_ops.dashboard.urls import State
from decortex_schemas import queries

PATH = "/performance"
TITLE = "Performance"
LEAD = "Is a neuron's predictability tied to its cluster? Effect sizes first; neurons of a session are not independent."
FIELDS = PARTITION
CARRIED = PARTITION
_GRID = 96
WORK = "decortex schedule    # then: decortex work"


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_partition(state, source)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem], LEAD)
    key = partition_key(chosen)
    found = source(queries.performance_by_cluster, key)
    if found is None:
        words = against(chosen)
        empty = (
            Empty(
                f"This network has no scores, and work will make none.{words}",
                "decortex register dataset FOLDER",
            )
            if NO_RECORDINGS in words
            else Empty("Performance by cluster is not computed yet for this partition.", WORK)
        )
        return View(
            chosen.state, chosen.choices, [Panel("violins", "Performance by cluster", empty=empty)], LEAD
        )
    own = numbering(source, chosen.state["study"], key)
    labels = own.labels(source(queries.labels, key))
    found = {
        **found,
        "clusters": own.rows(found["clusters"], "cluster"),
        "pairs": own.rows(found["pairs"], "first", "second"),
    }
    scores = source(queries.scores, key)
    shown = [violins_panel(found, labels, scores), clusters_panel(found), pairs_panel(found)]
    panels = [effects(found), *(own.download(panel) for panel in shown)]
    return View(chosen.state, chosen.choices, panels, LEAD + against(chosen))


def effects(found: Mapping[str, Any]) -> Any:
    """Effect sizes with their intervals, and the test."""

    def interval(name: str, low: str, high: str) -> str:
        return f"{number(found[name], 3)} [{number(found[low], 3)}, {number(found[high], 3)}]"

    return number_tiles(
        [
            (
                "ε², rank variance between clusters, 95 %",
                interval("epsilon2_corrected", "epsilon2_low", "epsilon2_high"),
                "text",
            ),
            ("ω², variance between clusters, 95 %", interval("omega2", "omega2_low", "omega2_high"), "text"),
            ("ε² of ranks within sessions", number(found["epsilon2_within"]), "text"),
            (
                f"p, permuted within sessions ({found['n_permutations']}×)",
                p_of(found["p_permutation"], found["n_permutations"]),
                "text",
            ),
            ("p of Kruskal-Wallis, naive", p_value(found["p_kruskal"]), "text"),
            ("neurons, sessions", f"{number(found['n_neurons'])}, {found['n_sessions']}", "text"),
        ]
    )


def p_of(p: float | None, n_permutations: int) -> str:
    """A permutation p, and that it is the smallest possible where it is."""
    smallest = p is not None and p <= (1 + 1e-9) / (n_permutations + 1)
    return p_value(p) + (", the smallest possible" if smallest else "")


def violins_panel(
    found: Mapping[str, Any], labels: NDArray[np.integer[Any]], scores: NDArray[np.float64] | None
) -> Panel:
    """Distribution of the scores of every cluster."""
    groups = {} if scores is None else grouped(labels, scores)
    rows = (
        []
        if scores is None
        else [
            {"neuron_idx": i, "cluster": int(labels[i]), "test_correlation": float(score)}
            for i, score in enumerate(scores)
            if np.isfinite(score) and labels[i] >= 0
        ]
    )
    return Panel(
        "violins",
        "Test correlation by cluster",
        f"n = {number(len(rows))} neurons with a score; correlation to the average response, no unit",
        figure=violins_figure(groups) if groups else None,
        rows=rows,
        empty=None
        if groups
        else Empty(
            "The network was not scored on test trials.", "decortex schedule    # then: decortex work"
        ),
        note=f"Line: median; thick bar: half of the neurons. {SAID} "
        f"{found['n_excluded']} neurons have no defined score.",
    )


def grouped(labels: NDArray[np.integer[Any]], scores: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Defined scores of every cluster."""
    defined = np.isfinite(scores) & (labels >= 0)
    return {int(c): scores[defined & (labels == c)] for c in np.unique(labels[defined])}


def density(
    values: NDArray[np.float64], low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smoothed histogram of values between two ends: places and densities, the largest density 1.

    A Gaussian kernel of Silverman's width on a grid, so that the browser gets a hundred numbers per cluster
    whatever the number of neurons.
    """
    edges = np.linspace(low, high, _GRID + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    counts = np.histogram(values, edges)[0].astype(float)
    quartiles = np.subtract(*np.quantile(values, [0.75, 0.25]))
    spread = min(float(values.std()), float(quartiles) / 1.34) or float(values.std())
    width = max(0.9 * spread * len(values) ** -0.2, (high - low) / _GRID)
    kernel = np.exp(-0.5 * ((centres[:, None] - centres[None, :]) / width) ** 2)
    smooth = kernel @ counts
    return centres, smooth / max(smooth.max(), 1e-12)


def violins_figure(groups: Mapping[int, NDArray[np.float64]]) -> go.Figure:
    """One violin a cluster, drawn from its density."""
    everything = np.concatenate(list(groups.values()))
    low, high = float(everything.min()), float(everything.max())
    pad = 0.05 * (high - low or 1.0)
    traces = []
    for place, (cluster, values) in enumerate(groups.items()):
        y, width = density(values, low - pad, high + pad)
        shown = (width > 0.01) & (y >= values.min()) & (y <= values.max())  # no wider than the data
        half = 0.42 * width[shown]
        quartiles = np.quantile(values, [0.25, 0.5, 0.75])
        said = (
            f"cluster {cluster}: n = {len(values)}<br>median {quartiles[1]:.3f}, mean {values.mean():.3f}<br>"
            f"quartiles {quartiles[0]:.3f}, {quartiles[2]:.3f}"
        )
        colour = cluster_colour(cluster)
        traces += [
            go.Scatter(
                x=closed(place - half, place + half),
                y=closed(y[shown], y[shown]),
                fill="toself",
                mode="lines",
                line={"color": colour, "width": 1.2},
                fillcolor=_faint(colour),
                hoveron="fills",
                text=said,
                hoverinfo="text",
                name=f"cluster {cluster}",
                showlegend=False,
            ),
            go.Scatter(
                x=[place, place],
                y=quartiles[[0, 2]],
                mode="lines",
                line={"color": colour, "width": 6},
                hoverinfo="skip",
                showlegend=False,
            ),
            go.Scatter(
                x=[place - 0.2, place + 0.2],
                y=[quartiles[1]] * 2,
                mode="lines",
                line={"color": "#1b2430", "width": 2},
                hoverinfo="skip",
                showlegend=False,
            ),
        ]
    made = figure(*traces, x="cluster", y="test correlation", height=400)
    made.update_xaxes(
        tickvals=list(range(len(groups))),
        ticktext=[f"{cluster}<br>n = {len(values)}" for cluster, values in groups.items()]
        if len(groups) <= 16
        else [str(cluster) for cluster in groups],
        showgrid=False,
        range=[-0.6, len(groups) - 0.4],
    )
    return made


def closed(up: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.float64]:
    """One coordinate of an outline: up one side, down the other, and back to where it began."""
    return np.concatenate([up, down[::-1], up[:1]])


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.25)"


def clusters_panel(found: Mapping[str, Any]) -> Panel:
    """Mean and median of every cluster."""
    rows: Sequence[Mapping[str, Any]] = found["clusters"]
    return Panel(
        "clusters",
        "Clusters",
        f"n = {len(rows)} clusters; test correlation, no unit",
        content=table(
            rows,
            [
                "cluster",
                "size",
                "n_defined",
                "mean",
                "median",
                "sd",
            ],
            caption="Test correlation of every cluster",
        ),
        rows=rows,
        width="half",
    )


def pairs_panel(found: Mapping[str, Any]) -> Panel:
    """Every pair of clusters."""
    rows: Sequence[Mapping[str, Any]] = found["pairs"]
    return Panel(
        "pairs",
        "Pairs of clusters",
        f"n = {len(rows)} pairs; rank-biserial correlation, no unit; p by Holm over the pairs",
        content=table(
            rows,
            [
                "first",
                "second",
                "n_first",
                "n_second",
                "rank_biserial",
                "p",
                "p_holm",
            ],
            caption="Difference in test correlation of every pair of clusters",
        ),
        rows=rows,
        empty=None
        if rows
        else Empty("Fewer than two clusters hold scored neurons.", "decortex results STUDY"),
        width="half",
    )
