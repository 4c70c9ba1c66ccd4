"""Clusterings: one partition of an embedding's neurons per method, K and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
import platformdirs
from numpy.typing import NDArray

from decortex import clustering
from decortex.clustering import ClusteringResult, DiskCache
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.embeddings import Embedding, load_embedding
from decortex_schemas.tables.specs import ClusterCount, ClusteringMethod, Fitting, Seed  # noqa: F401  (foreign keys)
from decortex_schemas.tables.studies import Study


@schema
class Clustering(Fitting):
    """One partition of the neurons."""

    row_format_kb = 4

    definition = f"""
    # One partition of an embedding's neurons
    -> Embedding
    -> ClusteringMethod
    -> ClusterCount
    -> Seed
    ---
    labels : <blob>                  # int16[n_neurons]; 0 is the largest cluster, -1 an excluded neuron
    neuron_order_sha256 : char(64)
    k_effective : int16              # clusters that hold a neuron
    objective = null : float64       # the method's own criterion, lower is better
    iterations : int32
    converged : bool
    fit_status : varchar(24)         # 'ok', 'not_converged', 'empty_cluster', 'fragmented'
    n_components = null : int32      # of the neighbour graph, where the method has one
    largest_share : float64          # share of the neurons in the largest cluster
    parameters : <blob>              # fitted parameters: centres and, for mixtures, scales and weights
    diagnostics : json
    {STAMP}
    """

    class Cluster(dj.Part):
        """One cluster."""

        row_format_kb = 4

        definition = """
        -> master
        cluster : int16
        ---
        size : int32
        share : float64
        spread = null : float64      # root mean squared distance of members to their mean
        centre : <blob>              # float32[n_features], mean of the members
        """

    @property
    def key_source(self) -> Any:
        """Partitions that a study asks for."""
        asked = (
            Study.Model.proj()
            * Study.Embedding.proj()
            * Study.Method.proj()
            * Study.Count.proj()
            * Study.ClusteringSeed.proj()
        )
        return self.asked_keys(asked & Embedding.proj())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digest, excluded neurons and parameters."""
        columns = ("embedding_sha256", "neuron_order_sha256", "excluded", "params")
        fetched: tuple[Any, ...] = (
            Embedding.proj(*columns[:3]) * ClusteringMethod.proj(columns[3]) & key
        ).fetch1(*columns)
        return fetched

    def compute(
        self, key: dict[str, Any], sha256: str, order: str, excluded: dict[str, str], params: dict[str, Any]
    ) -> Made:
        """Fit the partition; work shared over K and seeds is taken from the cache."""
        x = load_embedding(key)
        placed = np.setdiff1d(np.arange(len(x)), np.array([int(i) for i in excluded], dtype=np.int64))
        result = clustering.fit(
            x[placed], key["method"], n_clusters=key["k"], seed=key["seed"], cache=shared_work(), **params
        )
        labels = np.full(len(x), -1, dtype=np.int16)
        labels[placed] = result.labels
        row = {"labels": labels, "neuron_order_sha256": order, **partition_row(result)}
        return Made(row, {"Cluster": cluster_rows(x, labels, key["k"])})


def shared_work() -> DiskCache:
    """Cache of work shared over K and seeds (graphs, eigenvectors), private to the user."""
    return DiskCache(Path(platformdirs.user_cache_dir("decortex")) / "clustering")


def partition_row(result: ClusteringResult) -> dict[str, Any]:
    """Columns of a partition, without its labels."""
    components = result.diagnostics.get("n_components")
    return {
        "k_effective": result.k_effective,
        "objective": result.objective,
        "iterations": result.n_iterations,
        "converged": result.converged,
        "fit_status": result.status,
        "n_components": None if components is None else int(components),
        "largest_share": result.largest_share,
        "parameters": {name: np.asarray(value) for name, value in result.parameters.items()},
        "diagnostics": {name: float(v) if np.isfinite(v) else None for name, v in result.diagnostics.items()},
    }


def cluster_rows(x: NDArray[np.float64], labels: NDArray[np.int16], n_clusters: int) -> list[dict[str, Any]]:
    """One row per cluster that holds a neuron: size, share, spread and mean."""
    n_placed = int(np.count_nonzero(labels >= 0))
    rows = []
    for cluster in range(n_clusters):
        members = x[labels == cluster]
        if not len(members):
            continue
        centre = members.mean(axis=0)
        spread = float(np.sqrt(((members - centre) ** 2).sum(axis=1).mean()))
        rows.append(
            {
                "cluster": cluster,
                "size": len(members),
                "share": len(members) / n_placed,
                "spread": spread,
                "centre": centre.astype(np.float32),
            }
        )
    return rows
