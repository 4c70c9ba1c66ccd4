"""Clusters against sessions and animals, and their transfer to an animal that is left out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import datajoint as dj

from decortex.evaluation import association
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import sessions_of
from decortex_schemas.tables.embeddings import load_embedding
from decortex_schemas.tables.evaluation.scored import animals_of, scores_of
from decortex_schemas.tables.finetuning import DECFinetune, partition_labels
from decortex_schemas.tables.specs import FinetuneSpec


@schema
class ClusterConfound(Computation):
    """Whether clusters are sessions or animals in disguise."""

    definition = f"""
    # Clusters against sessions and animals
    -> DECFinetune
    ---
    labels_sha256 : char(64)
    {STAMP}
    """

    class Grouping(dj.Part):
        """Association of the partition with sessions or animals."""

        definition = """
        -> master
        grouping : varchar(16)           # 'session', 'animal'
        ---
        confound_status : varchar(24)
        n_neurons : int32
        n_groups : int32
        ami = null : float64
        cramers_v = null : float64
        cramers_v_corrected = null : float64
        chi2 = null : float64
        p = null : float64
        """

    class LeftOut(dj.Part):
        """One animal's neurons, assigned to the centres of the other animals'."""

        definition = """
        -> master
        animal : varchar(64)
        ---
        transfer_status : varchar(24)
        n_neurons : int32
        share_kept = null : float64      # nearest centre is that of their own cluster
        ari = null : float64
        score_correlation = null : float64   # of scores with the others' cluster means, without session levels
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the partition's digest and kind."""
        digest, kind = (DECFinetune * FinetuneSpec.proj("kind") & key).fetch1("labels_sha256", "kind")
        return digest, kind

    def compute(self, key: dict[str, Any], digest: str, kind: str) -> Made:
        """Compare with sessions and animals."""
        labels = partition_labels(key)
        placed = labels >= 0
        groupings = {
            "session": sessions_of(key["dataset"])[placed],
            "animal": animals_of(key["dataset"])[placed],
        }
        scores = scores_of(key, kind)
        rows = []
        for name, groups in groupings.items():
            found = asdict(association.confound(labels[placed], groups))
            rows.append({"grouping": name, "confound_status": found.pop("status"), **found})
        transfers = association.leave_one_out(
            load_embedding(key)[placed],
            labels[placed],
            groupings["animal"],
            groupings["session"],
            None if scores is None else scores[placed],
        )
        left_out = [{"transfer_status": one.pop("status"), **one} for one in map(asdict, transfers)]
        return Made({"labels_sha256": digest}, {"Grouping": rows, "LeftOut": left_out})
