"""Specifications as rows: what can be asked for, under collision-free hashes. Nothing is computed here.

A specification's hash is the sha256 of the canonical JSON of its *resolved* parameters (defaults filled in)
with the kind and the algorithm's version, so that one question has one row, whoever asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datajoint as dj

from decortex import clustering, embeddings, models
from decortex.config import config_hash
from decortex.data import TIERS
from decortex.errors import ConfigError
from decortex.evaluation.association import CovariateConfig
from decortex.evaluation.nulls import NULL_KINDS
from decortex.evaluation.performance import CLIP_METRICS, METRICS
from decortex.evaluation.splits import SplitConfig
from decortex.finetune import FinetuneConfig
from decortex.models.training import TrainingConfig
from decortex_schemas.database import Computation, register_row, schema

# In the place of a control's seed: the order of batches follows the seed of each network.
NETWORK_SEED = -1


@schema
class Seed(dj.Lookup):
    """Random seeds; studies add the ones they name. -1, as a control's seed, is the network's own."""

    author_rights = ("INSERT", "UPDATE (seed)")

    definition = """
    # Random seed
    seed : int32
    """


@schema
class Tier(dj.Lookup):
    """Which part of the trials: training, validation, test."""

    definition = """
    # Part of the trials
    tier : varchar(16)
    """
    contents = [{"tier": tier} for tier in TIERS]


@schema
class Metric(dj.Lookup):
    """Scores of a neuron's prediction."""

    definition = """
    # Score of a neuron's prediction
    metric : varchar(32)
    """
    contents = [{"metric": metric} for metric in METRICS + CLIP_METRICS]


@schema
class NullModel(dj.Lookup):
    """Null models of an embedding: surrogate neurons without types."""

    definition = """
    # Null model of an embedding
    null_kind : varchar(16)
    """
    contents = [{"null_kind": kind} for kind in NULL_KINDS]


@schema
class ModelSpec(dj.Lookup):
    """A network and how it is trained, or the family of an imported checkpoint."""

    definition = """
    # Network architecture and training
    model_spec_id : int32
    ---
    spec_hash : char(64)
    model_name : varchar(64)
    core : varchar(32)
    readout : varchar(32)
    network = null : json        # resolved NetworkConfig; null for an imported checkpoint
    training = null : json       # resolved TrainingConfig; null for an imported checkpoint
    unique index (spec_hash)
    """


@schema
class TrainingSchedule(dj.Lookup):
    """How a trained network goes on training: optimiser, rates, epochs, what trains."""

    definition = """
    # Continued training, with or without a clustering loss
    schedule_id : int32
    ---
    schedule_hash : char(64)
    schedule_name : varchar(64)
    epochs : int16
    trains : varchar(16)
    params : json                # resolved TrainingConfig
    unique index (schedule_hash)
    """


@schema
class EmbeddingSpec(dj.Lookup):
    """How readout weights become points to cluster."""

    definition = """
    # Transformation of the readout weights
    embedding_spec_id : int32
    ---
    spec_hash : char(64)
    embedding_name : varchar(64)
    kind : varchar(32)
    params : json                # resolved EmbeddingConfig
    unique index (spec_hash)
    """


@schema
class ClusteringMethod(dj.Lookup):
    """A clustering method with all its parameters."""

    definition = """
    # Clustering method and its parameters
    method : varchar(24)
    method_id : int32
    ---
    method_hash : char(64)
    method_name : varchar(64)
    params : json                # resolved, defaults filled in
    algorithm_version : int16
    unique index (method_hash)
    unique index (method_id)
    """


@schema
class ClusterCount(dj.Lookup):
    """Numbers of clusters; studies add the ones they name."""

    author_rights = ("INSERT", "UPDATE (k)")

    definition = """
    # Number of clusters
    k : int16
    """


@schema
class FinetuneSpec(dj.Lookup):
    """A fine-tuning variant; 'none' is a row like any other."""

    definition = """
    # Fine-tuning of the network by a clustering loss
    finetune_id : int32
    ---
    finetune_hash : char(64)
    finetune : varchar(64)
    kind : varchar(24)
    params : json                # resolved FinetuneConfig
    -> [nullable] TrainingSchedule
    -> [nullable] Seed.proj(control_seed='seed')   # order of the batches, shared with the control
    unique index (finetune_hash)
    """


@schema
class CovariateSet(dj.Lookup):
    """What is held fixed when performance is compared between clusters; every set here is computed."""

    definition = """
    # Covariates of a comparison of performance between clusters
    covariate_set_id : int32
    ---
    covariate_hash : char(64)
    covariate_set : varchar(64)
    params : json                # resolved CovariateConfig
    unique index (covariate_hash)
    """


@schema
class SplitSpec(dj.Lookup):
    """How the number of types is judged; every specification here is computed for every embedding of a study."""

    definition = """
    # Settings of the number of types
    split_spec_id : int32
    ---
    split_hash : char(64)
    split_spec : varchar(64)
    params : json                # resolved SplitConfig
    unique index (split_hash)
    """


def register_split_spec(name: str, config: SplitConfig) -> int:
    """Register settings of the number of types; returns ``split_spec_id``."""
    params = config.resolved()
    return register_row(
        SplitSpec,
        "split_spec_id",
        {"split_hash": config_hash(params)},
        {"split_spec": name, "params": params},
    )


# What `decortex init` brings: nothing held fixed, what an embedding's norm could stand for, and all that is known.
DEFAULT_COVARIATES = {
    "none": CovariateConfig(),
    "norm and reliability": CovariateConfig(names=("norm", "reliability")),
    "all known": CovariateConfig(
        names=("log_rate", "reliability", "norm", "x", "y", "z"), missing="leave_out"
    ),
}


