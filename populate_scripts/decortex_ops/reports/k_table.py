"""A choice of K as a table that people read, on a terminal or in a report: one row per K."""

from __future__ import annotations

from typing import Any

from decortex.evaluation.nulls import NULL_KINDS

CURVES = (
    "stability",
    "valley_share",
    "separated_groups",
    "prediction_strength",
    "silhouette",
    "gap",
    "bic",
    "held_out_likelihood",
    "method_agreement",
    "seed_agreement",
)


def curve_rows(one: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of one choice of `queries.best_k`, and those of their columns that hold anything.

    ``z`` of a null model is the stability's, against that null.
    """
    rows = [_row(count) for count in one["counts"]]
    columns = ["k", "supported", *CURVES, *(f"z {kind}" for kind in NULL_KINDS), "against"]
    return rows, [name for name in columns if any(row.get(name) is not None for row in rows)]


def _row(count: dict[str, Any]) -> dict[str, Any]:
    values, excess = count["values"], count["excess"].get("stability", {})
    return {
        "k": count["k"],
        "supported": "yes" if count["supported"] else "no",
        **{name: values.get(name, {}).get("value") for name in CURVES},
        **{f"z {kind}": own["z"] for kind, own in excess.items()},
        "against": ", ".join(count["reasons"]),
    }
