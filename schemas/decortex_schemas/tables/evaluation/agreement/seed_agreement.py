"""What looks across partitions of a frozen study: agreement between seeds."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.evaluation import agreement as indices
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset, true_types  # noqa: F401  (foreign keys)
from decortex_schemas.tables.finetuning import partition_labels
from decortex_schemas.tables.specs import (  # noqa: F401  (foreign keys)
    ClusterCount,
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    ModelSpec,
)
from decortex_schemas.tables.studies import FrozenStudy, Study, check_frozen, members_of

# Two partitions compared.
PAIR_COLUMNS = """
pair_status : varchar(24)            # 'ok', 'one_cluster', 'all_singletons', 'no_shared_neuron'
n_shared : int32                     # neurons that both place
ari = null : float64
ami = null : float64
v_measure = null : float64
fowlkes_mallows = null : float64
matched_share = null : float64       # share of the shared neurons in matched clusters
matched : <blob>                     # int16[k]: the second's cluster matched with each of the first's
confusion : <blob>                   # int32[k, k]: neurons in the first's cluster i and the second's matched[j]
"""
INDICES = ("ari", "ami", "v_measure", "fowlkes_mallows", "matched_share")


@schema
class SeedAgreement(Computation):
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
    v_measure_seeds = null : float64
    fowlkes_mallows_seeds = null : float64
    matched_seeds = null : float64       # share of neurons in matched clusters
    n_pairs_seeds : int32
    ari_clustering_seeds = null : float64        # mean over pairs of clustering seeds of one network
    ari_clustering_seeds_min = null : float64
    ami_clustering_seeds = null : float64
    v_measure_clustering_seeds = null : float64
    fowlkes_mallows_clustering_seeds = null : float64
    matched_clustering_seeds = null : float64
    n_pairs_clustering_seeds : int32
    ari_truth = null : float64           # mean against the known types; null where nobody knows them
    ami_truth = null : float64
    {STAMP}
    """

    class Pair(dj.Part):
        """Two partitions compared."""

        row_format_kb = 8

        definition = f"""
        -> master
        pair_kind : varchar(24)          # 'model_seeds', 'clustering_seeds'
        model_seed_a : int32
        seed_a : int32
        model_seed_b : int32
        seed_b : int32
        ---
        {PAIR_COLUMNS}
        """

    @property
    def key_source(self) -> Any:
        """One key a combination that a frozen study holds."""
        asked = FrozenStudy.proj() * Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj()
        return self.asked_keys(asked)

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the members' keys; they must still be those that were frozen."""
        check_frozen(key["study"], key)
        return (members_of(key["study"], key).proj().to_dicts(order_by="KEY"),)

    def compute(self, key: dict[str, Any], members: list[dict[str, Any]]) -> Made:
        """Compare every pair."""
        labels = {(m["model_seed"], m["seed"]): partition_labels(m) for m in members}
        pairs = [
            {"pair_kind": kind, **_seeds(a, b), **compare(labels[a], labels[b], key["k"])}
            for a, b in itertools.combinations(sorted(labels), 2)
            for kind in _kind_of_pair(a, b)
        ]
        return Made(
            {"n_partitions": len(labels), **summarise_pairs(pairs), **_truth(key, labels)}, {"Pair": pairs}
        )


Seeds = tuple[int, int]


def _kind_of_pair(a: Seeds, b: Seeds) -> list[str]:
    if a[0] == b[0]:
        return ["clustering_seeds"]
    return ["model_seeds"] if a[1] == b[1] else []


def _seeds(a: Seeds, b: Seeds) -> dict[str, int]:
    return {"model_seed_a": a[0], "seed_a": a[1], "model_seed_b": b[0], "seed_b": b[1]}


def compare(a: NDArray[np.int16], b: NDArray[np.int16], k: int) -> dict[str, Any]:
    """Columns of two partitions compared over the neurons that both place."""
    table = indices.contingency(a, b, (k, k))
    match = indices.match_table(table)
    matching = {
        "n_shared": int(table.sum()),
        "matched": match.second.astype(np.int16),
        "confusion": table[:, match.second].astype(np.int32),
    }
    if not table.any():
        return {"pair_status": "no_shared_neuron", **dict.fromkeys(INDICES), **matching}
    found = indices.table_agreement(table)
    return {"pair_status": found.status, **_index_row(found, match), **matching}


def _index_row(found: indices.Agreement, match: indices.MatchedConfusion) -> dict[str, float | None]:
    return {
        "ari": found.ari,
        "ami": found.ami,
        "v_measure": found.v_measure,
        "fowlkes_mallows": found.fowlkes_mallows,
        "matched_share": match.share if found.status == "ok" else None,
    }


def mean_indices(pairs: Sequence[dict[str, Any]], suffix: str) -> dict[str, Any]:
    """Means over the defined pairs, the smallest ARI, and how many pairs are defined."""
    defined = {name: [one[name] for one in pairs if one[name] is not None] for name in INDICES}
    means = {name: float(np.mean(values)) if values else None for name, values in defined.items()}
    return {
        **{f"{name.removesuffix('_share')}_{suffix}": value for name, value in means.items()},
        f"ari_{suffix}_min": min(defined["ari"], default=None),
        f"n_pairs_{suffix}": len(defined["ari"]),
    }


def summarise_pairs(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the defined pairs of each kind."""
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for pair in pairs:
        by_kind[pair["pair_kind"]].append(pair)
    return mean_indices(by_kind["model_seeds"], "seeds") | mean_indices(
        by_kind["clustering_seeds"], "clustering_seeds"
    )


def _truth(key: dict[str, Any], labels: dict[Seeds, NDArray[np.int16]]) -> dict[str, Any]:
    truth = true_types(key["dataset"])
    if truth is None:
        return {"ari_truth": None, "ami_truth": None}
    found = [indices.agreement(one[one >= 0], truth[one >= 0]) for one in labels.values()]
    ari = [each.ari for each in found if each.ari is not None]
    ami = [each.ami for each in found if each.ami is not None]
    return {
        "ari_truth": float(np.mean(ari)) if ari else None,
        "ami_truth": float(np.mean(ami)) if ami else None,
    }
