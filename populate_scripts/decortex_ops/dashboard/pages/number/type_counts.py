"""Types: how many groups of neurons stand apart in every network, at which p, and how they split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from dash import html

from decortex_ops.dashboard.choosing import (
    DATASET,
    EMBEDDING,
    MODEL,
    STUDY,
    choose_embedding,
    choose_network,
    choose_study,
)
from decortex_ops.dashboard.parts import Empty, Panel, View, aria
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import ACCENT, category_colour, figure, number, p_value
from decortex_ops.dashboard.urls import State
from decortex_schemas import queries

PATH = "/types"
TITLE = "Types"
FIELDS = (STUDY, DATASET, MODEL, EMBEDDING)
CARRIED = FIELDS
LEAD = "How many types of neurons stand apart, if any? Counted on neurons held out from every choice; needs no K."


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_study(state, source)
    for step in (lambda one: choose_network(one, specification_only=True), choose_embedding):
        if chosen.problem is None:
            chosen = step(chosen)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem], LEAD)
    where = chosen.names()
    found = [
        row
        for row in source(queries.types, chosen.state["study"])
        if all(row[name] == where[name] for name in ("dataset", "model", "embedding"))
    ]
    panels = [counts_panel(found), levels_panel(found), *(tree_panel(row) for row in found if row["splits"])]
    return View(chosen.state, chosen.choices, panels, LEAD)


def counts_panel(found: Sequence[Mapping[str, Any]]) -> Panel:
    """One row per network."""
    done = [row for row in found if row["status"] != "waiting"]
    return Panel(
        "counts",
        "How many types, by network",
        f"n = {len(done)} of {len(found)} networks counted; p of one group fewer",
        content=table(
            found,
            [
                "model_seed",
                "spec",
                "status",
                "n_types",
                "at_least",
                "p_two",
                "p_smallest",
                "n_neurons",
                "n_set_aside",
                "n_animals",
                "sentence",
            ],
            caption="Number of types in every network",
            cells={
                "at_least": lambda row: "yes" if row["at_least"] else "",
                "p_two": lambda row: p_value(row["p_two"]),
                "p_smallest": lambda row: p_value(row["p_smallest"]),
            },
        ),
        rows=[
            {name: value for name, value in row.items() if name not in ("levels", "splits")} for row in found
        ],
        empty=None
        if done
        else Empty(
            "The types are not counted yet for these networks.",
            "decortex schedule    # then: decortex work",
        ),
        note="Types that overlap would not be seen: 'none' does not show that there are none.",
    )


def levels_panel(found: Sequence[Mapping[str, Any]]) -> Panel:
    """P of every number of types."""
    rows = [
        {"network": row["model_seed"], "settings": row["spec"], **level}
        for row in found
        for level in row["levels"]
    ]
    networks = list(dict.fromkeys(row["network"] for row in rows))
    # The largest p that stands is a setting of the count, not of this page.
    levels = sorted({row["level"] for row in found if row["levels"]})
    traces = [
        go.Scatter(
            x=[row["n_groups"] for row in rows if row["network"] == one],
            y=[max(row["p"], 1e-6) for row in rows if row["network"] == one],
            mode="lines+markers",
            name=f"network {one}",
            line={"color": category_colour(i)},
            marker={"symbol": ("circle", "square", "diamond", "cross", "x")[i % 5], "size": 8},
            hovertemplate="%{x} groups: p %{y:.2g}<extra>%{fullData.name}</extra>",
        )
        for i, one in enumerate(networks)
    ]
    made = None
    if rows:
        made = figure(*traces, x="groups", y="p of one group fewer (log)", height=320)
        made.update_yaxes(type="log")
        made.update_xaxes(tickmode="array", tickvals=sorted({row["n_groups"] for row in rows}))
        for level in levels:
            made.add_hline(y=level, line={"color": ACCENT, "width": 1, "dash": "dot"})
    return Panel(
        "levels",
        "p of every number of types",
        f"n = {len(networks)} networks; dotted: {' and '.join(map(str, levels)) or 'none'}, the largest p that stands; "
        "p below .000001 is drawn there",
        figure=made,
        rows=rows,
        empty=None
        if rows
        else Empty(
            "No number of types was tested: there are too few neurons, or nothing is counted yet.",
            "decortex schedule    # then: decortex work",
        ),
        width="half",
    )


def tree_panel(row: Mapping[str, Any]) -> Panel:
    """How the types of one network split, coarsest first."""
    splits = row["splits"]
    shown = [
        {
            "n_groups": one["n_groups"],
            "left": f"{named(one['left_types'])}, {number(one['n_left'])} neurons",
            "right": f"{named(one['right_types'])}, {number(one['n_right'])} neurons",
            "p": one["p"],
            "depth": one["depth"],
        }
        for one in splits
    ]
    content = html.Div(
        [
            html.Div([branch(row["n_types"] or 0, splits)], className="tree", role="img",
                     **aria(label=f"tree of {len(splits)} splits, listed below")),
            table(
                shown,
                ["n_groups", "left", "right", "p", "depth"],
                caption=f"Splits of network {row['model_seed']}",
                cells={"p": lambda one: p_value(one["p"])},
            ),
        ]
    )  # fmt: skip
    return Panel(
        f"tree-{row['model_seed']}-{row['embedding_spec_id']}",
        f"Tree of splits, network {row['model_seed']}",
        f"n = {number(row['n_deciding'])} neurons decide; depth: density between over beside, 0 is empty",
        content=content,
        rows=[dict(one) for one in splits],
        width="half",
    )


def named(types: Sequence[int]) -> str:
    """Types of one side."""
    return f"{'type' if len(types) == 1 else 'types'} {', '.join(map(str, types))}"


def branch(n_types: int, splits: Sequence[Mapping[str, Any]]) -> html.Ul:
    """Nested lists: every split divides one group in two."""

    def node(types: Sequence[int]) -> html.Li:
        split = next(
            (one for one in splits if sorted([*one["left_types"], *one["right_types"]]) == sorted(types)),
            None,
        )
        label = named(types)
        if split is None:
            return html.Li(label)
        return html.Li(
            [
                html.Span(f"{label}: split, {p_value(split['p'])}"),
                html.Ul([node(split["left_types"]), node(split["right_types"])]),
            ]
        )

    return html.Ul([node(range(n_types))])
