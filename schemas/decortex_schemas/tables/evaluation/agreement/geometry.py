"""Whether networks trained from other seeds arrange the neurons alike, before anything is clustered."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import datajoint as dj

from decortex.evaluation import agreement, nulls
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset, sessions_of  # noqa: F401  (foreign key)
from decortex_schemas.tables.embeddings import Embedding, load_embedding
from decortex_schemas.tables.evaluation.quality import EVALUATION_SEED
from decortex_schemas.tables.specs import EmbeddingSpec, ModelSpec  # noqa: F401  (foreign keys)
from decortex_schemas.tables.studies import FrozenStudy, Study, check_frozen

# Neurons permuted within their sessions; the smallest p is .01.
N_PERMUTATIONS = 99

NULL_COLUMNS = """
rdm_correlation = null : float64     # Pearson's, over pairs of neurons; null where all distances of a network are equal
rdm_rank_correlation = null : float64    # Spearman's
rdm_null = null : float64            # mean of Pearson's with neurons permuted within their sessions
rdm_null_sd = null : float64
z_rdm = null : float64
p_rdm = null : float64               # share of the permutations, the data with them, that correlate as much
"""


@schema
class GeometryAgreement(Computation):
    """Representational geometry of networks trained from other seeds, compared over pairs of the same neurons."""

    definition = f"""
    # Geo-topological dissimilarities of networks, correlated
    -> FrozenStudy
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    ---
    geometry_status : varchar(24)        # 'ok', 'few_networks' (below 2 trained), 'few_neurons' (below 3 shared)
    n_networks : int32
    n_neurons : int32                    # that every network's embedding holds
    n_neuron_pairs : int32               # pairs of neurons that were compared
    is_exact = null : bool               # whether these are all pairs
    n_null : int32                       # permutations
    {STAMP}
    """

    class Setting(dj.Part):
        """All pairs of networks at one setting of the transform."""

        definition = f"""
        -> master
        setting : int16
        ---
        lower_quantile : float64         # distances up to this quantile of all count 0
        upper_quantile : float64         # distances from this quantile on count 1
        {NULL_COLUMNS}
        rdm_correlation_low = null : float64     # 95-percent interval of the mean, jackknife over networks; from 3 on
        rdm_correlation_high = null : float64
        """

    class Pair(dj.Part):
        """Two networks at one setting of the transform."""

        definition = f"""
        -> master.Setting
        model_seed_a : int32
        model_seed_b : int32
        ---
        {NULL_COLUMNS}
        """

    @property
    def key_source(self) -> Any:
        """One key per embedding specification of a frozen study's networks, where there are two or more."""
        first = Study.Model.proj(seed_a="model_seed")
        second = Study.Model.proj(seed_b="model_seed")
        asked = FrozenStudy.proj() * first * second * Study.Embedding.proj() & "seed_a < seed_b"
        return self.asked_keys(asked)

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the embeddings' digests; the study's members must still be those that were frozen."""
        check_frozen(key["study"], key)
        own = (Study.Model & key).proj()
        networks = (Embedding & own & {"embedding_spec_id": key["embedding_spec_id"]}).proj(
            "embedding_sha256"
        )
        return (networks.to_dicts(order_by="model_seed"),)

    def compute(self, key: dict[str, Any], networks: list[dict[str, Any]]) -> Made:
        """Compare every pair of networks at every setting."""
        views = [load_embedding({**one, "dataset": key["dataset"]}) for one in networks]
        n_shared = agreement.n_shared_neurons(views) if views else 0
        row: dict[str, Any] = {"n_networks": len(views), "n_neurons": n_shared}
        if len(views) < 2 or n_shared < 3:  # a frozen study may hold networks that failed
            status = "few_networks" if len(views) < 2 else "few_neurons"
            row |= {"geometry_status": status, "n_neuron_pairs": 0, "n_null": 0}
            return Made(row, {"Setting": [], "Pair": []})
        found = agreement.geometry_agreement(
            views, seed=EVALUATION_SEED, blocks=sessions_of(key["dataset"]), n_permutations=N_PERMUTATIONS
        )
        row |= {
            "geometry_status": "ok",
            "n_neuron_pairs": found[0].n_pairs,
            "is_exact": found[0].is_exact,
            "n_null": N_PERMUTATIONS,
        }
        seeds = [int(one["model_seed"]) for one in networks]
        settings, pairs = [], []
        for setting, one in enumerate(found):
            low, high = one.interval()
            settings.append(
                {
                    "setting": setting,
                    "lower_quantile": one.lower,
                    "upper_quantile": one.upper,
                    **_columns(one.mean, one.rank_mean, one.null_means),
                    "rdm_correlation_low": low,
                    "rdm_correlation_high": high,
                }
            )
            pairs += [
                {
                    "setting": setting,
                    "model_seed_a": seeds[a],
                    "model_seed_b": seeds[b],
                    **_columns(
                        float(one.correlation[a, b]),
                        float(one.rank_correlation[a, b]),
                        [float(value) for value in one.null[:, a, b]],
                    ),
                }
                for a, b in combinations(range(len(seeds)), 2)
            ]
        return Made(row, {"Setting": settings, "Pair": pairs})


def _columns(
    correlation: float | None, rank_correlation: float | None, drawn: list[float | None]
) -> dict[str, Any]:
    """Columns of a correlation against its permutations; NaN, which no correlation has, is null."""
    against = nulls.excess_over_null(correlation, drawn)
    return {
        "rdm_correlation": against.observed,
        "rdm_rank_correlation": None if against.observed is None else rank_correlation,
        "rdm_null": against.null_mean,
        "rdm_null_sd": against.null_sd,
        "z_rdm": against.z,
        "p_rdm": against.p,
    }
