"""Fine-tuned partitions against their fine-tuned null: agreement and quality before, after and the change."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex import evaluation
from decortex.evaluation import agreement as indices
from decortex.evaluation.nulls import excess_over_null
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset  # noqa: F401  (foreign keys)
from decortex_schemas.tables.embeddings import load_embedding
from decortex_schemas.tables.evaluation.quality import EVALUATION_SEED
from decortex_schemas.tables.finetuning import DECFinetune, moved_embedding, partition_labels
from decortex_schemas.tables.networks import NullDataset, NullRecordings, NullStudy
from decortex_schemas.tables.specs import (  # noqa: F401  (foreign keys)
    ClusterCount,
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    ModelSpec,
    NullModel,
)
from decortex_schemas.tables.studies import FrozenStudy, Study, check_frozen, members_of

MEASURES = ("ari_seeds", "ami_seeds", "silhouette_untouched", "silhouette_moved")
STATES = ("before", "after", "change")
_GROUP = ("model_spec_id", "embedding_spec_id", "method", "method_id", "k", "finetune_id")


@schema
class FinetunedNull(Computation):
    """Whether fine-tuning raises agreement or quality more than it does where there are no types."""

    definition = f"""
    # A fine-tuning against the same fine-tuning of surrogates
    -> FrozenStudy
    -> FrozenStudy.proj(null_study='study')
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    -> ClusteringMethod
    -> ClusterCount
    -> FinetuneSpec
    ---
    n_networks : int32                   # model seeds, of the recordings and of every surrogate
    n_starts : int32                     # clustering seeds
    {STAMP}
    """

    class Measure(dj.Part):
        """One value against one null model."""

        definition = """
        -> master
        -> NullModel
        measure : varchar(32)            # 'ari_seeds', 'ami_seeds', 'silhouette_untouched', 'silhouette_moved'
        state : varchar(8)               # 'before', 'after' fine-tuning, or the 'change'
        ---
        excess_status : varchar(24)
        observed = null : float64
        n_null : int32                   # surrogates with a defined value
        null_mean = null : float64
        null_sd = null : float64
        excess = null : float64          # observed - null_mean
        z = null : float64
        p = null : float64               # (b + 1)/(n_null + 1), b surrogates at or above the observed value
        null_values : json               # dataset -> value
        """

    @property
    def key_source(self) -> Any:
        """One key a fine-tuning that both a frozen study and its frozen null hold."""
        frozen = FrozenStudy.proj() * FrozenStudy.proj(null_study="study") & NullStudy
        trained = FinetuneSpec & "kind <> 'none'"
        finetunings = Study.Finetuning.proj() & trained.proj()
        asked = frozen * Study.Model.proj() * Study.Embedding.proj() * finetunings
        repeated = Study.Finetuning.proj(null_study="study", null_seed="seed")
        return self.asked_keys(asked & repeated)

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the members of the recordings and of every null dataset; they must be those that were frozen."""
        own = {name: key[name] for name in _GROUP}
        trained = Study.Model & {"study": key["null_study"], "model_spec_id": key["model_spec_id"]}
        drawn = NullDataset & NullRecordings.proj() & {"parent_dataset": key["dataset"]} & trained.proj()
        nulls = drawn.proj("null_kind").to_dicts(order_by="dataset")
        members = [_members(key["study"], {**own, "dataset": key["dataset"]})]
        members += [_members(key["null_study"], {**own, "dataset": null["dataset"]}) for null in nulls]
        return nulls, members

    def compute(
        self,
        key: dict[str, Any],
        nulls: list[dict[str, Any]],
        members: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]],
    ) -> Made:
        """Measure the recordings and every surrogate that has the same networks and starts, and compare."""
        observed = measure(*members[0])
        wanted = _places(members[0])
        found = [
            (null, measure(*pair))
            for null, pair in zip(nulls, members[1:], strict=True)
            if _places(pair) == wanted
        ]
        rows = [
            {
                "null_kind": kind,
                "measure": name,
                "state": state,
                **_compare(observed, found, kind, name, state),
            }
            for kind in sorted({null["null_kind"] for null, _ in found})
            for name in MEASURES
            for state in STATES
        ]
        after = members[0][1]
        row = {
            "n_networks": len({one["model_seed"] for one in after}),
            "n_starts": len({one["seed"] for one in after}),
        }
        return Made(row, {"Measure": rows})


def _members(study: str, group: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Keys of a group's partitions before fine-tuning, from the same starts only, and after it."""
    check_frozen(study, group)
    after = members_of(study, group).proj().to_dicts(order_by="KEY")
    starts = {(one["model_seed"], one["seed"]) for one in after}
    none = {int(row["finetune_id"]) for row in (FinetuneSpec & {"kind": "none"}).proj().to_dicts()}
    before: list[dict[str, Any]] = []
    for finetune_id in none:
        untouched = {**group, "finetune_id": finetune_id}
        check_frozen(study, untouched)
        before += members_of(study, untouched).proj().to_dicts(order_by="KEY")
    return [one for one in before if (one["model_seed"], one["seed"]) in starts], after


def _places(pair: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> list[set[tuple[int, int]]]:
    """Networks and starts that have a partition before, and after."""
    return [{(one["model_seed"], one["seed"]) for one in members} for members in pair]


def measure(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Every value of one dataset's partitions, by measure and state; None where it is not defined."""
    found: dict[str, dict[str, float | None]] = {name: {} for name in MEASURES}
    for state, members in (("before", before), ("after", after)):
        labels = {(one["model_seed"], one["seed"]): partition_labels(one) for one in members}
        found["ari_seeds"][state], found["ami_seeds"][state] = agreement_of_networks(labels)
        for space in ("untouched", "moved"):
            values = [
                _silhouette(
                    one, labels[one["model_seed"], one["seed"]], moved=space == "moved" and state == "after"
                )
                for one in members
            ]
            found[f"silhouette_{space}"][state] = _mean(values)
    for states in found.values():
        first, last = states["before"], states["after"]
        states["change"] = None if first is None or last is None else last - first
    return found


def agreement_of_networks(
    labels: dict[tuple[int, int], NDArray[np.int16]],
) -> tuple[float | None, float | None]:
    """Mean ARI and AMI over pairs of model seeds at equal clustering seed, labels by (model seed, seed)."""
    ari, ami = [], []
    for a, b in itertools.combinations(sorted(labels), 2):
        if a[1] != b[1]:
            continue
        placed = (labels[a] >= 0) & (labels[b] >= 0)
        if placed.any():
            one = indices.agreement(labels[a][placed], labels[b][placed])
            ari.append(one.ari)
            ami.append(one.ami)
    return _mean(ari), _mean(ami)


def _silhouette(key: dict[str, Any], labels: NDArray[np.int16], *, moved: bool) -> float | None:
    x = load_embedding(key)
    if moved and (DECFinetune & key).fetch1("embedding_sha256") is not None:
        x = moved_embedding(key)
    placed = labels >= 0
    return evaluation.cluster_quality(x[placed], labels[placed], seed=EVALUATION_SEED).silhouette


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _compare(
    observed: dict[str, dict[str, float | None]],
    found: list[tuple[dict[str, Any], dict[str, dict[str, float | None]]]],
    kind: str,
    name: str,
    state: str,
) -> dict[str, Any]:
    values = {null["dataset"]: one[name][state] for null, one in found if null["null_kind"] == kind}
    row = asdict(excess_over_null(observed[name][state], list(values.values())))
    return {"excess_status": row.pop("status"), **row, "null_values": values}
