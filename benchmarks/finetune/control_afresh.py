"""Do networks agree better after fine-tuning, or after as many epochs without it? One JSON object per line.

    python benchmarks/finetune/control_afresh.py STUDY

For every start that a study fine-tunes (embedding, method, K, seed) and every control: the mean adjusted Rand index
between networks of the starts (`start`), of the control's embedding clustered afresh by the same method (`control`),
and of every fine-tuned partition whose control it is. A fine-tuning that agrees no better than `control` gained nothing
that training alone would not have. Reads the database that the environment names; writes nothing.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

import decortex_schemas as schemas
from decortex.clustering import fit
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.agreement import agreement
from decortex_schemas.queries import Names
from decortex_schemas.tables import asked_members, partition_labels

Labels = NDArray[np.integer[Any]]
GROUP = ("dataset", "model_spec_id", "embedding_spec_id", "method", "method_id", "k", "seed")
CONTROL = ("schedule_id", "control_seed")


def mean_ari(partitions: Sequence[Labels]) -> float | None:
    """Mean over all pairs of networks; None with one network."""
    found = [agreement(a, b).ari for a, b in combinations(partitions, 2)]
    known = [one for one in found if one is not None]
    return round(float(np.mean(known)), 4) if known else None


def afresh(row: Mapping[str, Any]) -> Labels:
    """Cluster the control's embedding as the start was clustered."""
    control = {name: row[name] for name in ("dataset", "model_spec_id", "model_seed", *CONTROL)}
    weights = (schemas.ContinuedTraining & control).fetch1("embedding").load()
    params = (schemas.EmbeddingSpec & {"embedding_spec_id": row["embedding_spec_id"]}).fetch1("params")
    points = fit_map(weights, EmbeddingConfig.from_params(params)).apply(weights)
    method = (schemas.ClusteringMethod & {"method": row["method"], "method_id": row["method_id"]}).fetch1(
        "params"
    )
    return fit(points, row["method"], n_clusters=int(row["k"]), seed=int(row["seed"]), **method).labels


def rows_of(study: str) -> list[dict[str, Any]]:
    """One row per start and control."""
    tuned = schemas.DECFinetune.proj() * schemas.FinetuneSpec.proj(*CONTROL) & asked_members(study)
    members: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in (tuned & "schedule_id IS NOT NULL").to_dicts(order_by="KEY"):
        members[tuple(row[name] for name in (*GROUP, *CONTROL))].append(row)
    names, found = Names(), []
    for rows in members.values():
        networks = {row["model_seed"]: row for row in rows}
        by_name: dict[str, list[Labels]] = defaultdict(list)
        for row in rows:
            key = {name: row[name] for name in schemas.DECFinetune.primary_key}
            by_name[names.of(row)["finetune"]].append(partition_labels(key))
        starts = [
            (schemas.Clustering & {name: row[name] for name in schemas.Clustering.primary_key}).fetch1(
                "labels"
            )
            for row in networks.values()
        ]
        label = {name: value for name, value in names.of(rows[0]).items() if name != "finetune"}
        found.append(
            {
                **label,
                "seed": rows[0]["seed"],
                "n_networks": len(networks),
                "start": mean_ari(starts),
                "control": mean_ari([afresh(row) for row in networks.values()]),
                **{name: mean_ari(labels) for name, labels in by_name.items()},
            }
        )
    return found


def main() -> None:
    """Read, cluster, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", help="its fine-tunings and controls should be done")
    asked = parser.parse_args()
    schemas.connect()
    for row in rows_of(asked.study):
        print(json.dumps(row, default=int), flush=True)


if __name__ == "__main__":
    main()
