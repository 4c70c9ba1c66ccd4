"""Association: is performance tied to cluster? Both estimands, covariates, confounds, p corrected over the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from decortex.columns import column
from decortex_ops.dashboard.choosing import (
    DATASET,
    EMBEDDING,
    FINETUNE,
    METHOD,
    MODEL,
    STUDY,
    K,
    choose_count,
    choose_embedding,
    choose_family_finetuning,
    choose_method,
    choose_network,
    choose_study,
)
from decortex_ops.dashboard.parts import Empty, Panel, View, number_tiles
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import ACCENT, category_colour, figure, number, p_value, plain
from decortex_ops.dashboard.urls import State
from decortex_ops.reports import ESTIMAND_COLUMNS, FOLLOWING_COLUMNS
from decortex_schemas import queries
from decortex_schemas.queries.answering import STATUS_TEXTS, WITHIN

PATH = "/association"
TITLE = "Association"
FIELDS = (STUDY, DATASET, MODEL, EMBEDDING, METHOD, K, FINETUNE)
CARRIED = FIELDS
LEAD = (
    "Is performance tied to cluster, with covariates held fixed? p of these sessions speaks of the recorded neurons; "
    "only the population's p, with animals as units, speaks of others."
)


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_study(state, source)
    for step in (
        lambda one: choose_network(one, specification_only=True),
        choose_embedding,
        choose_method,
        choose_count,
        choose_family_finetuning,
    ):
        if chosen.problem is None:
            chosen = step(chosen)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem], LEAD)
    state = chosen.state
    if (chosen.study or {}).get("frozen_at") is None:
        empty = Empty("The study is not frozen yet.", f"decortex study freeze {state['study']}")
        return View(state, chosen.choices, [Panel("estimands", "Both estimands", empty=empty)], LEAD)
    where = chosen.names()
    told = source(queries.table_scores, state["study"])
    of_table = [
        row
        for row in told
        if all(row[name] == where[name] for name in ("dataset", "model", "embedding", "method"))
    ]
    every = source(queries.predictability, state["study"])
    family = [
        row for row in every if all(row[name] == where[name] for name in ("dataset", "model", "embedding"))
    ]
    own = [row for row in family if row["method"] == where["method"] and row["finetune"] == where["finetune"]]
    here = [row for row in own if row["k"] == state["k"]]
    follows = [
        row
        for row in source(queries.confounds, state["study"])
        if all(row[name] == where[name] for name in ("dataset", "model", "embedding", "method", "finetune"))
    ]
    units = source(queries.population_tests, state["study"], chosen.group()) if here else []
    if of_table:
        panels: list[Any] = [
            table_scores_panel([row for row in of_table if row["k"] == state["k"]], of_table)
        ]
    elif not here:
        panels = [estimands_panel(here)]
    else:
        panels = [tiles(here, units), estimands_panel(here), curve_panel(own), units_panel(units)]
    read = source(queries.recordings, state["study"])
    return View(state, chosen.choices, [*panels, confounds_panel(follows), recordings_panel(read)], LEAD)


def table_scores_panel(here: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]]) -> Panel:
    """Scores that came with a table, at the chosen K; downloads hold every K."""
    within = WITHIN[own[0]["within"]]
    return Panel(
        "table-scores",
        "Scores of the table by cluster",
        f"n = {here[0]['n_partitions'] if here else 0} partitions; "
        f"epsilon²: mean over partitions; p: neurons permuted {within}, the largest of the partitions",
        content=table(
            here,
            [
                "score",
                "n_neurons",
                "epsilon2",
                "epsilon2_low",
                "epsilon2_high",
                ("epsilon2_within", within),
                "p_median",
                "p_max",
                "status",
            ],
            caption="Scores that came with the table, against clusters",
            cells={
                "status": lambda row: "compared" if row["status"] == "ok" else reason(row["status"]),
            },
        ),
        rows=list(own),
        empty=None if here else Empty("Not compared yet.", "decortex schedule    # then: decortex work"),
        note="p speaks of these neurons, and is not corrected for the number of scores and K.",
    )


def tiles(here: Sequence[Mapping[str, Any]], units: Sequence[Mapping[str, Any]]) -> Any:
    """The two estimands of the largest set of covariates that could be compared."""
    one = next((row for row in reversed(here) if row["omega2"] is not None), here[0])
    animals = [
        row for row in units if row["unit_kind"] == "animal" and row["covariates"] == one["covariates"]
    ]
    return number_tiles(
        [
            (
                f"omega², {one['covariates']} held fixed, 95 %",
                f"{number(one['omega2'])} [{number(one['omega2_low'])}, {number(one['omega2_high'])}]",
                "text",
            ),
            ("p in these sessions, over the study", p_value(one["p_sessions_bh_max"]), "text"),
            ("p in these sessions, over all K", p_value(one["p_grid"]), "text"),
            ("population, animals as units", population(animals), "text"),
            (
                "partitions, neurons",
                f"{number(one['n_partitions'])}, {number(one['n_neurons'])}",
                "text",
            ),
        ]
    )


def population(tests: Sequence[Mapping[str, Any]]) -> str:
    """The population's answer with one kind of unit, or the limit that there is."""
    if not tests:
        return "not tested yet"
    one = tests[0]
    if one["p_max"] is not None:
        return f"{p_value(one['p_max'])} at most, {one['n_units']} units"
    return f"no answer: {reason(one['status'])} ({one['n_units']} here)"


