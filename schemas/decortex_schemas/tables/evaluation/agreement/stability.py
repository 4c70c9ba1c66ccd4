"""What partitions have in common: the consensus of networks and starts, and stability under subsampling."""

from __future__ import annotations

import itertools
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.evaluation import agreement as comparing
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.clustering import Clustering
from decortex_schemas.tables.embeddings import Embedding, array_sha256
from decortex_schemas.tables.evaluation.agreement.seed_agreement import (
    PAIR_COLUMNS,
    SeedAgreement,  # noqa: F401  (foreign key)
    compare,
    mean_indices,
)
from decortex_schemas.tables.finetuning import partition_labels
from decortex_schemas.tables.specs import ClusterCount, ClusteringMethod  # noqa: F401  (foreign keys)
from decortex_schemas.tables.studies import (
    FrozenStudy,
    Study,
    check_frozen,
    check_frozen_subsamples,
    members_of,
    subsamples_of,
)
from decortex_schemas.tables.subsamples import SubsampleClustering

CLUSTER_COLUMNS = """
size : int32
jaccard = null : float64             # mean over partitions of the best Jaccard (Hennig 2007)
dissolved = null : float64           # share of the partitions with a best Jaccard of at most .5
recovered = null : float64           # share with at least .75
"""


@schema
class ConsensusPartition(Computation):
    """The partition that all networks and starts vote for, and how far they stand behind it."""

    definition = f"""
    # Consensus over networks and starts of one method, K and fine-tuning
    -> SeedAgreement
    ---
    consensus_status : varchar(24)       # 'ok', 'one_partition', 'no_partition'
    n_partitions : int32
    labels = null : <blob>               # int16[n_neurons]; -1 where no partition places the neuron
    labels_sha256 = null : char(64)
    support = null : <blob>              # float64[n_neurons]: share of the partitions behind the neuron's cluster
    support_mean = null : float64
    matched_share = null : float64       # the criterion: mean over pairs of the share in matched clusters
    ari_members = null : float64         # mean over the partitions, against the consensus
    {STAMP}
    """

    class Cluster(dj.Part):
        """One cluster of the consensus, looked for in every partition."""

        definition = f"""
        -> master
        cluster : int16
        ---
        {CLUSTER_COLUMNS}
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the members' keys; they must still be those that were frozen."""
        check_frozen(key["study"], key)
        return (members_of(key["study"], key).proj().to_dicts(order_by="KEY"),)

    def compute(self, key: dict[str, Any], members: list[dict[str, Any]]) -> Made:
        """Vote, and look for the consensus's clusters in every partition."""
        partitions = [partition_labels(member) for member in members]
        if len(partitions) < 2:
            status = "one_partition" if partitions else "no_partition"
            return Made({"consensus_status": status, "n_partitions": len(partitions)}, {"Cluster": []})
        found = comparing.consensus(partitions, key["k"])
        clusters = cluster_rows(found.labels, comparing.stability(found.labels, partitions, key["k"]))
        return Made(consensus_row(found, partitions), {"Cluster": clusters})


