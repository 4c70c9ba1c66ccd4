"""Titles of figures in words: which partition, which fine-tuning, which score, and what scores are scores against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from decortex.errors import ConfigError
from decortex_schemas import queries
from decortex_schemas.tables import scored_against

Row = dict[str, Any]

# What the neurons of a map are coloured by.
COLOURS = {
    "cluster": "cluster",
    "score": "test correlation",
    "session": "session",
    "animal": "animal",
    "true_type": "known type",
    "z": "depth (micrometres)",
}


def against(rows: Sequence[Row]) -> str:
    """What scores are scores against, where that is no recording of neurons."""
    found = sorted({scored_against(str(row["dataset"])) for row in rows} - {"recordings"})
    return f", scored against {' and '.join(found)}" if found else ""


def tuned(row: Row) -> str:
    """What a title calls the fine-tuning."""
    return "not fine-tuned" if row["finetune"] == "none" else f"fine-tuned by {row['finetune']}"


def words(row: Row) -> str:
    """One partition with its network and start."""
    return (
        f"{row['dataset']}, {row['embedding']}, {row['method']} K = {row['k']}, {tuned(row)}, "
        f"network {row['model_seed']}, start {row['seed']}"
    )


def name_of(partition: tuple[str, int, int]) -> str:
    """One of the partitions that a map of agreement compares: method, network, start."""
    method, network, start = partition
    return f"{method}, network {network}, start {start}"


def table_score(dataset: str, where: Mapping[str, str]) -> str | None:
    """Score of a dataset's table that a figure shows: the one that is chosen, else the first; None without any.

    Raises
    ------
    ConfigError
        If the table has no such score.
    """
    known = queries.score_names(dataset)
    asked = where.get("score")
    if asked is not None and asked not in known:
        raise ConfigError(
            f"dataset {dataset!r} has no score {asked!r} of a table; it has {', '.join(known) or 'none'}."
        )
    return asked or (known[0] if known else None)
