"""What the queries over a study share: names of specifications, and means over rows. No question is asked here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from decortex_schemas.tables import (
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    ModelSpec,
    agrees_by_construction,
)

Row = dict[str, Any]
Key = tuple[Any, ...]
# A partition; a group is what its seeds share, a start what is fine-tuned.
PARTITION = (
    "dataset",
    "model_spec_id",
    "model_seed",
    "embedding_spec_id",
    "method",
    "method_id",
    "k",
    "seed",
    "finetune_id",
)
GROUP = tuple(name for name in PARTITION if name not in ("model_seed", "seed"))
START = tuple(name for name in PARTITION if name != "finetune_id")
LABEL = ("dataset", "model", "embedding", "method", "k", "finetune")


class Names:
    """Names of specifications by their ids."""

    def __init__(self) -> None:
        self._models = {int(r["model_spec_id"]): r["model_name"] for r in ModelSpec.to_dicts()}
        self._embeddings = {
            int(r["embedding_spec_id"]): r["embedding_name"] for r in EmbeddingSpec.to_dicts()
        }
        self._methods = {int(r["method_id"]): r["method_name"] for r in ClusteringMethod.to_dicts()}
        self._finetunings = {int(r["finetune_id"]): r["finetune"] for r in FinetuneSpec.to_dicts()}

    def model(self, spec_id: int) -> str:
        """Name of a network's specification."""
        return str(self._models[spec_id])

    def embedding(self, spec_id: int) -> str:
        """Name of an embedding's specification."""
        return str(self._embeddings[spec_id])

    def method(self, method_id: int) -> str:
        """Name of a clustering method with its parameters."""
        return str(self._methods[method_id])

    def in_order(self, rows: Sequence[Row]) -> list[Row]:
        """Rows of a question in the one order that all tables have; rows of one partition family stay as they are.

        By dataset, network specification, embedding, method as registered, K, and fine-tuning, 'none' first.
        """
        known = sorted(self._methods.items(), reverse=True)
        places = {name: method_id for method_id, name in known}

        def place(row: Row) -> tuple[Any, ...]:
            method = row.get("method_name", row.get("method", row.get("method_a", "")))
            finetune = row.get("finetune", "none")
            return (
                row["dataset"],
                row.get("model", ""),
                row["embedding"],
                places.get(row.get("start_method", method), 0),
                row["k"],
                finetune != "none",
                finetune,
            )

        return sorted(rows, key=place)

    def of(self, row: Mapping[str, Any]) -> Row:
        """Whose row it is, without seeds."""
        return {
            "dataset": row["dataset"],
            "model": self._models[int(row["model_spec_id"])],
            "embedding": self._embeddings[int(row["embedding_spec_id"])],
            "method": self._methods[int(row["method_id"])],
            "k": int(row["k"]),
            "finetune": self._finetunings[int(row["finetune_id"])],
        }


def agreeing_by_construction() -> set[int]:
    """``finetune_id`` of every fine-tuning whose networks agree by construction: one start, or each other's targets."""
    return {
        int(row["finetune_id"]) for row in FinetuneSpec.to_dicts() if agrees_by_construction(row["params"])
    }


def pick(row: Mapping[str, Any], names: Sequence[str]) -> Key:
    """Values of some columns of a row."""
    return tuple(row[name] for name in names)


def defined(rows: Sequence[Row], name: str) -> list[float]:
    """Values of one column where it is defined."""
    values = [row.get(name) for row in rows]
    return [float(value) for value in values if value is not None and not np.isnan(value)]


def mean(rows: Sequence[Row], name: str) -> float | None:
    """Mean of one column where it is defined."""
    return average(defined(rows, name))


def middle(found: Sequence[float]) -> float | None:
    """Median of defined values; None of none."""
    return float(np.median(found)) if len(found) else None


def average(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are not None."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
