"""Agreement between networks on surrogates: what networks trained from other seeds share without any types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import datajoint as dj
import numpy as np

from decortex import embeddings
from decortex.config import config_hash
from decortex.errors import ConfigError
from decortex.evaluation import agreement, selection
from decortex.evaluation.nulls import NULL_KINDS, NullKind
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset
from decortex_schemas.tables.evaluation.number.k_criteria import VALUE_COLUMNS, raw_features, value_row
from decortex_schemas.tables.networks import TrainedModel, require_network
from decortex_schemas.tables.specs import (  # noqa: F401  (foreign keys)
    ClusteringMethod,
    EmbeddingSpec,
    Fitting,
    ModelSpec,
    NullModel,
    Seed,
    register_seeds,
)
from decortex_schemas.tables.studies import Study, methods_named, require_study

# Below it no p reaches .05.
SURROGATES = 19


@schema
class AgreementNullRequest(dj.Manual):
    """Surrogates that somebody wants the agreement of a study's networks compared with, by one of its methods.

    As with views, what is asked here changes no result and may be asked for at any time, of a frozen study too.
    """

    definition = """
    # Surrogates asked for the agreement of a study's networks
    -> Study
    -> ClusteringMethod
    -> NullModel
    -> Seed.proj(null_seed='seed')
    """


@schema
class SeedNullFit(Fitting):
    """One surrogate of all networks of a study together, clustered at every K as the data are."""

    definition = f"""
    # Agreement between networks on one joint surrogate
    -> Study
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    -> ClusteringMethod
    -> NullModel
    -> Seed.proj(null_seed='seed')
    ---
    n_networks : int32
    n_neurons : int32                # that every network's embedding holds
    values_sha256 : char(64)
    {STAMP}
    """

    class Value(dj.Part):
        """Agreement at one K."""

        definition = f"""
        -> master
        criterion : varchar(24)
        at_k : int16
        ---
        {VALUE_COLUMNS}
        """

    @property
    def key_source(self) -> Any:
        """Joint surrogates that studies and requests ask for, once all networks of the study are trained.

        A union: of a product of all specifications that either asks for, MySQL would try every member.
        """
        return asked_seed_nulls() + requested_seed_nulls()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the networks' digests, the grid and the parameters."""
        networks = (TrainedModel & (Study.Model & key).proj()).proj("checkpoint_sha256")
        asked = {"study": key["study"]}
        counts = (Study.Count & asked & "k > 1").proj().to_dicts(order_by="k")
        seeds = (Study.ClusteringSeed & asked).proj().to_dicts(order_by="seed")
        return (
            networks.to_dicts(order_by="model_seed"),
            [int(row["k"]) for row in counts],
            [int(row["seed"]) for row in seeds],
            (EmbeddingSpec & key).fetch1("params"),
            (ClusteringMethod & key).fetch1("params"),
        )

    def compute(
        self,
        key: dict[str, Any],
        networks: list[dict[str, Any]],
        counts: list[int],
        seeds: list[int],
        embedding: dict[str, Any],
        params: dict[str, Any],
    ) -> Made:
        """Draw the networks' features side by side, embed and cluster each, compare."""
        config = embeddings.EmbeddingConfig.from_params(embedding)
        raws = [raw_features(network) for network in networks]
        excluded = np.concatenate([embeddings.fit_map(raw, config).excluded.indices for raw in raws])
        placed = np.setdiff1d(np.arange(len(raws[0])), excluded)
        rng = np.random.default_rng([key["null_seed"], NULL_KINDS.index(key["null_kind"])])
        surrogates = selection.joint_surrogates([raw[placed] for raw in raws], config, key["null_kind"], rng)
        clusterer = agreement.Clusterer(key["method"], params)
        values = [value_row(selection.null_seed_agreement(surrogates, clusterer, k, seeds)) for k in counts]
        row = {"n_networks": len(raws), "n_neurons": len(placed), "values_sha256": config_hash(values)}
        return Made(row, {"Value": values})


def asked_seed_nulls(study: str | None = None) -> Any:
    """Keys of `SeedNullFit` that studies which choose K ask for: groups of at least two networks, all trained."""
    return (network_groups(study) * Study.Method.proj() * Study.Null.proj()).proj()


def requested_seed_nulls(study: str | None = None) -> Any:
    """Keys of `SeedNullFit` that requests ask for: groups of at least two networks, all trained."""
    return (network_groups(study) * AgreementNullRequest.proj()).proj()


def network_groups(study: str | None = None) -> Any:
    """Networks of one specification with their embeddings, by study."""
    own = {} if study is None else {"study": study}
    choosing = (Study & own).proj()
    pairs = Study.Model.proj(seed_a="model_seed") * Study.Model.proj(seed_b="model_seed") & "seed_a < seed_b"
    groups = choosing * Dataset.proj() * ModelSpec.proj() & pairs
    trained = groups - (Study.Model.proj() - TrainedModel.proj())
    return trained * Study.Embedding.proj()


def request_agreement_null(
    study: str,
    *,
    methods: Iterable[str] = (),
    kinds: Iterable[NullKind] = ("gaussian",),
    surrogates: int = SURROGATES,
) -> None:
    """Ask for surrogates without types that the agreement of a study's networks is compared with, at every K.

    Parameters
    ----------
    study : str
        Its name; it may be frozen.
    methods : iterable of str
        Names of its methods; all if empty.
    kinds : iterable of str
        Null models: 'gaussian' has the covariance of the features across networks and nothing else.
    surrogates : int
        Of each kind, at least 2; below 19 no p reaches .05. Asking again, or for more, changes nothing that is there.

    Raises
    ------
    ConfigError
        If there is no such study, method or null model, fewer than two surrogates are asked for, or the study is of
        tables alone, which have one network each and no agreement between networks.

    Examples
    --------
    >>> request_agreement_null("v4-sweep", methods=["kmeans"])    # doctest: +SKIP
    """
    require_study(study)
    require_network((Study.Model & {"study": study}).proj(), "The agreement between networks")
    named = methods_named(study)
    unknown = sorted(set(methods) - set(named))
    if unknown:
        raise ConfigError(
            f"study {study!r} has no method {unknown[0]!r}; its methods are {', '.join(sorted(named))}."
        )
    wrong = sorted(set(kinds) - set(NULL_KINDS))
    if wrong or not kinds:
        raise ConfigError(f"null models are {', '.join(NULL_KINDS)}; got {wrong or 'none'}.")
    if surrogates < 2:
        raise ConfigError(
            f"a null has at least two surrogates, got {surrogates}; below {SURROGATES} no p is .05."
        )
    register_seeds(list(range(surrogates)))
    AgreementNullRequest.insert(
        (
            {"study": study, **named[name], "null_kind": kind, "null_seed": seed}
            for name in (methods or named)
            for kind in kinds
            for seed in range(surrogates)
        ),
        skip_duplicates=True,
    )
