"""Runs: every finished variant of a study, sortable, and up to six beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import plotly.graph_objects as go
from dash import dcc, html

from decortex.columns import column
from decortex_ops.dashboard.choosing import METHOD, STUDY, K, choose_study
from decortex_ops.dashboard.panels import (
    GROUP,
    OPEN,
    Gathered,
    gathered,
    group_choice,
    name_of,
    open_and_close,
    side_by_side,
)
from decortex_ops.dashboard.parts import Choice, Empty, Panel, View, aria, data
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import pages, table
from decortex_ops.dashboard.theme import category_colour, figure, number, plain
from decortex_ops.dashboard.urls import Field, State
from decortex_schemas import queries
from decortex_schemas.queries import PARTITION

PATH = "/runs"
TITLE = "Runs"
LEAD = "Every partition that the study has, as found and after fine-tuning. Tick up to six to compare them."
SIZE = 25
MOST_PICKED = 6
MOST_ROWS = 100_000
FIELDS = (
    STUDY,
    METHOD,
    K,
    Field("ft", "int", low=0),
    Field("net", "int"),
    Field("status", "text"),
    Field("sort", "text", default="k", choices=queries.SORTABLE),
    Field("down", "int", default=0, choices=(0, 1)),
    Field("page", "int", default=1, low=1, high=100_000),
    Field("pick", "texts", default=()),
    Field("hide", "texts", default=()),
    GROUP,
    OPEN,
)
COLUMNS: tuple[tuple[str, str], ...] = (
    ("pick", ""),
    # Before the numbers: a table that is wider than its page must not hide its links.
    ("more", ""),
    *(
        (name, column(name).heading)
        for name in (
            "method_name",
            "k",
            "finetune",
            "model_seed",
            "seed",
            "status",
            "ari_truth",
            "ari_seeds",
            "ari_clustering_seeds",
            "silhouette",
            "largest_share",
            "epsilon2",
            "p",
            "difference",
            "share_changed",
        )
    ),
)
# Columns that a viewer may hide.
CHOSEN = tuple(name for name, text in COLUMNS if text and name not in ("method_name", "k", "finetune"))
OPTIONAL = ("ari_truth", "ari_seeds", "ari_clustering_seeds", "difference", "share_changed")
MEASURES = tuple(
    (name, column(name).heading)
    for name in (
        "ari_truth",
        "ari_seeds",
        "ari_clustering_seeds",
        "silhouette",
        "largest_share",
        "epsilon2",
        "difference",
        "share_changed",
    )
)


def token(row: Mapping[str, Any]) -> str:
    """A partition's key as one word of a URL."""
    return "~".join(quote(str(row[name]), safe="").replace("~", "%7E") for name in PARTITION)


def key_of(word: str) -> dict[str, Any] | None:
    """The key of a word, or None if it is none."""
    values = [unquote(part) for part in word.split("~")]
    if len(values) != len(PARTITION):
        return None
    text = ("dataset", "method")
    try:
        return {
            name: value if name in text else int(value) for name, value in zip(PARTITION, values, strict=True)
        }
    except ValueError:
        return None


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_study(state, source)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem], LEAD)
    state = chosen.state
    study = state["study"]
    where = {
        column: state[name]
        for name, column in (
            ("method", "method_id"),
            ("k", "k"),
            ("ft", "finetune_id"),
            ("net", "model_seed"),
        )
        if state[name] is not None
    }
    how = {
        "where": where,
        "statuses": (state["status"],) if state["status"] else (),
        "order_by": state["sort"],
        "descending": bool(state["down"]),
    }
    groups: Gathered | None = None
    if state["group"]:
        groups = gathered(state, source, chosen.options, how)
        found: Mapping[str, Any] = {"n": groups.n, "rows": groups.rows}
    else:
        found = source(queries.runs, study, **how, limit=SIZE, offset=(state["page"] - 1) * SIZE)
    picked = state["pick"][:MOST_PICKED]
    keys = [key for key in map(key_of, picked) if key is not None]
    compared = source(queries.describe, keys, study) if keys else []
    panels = [
        *([compare_panel(compared, too_many=len(state["pick"]) > MOST_PICKED)] if compared else []),
        *(side_by_side(source, study, compared) if len(compared) > 1 else []),
        runs_panel(
            state,
            found,
            rows=lambda: source(queries.runs, study, **how, limit=MOST_ROWS)["rows"],
            groups=groups,
        ),
    ]
    return View(
        state,
        [
            *chosen.choices,
            *filters(state, chosen.options, source(queries.statuses, study)),
            group_choice(state),
        ],
        panels,
        LEAD,
    )


def filters(
    state: State, options: Mapping[str, Sequence[Mapping[str, Any]]], ended: Sequence[Mapping[str, Any]]
) -> list[Choice]:
    """Controls that narrow the table; each goes back to its first page."""

    def control(name: str, label: str, pairs: Sequence[tuple[str, Any]]) -> Choice:
        return Choice(
            name,
            label,
            [
                ("all", {name: None, "page": None}),
                *((text, {name: value, "page": None}) for text, value in pairs),
            ],
            {name: state[name]},
        )

    tuned = {row["finetune_id"]: row["finetune"] for row in options["finetunings"]}
    nets = sorted({row["model_seed"] for row in options["networks"]})
    return [
        control("method", "Method", [(row["method_name"], row["method_id"]) for row in options["methods"]]),
        control("k", "K", [(str(row["k"]), row["k"]) for row in options["counts"]]),
        control("ft", "Fine-tuning", [(name, number_) for number_, name in tuned.items()]),
        control("net", "Network seed", [(str(seed), seed) for seed in nets]),
        control("status", "Status", [(f"{row['status']} ({row['n']})", row["status"]) for row in ended]),
    ]


