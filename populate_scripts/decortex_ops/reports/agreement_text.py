"""What geometry and communities say, in one sentence each: for the command, the page and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from decortex.columns import written

Row = Mapping[str, Any]
_LEVEL = 0.05


def geometry_sentence(rows: Sequence[Row]) -> str:
    """Say how alike networks arrange neurons, of the first embedding whose whole geometry was compared.

    Parameters
    ----------
    rows : sequence of mapping
        As `decortex_schemas.queries.geometries` gives them.
    """
    whole = [row for row in rows if row["rdm_correlation"] is not None and row["upper_quantile"] == 1]
    if not whole:
        return "Networks' arrangements of the neurons cannot be compared: see the status of each row."
    row = whole[0]
    interval = ""
    if row["rdm_correlation_low"] is not None:
        low, high = (written("rdm_correlation", row[f"rdm_correlation_{end}"]) for end in ("low", "high"))
        interval = f" (95 % over networks {low} to {high})"
    of_many = f" Of {len(whole)} embeddings the first: {row['embedding']}." if len(whole) > 1 else ""
    beyond = row["p_rdm"] is not None and row["p_rdm"] <= _LEVEL
    verdict = "more than sessions alone explain" if beyond else "no more than chance within sessions"
    correlation = written("rdm_correlation", row["rdm_correlation"])
    return (
        f"Before any clustering, distances between neurons correlate {correlation}{interval} between networks, "
        f"{written('rdm_null', row['rdm_null'])} with neurons permuted within sessions: "
        f"{verdict} (p = {written('p_rdm', row['p_rdm'], row['p_rdm_smallest'])}, {row['n_networks']} networks, "
        f"{row['n_neurons']} neurons).{of_many}"
    )


def communities_sentence(rows: Sequence[Row]) -> str:
    """Say how many rows of communities exceed independent partitions, and how many communities they have.

    Parameters
    ----------
    rows : sequence of mapping
        As `decortex_schemas.queries.communities` gives them.
    """
    judged = [row for row in rows if row["p_modularity"] is not None]
    beyond = [row for row in judged if row["p_modularity"] <= _LEVEL]
    if not judged:
        return "Communities are not compared with independent partitions: that takes two networks or more."
    many = f"{len(judged)} combination{'' if len(judged) == 1 else 's'} of method, K and fine-tuning"
    if not beyond:
        return (
            f"Communities of none of {many} hold together more than those of independent partitions do: their number "
            "means nothing."
        )
    counts = sorted({int(row["n_communities"]) for row in beyond})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"Communities of {len(beyond)} of {many} hold together more than those of independent partitions (p at most "
        f"{_LEVEL}, not corrected for their number): {number} communities."
    )
