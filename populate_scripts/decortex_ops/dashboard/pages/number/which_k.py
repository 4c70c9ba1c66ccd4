"""Which K: every criterion with its interval and null band, the decision and its reasons, or that none is supported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from decortex.columns import CRITERIA
from decortex_ops.dashboard.choosing import (
    DATASET,
    EMBEDDING,
    METHOD,
    MODEL,
    STUDY,
    choose_embedding,
    choose_method,
    choose_network,
    choose_study,
)
from decortex_ops.dashboard.panels import NULLS, criteria_figure
from decortex_ops.dashboard.parts import Empty, Panel, View, number_tiles
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import number
from decortex_ops.dashboard.urls import State
from decortex_schemas import queries

PATH = "/which-k"
TITLE = "Which K"
LEAD = "How many clusters the data support, if any, against null models that have no types."
FIELDS = (STUDY, DATASET, MODEL, EMBEDDING, METHOD)
CARRIED = FIELDS
REASONS = {
    "supported": "more stable than every null model, with density valleys between most neighbours",
    "no_valleys": "no K has density valleys between most neighbouring clusters",
    "not_above_nulls": "no K is more stable than every null model",
    "neither": "no K is more stable than the nulls, and none has valleys",
    "never_both": "no single K passes both conditions",
    "fragmented": "partitions that pass hold nearly all neurons in one cluster",
    "undefined": "the criteria are not defined here",
}


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_study(state, source)
    for step in (lambda one: choose_network(one, specification_only=True), choose_embedding, choose_method):
        if chosen.problem is None:
            chosen = step(chosen)
    state = chosen.state
    problem = chosen.problem or _not_there(str(state["study"]), source)
    if problem is not None:
        return View(state, chosen.choices, [problem], LEAD)
    key = {
        "dataset": state["dataset"],
        "model_spec_id": state["model"],
        "embedding_spec_id": state["emb"],
        "method_id": state["method"],
    }
    found = source(queries.best_k, state["study"], key)
    if not found:
        empty = Empty(
            "The choice of K is not computed yet for these networks and this method.",
            "decortex schedule    # then: decortex work",
        )
        return View(state, chosen.choices, [Panel("decision", "Decision", empty=empty)], LEAD)
    one = found[0]
    panels = [decision_tiles(one), criteria_panel(one), counts_panel(one), singles_panel(one)]
    return View(state, chosen.choices, panels, LEAD)


def _not_there(study: str, source: Source) -> Panel | None:
    choosing = source(queries.choosing_study, study)
    if choosing is None:
        return Panel(
            "decision",
            "Decision",
            empty=Empty(
                "This study asked for no null models, without which no K is chosen.",
                'decortex study create NAME plan.json    # with "selection": {} in the plan (docs/how-to/studies.md)',
            ),
        )
    frozen = {row["study"] for row in source(queries.study_counts) if row["frozen_at"] is not None}
    if choosing not in frozen:
        return Panel(
            "decision",
            "Decision",
            empty=Empty("The study that chooses K is not frozen yet.", f"decortex study freeze {choosing}"),
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
        count["values"][name]["n_used"]
        for count in one["counts"]
        for name in ("silhouette", "stability")
        if name in count["values"]
    ]
    return number(max(used)) if used else "–"


def criteria_rows(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per K, criterion and null model (empty: the data alone)."""
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


def counts_panel(one: Mapping[str, Any]) -> Panel:
    """One row per K: supported or not, and what speaks against it."""
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
    kinds = [kind for kind in NULLS if any(f"z_{kind}" in row for row in rows)]
    return Panel(
        "counts",
        "What speaks against each K",
        f"n = {len(rows)} numbers of clusters; z of the stability against each null model",
        content=table(
            rows,
            [
                "k",
                "supported",
                "stability",
                "valley_share",
                "separated_groups",
                *((f"z_{kind}", f"z {kind}") for kind in kinds),
                "against",
            ],
            caption="Reasons for and against every number of clusters",
            cells={"supported": lambda row: "yes" if row["supported"] else "no"},
            row_class=lambda row: "chosen" if row["k"] == one["decision"] else "",
        ),
        rows=rows,
        width="wide",
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
            ["who", "choice"],
            caption="Choice of K by every criterion and every network alone",
            cells={"choice": lambda row: "none" if row["choice"] is None else str(row["choice"])},
        ),
        rows=rows,
        width="third",
        note="Single criteria disagree; the rule needs stability above every null model and density valleys.",
    )
