"""What looks across partitions of a frozen study: agreement between seeds."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.evaluation import agreement
from decortex_schemas.database import schema
from decortex_schemas.datasets import Dataset, true_types
from decortex_schemas.finetune import partition_labels
from decortex_schemas.frozen import FrozenStudy, check_frozen, members_of
from decortex_schemas.leases import confirm_reservation
from decortex_schemas.provenance import STAMP, Environment, run_stamp  # noqa: F401  (foreign key)
from decortex_schemas.specs import ClusterCount, ClusteringMethod, EmbeddingSpec, FinetuneSpec, ModelSpec
from decortex_schemas.studies import Study


@schema
class SeedAgreement(dj.Computed):
    """Whether networks trained from other seeds, and other starts of the clustering, find the same partition."""

    definition = f"""
    # Agreement between seeds at one method, K and fine-tuning
    -> FrozenStudy
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    -> ClusteringMethod
    -> ClusterCount
    -> FinetuneSpec
    ---
    n_partitions : int32
    ari_seeds = null : float64           # mean over pairs of model seeds, at equal clustering seed
    ari_seeds_min = null : float64
    ami_seeds = null : float64
    n_pairs_seeds : int32
    ari_restarts = null : float64        # mean over pairs of clustering seeds of one network
    ami_restarts = null : float64
    n_pairs_restarts : int32
    ari_truth = null : float64           # mean against the known types; null where nobody knows them
    ami_truth = null : float64
    {STAMP}
    """

    class Pair(dj.Part):
        """Two partitions compared."""

        definition = """
        -> master
        pair_kind : varchar(24)          # 'model_seeds', 'clustering_seeds'
        model_seed_a : int32
        seed_a : int32
        model_seed_b : int32
        seed_b : int32
        ---
        pair_status : varchar(24)
        ari = null : float64
        ami = null : float64
        v_measure = null : float64
        fowlkes_mallows = null : float64
        """

    @property
    def key_source(self) -> Any:
        """One key a combination that a frozen study holds."""
        asked = FrozenStudy.proj() * Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj()
        every = (
            FrozenStudy.proj()
            * Dataset.proj()
            * ModelSpec.proj()
            * EmbeddingSpec.proj()
            * ClusteringMethod.proj()
            * ClusterCount.proj()
            * FinetuneSpec.proj()
        )
        return every & asked

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the members' keys; they must still be those that were frozen."""
        check_frozen(key["study"], key)
        return (members_of(key["study"], key).proj().to_dicts(order_by="KEY"),)

    def make_compute(self, key: dict[str, Any], members: list[dict[str, Any]]) -> tuple[Any, ...]:
        """Compare every pair."""
        started = time.time()
        labels = {(m["model_seed"], m["seed"]): partition_labels(m) for m in members}
        pairs = [
            {"pair_kind": kind, **compare(labels, a, b)}
            for a, b in itertools.combinations(sorted(labels), 2)
            for kind in _kind_of_pair(a, b)
        ]
        return {"n_partitions": len(labels), **summarise_pairs(pairs), **_truth(key, labels)}, pairs, started

    def make_insert(
        self, key: dict[str, Any], row: dict[str, Any], pairs: list[dict[str, Any]], started: float
    ) -> None:
        """Insert the summary and its pairs."""
        confirm_reservation(self, key)
        self.insert1({**key, **row, **run_stamp(started)})
        self.Pair.insert({**key, **pair} for pair in pairs)


Seeds = tuple[int, int]


def _kind_of_pair(a: Seeds, b: Seeds) -> list[str]:
    if a[0] == b[0]:
        return ["clustering_seeds"]
    return ["model_seeds"] if a[1] == b[1] else []


def compare(labels: dict[Seeds, NDArray[np.int16]], a: Seeds, b: Seeds) -> dict[str, Any]:
    """Agreement of two partitions over the neurons that both place."""
    placed = (labels[a] >= 0) & (labels[b] >= 0)
    found = agreement(labels[a][placed], labels[b][placed])
    return {
        "model_seed_a": a[0],
        "seed_a": a[1],
        "model_seed_b": b[0],
        "seed_b": b[1],
        "pair_status": found.status,
        "ari": found.ari,
        "ami": found.ami,
        "v_measure": found.v_measure,
        "fowlkes_mallows": found.fowlkes_mallows,
    }


def summarise_pairs(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the defined pairs of each kind."""
    values: dict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        for index in ("ari", "ami"):
            if pair[index] is not None:
                values[f"{index} {pair['pair_kind']}"].append(pair[index])

    def mean(name: str) -> float | None:
        return float(np.mean(values[name])) if values[name] else None

    return {
        "ari_seeds": mean("ari model_seeds"),
        "ari_seeds_min": min(values["ari model_seeds"], default=None),
        "ami_seeds": mean("ami model_seeds"),
        "n_pairs_seeds": len(values["ari model_seeds"]),
        "ari_restarts": mean("ari clustering_seeds"),
        "ami_restarts": mean("ami clustering_seeds"),
        "n_pairs_restarts": len(values["ari clustering_seeds"]),
    }


def _truth(key: dict[str, Any], labels: dict[Seeds, NDArray[np.int16]]) -> dict[str, Any]:
    truth = true_types(key["dataset"])
    if truth is None:
        return {"ari_truth": None, "ami_truth": None}
    found = [agreement(one[one >= 0], truth[one >= 0]) for one in labels.values()]
    ari = [each.ari for each in found if each.ari is not None]
    ami = [each.ami for each in found if each.ami is not None]
    return {
        "ari_truth": float(np.mean(ari)) if ari else None,
        "ami_truth": float(np.mean(ami)) if ami else None,
    }
