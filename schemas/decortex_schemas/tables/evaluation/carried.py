"""A start's partition carried to the control, without any clustering loss: what own labels are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex import embeddings, evaluation
from decortex import finetune as finetuning
from decortex.evaluation import agreement
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.clustering import Clustering
from decortex_schemas.tables.datasets import true_types
from decortex_schemas.tables.embeddings import array_sha256
from decortex_schemas.tables.evaluation.quality import EVALUATION_SEED
from decortex_schemas.tables.finetuning import ContinuedTraining
from decortex_schemas.tables.specs import EmbeddingSpec, FinetuneSpec
from decortex_schemas.tables.studies import Study

# Fine-tunings that start from the clustering itself, not from a vote or a labelling of several networks.
OWN_START = "COALESCE(JSON_UNQUOTE(JSON_EXTRACT(params, '$.start')), 'clustering') = 'clustering'"


@schema
class CarriedPartition(Computation):
    """The partition that a fine-tuning starts from, carried to its equal-epoch control by k-means."""

    row_format_kb = 4

    definition = f"""
    # The start's partition carried to the control
    -> Clustering
    -> ContinuedTraining
    ---
    labels : <blob>                  # int16[n_neurons]; numbers of the start's clusters, -1 a neuron without a place
    labels_sha256 : char(64)
    n_neurons : int32                # with a place in the control's embedding
    share_changed = null : float64   # of the neurons with a label in both: whose label is not the start's
    silhouette = null : float64      # in the control's embedding
    ari_truth = null : float64       # with the known types; null where nobody knows them
    {STAMP}
    """

    @property
    def key_source(self) -> Any:
        """Starts and controls of the fine-tunings that studies ask for; not of partitions up to a roll."""
        variants = Study.Finetuning.proj() * (FinetuneSpec & OWN_START).proj("schedule_id", "control_seed")
        asked = Study.Model.proj() * Study.Embedding.proj() * variants & "schedule_id IS NOT NULL"
        asked &= "method NOT LIKE 'rotation%'"  # their clusters have no mean in one orientation
        return self.asked_keys(asked & Clustering.proj() & ContinuedTraining.proj())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the start's labels, the control's weights and the map to its embedding."""
        reference = (ContinuedTraining & key).fetch1("embedding")
        return (Clustering & key).fetch1("labels"), reference, (EmbeddingSpec & key).fetch1("params")

    def compute(
        self, key: dict[str, Any], start: NDArray[np.int16], reference: Any, params: dict[str, Any]
    ) -> Made:
        """Carry the partition, and measure it as any other."""
        weights = reference.load()
        fitted = embeddings.fit_map(weights, embeddings.EmbeddingConfig.from_params(params))
        points = fitted.apply(weights).astype(np.float64)
        points[list(fitted.excluded.indices)] = np.nan
        labels = finetuning.carry_partition(points, start)
        placed, truth = labels >= 0, true_types(key["dataset"])
        both = placed & (start >= 0)
        quality = evaluation.cluster_quality(points[placed], labels[placed], seed=EVALUATION_SEED)
        return Made(
            {
                "labels": labels,
                "labels_sha256": array_sha256(labels),
                "n_neurons": int(placed.sum()),
                "share_changed": float(np.mean(labels[both] != start[both])),
                "silhouette": quality.silhouette,
                "ari_truth": None
                if truth is None
                else agreement.agreement(labels[placed], truth[placed]).ari,
            }
        )
