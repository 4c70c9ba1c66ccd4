"""Evaluation of single partitions: quality, and performance by cluster. The price of fine-tuning is in `price`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex import evaluation
from decortex.evaluation import association
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset, sessions_of
from decortex_schemas.tables.embeddings import load_embedding
from decortex_schemas.tables.finetuning import DECFinetune, moved_embedding, partition_labels
from decortex_schemas.tables.networks import Performance
from decortex_schemas.tables.specs import FinetuneSpec, Metric

MAIN_METRIC = "correlation_to_average"
MAIN_TIER = "test"
# The seed of permutations, bootstraps and samples: one for all rows, so that a difference between two rows
# is never a difference of draws.
EVALUATION_SEED = 0
N_PERMUTATIONS = 9999
# How scores differ between the clusters of a partition: what `association_row` fills.
ASSOCIATION_COLUMNS = """n_clusters : int16
    n_sessions : int32
    h = null : float64                   # Kruskal-Wallis statistic
    p_kruskal = null : float64           # takes neurons for independent: naive where sessions differ
    epsilon2 = null : float64            # H/(n - 1)
    epsilon2_corrected = null : float64  # (H - k + 1)/(n - k)
    epsilon2_low = null : float64        # 95-percent interval of the corrected effect
    epsilon2_high = null : float64
    f = null : float64                   # one-way analysis of variance, naive like h
    p_anova = null : float64
    omega2 = null : float64
    omega2_low = null : float64          # 95-percent interval
    omega2_high = null : float64
    permutation_status : varchar(24)
    epsilon2_within = null : float64     # with ranks within sessions
    permutation_statistic : varchar(16)  # 'studentised': ranks, every cluster with a variance of its own
    n_clusters_left_out : int16          # too small for a variance of their own; take no part in the permutation
    p_permutation = null : float64       # permuted within sessions; speaks of these sessions
    n_permutations : int32"""


@schema
class ClusterQuality(Computation):
    """Compactness and separation of a partition, in the embedding it was found in and in the moved one."""

    definition = f"""
    # Internal quality of a partition
    -> DECFinetune
    ---
    labels_sha256 : char(64)
    {STAMP}
    """

    class Space(dj.Part):
        """Quality in one space; 'untouched' is the yardstick for every method and fine-tuning."""

        definition = """
        -> master
        space : varchar(24)              # 'untouched', 'moved'
        ---
        quality_status : varchar(24)
        n_neurons : int32
        silhouette = null : float64
        silhouette_n : int32             # neurons sampled
        calinski_harabasz = null : float64
        davies_bouldin = null : float64
        within = null : float64          # mean squared distance to the cluster's mean
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the partition's digest and whether it moved the embedding."""
        digest, kind = (DECFinetune * FinetuneSpec.proj("kind") & key).fetch1("labels_sha256", "kind")
        return digest, kind

    def compute(self, key: dict[str, Any], digest: str, kind: str) -> Made:
        """Measure in each space."""
        labels = partition_labels(key)
        placed = labels >= 0
        spaces = {"untouched": load_embedding(key)}
        if kind != "none":
            spaces["moved"] = moved_embedding(key)
        rows = []
        for space, x in spaces.items():
            found = asdict(evaluation.cluster_quality(x[placed], labels[placed], seed=EVALUATION_SEED))
            found.pop("n_clusters")
            rows.append({"space": space, "quality_status": found.pop("status"), **found})
        return Made({"labels_sha256": digest}, {"Space": rows})


