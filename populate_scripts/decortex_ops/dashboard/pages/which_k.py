"""Which K: every criterion with its interval and null band, the decision and its reasons, or that none is supported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from dash import html
from plotly.subplots import make_subplots

from decortex_ops.dashboard.choosing import (
    DATASET,
    EMBEDDING,
    METHOD,
    MODEL,
    STUDY,
    Chosen,
    choose_embedding,
    choose_method,
    choose_network,
    choose_study,
)
from decortex_ops.dashboard.parts import Empty, Panel, View, number_tiles, table
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.theme import INK, MUTED, OKABE_ITO, figure, number, plain
from decortex_ops.dashboard.urls import State
from decortex_schemas import queries_selection

PATH = "/which-k"
TITLE = "Which K"
LEAD = "How many clusters the data support, if any, against null models that have no types."
FIELDS = (STUDY, DATASET, MODEL, EMBEDDING, METHOD)
CARRIED = FIELDS
# Every criterion: what it is called, its unit, and the direction in which it speaks for a K.
CRITERIA = {
    "stability": ("stability", "ARI between refits, higher"),
    "valley_share": ("density valleys", "share of neighbouring pairs, above one half"),
    "separated_groups": ("separated groups", "groups of clusters"),
    "silhouette": ("silhouette", "no unit, higher"),
    "prediction_strength": ("prediction strength", "share of pairs, at least .8"),
    "gap": ("gap", "nats, first K within s of the next"),
    "bic": ("BIC", "nats times 2, lower"),
    "icl": ("ICL", "nats times 2, lower"),
    "held_out_likelihood": ("held-out likelihood", "nats a neuron, higher"),
    "calinski_harabasz": ("Calinski-Harabasz", "no unit, higher"),
    "davies_bouldin": ("Davies-Bouldin", "no unit, lower"),
    "seed_agreement": ("agreement between networks", "ARI, higher"),
    "method_agreement": ("agreement between methods", "ARI, higher"),
    "excess_stability": ("stability above the nulls", "smallest z, higher"),
}
REASONS = {
    "supported": "more stable than every null model, with density valleys between most neighbours",
    "no_valleys": "no K has density valleys between most neighbouring clusters",
    "not_above_nulls": "no K is more stable than every null model",
    "neither": "no K is more stable than the nulls, and none has valleys",
    "never_both": "no single K passes both conditions",
    "undefined": "the criteria are not defined here",
}
_NULLS = {"gaussian": OKABE_ITO[1], "t": OKABE_ITO[3], "permuted": OKABE_ITO[4], "copula": OKABE_ITO[2]}
_COLUMNS = 3


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_study(state, source)
    for step in (lambda one: choose_network(one, specification_only=True), choose_embedding, choose_method):
        if chosen.problem is None:
            chosen = step(chosen)
    state = chosen.state
    problem = chosen.problem or _not_there(chosen)
    if problem is not None:
        return View(state, chosen.choices, [problem], LEAD)
    key = {
        "dataset": state["dataset"],
        "model_spec_id": state["model"],
        "embedding_spec_id": state["emb"],
        "method_id": state["method"],
    }
    found = source(queries_selection.best_k, state["study"], key)
    if not found:
        empty = Empty(
            "The choice of K is not computed yet for these networks and this method.",
            "decortex schedule    # then: decortex work --tables KSelection",
        )
        return View(state, chosen.choices, [Panel("decision", "Decision", empty=empty)], LEAD)
    one = found[0]
    panels = [decision_tiles(one), criteria_panel(one), counts_panel(one), singles_panel(one)]
    return View(state, chosen.choices, panels, LEAD)


def _not_there(chosen: Chosen) -> Panel | None:
    study = chosen.study or {}
    if not study.get("nulls"):
        return Panel(
            "decision",
            "Decision",
            empty=Empty(
                "This study asked for no null models, without which no K is chosen.",
                'decortex study create NAME plan.json    # with "selection": {} in the plan (docs/studies.md)',
            ),
        )
    if study.get("frozen_at") is None:
        return Panel(
            "decision",
            "Decision",
            empty=Empty("The study is not frozen yet.", f"decortex study freeze {chosen.state['study']}"),
        )
    return None


def decision_tiles(one: Mapping[str, Any]) -> html.Dl:
    """The answer."""
    decision = one["decision"]
    answer = "no K is supported" if decision is None else f"K = {decision}"
    alone = sorted({str(row["decision"] or "none") for row in one["networks"]})
    return number_tiles(
        [
            ("decision", answer, "text" if decision is None else "good"),
            ("why", REASONS.get(one["reason"], str(one["reason"]).replace("_", " ")), "text"),
            ("each network alone", ", ".join(alone) or "–", "text"),
            ("networks, surrogates a null", f"{one['n_networks']}, {one['n_surrogates']}", "text"),
            *(
                (
                    f"chosen by {own['person']}: {own['why']}",
                    f"K = {own['choice']}" if own["choice"] else "none",
                    "text",
                )
                for own in one["persons"]
            ),
        ]
    )


def criteria_panel(one: Mapping[str, Any]) -> Panel:
    """Small multiples: one criterion each."""
    shown = [name for name in CRITERIA if _defined(one, name)]
    neurons = _neurons(one)
    return Panel(
        "criteria",
        "Every criterion by K",
        f"n = {neurons} neurons, {one['n_networks']} networks; units under each; bars: interval of the data; "
        "bands: 95 % of the surrogates of a null model",
        figure=criteria_figure(one, shown) if shown else None,
        rows=criteria_rows(one),
        empty=None if shown else Empty("No criterion is defined here.", "decortex errors"),
        note="Dotted: the decision. Diamond: what the criterion alone would choose.",
    )


def _defined(one: Mapping[str, Any], name: str) -> bool:
    return any(count["values"].get(name, {}).get("value") is not None for count in one["counts"])


def _neurons(one: Mapping[str, Any]) -> str:
    used = [
        value["n_used"] for count in one["counts"] for value in count["values"].values() if value["n_used"]
    ]
    return number(max(used)) if used else "–"


def criteria_rows(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a K, criterion and null model (empty: the data alone)."""
    rows = []
    for count in one["counts"]:
        for name, value in count["values"].items():
            own = {"k": count["k"], "criterion": name, **value, "supported": count["supported"]}
            nulls = count["excess"].get(name, {})
            rows += [{**own, "null": kind, **_null(null)} for kind, null in nulls.items()] or [
                {**own, "null": ""}
            ]
    return rows


