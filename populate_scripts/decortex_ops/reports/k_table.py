"""A choice of K as a table that people read, on a terminal or in a report: one row a K."""

from __future__ import annotations

from typing import Any

from decortex.evaluation.nulls import NULL_KINDS

CURVES = {
    "stability": "stability",
    "valley_share": "valleys",
    "separated_groups": "groups",
    "prediction_strength": "strength",
    "silhouette": "silhouette",
    "gap": "gap",
    "bic": "bic",
    "held_out_likelihood": "held out",
    "method_agreement": "methods",
    "seed_agreement": "seeds",
}


def curve_rows(one: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of one choice of `queries.best_k`, and those of their columns that hold anything.

    ``z`` of a null model is the stability's, against that null.
    """
    rows = [_row(count) for count in one["counts"]]
    columns = ["k", "supported", *CURVES.values(), *(f"z {kind}" for kind in NULL_KINDS), "against it"]
    return rows, [name for name in columns if any(row.get(name) is not None for row in rows)]


def _row(count: dict[str, Any]) -> dict[str, Any]:
    values, excess = count["values"], count["excess"].get("stability", {})
    return {
        "k": count["k"],
        "supported": "yes" if count["supported"] else "no",
        **{heading: values.get(name, {}).get("value") for name, heading in CURVES.items()},
        **{f"z {kind}": own["z"] for kind, own in excess.items()},
        "against it": ", ".join(count["reasons"]),
    }