def register_covariates(name: str, config: CovariateConfig) -> int:
    """Register a set of covariates; returns ``covariate_set_id``. Every scored partition is then compared so."""
    params = config.resolved()
    return register_row(
        CovariateSet,
        "covariate_set_id",
        {"covariate_hash": config_hash(params)},
        {"covariate_set": name, "params": params},
    )


def register_seeds(seeds: list[int]) -> None:
    """Make sure that these seeds are rows."""
    Seed.insert([{"seed": seed} for seed in seeds], skip_duplicates=True)


def register_counts(counts: list[int]) -> None:
    """Make sure that these numbers of clusters are rows."""
    ClusterCount.insert([{"k": k} for k in counts], skip_duplicates=True)


def register_model_spec(name: str, network: models.NetworkConfig, training: TrainingConfig) -> int:
    """Register a network and its training; returns ``model_spec_id``."""
    content = {"network": network.resolved(), "training": training.resolved()}
    return register_row(
        ModelSpec,
        "model_spec_id",
        {"spec_hash": config_hash({"trained": content})},
        {
            "model_name": name,
            "core": "stacked2d" if network.n_orientations is None else "equivariant2d",
            "readout": str(content["network"]["readout"]["kind"]),
            **content,
        },
    )


def register_model_state(name: str, parent: Mapping[str, Any], content_hash: str) -> int:
    """Register a state of another specification's networks; returns its own ``model_spec_id``."""
    columns = ("core", "readout", "network", "training")
    return register_row(
        ModelSpec,
        "model_spec_id",
        {"spec_hash": content_hash},
        {"model_name": name[:64], **{column: parent[column] for column in columns}},
    )


def register_imported_spec(name: str, readout: str) -> int:
    """Register the family of an imported checkpoint; returns ``model_spec_id``."""
    return register_row(
        ModelSpec,
        "model_spec_id",
        {"spec_hash": config_hash({"imported": {"name": name, "readout": readout}})},
        {"model_name": name, "core": "imported", "readout": readout, "network": None, "training": None},
    )


def register_schedule(name: str, schedule: TrainingConfig) -> int:
    """Register a schedule of continued training; returns ``schedule_id``."""
    params = schedule.resolved()
    return register_row(
        TrainingSchedule,
        "schedule_id",
        {"schedule_hash": config_hash(params)},
        {
            "schedule_name": name,
            "epochs": schedule.max_epochs,
            "trains": schedule.trains,
            "params": params,
        },
    )


def register_embedding_spec(name: str, config: embeddings.EmbeddingConfig) -> int:
    """Register an embedding; returns ``embedding_spec_id``."""
    params = config.resolved()
    return register_row(
        EmbeddingSpec,
        "embedding_spec_id",
        {"spec_hash": config_hash(params)},
        {"embedding_name": name, "kind": str(params["kind"]), "params": params},
    )


class Fitting(Computation):
    """Base of computed tables that fit a clustering method: only the version that the specification names."""

    memory = "clustering"

    def specification_fault(self, key: Mapping[str, Any]) -> str | None:
        """Compare the version in the method's row with the one that this code computes."""
        stored = (ClusteringMethod & {"method_id": key["method_id"]}).to_arrays("algorithm_version")
        if not len(stored):
            return None  # deleted while its keys wait
        return version_fault(
            str(key["method"]), int(stored[0]), clustering.algorithm_version(str(key["method"]))
        )


def version_fault(name: str, stored: int, computed: int) -> str | None:
    """Say that a specification asks for another version of an algorithm than this code has; None if it does not."""
    if stored == computed:
        return None
    return (
        f"its specification is version {stored} of {name}, this decortex computes version {computed}: a worker with "
        "that version must take it, or register the specification anew (`decortex init` does for the defaults) and ask "
        "for it"
    )


def register_method(
    method: str, params: Mapping[str, Any] | None = None, *, name: str = ""
) -> dict[str, Any]:
    """Register a clustering method with its parameters; returns ``{'method': ..., 'method_id': ...}``.

    Raises
    ------
    ConfigError
        If the method is unknown or a parameter out of range.
    """
    resolved = clustering.method_config(method, params or {}).resolved()
    version = clustering.algorithm_version(method)
    method_id = register_row(
        ClusteringMethod,
        "method_id",
        {"method_hash": config_hash({"method": method, "params": resolved, "algorithm_version": version})},
        {
            "method": method,
            "method_name": name or method,
            "params": resolved,
            "algorithm_version": version,
        },
    )
    return {"method": method, "method_id": method_id}


def batch_seed(control_seed: int, model_seed: int) -> int:
    """Seed of the order of batches: the one that is named, or the network's own."""
    return model_seed if control_seed == NETWORK_SEED else control_seed


def register_finetune(
    name: str, config: FinetuneConfig, *, schedule_id: int | None = None, control_seed: int = 0
) -> int:
    """Register a fine-tuning variant; returns ``finetune_id``. 'none' takes no schedule."""
    if (config.kind == "none") != (schedule_id is None):
        raise ConfigError(
            f"fine-tuning {name!r} of kind {config.kind!r} came {'without' if schedule_id is None else 'with'} a "
            "schedule: every kind but 'none' needs one, and 'none' trains nothing."
        )
    params = config.resolved()
    tied = {"schedule_id": schedule_id, "control_seed": None if schedule_id is None else control_seed}
    if schedule_id is not None:
        register_seeds([control_seed])
    return register_row(
        FinetuneSpec,
        "finetune_id",
        {"finetune_hash": config_hash({"params": params, **tied})},
        {"finetune": name, "kind": config.kind, "params": params, **tied},
    )
