"""Criteria of every number of clusters, and the same values on surrogates. Nothing is chosen here."""

from __future__ import annotations

import functools
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex import embeddings
from decortex.config import config_hash
from decortex.evaluation import agreement, selection
from decortex.evaluation.selection import CriterionValue, SelectionConfig
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.embeddings import Embedding, load_embedding
from decortex_schemas.tables.networks import TrainedModel, raw_embedding
from decortex_schemas.tables.specs import (  # noqa: F401  (foreign keys)
    ClusterCount,
    ClusteringMethod,
    EmbeddingSpec,
    Fitting,
    NullModel,
    Seed,
)
from decortex_schemas.tables.studies import SUBSAMPLE_FRACTION, Study

# One setting for all rows, so that data and surrogates, and any two embeddings, are judged alike.
SELECTION = SelectionConfig(seed=0, share=SUBSAMPLE_FRACTION)

VALUE_COLUMNS = """
value = null : float64
low = null : float64
high = null : float64
n_used : int32
criterion_status : varchar(24)
"""


@schema
class KCriteria(Fitting):
    """What every criterion says of one number of clusters."""

    definition = f"""
    # Criteria of one number of clusters on one embedding
    -> Embedding
    -> ClusteringMethod
    -> ClusterCount
    ---
    n_neurons : int32
    fit_status : varchar(24)
    values_sha256 : char(64)
    {STAMP}
    """

    class Value(dj.Part):
        """One criterion; those with a baseline also at one cluster."""

        definition = f"""
        -> master
        criterion : varchar(24)
        at_k : int16                     # the row's K, or 1
        ---
        {VALUE_COLUMNS}
        """

    class Valley(dj.Part):
        """Two neighbouring clusters of one half, and held-out neurons along the line between them."""

        definition = """
        -> master
        half : int16
        first : int16
        second : int16
        ---
        n_first : int32                  # held-out neurons on the first centre
        n_between : int32
        n_second : int32
        depth = null : float64           # n_between over the smaller of the other two
        p : float64
        separated : bool
        """

    @property
    def key_source(self) -> Any:
        """Numbers of clusters of studies that choose one."""
        return self.asked_keys(asked_criteria() & Embedding.proj())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digest, excluded neurons and parameters."""
        sha256, excluded = (Embedding & key).fetch1("embedding_sha256", "excluded")
        return sha256, excluded, (ClusteringMethod & key).fetch1("params")

    def compute(
        self, key: dict[str, Any], sha256: str, excluded: dict[str, str], params: dict[str, Any]
    ) -> Made:
        """Judge this K, and one cluster beside it."""
        x = load_embedding(key)
        x = x[placed_neurons(len(x), excluded)]
        clusterer = agreement.Clusterer(key["method"], params)
        found = selection.count_criteria(x, clusterer, key["k"], SELECTION)
        baseline = selection.count_criteria(x, clusterer, 1, SELECTION)
        values = [value_row(one) for one in (*found.values, *baseline.values)]
        valleys = [{"half": half, **vars(pair)} for half, of in enumerate(found.valleys) for pair in of.pairs]
        row = {
            "n_neurons": found.n_neurons,
            "fit_status": found.fit_status,
            "values_sha256": config_hash(values),
        }
        return Made(row, {"Value": values, "Valley": valleys})


@schema
class NullFit(Fitting):
    """One surrogate of an embedding, clustered as the data are: stability and quality without types."""

    definition = f"""
    # Stability and quality on one surrogate
    -> Embedding
    -> ClusteringMethod
    -> ClusterCount
    -> NullModel
    -> Seed.proj(null_seed='seed')
    ---
    n_neurons : int32
    values_sha256 : char(64)
    {STAMP}
    """

    class Value(dj.Part):
        """One value of the surrogate."""

        definition = f"""
        -> master
        criterion : varchar(24)
        ---
        {VALUE_COLUMNS}
        """

    @property
    def key_source(self) -> Any:
        """Surrogates that a study asks for."""
        return self.asked_keys(asked_nulls() & Embedding.proj())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digests, excluded neurons and parameters."""
        return (
            (TrainedModel & key).fetch1("checkpoint_sha256"),
            (Embedding & key).fetch1("excluded"),
            (EmbeddingSpec & key).fetch1("params"),
            (ClusteringMethod & key).fetch1("params"),
        )

    def compute(
        self,
        key: dict[str, Any],
        checkpoint: str,
        excluded: dict[str, str],
        embedding: dict[str, Any],
        params: dict[str, Any],
    ) -> Made:
        """Draw the surrogate of the readout features, embed it as they were, and cluster it."""
        raw = raw_features({**key, "checkpoint_sha256": checkpoint})
        raw = raw[placed_neurons(len(raw), excluded)]
        features = selection.RawFeatures(raw, embeddings.EmbeddingConfig.from_params(embedding))
        x = selection.draw_surrogate(raw, features, key["null_kind"], key["null_seed"])
        found = selection.partition_criteria(
            x,
            agreement.Clusterer(key["method"], params),
            key["k"],
            SELECTION,
            criteria=SELECTION.null_criteria,
        )
        values = [value_row(one) for one in found]
        for value in values:
            value.pop("at_k")
        return Made({"n_neurons": len(x), "values_sha256": config_hash(values)}, {"Value": values})


def asked_criteria(study: str | None = None) -> Any:
    """Keys of `KCriteria` that studies which choose K ask for."""
    # A join with distinct studies: with `IN` MySQL joins all null models to every key and throws them out again.
    return (_grid(study) * (dj.U("study") & Study.Null)).proj()


def asked_nulls(study: str | None = None) -> Any:
    """Keys of `NullFit` that studies which choose K ask for."""
    return (_grid(study) * Study.Null.proj()).proj()


def _grid(study: str | None) -> Any:
    """Embeddings, methods and numbers of clusters above one, by study."""
    studies = Study.proj() & ({} if study is None else {"study": study})
    grid = studies * Study.Model.proj() * Study.Embedding.proj() * Study.Method.proj() * Study.Count.proj()
    return grid & "k > 1"


def value_row(one: CriterionValue) -> dict[str, Any]:
    """Columns of one value."""
    return {
        "criterion": one.criterion,
        "at_k": one.k,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "n_used": one.n_used,
        "criterion_status": one.status,
    }


def placed_neurons(n_neurons: int, excluded: dict[str, str]) -> NDArray[np.int64]:
    """Neurons that an embedding holds, ascending."""
    return np.setdiff1d(np.arange(n_neurons), np.array([int(i) for i in excluded], dtype=np.int64))


def raw_features(network: dict[str, Any]) -> NDArray[np.float32]:
    """Readout features of one network, (n_neurons, n_features); `network` holds its key and checkpoint's digest."""
    key = tuple((name, network[name]) for name in TrainedModel().primary_key)
    return _raw_features(key, network["checkpoint_sha256"])


@functools.lru_cache(maxsize=4)
def _raw_features(network: tuple[tuple[str, Any], ...], checkpoint: str) -> NDArray[np.float32]:
    """Readout features of one network; kept, because hundreds of surrogates in a row are drawn of the same."""
    del checkpoint  # part of the cache's key: a network trained again is read again
    raw = raw_embedding(TrainedModel & dict(network))
    raw.flags.writeable = False
    return raw
