"""One labelling that all networks of a study support (TURTLE), with what every network's classifier makes of it."""

from __future__ import annotations

from typing import Any

import datajoint as dj
import numpy as np

from decortex.errors import ConfigError, InputError
from decortex.evaluation import agreement
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset, true_types  # noqa: F401  (foreign key)
from decortex_schemas.tables.embeddings import Embedding, array_sha256, load_embedding
from decortex_schemas.tables.evaluation.number import network_groups
from decortex_schemas.tables.specs import (  # noqa: F401  (foreign keys)
    ClusterCount,
    EmbeddingSpec,
    ModelSpec,
    Seed,
)
from decortex_schemas.tables.studies import Study, require_study


@schema
class SharedLabellingRequest(dj.Manual):
    """That somebody wants a labelling which all networks of a study support, at every K above 1.

    As with views, what is asked here changes no result and may be asked for at any time, of a frozen study too.
    """

    definition = """
    # Shared labelling (TURTLE) asked of a study's networks
    -> Study
    ---
    entropy_weight : float64         # gamma: large values want clusters of equal size
    n_init : int16                   # starts, the one of the smallest loss is kept
    n_steps : int32
    """


@schema
class SharedLabelling(Computation):
    """One labelling of the neurons that linear classifiers on every network's embedding support; no vote."""

    definition = f"""
    # Labelling that all networks of a study support (TURTLE)
    -> Study
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    -> ClusterCount
    ---
    labelling_status : varchar(24)       # 'ok', 'one_cluster', 'few_neurons' (fewer than K lie in all embeddings)
    n_networks : int32
    n_neurons : int32                    # that every network's embedding holds
    labels = null : <blob>               # int16[n_neurons of the dataset]; -1 where some embedding lacks the neuron
    labels_sha256 = null : char(64)
    confidence = null : <blob>           # float64[n_neurons of the dataset]: probability of the neuron's cluster
    confidence_mean = null : float64
    n_alive = null : int16               # clusters that hold a neuron
    balance = null : float64             # entropy of the mean assignment over log K
    loss = null : float64                # mean cross-entropy less the weighted entropy, of the start that was kept
    loss_worst = null : float64          # of the worst start
    ari_truth = null : float64           # against the known types; null where nobody knows them
    {STAMP}
    """

    class Network(dj.Part):
        """What one network's classifier makes of it."""

        definition = """
        -> master
        -> Seed.proj(model_seed='seed')
        ---
        cross_entropy : float64          # of its linear classifier and the labelling, nats per neuron
        """

    @property
    def key_source(self) -> Any:
        """Requests, once all networks of the study are trained and embedded."""
        counts = Study.Count.proj() & "k > 1"
        groups = network_groups() * (counts * SharedLabellingRequest.proj())
        missing = Study.Model.proj() * Study.Embedding.proj() - Embedding.proj()
        return (groups - missing).proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the embeddings' digests and the parameters."""
        own = (Study.Model & key).proj()
        networks = (Embedding & own & {"embedding_spec_id": key["embedding_spec_id"]}).proj(
            "embedding_sha256"
        )
        request = (SharedLabellingRequest & {"study": key["study"]}).fetch1()
        return networks.to_dicts(order_by="model_seed"), request

    def compute(self, key: dict[str, Any], networks: list[dict[str, Any]], request: dict[str, Any]) -> Made:
        """Search the labelling."""
        views = [load_embedding({**one, "dataset": key["dataset"]}) for one in networks]
        both = np.all([np.isfinite(one).all(axis=1) for one in views], axis=0)
        row: dict[str, Any] = {"n_networks": len(views), "n_neurons": int(both.sum())}
        if both.sum() < key["k"]:
            return Made({"labelling_status": "few_neurons", **row}, {"Network": []})
        found = agreement.turtle(
            views,
            key["k"],
            seed=0,
            entropy_weight=float(request["entropy_weight"]),
            n_init=int(request["n_init"]),
            n_steps=int(request["n_steps"]),
        )
        truth = true_types(key["dataset"])
        row |= {
            "labelling_status": "ok" if found.n_alive > 1 else "one_cluster",
            "labels": found.labels,
            "labels_sha256": array_sha256(found.labels),
            "confidence": found.confidence,
            "confidence_mean": float(np.nanmean(found.confidence)),
            "n_alive": found.n_alive,
            "balance": found.entropy,
            "loss": found.loss,
            "loss_worst": float(found.losses.max()),
            "ari_truth": None if truth is None else agreement.agreement(found.labels[both], truth[both]).ari,
        }
        parts = [
            {"model_seed": int(one["model_seed"]), "cross_entropy": float(value)}
            for one, value in zip(networks, found.cross_entropy, strict=True)
        ]
        return Made(row, {"Network": parts})


def request_shared_labelling(
    study: str, *, entropy_weight: float = 10.0, n_init: int = 10, n_steps: int = 300
) -> None:
    """Ask for a labelling that all networks of a study support, at every K above 1.

    Parameters
    ----------
    study : str
        Its name; it may be frozen.
    entropy_weight, n_init, n_steps
        As in `decortex.evaluation.agreement.turtle`.

    Raises
    ------
    ConfigError
        If there is no such study, or it was asked for with other parameters.
    InputError
        If a parameter is out of bounds.

    Examples
    --------
    >>> request_shared_labelling("v4-sweep")    # doctest: +SKIP
    """
    require_study(study)
    if entropy_weight < 0 or not 1 <= n_init <= 1000 or not 1 <= n_steps <= 100_000:
        raise InputError(
            "a shared labelling takes entropy_weight >= 0, n_init from 1 to 1,000 and n_steps from 1 to 100,000, got "
            f"{entropy_weight}, {n_init} and {n_steps}."
        )
    row = {"study": study, "entropy_weight": float(entropy_weight), "n_init": n_init, "n_steps": n_steps}
    there = (SharedLabellingRequest & {"study": study}).to_dicts()
    if there and there[0] != row:
        raise ConfigError(
            f"study {study!r} was asked for a shared labelling with other parameters "
            f"({ {name: value for name, value in there[0].items() if name != 'study'} }); a study has one: declare "
            "another study for others."
        )
    SharedLabellingRequest.insert1(row, skip_duplicates=True)
