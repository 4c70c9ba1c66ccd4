"""Start partitions carried to the controls of a study: agreement of networks, truth and silhouette. Read only."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from decortex.errors import InputError
from decortex.evaluation import agreement, performance
from decortex_schemas.queries.basis import Key, Row, average
from decortex_schemas.tables import FinetuneSpec, Study
from decortex_schemas.tables.evaluation import CarriedPartition

# Start, its clustering seed and the control: what the partitions of several networks share.
_GROUP = ("dataset", "model_spec_id", "embedding_spec_id", "method_id", "k")
_CONTROL = ("seed", "schedule_id", "control_seed")


def carried_measures(study: str) -> dict[Key, Row]:
    """Measures of every start that a study's fine-tunings have, carried to their controls.

    Parameters
    ----------
    study : str
        A study, or the one of its surrogates.

    Returns
    -------
    dict
        By dataset, network specification, embedding, method, K, clustering seed, schedule and seed of the control:
        ``n_networks``, ``ari_networks`` with ``_low`` and ``_high`` (jackknife over networks), ``ari_truth``,
        ``silhouette`` in the control's embedding with ``_low`` and ``_high`` (t over networks), ``share_changed``.
    """
    tied = Study.Finetuning.proj() * FinetuneSpec.proj("schedule_id", "control_seed")
    asked = Study.Model.proj() * Study.Embedding.proj() * tied & {"study": study} & "schedule_id IS NOT NULL"
    columns = ("labels", "share_changed", "silhouette", "ari_truth")
    groups: dict[Key, list[dict[str, Any]]] = {}
    for row in (CarriedPartition & asked).proj(*columns).to_dicts(order_by="KEY"):
        key = tuple(row[name] if name == "dataset" else int(row[name]) for name in (*_GROUP, *_CONTROL))
        groups.setdefault(key, []).append(row)
    return {key: _measures(rows) for key, rows in groups.items()}


def _measures(rows: list[dict[str, Any]]) -> Row:
    """Measures of one start's partitions of several networks."""
    pairs = {
        (int(a["model_seed"]), int(b["model_seed"])): _ari(a["labels"], b["labels"])
        for a, b in combinations(rows, 2)
    }
    known = {pair: value for pair, value in pairs.items() if value is not None}
    low, high = _interval_of(known)
    silhouettes = [row["silhouette"] for row in rows]
    inside = np.array([value for value in silhouettes if value is not None], dtype=np.float64)
    silhouette_low, silhouette_high = performance.t_interval(inside)
    return {
        "n_networks": len(rows),
        "ari_networks": average(list(known.values())),
        "ari_networks_low": low,
        "ari_networks_high": high,
        "ari_truth": average([row["ari_truth"] for row in rows]),
        "silhouette": average(silhouettes),
        "silhouette_low": silhouette_low,
        "silhouette_high": silhouette_high,
        "silhouette_moved": None,
        "share_changed": average([row["share_changed"] for row in rows]),
    }


def _ari(one: Any, other: Any) -> float | None:
    placed = (one >= 0) & (other >= 0)
    return agreement.agreement(one[placed], other[placed]).ari if placed.any() else None


def _interval_of(pairs: dict[tuple[int, int], float]) -> tuple[float | None, float | None]:
    try:
        return agreement.pairs_interval(pairs, bounds=agreement.ARI_BOUNDS)
    except InputError:  # networks that place no neuron in common are no pair: no balanced sample of networks
        return None, None
