"""Fine-tune: what every epoch of one fine-tuning did, and what it changed against its start and its control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from decortex.columns import column
from decortex_ops.dashboard.choosing import (
    PARTITION,
    Chosen,
    against,
    choose_count,
    choose_embedding,
    choose_finetuning,
    choose_method,
    choose_network,
    choose_start,
    choose_study,
    partition_key,
)
from decortex_ops.dashboard.numbering import numbering, with_numbers
from decortex_ops.dashboard.panels import construction_panels, states_panel, variant_notes
from decortex_ops.dashboard.parts import Empty, Panel, View, number_tiles
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import MUTED, OKABE_ITO, figure, number
from decortex_ops.dashboard.urls import State
from decortex_schemas import queries

PATH = "/fine-tune"
TITLE = "Fine-tune"
LEAD = "What a clustering loss did to a network, epoch by epoch, against the same network trained as long without it."
FIELDS = PARTITION
CARRIED = PARTITION
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = OKABE_ITO
_STATE = (
    ("mean_max_q", "mean max q", BLUE, "circle"),
    ("entropy_mean_q", "entropy of mean q / log K", GREEN, "square"),
    ("share_clamped", "scales clamped (share)", PURPLE, "diamond"),
)
_COMPARED = (
    "silhouette",
    "epsilon2",
)


def render(state: State, source: Source) -> View:
    """The page."""
    chosen = choose_study(state, source)
    if chosen.problem is None:
        chosen = _default_to_tuned(chosen)
    for step in (choose_network, choose_embedding, choose_method, choose_count, choose_start, _choose_tuned):
        if chosen.problem is None:
            chosen = step(chosen)
    if chosen.problem is not None:
        return View(chosen.state, chosen.choices, [chosen.problem], LEAD)
    state = chosen.state
    key = partition_key(chosen)
    found = source(queries.finetuning, key)
    if found is None:
        command = "decortex schedule    # then: decortex work"
        problem = Panel("losses", "Losses", empty=Empty("This fine-tuning is not computed yet.", command))
        return View(state, chosen.choices, [problem], LEAD)
    untouched = next(row["finetune_id"] for row in chosen.options["finetunings"] if row["kind"] == "none")
    both = source(queries.describe, [{**key, "finetune_id": untouched}, key], state["study"])
    found = with_numbers(found, numbers := numbering(source, state["study"], key))
    panels = [
        tiles(found),
        losses_panel(found),
        correlation_panel(found),
        labels_panel(found),
        collapse_panel(found),
        numbers.download(price_panel(found)),
        compared_panel(both, found, source(queries.before_and_after, state["study"], key)),
        *null_panels(chosen, source),
        states_panel(str(state["study"]), key, source),
        *construction_panels(chosen, source),
    ]
    return View(state, chosen.choices, panels, LEAD + against(chosen))


def _choose_tuned(chosen: Chosen) -> Chosen:
    tuned = choose_finetuning(chosen, only_tuned=True)
    if tuned.problem is None:
        return tuned
    empty = Empty(
        "Nothing is fine-tuned from this partition; a plan names “finetunings” and what they start from "
        "(docs/how-to/studies.md).",
        f"decortex study show {chosen.state['study']}",
    )
    return Chosen(
        chosen.state, chosen.choices, chosen.study, chosen.options, Panel("losses", "Losses", empty=empty)
    )


def _default_to_tuned(chosen: Chosen) -> Chosen:
    """Where the URL names no method, K or start, one that is fine-tuned."""
    state = chosen.state
    names = {"method": "method_id", "k": "k", "seed": "seed"}
    for row in chosen.options["finetunings"]:
        fits = all(state[name] in (None, row[column]) for name, column in names.items())
        if row["kind"] != "none" and fits:
            values = {name: row[column] for name, column in names.items()}
            return Chosen(
                state.with_values(**values), chosen.choices, chosen.study, chosen.options, chosen.problem
            )
    return chosen


def tiles(found: Mapping[str, Any]) -> Any:
    """How it ended."""
    price = found["price"] or {}
    return number_tiles(
        [
            ("status", str(found["finetune_status"]), "text"),
            ("stopped by", str(found["stop_reason"]), "text"),
            ("epochs, kept", f"{found['n_epochs']}, {found['kept_epoch']}", "text"),
            ("labels changed", _percent(found["share_changed"]), ""),
            ("Δ test correlation against control", number(price.get("difference"), 4), ""),
            ("equivalent to the control", _equivalent(price), "text"),
        ]
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _equivalent(price: Mapping[str, Any]) -> str:
    if price.get("equivalent") is None:
        return "not tested"
    return f"{'yes' if price['equivalent'] else 'not shown'}, margin {number(price['margin'], 3)}"


def _line(
    rows: Sequence[Mapping[str, Any]], name: str, label: str, colour: str, **how: Any
) -> go.Scatter | None:
    points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
    if not points:
        return None
    return go.Scatter(
        x=[x for x, _ in points],
        y=[y for _, y in points],
        mode="lines+markers",
        name=label,
        line={"color": colour, "dash": how.get("dash", "solid")},
        marker={"symbol": how.get("symbol", "circle"), "size": 7},
        yaxis=how.get("yaxis", "y"),
        hovertemplate="epoch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
    )


def _lines(*lines: go.Scatter | None) -> list[go.Scatter]:
    return [line for line in lines if line is not None]


def _epoch_axis(made: go.Figure, n_epochs: int) -> go.Figure:
    made.update_xaxes(dtick=1 if n_epochs <= 12 else None, range=[0.5, max(n_epochs, 1) + 0.5])
    return made


def losses_panel(found: Mapping[str, Any]) -> Panel:
    """Losses over epochs."""
    epochs = found["epochs"]
    lines = _lines(
        _line(epochs, "kl", "KL of target and assignment (right)", VERMILION, symbol="square", yaxis="y2"),
        _line(epochs, "loss", "weighted clustering loss (right)", ORANGE, symbol="diamond", yaxis="y2"),
        _line(epochs, "train_loss", "prediction loss", BLUE),
        _line(epochs, "validation_loss", "validation loss", SKY, symbol="triangle-up"),
        _line(found["control"], "validation_loss", "validation loss of the control", BLACK, dash="dot"),
    )
    made = figure(*lines, x="epoch", y="prediction loss (mean per response)", height=340)
    made.update_layout(
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "tickformat": ".2~g",
            "nticks": 5,
            "title": {"text": "nats per neuron", "font": {"color": MUTED, "size": 12}},
        },
        margin={"l": 60, "r": 60, "t": 12, "b": 44},
    )
    return _epoch_panel(
        "losses", "Losses", "prediction loss per response; KL in nats per neuron", found, made
    )


def correlation_panel(found: Mapping[str, Any]) -> Panel:
    """Validation correlation over epochs, beside the control's."""
    lines = _lines(
        _line(found["epochs"], "validation_correlation", str(found["finetune"]), BLUE),
        _line(found["control"], "validation_correlation", "control", BLACK, dash="dot", symbol="square"),
    )
    made = figure(*lines, x="epoch", y="validation correlation", height=340)
    return _epoch_panel("correlation", "Performance while training", "correlation, no unit", found, made)


