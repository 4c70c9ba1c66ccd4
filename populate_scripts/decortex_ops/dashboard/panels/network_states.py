"""States of fine-tuned networks as one panel: start, control, own labels, clustered afresh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decortex_ops.dashboard.parts import Empty, Panel
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.tables import table
from decortex_ops.dashboard.theme import number
from decortex_schemas import queries

STATE_NAMES = {
    "start": "start",
    "control": "control, clustered afresh",
    "control_carried": "control, start's labels carried",
    "fine_tuned": "fine-tuned, own labels",
    "fine_tuned_afresh": "fine-tuned, clustered afresh",
}
_COLUMNS: list[str | tuple[str, str]] = [
    "state",
    "method",
    "n_networks",
    "agreement",
    "ari_truth",
    "share_changed",
    "silhouette",
    "silhouette_moved",
    "correlation",
]
_NULL: list[str | tuple[str, str]] = [
    "null",
    "ari_networks_excess",
    "ari_networks_p",
    "silhouette_excess",
]


def states_panel(study: str, key: Mapping[str, Any], source: Source) -> Panel:
    """The states of one fine-tuning's networks; empty where the study clusters no states afresh."""
    rows = source(queries.states, study, key) if source(queries.has_states, study) else []
    if not rows:
        return Panel(
            "states",
            "States of the networks",
            empty=Empty(
                "No state is clustered afresh, so that what training alone did is not told from what the clustering "
                'loss did: a plan asks for it with "states": "all" (docs/how-to/finetuning-studies.md), and both '
                "studies are frozen.",
                f"decortex study freeze {study}-states",
            ),
        )
    shown = [
        {
            **row,
            "state": STATE_NAMES[row["state"]],
            "agreement": _with_interval(row, "ari_networks", "ari_networks"),
            "correlation": _with_interval(row, "correlation_change", "correlation", digits=4),
        }
        for row in rows
    ]
    with_null = any(row["null"] is not None for row in rows)
    surrogates = max(row["n_null"] for row in rows)
    return Panel(
        "states",
        "States of the networks",
        f"n = {max(row['n_networks'] for row in rows)} networks"
        + (f", {surrogates} surrogates per null model" if with_null else "")
        + "; no unit",
        content=table(
            shown,
            _COLUMNS + (_NULL if with_null else []),
            caption="States by every method",
        ),
        rows=rows,
        note="Judge own labels against their start and against the start's labels carried to the control by k-means: "
        "all three begin from one partition. Judge what is clustered afresh against the control clustered afresh, by "
        "the method named beforehand. Silhouettes are in the embedding that was clustered; of own labels in the "
        "start's, with the moved one beside it, which rises by construction. Intervals take networks as the sample: "
        "agreement by the jackknife (three networks or more), the change of correlation by t.",
    )


def _with_interval(row: Mapping[str, Any], name: str, ends: str, *, digits: int = 3) -> str:
    low, high = row[f"{ends}_low"], row[f"{ends}_high"]
    told = number(row[name], digits)
    return told if low is None else f"{told} [{number(low, digits)}, {number(high, digits)}]"
