"""Sentences of the page Fine-tune about variants: clusters that may die, further numbers of clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decortex_ops.dashboard.theme import number


def variant_notes(found: Mapping[str, Any]) -> str:
    """What a reader must know of the variant's clusters, each sentence after a space; empty where nothing is."""
    notes = ""
    if found.get("n_alive") is not None:
        notes += f" {found['n_alive']} clusters are left; the others died or were empty at the start."
    heads = found.get("heads") or ()
    if heads:
        each = "; ".join(
            f"K = {head['head_k']}: mean max q {number(head['mean_max_q'])}, {head['n_empty']} empty"
            for head in heads
        )
        notes += f" Trained beside it, with equal weight: {each}."
    return notes