def _null(null: Mapping[str, Any]) -> dict[str, Any]:
    return {name: null[name] for name in ("null_mean", "null_low", "null_high", "z", "p", "n_surrogates")}


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
    for index, name in enumerate(shown):
        at = {"row": index // _COLUMNS + 1, "col": index % _COLUMNS + 1}
        for kind in _NULLS:
            for trace in null_band(one, name, kind, show_legend=kind not in named):
                made.add_trace(trace, **at)
                named.add(kind)
        made.add_trace(curve(one, name), **at)
        choice = one["single"].get(name)
        if choice is not None:
            made.add_trace(_mark(one, name, choice), **at)
        made.update_yaxes(title_text=CRITERIA[name][1], **at)
        made.update_xaxes(title_text="K" if index >= len(shown) - _COLUMNS else "", **at)
        if one["decision"] is not None:
            made.add_vline(x=one["decision"], line={"color": MUTED, "dash": "dot", "width": 1.2}, **at)
    look = figure(height=60 + 235 * n_rows).layout
    made.update_layout(
        height=look.height,
        font=look.font,
        paper_bgcolor="#fff",
        plot_bgcolor="#fff",
        hoverlabel=look.hoverlabel,
        margin={"l": 60, "r": 16, "t": 62, "b": 40},
        legend={"orientation": "h", "y": 1, "yref": "container", "yanchor": "top", "x": 0},
    )
    made.update_xaxes(look.xaxis.to_plotly_json() | {"title": {"font": {"color": MUTED, "size": 12}}})
    made.update_yaxes(
        gridcolor="#e2e6eb", zeroline=False, automargin=True, title_font={"size": 11, "color": MUTED}
    )
    made.update_annotations(font={"size": 13, "color": INK})
    return made


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
    colour = _NULLS[kind]
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
            line={"color": colour, "width": 1.2, "dash": "dash"},
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


def counts_panel(one: Mapping[str, Any]) -> Panel:
    """One row a K: supported or not, and what speaks against it."""
    rows = [
        {
            "k": count["k"],
            "supported": count["supported"],
            "against": ", ".join(str(reason).replace("_", " ") for reason in count["reasons"]) or "nothing",
            **{
                name: count["values"].get(name, {}).get("value")
                for name in ("stability", "valley_share", "separated_groups")
            },
            **{f"z_{kind}": null["z"] for kind, null in count["excess"].get("stability", {}).items()},
        }
        for count in one["counts"]
    ]
    kinds = [kind for kind in _NULLS if any(f"z_{kind}" in row for row in rows)]
    return Panel(
        "counts",
        "What speaks against each K",
        f"n = {len(rows)} numbers of clusters; z of the stability against each null model",
        content=table(
            rows,
            [
                ("k", "K"),
                ("supported", "supported"),
                ("stability", "stability"),
                ("valley_share", "valleys"),
                ("separated_groups", "groups"),
                *((f"z_{kind}", f"z {kind}") for kind in kinds),
                ("against", "against it"),
            ],
            caption="Reasons for and against every number of clusters",
            cells={"supported": lambda row: "yes" if row["supported"] else "no"},
            row_class=lambda row: "chosen" if row["k"] == one["decision"] else "",
        ),
        rows=rows,
    )


def singles_panel(one: Mapping[str, Any]) -> Panel:
    """What single criteria and single networks would have said."""
    rows = [
        {"who": CRITERIA.get(name, (name, ""))[0], "choice": choice}
        for name, choice in sorted(one["single"].items())
    ]
    rows += [
        {"who": f"network seed {row['model_seed']}, by the rule", "choice": row["decision"]}
        for row in one["networks"]
    ]
    return Panel(
        "singles",
        "What each alone would choose",
        f"n = {len(one['single'])} criteria, {len(one['networks'])} networks",
        content=table(
            rows,
            [("who", "criterion or network"), ("choice", "K")],
            caption="Choice of K by every criterion and every network alone",
            cells={"choice": lambda row: "none" if row["choice"] is None else str(row["choice"])},
        ),
        rows=rows,
        note="Single criteria disagree; the rule needs stability above every null model and density valleys.",
    )