@schema
class ClusterPerformance(Computation):
    """Is a neuron's predictability tied to its cluster? Effect sizes first."""

    definition = f"""
    # Predictive performance by cluster
    -> DECFinetune
    -> Metric
    ---
    association_status : varchar(24)
    n_neurons : int32                    # with a defined score
    n_excluded : int32
    {ASSOCIATION_COLUMNS}
    {STAMP}
    """

    class Cluster(dj.Part):
        """Scores of one cluster's neurons."""

        row_format_kb = 4

        definition = """
        -> master
        cluster : int16
        ---
        size : int32
        n_defined : int32
        mean = null : float64
        median = null : float64
        sd = null : float64
        """

    class Pair(dj.Part):
        """Two clusters compared (Mann-Whitney, Holm over the partition's pairs)."""

        row_format_kb = 4

        definition = """
        -> master
        first : int16
        second : int16
        ---
        n_first : int32
        n_second : int32
        rank_biserial = null : float64
        p = null : float64
        p_holm = null : float64
        """

    @property
    def key_source(self) -> Any:
        """Partitions of networks that have been scored, by the main metric."""
        scored = (Performance & {"tier": MAIN_TIER}).proj("n_trials")
        partitions = DECFinetune.proj() & scored.proj()
        return partitions * (Metric & {"metric": MAIN_METRIC}).proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the partition's digest and kind."""
        digest, kind = (DECFinetune * FinetuneSpec.proj("kind") & key).fetch1("labels_sha256", "kind")
        return digest, kind

    def compute(self, key: dict[str, Any], digest: str, kind: str) -> Made:
        """Relate the scores on held-out images to the clusters."""
        labels = partition_labels(key)
        scores = compared_scores(key, kind)
        placed = labels >= 0
        row, clusters = association_row(key, scores, labels, n_permutations=N_PERMUTATIONS)
        pairs = [asdict(pair) for pair in association.pairwise_tests(scores[placed], labels[placed])]
        return Made(row, {"Cluster": clusters, "Pair": pairs})


def association_row(
    key: dict[str, Any], scores: NDArray[np.float64], labels: NDArray[np.integer], *, n_permutations: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Relate scores to the clusters of a partition, within the sessions of its dataset.

    Parameters
    ----------
    key : dict
        Key of the partition.
    scores : ndarray of float64, shape (n_neurons,)
        NaN where a neuron has none.
    labels : ndarray of int, shape (n_neurons,)
        Cluster of each neuron; -1: in none.
    n_permutations : int
        Permutations of neurons within sessions.

    Returns
    -------
    dict, list of dict
        Columns `association_status`, `n_neurons`, `n_excluded` and those of `ASSOCIATION_COLUMNS`; the scores of each
        cluster.
    """
    placed = labels >= 0
    found = asdict(
        association.associate(
            scores[placed],
            labels[placed],
            sessions_of(key["dataset"])[placed],
            seed=EVALUATION_SEED,
            n_permutations=n_permutations,
        )
    )
    clusters = [{"size": part.pop("n"), **part} for part in found.pop("clusters")]
    del found["seed"]
    return {"association_status": found.pop("status"), **found}, clusters


def compared_scores(key: dict[str, Any], kind: str) -> NDArray[np.float64]:
    """Test scores that clusters are compared by, one per neuron.

    A network without recordings is scored against itself: before fine-tuning every score is 1 but for rounding, which
    must not be compared; it is NaN.
    """
    if kind != "none":
        return scores_after(key)
    scores = scores_before(key)
    own = (Dataset & key).fetch1("kind") == "own"
    return np.full_like(scores, np.nan) if own else scores


def scores_before(key: dict[str, Any]) -> NDArray[np.float64]:
    """Test scores of the network before fine-tuning, one per neuron."""
    at = {"tier": MAIN_TIER, "metric": MAIN_METRIC}
    values: NDArray[np.float64] = (Performance.Score & key & at).fetch1("score_values")
    return values


def scores_after(key: dict[str, Any]) -> NDArray[np.float64]:
    """Test scores of the fine-tuned network, one per neuron."""
    at = {"tier": MAIN_TIER, "metric": MAIN_METRIC}
    values: NDArray[np.float64] = (DECFinetune.Score & key & at).fetch1("score_values")
    return values