def labels_panel(found: Mapping[str, Any]) -> Panel:
    """Labels changed an epoch."""
    lines = _lines(_line(found["epochs"], "share_changed", "labels changed in the epoch", VERMILION))
    made = figure(*lines, x="epoch", y="share of neurons", height=300)
    made.update_yaxes(rangemode="tozero", tickformat=".2~%")
    return _epoch_panel("labels", "Label changes", "share of the neurons", found, made)


def collapse_panel(found: Mapping[str, Any]) -> Panel:
    """Does the clustering collapse: all neurons in few clusters, or certainty without separation."""
    epochs = found["epochs"]
    lines = _lines(*(_line(epochs, name, label, colour, symbol=mark) for name, label, colour, mark in _STATE))
    made = figure(*lines, x="epoch", y="share", height=300)
    made.update_yaxes(range=[-0.02, 1.02])
    worst = max((row["n_empty"] or 0 for row in epochs), default=0)
    distance = number(found["distance_over_scale"], 2)
    note = (
        f"Empty clusters at worst: {worst}. Smallest distance of centres over the scale within clusters: {distance}. "
        f"A falling entropy says that neurons gather in few clusters.{variant_notes(found)}"
    )
    return replace(_epoch_panel("collapse", "Collapse indicators", "shares, no unit", found, made), note=note)


def _epoch_panel(name: str, title: str, units: str, found: Mapping[str, Any], made: go.Figure) -> Panel:
    lines = made.data
    epochs = found["epochs"]
    rows = [{**row, "run": found["finetune"]} for row in epochs]
    rows += [{**row, "run": "control"} for row in found["control"]]
    n_epochs = max([row["epoch"] for row in rows], default=0)
    return Panel(
        name,
        title,
        f"n = {len(epochs)} epochs; {units}",
        figure=_epoch_axis(made, n_epochs) if lines else None,
        rows=rows,
        empty=None if lines else Empty("No epoch of this run reports it.", "decortex errors"),
        width="half",
    )


def price_panel(found: Mapping[str, Any]) -> Panel:
    """Test correlation before, after and of the control; change by cluster."""
    price = found["price"]
    if price is None:
        empty = Empty("Its price is not computed yet.", "decortex schedule    # then: decortex work")
        return Panel("price", "Before and after", empty=empty, width="half")
    clusters = price["clusters"]
    interval = f"[{number(price['interval_low'], 4)}, {number(price['interval_high'], 4)}]"
    return Panel(
        "price",
        "Change of the test correlation by cluster, against the control",
        f"n = {number(price['n_neurons'])} neurons; Δ correlation, no unit; bars: 95 % over sessions",
        figure=price_figure(clusters, price),
        rows=[
            {"cluster": "all", **{n: v for n, v in price.items() if n not in ("clusters", "seconds")}},
            *clusters,
        ],
        note=f"All neurons: {number(price['difference'], 4)} {interval}; before {number(price['before'])}, after "
        f"{number(price['after'])}, control {number(price['control'])} (mean test correlation).",
        width="half",
    )