@schema
class SubsampleStability(Computation):
    """Whether a method finds the same partition in four fifths of the neurons."""

    definition = f"""
    # Stability of one embedding's partition under subsampling
    -> FrozenStudy
    -> Embedding
    -> ClusteringMethod
    -> ClusterCount
    ---
    reference_seed : int32               # clustering seed of the whole partition that is looked for
    n_subsamples : int32
    ari_subsamples = null : float64      # mean over pairs of subsamples, on the neurons that they share
    ari_subsamples_min = null : float64
    ami_subsamples = null : float64
    v_measure_subsamples = null : float64
    fowlkes_mallows_subsamples = null : float64
    matched_subsamples = null : float64
    n_pairs_subsamples : int32
    ari_whole = null : float64           # mean over subsamples, against the whole partition
    neuron_stability = null : <blob>     # float64[n_neurons]: share of its subsamples that keep its cluster
    neuron_stability_mean = null : float64
    {STAMP}
    """

    class Pair(dj.Part):
        """Two subsamples compared on the neurons that they share."""

        definition = f"""
        -> master
        subsample_a : int32
        subsample_b : int32
        ---
        {PAIR_COLUMNS}
        """

    class Cluster(dj.Part):
        """One cluster of the whole partition, looked for in every subsample."""

        definition = f"""
        -> master
        cluster : int16
        ---
        {CLUSTER_COLUMNS}
        """

    @property
    def key_source(self) -> Any:
        """One key an embedding, method and K of a frozen study that asks for subsamples."""
        frozen = FrozenStudy.proj() & Study.Subsample
        asked = (
            frozen * Study.Model.proj() * Study.Embedding.proj() * Study.Method.proj() * Study.Count.proj()
        )
        return self.asked_keys(asked & Embedding.proj())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the subsamples' keys, and the seed of the whole partition that is the reference."""
        check_frozen(key["study"], key)
        check_frozen_subsamples(key["study"], key)
        network = {"model_seed": key["model_seed"]}
        whole = Clustering & key & (Study.ClusteringSeed & {"study": key["study"]}).proj()
        return (
            (subsamples_of(key["study"], key) & network).proj().to_dicts(order_by="subsample_seed"),
            min((int(row["seed"]) for row in whole.proj().to_dicts()), default=-1),
        )

    def compute(self, key: dict[str, Any], sampled: list[dict[str, Any]], reference_seed: int) -> Made:
        """Compare every pair of subsamples, and each with the whole."""
        labels = {one["subsample_seed"]: (SubsampleClustering & one).fetch1("labels") for one in sampled}
        pairs = [
            {"subsample_a": a, "subsample_b": b, **compare(labels[a], labels[b], key["k"])}
            for a, b in itertools.combinations(sorted(labels), 2)
        ]
        row = {
            "reference_seed": reference_seed,
            "n_subsamples": len(labels),
            **mean_indices(pairs, "subsamples"),
        }
        if reference_seed < 0 or not labels:
            return Made(row, {"Pair": pairs, "Cluster": []})
        whole = (Clustering & key & {"seed": reference_seed}).fetch1("labels")
        found = comparing.stability(whole, list(labels.values()), key["k"])
        against = [compare(whole, one, key["k"])["ari"] for one in labels.values()]
        row |= {
            "ari_whole": mean_of([value for value in against if value is not None]),
            "neuron_stability": found.neurons,
            "neuron_stability_mean": mean_of(found.neurons[~np.isnan(found.neurons)]),
        }
        return Made(row, {"Pair": pairs, "Cluster": cluster_rows(whole, found)})


def consensus_row(found: comparing.Consensus, partitions: list[NDArray[np.int16]]) -> dict[str, Any]:
    """Columns of a consensus."""
    placed = found.labels >= 0
    values = []
    for one in partitions:
        both = placed & (one >= 0)
        if both.any():
            values.append(comparing.agreement(found.labels[both], one[both]).ari)
    return {
        "consensus_status": "ok",
        "n_partitions": len(partitions),
        "labels": found.labels,
        "labels_sha256": array_sha256(found.labels),
        "support": found.support,
        "support_mean": mean_of(found.support[placed]),
        "matched_share": found.agreement,
        "ari_members": mean_of([value for value in values if value is not None]),
    }


def cluster_rows(labels: NDArray[np.int16], found: comparing.Stability) -> list[dict[str, Any]]:
    """One row per cluster that holds a neuron: its size and how well others find it."""
    sizes = np.bincount(labels[labels >= 0], minlength=len(found.mean))
    return [
        {
            "cluster": cluster,
            "size": int(size),
            "jaccard": found.mean[cluster],
            "dissolved": found.dissolved[cluster],
            "recovered": found.recovered[cluster],
        }
        for cluster, size in enumerate(sizes)
        if size
    ]


def mean_of(values: Any) -> float | None:
    """Mean, or None where there is nothing to take it of."""
    return float(np.mean(values)) if len(values) else None