def runs_panel(state: State, found: Mapping[str, Any], *, rows: Any, groups: Gathered | None = None) -> Panel:
    """The table of variants, in groups where the viewer asks for them."""
    shown = found["rows"]
    picked = set(state["pick"][:MOST_PICKED])

    def tick(row: Mapping[str, Any]) -> Any:
        word = token(row)
        name = (
            f"{row['method_name']}, K {row['k']}, {row['finetune']}, network {row['model_seed']}, "
            f"start {row['seed']}"
        )
        chosen = "true" if word in picked else "false"
        return html.Button(
            type="button",
            role="checkbox",
            className="tick",
            **aria(checked=chosen, label=f"compare {name}"),
            **data(pick=word),
        )

    def more(row: Mapping[str, Any]) -> Any:
        return dcc.Link("open", href=f"/cluster?{_partition_query(state, row)}", title="its clusters")

    # A column that nobody could fill here, such as the known types of recordings, is left out.
    unknown = {
        name for name, _ in COLUMNS if shown and name in OPTIONAL and all(row[name] is None for row in shown)
    }
    unknown |= set(state["hide"]) & set(CHOSEN)
    content = [
        columns_choice(state),
        table(
            shown,
            [(name, text) for name, text in COLUMNS if name not in unknown],
            caption="Finished variants of the study",
            state=state,
            sortable=[name for name, _ in COLUMNS if name in queries.SORTABLE],
            cells={
                "pick": tick,
                "more": more,
                "model_seed": lambda row: html.Span(
                    f"{row['model']} · {row['model_seed']}", className="whole"
                ),
            },
            row_class=lambda row: "picked" if token(row) in picked else "",
            groups=() if groups is None else groups.groups,
        ),
        pages(state, found["n"], SIZE, len(shown)) if groups is None else open_and_close(state, groups),
    ]
    return Panel(
        "runs",
        "Variants",
        f"n = {number(found['n'])} partitions; ARI and ε² have no unit, Δ is of the test correlation",
        content=content,
        rows=rows,
        empty=None
        if found["n"]
        else Empty(
            "No finished variant fits these choices.",
            f"decortex study show {state['study']}    # then: decortex schedule and decortex work",
        ),
    )


def columns_choice(state: State) -> html.Details:
    """Columns as links that hide or show them; what is hidden is part of the link to this view."""
    names = dict(COLUMNS)
    hidden = [name for name in state["hide"] if name in CHOSEN]
    links = []
    for name in CHOSEN:
        now = tuple(one for one in hidden if one != name) if name in hidden else (*hidden, name)
        act = html.Span("show" if name in hidden else "hide", className="unseen")
        said = ["☐ " if name in hidden else "☑ ", act, f" {names[name]}"]
        target = state.link(hide=now, pick=state["pick"])
        links.append(html.Li(dcc.Link(said, href=target)))
    return html.Details(
        [
            html.Summary(f"Columns ({len(CHOSEN) - len(hidden)} of {len(CHOSEN)})"),
            html.Ul(links, className="legend"),
        ],
        open=bool(hidden),
    )


def _partition_query(state: State, row: Mapping[str, Any]) -> str:
    pairs = {
        "study": state["study"],
        "dataset": row["dataset"],
        "model": row["model_spec_id"],
        "net": row["model_seed"],
        "emb": row["embedding_spec_id"],
        "method": row["method_id"],
        "k": row["k"],
        "seed": row["seed"],
        "ft": row["finetune_id"],
    }
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in pairs.items())


def compare_panel(rows: Sequence[Mapping[str, Any]], *, too_many: bool) -> Panel:
    """The ticked variants beside each other."""
    return Panel(
        "compare",
        "Compared",
        f"n = {len(rows)} partitions of at most {MOST_PICKED}; no unit but where named",
        figure=compare_figure(rows),
        rows=[dict(row) for row in rows],
        note=f"Only the first {MOST_PICKED} of the ticked variants are compared." if too_many else "",
    )


def compare_figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """One row a measure, one marker a variant."""
    labels = [text for name, text in MEASURES if any(row.get(name) is not None for row in rows)]
    traces = []
    for index, row in enumerate(rows):
        values = [(text, row.get(name)) for name, text in MEASURES if text in labels]
        name = name_of(row)
        traces.append(
            go.Scatter(
                x=[value for _, value in values],
                y=[text for text, _ in values],
                mode="markers",
                name=plain(name),
                marker={
                    "size": 11,
                    "color": category_colour(index),
                    "symbol": ("circle", "square", "diamond", "triangle-up", "cross", "x")[index],
                },
                hovertemplate="%{x:.3f}<br>%{y}<extra>%{fullData.name}</extra>",
            )
        )
    made = figure(*traces, x="value", height=120 + 34 * len(labels))
    made.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=labels)
    return made
