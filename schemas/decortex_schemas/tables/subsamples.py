"""Partitions of subsamples: the same method on four fifths of the neurons. Nothing is compared here."""

from __future__ import annotations

from typing import Any

import numpy as np

from decortex import clustering
from decortex.evaluation import agreement
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.clustering import shared_work
from decortex_schemas.tables.embeddings import Embedding, array_sha256, load_embedding
from decortex_schemas.tables.specs import ClusterCount, ClusteringMethod, Fitting, Seed  # noqa: F401  (foreign keys)
from decortex_schemas.tables.studies import SUBSAMPLE_FRACTION, Study


@schema
class SubsampleClustering(Fitting):
    """One partition of a random subsample of an embedding's neurons."""

    definition = f"""
    # One partition of a subsample of the neurons
    -> Embedding
    -> ClusteringMethod
    -> ClusterCount
    -> Seed.proj(subsample_seed='seed')  # of the subsample and of the clustering
    ---
    labels : <blob>                  # int16[n_neurons]; -1 outside the subsample, or excluded
    labels_sha256 : char(64)
    n_sampled : int32
    k_effective : int16
    fit_status : varchar(24)
    {STAMP}
    """

    @property
    def key_source(self) -> Any:
        """Subsamples that a study asks for."""
        return self.asked_keys(asked_subsamples() & Embedding.proj())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digest, excluded neurons and parameters."""
        sha256, excluded = (Embedding & key).fetch1("embedding_sha256", "excluded")
        return sha256, excluded, (ClusteringMethod & key).fetch1("params")

    def compute(
        self, key: dict[str, Any], sha256: str, excluded: dict[str, str], params: dict[str, Any]
    ) -> Made:
        """Fit the partition of the subsample."""
        x = load_embedding(key)
        drawn = agreement.draw_subsample(len(x), SUBSAMPLE_FRACTION, key["subsample_seed"])
        sample = np.setdiff1d(drawn, np.array([int(i) for i in excluded], dtype=np.int64))
        result = clustering.fit(
            x[sample],
            key["method"],
            n_clusters=key["k"],
            seed=key["subsample_seed"],
            cache=shared_work(),
            **params,
        )
        labels = np.full(len(x), -1, dtype=np.int16)
        labels[sample] = result.labels
        row = {
            "labels": labels,
            "labels_sha256": array_sha256(labels),
            "n_sampled": len(sample),
            "k_effective": result.k_effective,
            "fit_status": result.status,
        }
        return Made(row)


def asked_subsamples() -> Any:
    """Keys of subsample partitions that studies ask for, with their study."""
    return (
        Study.Model.proj()
        * Study.Embedding.proj()
        * Study.Method.proj()
        * Study.Count.proj()
        * Study.Subsample.proj()
    )
