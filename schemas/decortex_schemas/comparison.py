"""What looks across partitions: frozen studies, and agreement between seeds."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.config import config_hash
from decortex.errors import ConfigError
from decortex.evaluation import agreement
from decortex_schemas.clustering import Clustering
from decortex_schemas.database import queue_of, schema
from decortex_schemas.datasets import Dataset, true_types
from decortex_schemas.embeddings import Embedding
from decortex_schemas.finetune import DECFinetune, partition_labels
from decortex_schemas.leases import INTERRUPTED, confirm_reservation
from decortex_schemas.models import TrainedModel
from decortex_schemas.provenance import STAMP, Environment, run_stamp  # noqa: F401  (foreign key)
from decortex_schemas.specs import ClusterCount, ClusteringMethod, EmbeddingSpec, FinetuneSpec, ModelSpec
from decortex_schemas.studies import Study


@schema
class FrozenStudy(dj.Manual):
    """A study whose members are complete; what compares across rows reads only these."""

    definition = """
    # A study whose members are complete
    -> Study
    ---
    members_sha256 : char(64)            # of every member's key and labels
    n_members : int32
    n_failed : int32
    failed : json                        # keys that ended in an error, and where
    frozen_by : varchar(96)
    frozen_at = CURRENT_TIMESTAMP : datetime
    """


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
        """Fetch the members' keys; the study must still be the one that was frozen."""
        check_frozen(key["study"])
        members = DECFinetune & members_of(key["study"]) & key
        return (members.proj().to_dicts(order_by="KEY"),)

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


def members_of(study: str) -> Any:
    """Keys of `DECFinetune` that a study asks for, computed or not."""
    asked = Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj() & {"study": study}
    return asked.proj()


def freeze_study(study: str) -> dict[str, Any]:
    """Freeze a study: every member exists, or ended in an error that is recorded here.

    Returns
    -------
    dict
        The row of `FrozenStudy`.

    Raises
    ------
    ConfigError
        If the study is unknown, members are still missing, or it was frozen with other members.
    """
    if not len(Study & {"study": study}):
        raise ConfigError(f"there is no study {study!r}; `decortex study show` lists them.")
    asked = members_of(study)
    missing = (asked - DECFinetune.proj()).to_dicts()
    failed = _failures(missing)
    waiting = len(missing) - len(failed)
    if waiting:
        raise ConfigError(
            f"{waiting} of {len(asked)} members of study {study!r} are neither computed nor failed; run workers "
            "until `decortex status` shows none waiting."
        )
    digest, n_members = digest_members(study)
    known = (FrozenStudy & {"study": study}).to_dicts()
    if known:
        if known[0]["members_sha256"] != digest:
            raise ConfigError(_changed(study))
        return known[0]
    row = {
        "study": study,
        "members_sha256": digest,
        "n_members": n_members,
        "n_failed": len(failed),
        "failed": failed,
        "frozen_by": str(schema.connection.get_user()),
    }
    FrozenStudy.insert1(row, skip_duplicates=True)
    return row


def check_frozen(study: str) -> None:
    """Refuse a frozen study whose members are no longer those that were frozen.

    Raises
    ------
    ConfigError
        If a member was recomputed with other labels, added or removed.
    """
    frozen = (FrozenStudy & {"study": study}).fetch1("members_sha256")
    if digest_members(study)[0] != frozen:
        raise ConfigError(_changed(study))


def digest_members(study: str) -> tuple[str, int]:
    """Digest over every member's key and labels, and their number."""
    members = (DECFinetune & members_of(study)).proj("labels_sha256").to_dicts(order_by="KEY")
    return config_hash([{name: _plain(value) for name, value in row.items()} for row in members]), len(
        members
    )


def _plain(value: Any) -> str | int:
    return value if isinstance(value, str) else int(value)


def _changed(study: str) -> str:
    return (
        f"the members of study {study!r} are not those that were frozen: comparisons over it would mix two "
        "studies. Declare and freeze a new study."
    )


def _failures(missing: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Members that cannot come, because a step of theirs ended in an error: their keys and that step."""
    failed = []
    errors = [
        (
            table.__name__,
            queue_of(table).primary_key,
            (queue_of(table).errors - INTERRUPTED).proj().to_dicts(),
        )
        for table in (TrainedModel, Embedding, Clustering, DECFinetune)
    ]
    for key in missing:
        for name, columns, rows in errors:
            if any(all(row[column] == key[column] for column in columns) for row in rows):
                plain = {column: _plain(value) for column, value in key.items() if column != "study"}
                failed.append({"key": plain, "failed_at": name})
                break
    return failed