def price_figure(clusters: Sequence[Mapping[str, Any]], price: Mapping[str, Any]) -> go.Figure:
    """One marker a cluster, with its interval; the band is the margin that would not matter."""

    def reach(row: Mapping[str, Any], end: str) -> float:
        return abs(row[end] - row["difference_over_sessions"]) if row[end] is not None else 0.0

    made = figure(
        go.Scatter(
            x=[str(row["cluster"]) for row in clusters],
            y=[row["difference_over_sessions"] for row in clusters],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [reach(row, "high") for row in clusters],
                "arrayminus": [reach(row, "low") for row in clusters],
                "color": BLUE,
                "thickness": 1.4,
            },
            customdata=[row["n_neurons"] for row in clusters],
            mode="markers",
            marker={"color": BLUE, "size": 9},
            hovertemplate="cluster %{x}: %{y:.4f}<br>n = %{customdata} neurons<extra></extra>",
            showlegend=False,
        ),
        x="cluster",
        y="Δ test correlation",
        height=320,
    )
    made.update_xaxes(type="category")
    made.add_hrect(y0=-price["margin"], y1=price["margin"], fillcolor="#55606e", opacity=0.1, line_width=0)
    made.add_hline(y=0, line={"color": MUTED, "width": 1})
    return made


def compared_panel(
    both: Sequence[Mapping[str, Any]], found: Mapping[str, Any], paired: Mapping[str, Any]
) -> Panel:
    """The partition before and after, and agreement over the pairs of networks that were both fine-tuned."""
    price = found["price"] or {}
    before, after = (both[0], both[-1]) if len(both) == 2 else ({}, both[0] if both else {})
    rows = [
        {"what": column(name).heading, "before": before.get(name), "after": after.get(name), "control": None}
        for name in _COMPARED
    ]
    rows.insert(
        0,
        {
            "what": f"ARI between networks, mean of {paired.get('n_pairs', 0)} pairs",
            "before": paired.get("ari_seeds_before"),
            "after": paired.get("ari_seeds_after"),
            "control": None,
        },
    )
    rows.append(
        {
            "what": "test correlation, mean over neurons",
            "before": price.get("before"),
            "after": price.get("after"),
            "control": price.get("control"),
        }
    )
    return Panel(
        "compared",
        "Before, after, control",
        f"n = {number(price.get('n_neurons'))} neurons; no unit",
        content=table(
            rows,
            ["what", "before", "after", "control"],
            caption="The partition before and after fine-tuning",
        ),
        rows=rows,
        note="The control is the same network trained as long without a clustering loss; its partitions are below. "
        "Agreement is over the pairs of networks that were both fine-tuned at equal starts, and over the same pairs "
        "before; all else is of this network and start.",
        width="half",
    )


_NULL = (
    "null",
    "measure",
    "before",
    "before_null",
    "after",
    "after_null",
    "change",
    "change_null",
    "change_p",
    "n_null",
)
_DRAWN = (
    "dataset",
    "noise_drawn",
    "dispersion",
    "recorded_dispersion",
    "mean_response",
)


def null_panels(chosen: Chosen, source: Source) -> list[Panel]:
    """The fine-tuning against the same fine-tuning of surrogates without types, and what those were drawn like."""
    compared = null_panel(chosen, source)
    drawn = source(queries.null_recordings, chosen.state["study"]) if compared.empty is None else []
    how = f"n = {len(drawn)} surrogates; responses drawn from a network with surrogate readout features"
    shown = table(drawn, _DRAWN, caption="Recordings that were drawn for the null")
    return [
        compared,
        *([Panel("drawn", "The surrogates' recordings", how, content=shown, rows=drawn)] if drawn else []),
    ]


def null_panel(chosen: Chosen, source: Source) -> Panel:
    """The fine-tuning against the same fine-tuning of surrogates without types."""
    state = chosen.state
    names = {**chosen.names(), "k": state["k"]}
    frozen = (chosen.study or {}).get("frozen_at") is not None
    every = source(queries.agreement, state["study"])["nulls"] if frozen else []
    rows = [row for row in every if all(row[name] == value for name, value in names.items())]
    empty = None
    if not frozen:
        empty = Empty("The study is not frozen yet.", f"decortex study freeze {state['study']}")
    elif not rows:
        plan = 'decortex study create NAME plan.json    # with "finetuned_null" in the plan (docs/science/nulls.md)'
        empty = Empty(
            "No surrogates were fine-tuned: what this does where there are no types is not known.", plan
        )
    return Panel(
        "null",
        "Against the same fine-tuning of surrogates without types",
        f"n = {min((row['n_null'] for row in rows), default=0)} surrogates; p: share of surrogates at or above",
        content=table(rows, _NULL, caption="Fine-tuning against fine-tuned surrogates"),
        rows=[dict(row) for row in rows],
        empty=empty,
        note="A change is an improvement only above what the same fine-tuning does to surrogates.",
    )
