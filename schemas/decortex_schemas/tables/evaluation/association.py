"""Performance by cluster with covariates held fixed: effect sizes, and the population's tests.

What compares over a grid or a study is in `adjusted`, sessions and animals themselves in `confounds`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.evaluation import association
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.evaluation.scored import (
    Comparison,
    RecordingSummary,
    comparison,
    scored_partitions,
)
from decortex_schemas.tables.finetuning import DECFinetune, partition_labels
from decortex_schemas.tables.specs import CovariateSet, FinetuneSpec


@schema
class ClusterAssociation(Computation):
    """Performance by cluster with covariates held fixed: effect sizes, and the population's tests.

    The permutation test of these sessions shares its work over all K: `GridAssociation`.
    """

    definition = f"""
    # Performance and cluster with covariates held fixed
    -> DECFinetune
    -> RecordingSummary
    -> CovariateSet
    ---
    covariate_status : varchar(24)       # 'covariate_missing', 'shared_images': nothing was compared
    covariates_used : json
    covariates_missing : json
    covariate_slopes : varchar(16)       # 'by_session' or 'common'
    score_scale : varchar(16)            # of effects, variances and contrasts: 'fisher_z' or 'correlation'
    n_neurons : int32                    # with a score and every covariate used
    effect_status : varchar(24)
    omega2_partial = null : float64      # share between clusters after sessions and covariates
    omega2_low = null : float64          # 95-percent interval
    omega2_high = null : float64
    mixed_status : varchar(24)
    mixed_chi2 = null : float64          # cluster + covariates + (1 | session); its sample is neurons
    mixed_df = null : int32
    p_mixed = null : float64
    session_variance = null : float64
    residual_variance = null : float64
    f_fixed = null : float64             # the same with fixed session levels
    p_fixed = null : float64
    {STAMP}
    """

    class Population(dj.Part):
        """Cluster against cluster-by-unit effects; `unit_kind` is what was sampled."""

        row_format_kb = 4

        definition = """
        -> master
        unit_kind : varchar(16)          # 'session', 'animal'
        ---
        population_status : varchar(24)
        n_units : int32
        n_cells : int32
        f = null : float64
        df = null : int32
        df_residual = null : int32
        p = null : float64               # the recommended test
        p_likelihood = null : float64    # too small at few units
        effect = null : float64          # share of the variation of cells that is cluster
        effect_low = null : float64      # 95-percent interval
        effect_high = null : float64
        interaction_variance = null : float64
        residual_variance = null : float64
        """

    class Contrast(dj.Part):
        """One cluster against the others of the same unit, covariates removed."""

        row_format_kb = 4

        definition = """
        -> master
        unit_kind : varchar(16)
        cluster : int16
        ---
        n_units : int32
        difference = null : float64      # on the master's score_scale
        low = null : float64             # 95-percent interval, t distribution on units
        high = null : float64
        p = null : float64
        p_holm = null : float64
        n_same_sign : int32
        p_sign = null : float64
        """

    class Session(dj.Part):
        """How far scores are tied to cluster within one session, by ranks, covariates removed."""

        row_format_kb = 4

        definition = """
        -> master
        session : varchar(96)
        ---
        n_neurons : int32
        n_clusters : int16
        epsilon2_corrected = null : float64
        low = null : float64
        high = null : float64
        p_kruskal = null : float64
        """

    @property
    def key_source(self) -> Any:
        """Partitions of networks that have been scored, with every set of covariates."""
        return scored_partitions() * RecordingSummary.proj() * CovariateSet.proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digest, kind and covariates."""
        digest, kind = (DECFinetune * FinetuneSpec.proj("kind") & key).fetch1("labels_sha256", "kind")
        return digest, kind, (CovariateSet & key).fetch1("params")

    def compute(self, key: dict[str, Any], digest: str, kind: str, params: dict[str, Any]) -> Made:
        """Compare with covariates."""
        case = comparison(key, kind, params)
        labels = partition_labels(key)
        return associated(case, labels)


def associated(case: Comparison, labels: NDArray[np.int16]) -> Made:
    """One comparison: its columns, and the rows of population, contrasts and sessions."""
    placed = labels[case.keep] >= 0
    scores, columns = case.scores[placed], case.columns[placed]
    sessions, cluster = case.sessions[placed], labels[case.keep][placed]
    nuisance = association.Nuisance.of(scores, sessions, columns)
    effect_status, effect = association.adjusted_effect(nuisance, scores, cluster)
    mixed = association.mixed_test(scores, cluster, sessions, columns)
    row = {
        "covariate_status": case.status,
        "covariates_used": list(case.used),
        "covariates_missing": list(case.missing),
        "covariate_slopes": case.slopes,
        "score_scale": case.score_scale,
        "n_neurons": len(scores),
        "effect_status": effect_status,
        "omega2_partial": None if effect is None else effect.corrected,
        "omega2_low": None if effect is None else effect.low,
        "omega2_high": None if effect is None else effect.high,
        "mixed_status": mixed.status,
        "mixed_chi2": mixed.chi2,
        "mixed_df": mixed.df,
        "p_mixed": mixed.p,
        "session_variance": mixed.session_variance,
        "residual_variance": mixed.residual_variance,
        "f_fixed": mixed.f_fixed,
        "p_fixed": mixed.p_fixed,
    }
    population, contrasts = [], []
    for kind, units in (("session", sessions), ("animal", case.animals[placed])):
        found = asdict(association.population_test(scores, cluster, sessions, columns, units=units))
        population.append({"unit_kind": kind, "population_status": found.pop("status"), **found})
        contrasts += [
            {"unit_kind": kind, **asdict(one)}
            for one in association.cluster_contrasts(nuisance.residuals, cluster, units)
        ]
    own = [asdict(one) for one in association.unit_effects(nuisance.residuals, cluster, sessions)]
    per_session = [{"session": one.pop("unit"), **one} for one in own]
    return Made(row, {"Population": population, "Contrast": contrasts, "Session": per_session})
