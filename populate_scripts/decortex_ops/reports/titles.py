"""Titles of figures in words: which partition, which fine-tuning, and what scores are scores against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from decortex_schemas.tables import scored_against

Row = dict[str, Any]


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