def reason(status: str) -> str:
    """A status, or several with their counts, in words."""
    known = dict.fromkeys(part.split(" ")[0] for part in status.split(", "))
    return " and ".join(STATUS_TEXTS.get(one, one.replace("_", " ")) for one in known)


def estimands_panel(here: Sequence[Mapping[str, Any]]) -> Panel:
    """One row per set of covariates."""
    return Panel(
        "estimands",
        "Both estimands, by covariates held fixed",
        f"n = {here[0]['n_partitions'] if here else 0} partitions, "
        f"{number(here[0]['n_neurons']) if here else 0} neurons; "
        "omega²: mean over partitions; p: median, and the largest after Benjamini-Hochberg over the study",
        content=table(
            here,
            ["covariates", *ESTIMAND_COLUMNS],
            caption="Effect and p of these sessions and of the population, by covariates",
            cells={
                "population": lambda row: (
                    "tested" if row["population"] == "ok" else f"no answer: {reason(row['population'])}"
                ),
            },
        ),
        rows=list(here),
        empty=None
        if here
        else Empty(
            "Performance is not compared between these clusters yet; networks without recordings have no scores.",
            "decortex schedule    # then: decortex work",
        ),
        note="p is never below one over the permutations. Partitions of the same neurons are not independent.",
    )


def curve_panel(own: Sequence[Mapping[str, Any]]) -> Panel:
    """omega² over K, one line per set of covariates."""
    sets = list(dict.fromkeys(row["covariates"] for row in own))
    traces = []
    for i, name in enumerate(sets):
        rows = [row for row in own if row["covariates"] == name and row["omega2"] is not None]
        up = [(row["omega2_high"] or row["omega2"]) - row["omega2"] for row in rows]
        down = [row["omega2"] - (row["omega2_low"] or row["omega2"]) for row in rows]
        traces.append(
            go.Scatter(
                x=[row["k"] for row in rows],
                y=[row["omega2"] for row in rows],
                error_y={"type": "data", "array": up, "arrayminus": down, "thickness": 1},
                mode="lines+markers",
                name=plain(name),
                line={"color": category_colour(i)},
                marker={"symbol": ("circle", "square", "diamond", "cross")[i % 4], "size": 8},
                hovertemplate="K = %{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
            )
        )
    made = figure(*traces, x="K", y=column("omega2").heading, height=320)
    made.update_xaxes(tickmode="array", tickvals=sorted({row["k"] for row in own}))
    made.add_hline(y=0, line={"color": ACCENT, "width": 1, "dash": "dot"})
    return Panel(
        "curve",
        "Effect over K",
        f"n = {own[0]['n_partitions'] if own else 0} partitions at each K; bars: 95 % interval; dotted: no difference",
        figure=made,
        rows=list(own),
        width="half",
    )


def units_panel(units: Sequence[Mapping[str, Any]]) -> Panel:
    """The population's test with sessions and with animals as units."""
    return Panel(
        "population",
        "The population",
        f"n = {max((row['n_partitions'] for row in units), default=0)} partitions; clusters against clusters by unit",
        content=table(
            units,
            [
                "covariates",
                "unit_kind",
                "n_units",
                "p_median",
                "p_max",
                "status",
            ],
            caption="Tests of the population with sessions and animals as units",
            cells={
                "status": lambda row: (
                    "tested" if row["status"] == "ok" else f"no answer: {reason(row['status'])}"
                ),
            },
        ),
        rows=list(units),
        empty=None if units else Empty("Not tested yet.", "decortex schedule    # then: decortex work"),
        note="Below five animals or sessions there is no answer: a limit of the recordings, not of the neurons.",
        width="half",
    )


def confounds_panel(follows: Sequence[Mapping[str, Any]]) -> Panel:
    """Clusters against sessions and animals."""
    return Panel(
        "confounds",
        "Are clusters sessions or animals in disguise?",
        f"n = {len(follows)} numbers of clusters; 0 is chance, 1 the same; means over partitions",
        content=table(
            follows, ["k", *FOLLOWING_COLUMNS], caption="How far clusters follow sessions and animals"
        ),
        rows=list(follows),
        empty=None if follows else Empty("Not compared yet.", "decortex schedule    # then: decortex work"),
        note="Kept when left out: share of an animal's neurons that stay nearest to their own cluster.",
    )


def recordings_panel(read: Sequence[Mapping[str, Any]]) -> Panel:
    """What scores and covariates rest on."""
    return Panel(
        "recordings",
        "What scores and covariates rest on",
        f"n = {sum(row['n_recorded'] for row in read)} neurons with recordings; reliability: Spearman-Brown",
        content=table(
            read,
            [
                "dataset",
                "n_neurons",
                "n_recorded",
                "mean_response",
                "reliability",
                "n_reliability",
                "n_test_images",
                "n_shared_images",
            ],
            caption="Recordings behind scores and covariates",
        ),
        rows=list(read),
        empty=None
        if read
        else Empty("No recordings were read.", "decortex schedule    # then: decortex work"),
    )
