"""Panels of what agrees by construction: labellings that all networks share, and fine-tunings that share something."""

from __future__ import annotations

from dash import html

from decortex_ops.dashboard.choosing import Chosen
from decortex_ops.dashboard.parts import Panel
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.reports import SHARED_COLUMNS
from decortex_schemas import queries

_BY_ITSELF = ("k",)  # that of the page


def construction_panels(chosen: Chosen, source: Source) -> list[Panel]:
    """Both panels, each where there is something to say."""
    return [*_shared_labelling(chosen, source), *_of_the_finetuning(chosen, source)]


def _shared_labelling(chosen: Chosen, source: Source) -> list[Panel]:
    """The labelling that all networks support at the chosen K, beside every method's vote; none where nobody asked."""
    names = chosen.names()
    same = {"k": chosen.state["k"], **{name: names[name] for name in ("dataset", "model", "embedding")}}
    rows = [
        row
        for row in source(queries.shared_labellings, chosen.state["study"])
        if all(row[name] == value for name, value in same.items())
    ]
    if not rows:
        return []
    title = "A labelling that all networks support (TURTLE)"
    columns = [name for name in SHARED_COLUMNS if name not in _BY_ITSELF]
    return [
        Panel(
            "shared-labelling",
            title,
            f"n = {rows[0]['n_networks']} networks, {rows[0]['n_neurons']} neurons; cross-entropy: nats per neuron",
            content=table(rows, columns, caption=title),
            rows=rows,
            note="All networks share it by construction, so that agreement between networks does not judge it. Known "
            "types, the vote of every method (a row each), and what each network's linear classifier cannot tell of it "
            "judge it.",
        )
    ]


def _of_the_finetuning(chosen: Chosen, source: Source) -> list[Panel]:
    """What the chosen fine-tuning's agreement, or its difference from the control, owes to how it was made."""
    finetune = chosen.names()["finetune"]
    rows = [
        row
        for row in source(queries.by_construction, chosen.state["study"])
        if finetune in row["finetunings"]
    ]
    if not rows:
        return []
    return [
        Panel(
            "construction",
            "What agrees by construction",
            f"n = {len(rows)}; of {finetune}",
            content=html.Ul([html.Li(row["sentence"]) for row in rows]),
            rows=[{**row, "finetunings": ", ".join(row["finetunings"])} for row in rows],
        )
    ]
