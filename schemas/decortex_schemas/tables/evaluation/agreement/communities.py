"""Communities of co-association: which neurons share clusters over networks, starts and methods, at no K of their own.

Not a second consensus: `ConsensusPartition` matches the clusters of partitions of one K and keeps that K; communities
match nothing and have a number of their own.
"""

from __future__ import annotations

from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.errors import ConfigError, InputError
from decortex.evaluation import agreement, nulls
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset, sessions_of, true_types  # noqa: F401  (foreign key)
from decortex_schemas.tables.embeddings import array_sha256
from decortex_schemas.tables.evaluation.quality import EVALUATION_SEED
from decortex_schemas.tables.finetuning import partition_labels
from decortex_schemas.tables.specs import (  # noqa: F401  (foreign keys)
    ClusterCount,
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    ModelSpec,
)
from decortex_schemas.tables.studies import FrozenStudy, Study, check_frozen, members_of, require_study

COMMUNITY_COLUMNS = """
community_status : varchar(24)       # 'ok', 'one_community', 'no_shared_cluster', 'few_partitions' (fewer than two)
n_partitions : int32
n_networks : int32
labels = null : <blob>               # int16[n_neurons], 0 = largest community; -1 where a neuron has none
labels_sha256 = null : char(64)
n_communities = null : int16
n_landmarks = null : int32           # neurons whose co-association matrix was made; the others followed them
modularity = null : float64          # of the co-association graph, at resolution 1
firm_share = null : float64          # share of neurons that are with their own community twice as often as with another
ari_communities = null : float64     # mean over the partitions, against the communities
ari_communities_min = null : float64
ari_truth = null : float64           # of the communities with the known types; null where nobody knows them
chance = null : float64              # mean co-association of two neurons, as independent partitions of these sizes have
n_null : int32                       # draws of independent partitions; 0 of a single network
modularity_null = null : float64     # means over the draws
n_communities_null = null : float64
firm_share_null = null : float64
ari_communities_null = null : float64
z_modularity = null : float64
p_modularity = null : float64        # share of the draws, the data with them, whose modularity is as large
"""


@schema
class CommunityRequest(dj.Manual):
    """That somebody wants the communities of a study's partitions.

    As with views, what is asked here changes no result and may be asked for at any time, of a frozen study too.
    """

    definition = """
    # Communities of co-association asked of a study's partitions
    -> Study
    ---
    n_draws : int32                  # of independent partitions that they are compared with; below 19 no p reaches .05
    """


@schema
class CoAssociation(Computation):
    """Communities of the co-association of all networks' and starts' partitions by one method at one K."""

    definition = f"""
    # Co-association communities over networks and starts of one method, K and fine-tuning
    -> FrozenStudy
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    -> ClusteringMethod
    -> ClusterCount
    -> FinetuneSpec
    ---
    {COMMUNITY_COLUMNS}
    {STAMP}
    """

    class Member(dj.Part):
        """One partition against the communities."""

        definition = """
        -> master
        model_seed : int32
        seed : int32
        ---
        ari = null : float64
        """

    @property
    def key_source(self) -> Any:
        """Combinations of method, K and fine-tuning that a frozen study holds, where somebody asked."""
        asked = FrozenStudy.proj() * Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj()
        return self.asked_keys(asked & "k > 1" & CommunityRequest.proj())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the members' keys, which must still be those that were frozen, and the request."""
        return _fetch(key)

    def compute(self, key: dict[str, Any], members: list[dict[str, Any]], n_draws: int) -> Made:
        """Find the communities, and those of independent partitions."""
        row, ari = community_row(key["dataset"], members, n_draws)
        names = ("model_seed", "seed")
        parts = [
            {**{name: one[name] for name in names}, "ari": value}
            for one, value in zip(members, ari, strict=True)
        ]
        return Made(row, {"Member": parts})


