"""Tuning: what clusters answer to, over networks; the stimuli that tell them apart; their fields in space and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from decortex.errors import ConfigError
from decortex_ops.dashboard.choosing import (
    PARTITION,
    choose_count,
    choose_embedding,
    choose_method,
    choose_network,
    choose_start,
    choose_study,
    partition_key,
)
from decortex_ops.dashboard.numbering import SAID, numbered_stimuli, numbering
from decortex_ops.dashboard.parts import Empty, Panel, View
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.theme import cluster_colour, cluster_symbol, figure, number
from decortex_ops.dashboard.urls import State
from decortex_schemas import queries

PATH = "/tuning"
TITLE = "Tuning"
LEAD = (
    "What a cluster is: what its neurons answer to when their networks are shown gratings, patches and spots, and the "
    "stimulus that drives it alone."
)
FIELDS = PARTITION
CARRIED = PARTITION
# Index -> axis title; the unit or the two ends.
SHOWN = {
    "orientation_selectivity": "orientation selectivity, 0 to 1",
    "direction_selectivity": "direction selectivity, 0 to 1",
    "modulation": "F1/F0 (above 1 simple)",
    "period": "spatial period, pixels",
    "radius": "preferred radius, pixels",
    "suppression": "surround suppression",
    "sign": "dark -1 to light 1",
}
_COLUMNS = 3
_MOST_CLUSTERS = 24


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_study(state, source)
    for step in (choose_network, choose_embedding, choose_method, choose_count, choose_start):
        if chosen.problem is None:
            chosen = step(chosen)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem], LEAD)
    state, key = chosen.state, partition_key(chosen)
    if source(queries.study_tables, state["study"]):
        why = (
            "A table has no network to show its neurons anything; its labels and scores tell clusters apart."
        )
        return View(state, chosen.choices, [Panel("profiles", "Tuning", empty=Empty(why))], LEAD)
    method = next(
        row["method_name"] for row in chosen.options["methods"] if row["method_id"] == state["method"]
    )
    try:
        rows = source(queries.cluster_profiles, state["study"], method=method, k=state["k"])
        why = "The networks were not shown anything yet."
        command = "decortex schedule    # then: decortex work"
    except ConfigError as error:
        rows, why = [], str(error)
        command = f"decortex clusters {state['study']} --method {method} -k {state['k']} --ask"
    names = {
        "dataset": state["dataset"],
        "model": next(
            row["model"] for row in chosen.options["networks"] if row["model_spec_id"] == state["model"]
        ),
        "embedding": next(
            row["embedding"]
            for row in chosen.options["embeddings"]
            if row["embedding_spec_id"] == state["emb"]
        ),
    }
    own = [row for row in rows if all(row[name] == value for name, value in names.items())]
    untouched = next(row["finetune_id"] for row in chosen.options["finetunings"] if row["kind"] == "none")
    numbers = numbering(source, state["study"], {**key, "finetune_id": untouched})
    first = {
        **key,
        "finetune_id": untouched,
        "model_seed": min(
            row["model_seed"]
            for row in chosen.options["networks"]
            if (row["dataset"], row["model_spec_id"]) == (state["dataset"], state["model"])
        ),
        "seed": min(row["seed"] for row in chosen.options["seeds"]),
    }
    stimuli = source(queries.cluster_stimuli, key)
    if stimuli is not None:
        stimuli = numbered_stimuli(stimuli, numbers)
    fields = source(queries.cluster_fields, key)
    of_first = numbering(source, state["study"], first)
    panels = [
        of_first.download(profile_panel(of_first.rows(own, "cluster"), Empty(why, command))),
        *map(numbers.download, stimuli_panels(stimuli, state, method)),
        *map(numbers.download, fields_panels(None if fields is None else numbers.rows(fields, "cluster"))),
    ]
    return View(state, chosen.choices, panels, LEAD)


def profile_panel(rows: Sequence[Mapping[str, Any]], empty: Empty) -> Panel:
    """One small plot per index: a point per cluster, its standard deviation over networks."""
    n = max((row["n_networks"] for row in rows), default=0)
    shared = rows[0]["matched"] if rows else None
    matched = "" if shared is None else f"; {number(shared)} of neurons are in matched clusters"
    return Panel(
        "profiles",
        "What the neurons of each cluster answer to",
        f"n = {n} networks; median over a cluster's neurons, mean and s.d. over networks{matched}",
        figure=profile_figure(rows) if rows else None,
        rows=rows,
        empty=None if rows else empty,
        note=SAID,
    )


def profile_figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Small plots of the indices that are defined."""
    shown = [name for name in SHOWN if any(row[name] is not None for row in rows)]
    n_rows = -(-len(shown) // _COLUMNS)
    made = make_subplots(rows=n_rows, cols=_COLUMNS, horizontal_spacing=0.09, vertical_spacing=0.28 / n_rows)
    clusters = [row["cluster"] for row in rows]
    for place, name in enumerate(shown):
        at = {"row": place // _COLUMNS + 1, "col": place % _COLUMNS + 1}
        spread = [row[f"{name}_sd"] or 0.0 for row in rows]
        made.add_trace(
            go.Scatter(
                x=clusters,
                y=[row[name] for row in rows],
                error_y={"type": "data", "array": spread, "thickness": 1.2, "width": 3},
                mode="markers",
                marker={
                    "color": [cluster_colour(c) for c in clusters],
                    "symbol": [cluster_symbol(c) for c in clusters],
                    "size": 9,
                },
                showlegend=False,
                hovertemplate=f"cluster %{{x}}<br>{name.replace('_', ' ')} %{{y:.3f}}<extra></extra>",
            ),
            **at,
        )
        made.update_yaxes(title_text=SHOWN[name], **at)
        made.update_xaxes(title_text="cluster", dtick=max(1, len(clusters) // 8), **at)
    return _styled(made, height=230 * n_rows)


def stimuli_panels(found: Mapping[str, Any] | None, state: State, method: str) -> list[Panel]:
    """What drives each cluster most, and what drives it alone."""
    if found is None:
        command = f"decortex clusters {state['study']} --method {method} -k {state['k']} --ask"
        why = "Stimuli of these clusters were not asked for, or are not optimised yet."
        return [Panel("stimuli", "The stimulus of each cluster", empty=Empty(why, command))]
    return [exciting_panel(found), discriminative_panel(found)]


def exciting_panel(found: Mapping[str, Any]) -> Panel:
    """The optimised stimulus that each cluster's neurons answer to most, and the best of the test stimuli."""
    clusters, n_shown = found["clusters"], found["shown"].shape[1]
    rows: list[dict[str, Any]] = [
        {
            "cluster": cluster,
            "stimulus": "optimised",
            "response": float(found["exciting_responses"][place, place]),
            "unit": "s.d. over noise",
        }
        for place, cluster in enumerate(clusters)
    ]
    rows += [
        {
            "cluster": cluster,
            "stimulus": f"test stimulus {rank + 1}",
            "response": float(found["shown_responses"][place, rank]),
            "unit": "s.d. over test stimuli",
        }
        for place, cluster in enumerate(clusters)
        for rank in range(n_shown)
    ]
    below = (
        f"below it the best {n_shown} of the test stimuli" if n_shown else "no recordings, no test stimuli"
    )
    return Panel(
        "exciting",
        "What each cluster's neurons answer to most",
        f"n = {len(clusters)} clusters; on top optimised at a bounded contrast, {below}",
        figure=exciting_figure(found),
        rows=rows,
        note="Optimised: gradient ascent on the mean response of the cluster's neurons, which all read at the middle "
        "of the image. Test stimuli: mean over these neurons, each where it looks. Of movies the last frame is shown.",
    )


def exciting_figure(found: Mapping[str, Any]) -> go.Figure:
    """A column per cluster: optimised on top, test stimuli below."""
    clusters, n_shown = found["clusters"][:_MOST_CLUSTERS], found["shown"].shape[1]
    made = make_subplots(
        rows=1 + n_shown,
        cols=len(clusters),
        horizontal_spacing=0.01,
        vertical_spacing=0.02,
        subplot_titles=[f"cluster {c}" for c in clusters],
    )
    for place in range(len(clusters)):
        images = [found["exciting"][place, -1], *found["shown"][place, :, -1]]
        for row, image in enumerate(images):
            _add_image(made, image, place, colours="Greys_r", row=row + 1)
    return _styled(made, height=60 + 110 * (1 + n_shown))


def discriminative_panel(found: Mapping[str, Any]) -> Panel:
    """The stimulus of each cluster, and what drives whom."""
    clusters, confusion = found["clusters"], found["confusion"]
    rows = [
        {"stimulus_of": a, "cluster": b, "response": float(confusion[i, j])}
        for i, a in enumerate(clusters)
        for j, b in enumerate(clusters)
    ]
    return Panel(
        "stimuli",
        "The stimulus that drives each cluster alone, and what it drives",
        f"n = {len(clusters)} clusters, {found['n_discriminated']} of which answer most to their own; in s.d.",
        figure=stimuli_figure(found),
        rows=rows,
        note="All neurons read at the middle of the image. Of movies the last frame is shown. A row of the matrix is a "
        "stimulus, a column a cluster.",
    )


def stimuli_figure(found: Mapping[str, Any]) -> go.Figure:
    """Images in a row, the confusion matrix below."""
    clusters = found["clusters"][:_MOST_CLUSTERS]
    n = len(clusters)
    made = make_subplots(
        rows=2,
        cols=n,
        specs=[[{} for _ in range(n)], [{"colspan": n}, *[None] * (n - 1)]],
        row_heights=[0.3, 0.7],
        horizontal_spacing=0.01,
        vertical_spacing=0.14,
        subplot_titles=[f"cluster {c}" for c in clusters],
    )
    for place in range(n):
        _add_image(made, found["stimuli"][place, -1], place, colours="Greys_r")
    names = [str(c) for c in found["clusters"]]
    made.add_trace(
        go.Heatmap(
            z=found["confusion"],
            x=names,
            y=names,
            colorscale="Cividis",
            colorbar={"title": {"text": "response, s.d."}},
            hovertemplate="stimulus of cluster %{y}<br>cluster %{x}<br>%{z:.2f} s.d.<extra></extra>",
        ),
        row=2,
        col=1,
    )
    made.update_xaxes(title_text="cluster", type="category", row=2, col=1)
    made.update_yaxes(title_text="stimulus of cluster", type="category", autorange="reversed", row=2, col=1)
    return _styled(made, height=520)


def fields_panels(found: Sequence[Mapping[str, Any]] | None) -> list[Panel]:
    """Fields in space, and in time where there is any."""
    if found is None:
        return []
    shown = [row for row in found if row["neuron"] is not None][:_MOST_CLUSTERS]
    if not shown:
        return []
    panels = [
        Panel(
            "fields",
            "The largest linear field of each cluster",
            f"n = {len(shown)} clusters, one neuron each; response at grey over each pixel, unit length",
            figure=spatial_figure(shown),
            rows=[
                {"cluster": row["cluster"], "neuron": row["neuron"], "separable": row["separable"]}
                for row in shown
            ],
            note="A cell that answers to energy, as complex cells do, has next to no linear field: read its tuning.",
        )
    ]
    if len(shown[0]["temporal"]) > 1:
        rows = [
            {
                "cluster": row["cluster"],
                "frames_before": len(row["temporal"]) - 1 - lag,
                "response": float(value),
            }
            for row in shown
            for lag, value in enumerate(row["temporal"])
        ]
        panels.append(
            Panel(
                "time",
                "The linear field in time",
                f"n = {len(shown)} clusters; mean over a cluster's neurons, each of unit length",
                figure=temporal_figure(shown),
                rows=rows,
            )
        )
    return panels


def spatial_figure(shown: Sequence[Mapping[str, Any]]) -> go.Figure:
    """One image per cluster."""
    made = make_subplots(
        rows=1,
        cols=len(shown),
        horizontal_spacing=0.01,
        subplot_titles=[f"{row['cluster']}<br>(neuron {row['neuron']})" for row in shown],
    )
    for place, row in enumerate(shown):
        _add_image(made, row["spatial"], place, colours="Cividis")
    return _styled(made, height=240).update_layout(margin_t=48)  # titles of two lines


def temporal_figure(shown: Sequence[Mapping[str, Any]]) -> go.Figure:
    """One line per cluster over the frames before the response."""
    traces = [
        go.Scatter(
            x=np.arange(1 - len(row["temporal"]), 1),
            y=row["temporal"],
            mode="lines+markers",
            name=f"cluster {row['cluster']}",
            line={"color": cluster_colour(row["cluster"])},
            marker={"symbol": cluster_symbol(row["cluster"])},
        )
        for row in shown
    ]
    return figure(
        *traces, x="frame, 0: the one that is answered to", y="response per s.d. of a pixel, unit length"
    )


def _add_image(
    made: go.Figure, image: NDArray[np.floating[Any]], place: int, *, colours: str, row: int = 1
) -> None:
    """Draw an image around grey in a row of subplots, its first row of pixels on top."""
    limit = float(np.abs(image).max()) or 1.0
    shown = go.Heatmap(
        z=image[::-1], colorscale=colours, zmin=-limit, zmax=limit, showscale=False, hoverinfo="skip"
    )
    made.add_trace(shown, row=row, col=place + 1)
    made.update_xaxes(visible=False, row=row, col=place + 1)
    made.update_yaxes(visible=False, row=row, col=place + 1)


def _styled(made: go.Figure, *, height: int) -> go.Figure:
    """Subplots in the look of the dashboard."""
    look = figure(height=height).layout
    made.update_layout(
        height=height,
        margin={"l": 56, "r": 16, "t": 28, "b": 44},
        font=look.font,
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
        hoverlabel=look.hoverlabel,
    )
    made.update_xaxes(gridcolor=look.xaxis.gridcolor, zeroline=False, automargin=True, title_font_size=12)
    made.update_yaxes(gridcolor=look.yaxis.gridcolor, zeroline=False, automargin=True, title_font_size=12)
    made.update_annotations(font_size=12)
    return made