@schema
class PooledCoAssociation(Computation):
    """Communities of the co-association of all methods', networks' and starts' partitions at one K."""

    definition = f"""
    # Co-association communities over methods, networks and starts of one K and fine-tuning
    -> FrozenStudy
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    -> ClusterCount
    -> FinetuneSpec
    ---
    n_methods : int32
    {COMMUNITY_COLUMNS}
    {STAMP}
    """

    class Member(dj.Part):
        """One partition against the communities."""

        definition = """
        -> master
        -> ClusteringMethod
        model_seed : int32
        seed : int32
        ---
        ari = null : float64
        """

    @property
    def key_source(self) -> Any:
        """K and fine-tunings at which a frozen study has two methods or more, where somebody asked."""
        first = Study.Finetuning.proj(method_a="method", method_id_a="method_id")
        second = Study.Finetuning.proj(method_b="method", method_id_b="method_id")
        asked = FrozenStudy.proj() * Study.Model.proj() * Study.Embedding.proj() * first * second
        return self.asked_keys(asked & "method_id_a < method_id_b" & "k > 1" & CommunityRequest.proj())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the members' keys, which must still be those that were frozen, and the request."""
        return _fetch(key)

    def compute(self, key: dict[str, Any], members: list[dict[str, Any]], n_draws: int) -> Made:
        """Find the communities, and those of independent partitions."""
        row, ari = community_row(key["dataset"], members, n_draws)
        names = ("method", "method_id", "model_seed", "seed")
        parts = [
            {**{name: one[name] for name in names}, "ari": value}
            for one, value in zip(members, ari, strict=True)
        ]
        return Made({"n_methods": len({one["method_id"] for one in members}), **row}, {"Member": parts})


def community_row(
    dataset: str, members: list[dict[str, Any]], n_draws: int
) -> tuple[dict[str, Any], list[float | None]]:
    """Columns of the communities of these partitions, and every partition's adjusted Rand index with them."""
    networks = [int(one["model_seed"]) for one in members]
    row: dict[str, Any] = {"n_partitions": len(members), "n_networks": len(set(networks)), "n_null": 0}
    if len(members) < 2:
        return row | {"community_status": "few_partitions"}, [None] * len(members)
    partitions = [partition_labels(one) for one in members]
    found = agreement.communities(partitions, seed=EVALUATION_SEED)
    row |= {
        "community_status": found.status,
        "labels": found.labels,
        "labels_sha256": array_sha256(found.labels),
        "n_communities": found.n_communities,
        "n_landmarks": found.n_landmarks,
        "modularity": found.modularity,
        "firm_share": found.firm_share,
        "ari_communities": found.ari_mean,
        "ari_communities_min": min((one for one in found.ari_members if one is not None), default=None),
        "ari_truth": _truth(dataset, found.labels),
        "chance": found.chance,
    }
    if found.status == "no_shared_cluster":
        return row, list(found.ari_members)
    drawn = agreement.independent_communities(
        partitions, networks, seed=EVALUATION_SEED, n_draws=n_draws, blocks=sessions_of(dataset)
    )
    against = nulls.excess_over_null(found.modularity, [one.modularity for one in drawn])
    row |= {
        "n_null": against.n_null,
        "modularity_null": against.null_mean,
        "n_communities_null": _mean([one.n_communities for one in drawn]),
        "firm_share_null": _mean([one.firm_share for one in drawn]),
        "ari_communities_null": _mean([one.ari_mean for one in drawn]),
        "z_modularity": against.z,
        "p_modularity": against.p,
    }
    return row, list(found.ari_members)


def request_communities(study: str, *, n_draws: int = 19) -> None:
    """Ask for the communities of a study's partitions, by method and pooled over methods, at every K above 1.

    Parameters
    ----------
    study : str
        Its name; it may be frozen.
    n_draws : int
        Independent partitions of the same sizes that the communities are compared with; below 19 no p reaches .05.

    Raises
    ------
    ConfigError
        If there is no such study, or it was asked for with another number of draws.
    InputError
        If the number of draws is out of bounds.

    Examples
    --------
    >>> request_communities("v4-sweep")    # doctest: +SKIP
    """
    require_study(study)
    if not 2 <= n_draws <= 10_000:
        raise InputError(
            f"communities are compared with 2 to 10,000 draws of independent partitions, got {n_draws}."
        )
    there = (CommunityRequest & {"study": study}).to_dicts()
    if there and int(there[0]["n_draws"]) != n_draws:
        raise ConfigError(
            f"study {study!r} was asked for communities with {there[0]['n_draws']} draws, not {n_draws}; a study has "
            "one number of them: declare another study for others."
        )
    CommunityRequest.insert1({"study": study, "n_draws": n_draws}, skip_duplicates=True)


def _fetch(key: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    check_frozen(key["study"], key)
    members = members_of(key["study"], key).proj().to_dicts(order_by="KEY")
    return members, int((CommunityRequest & {"study": key["study"]}).fetch1("n_draws"))


def _truth(dataset: str, labels: NDArray[np.int16]) -> float | None:
    truth = true_types(dataset)
    placed = labels >= 0
    if truth is None or not placed.any():
        return None
    return agreement.agreement(labels[placed], truth[placed]).ari


def _mean(values: list[Any]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
