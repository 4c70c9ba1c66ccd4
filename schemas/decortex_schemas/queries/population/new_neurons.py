"""Which clusters of a partition new neurons belong to, if any? Read only, as `queries` is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from decortex import embeddings, models
from decortex.errors import ConfigError, InputError
from decortex.evaluation import assignment as assigning
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.queries.population.points import network_points
from decortex_schemas.tables import (
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    TrainedModel,
    load_network,
    partition_labels,
    raw_embedding,
)

if TYPE_CHECKING:
    from decortex.evaluation.assignment import Assignment


@dataclass(frozen=True)
class NewNeurons:
    """Readout features of new neurons, and the core that they are weights of.

    Parameters
    ----------
    features : ndarray of float, shape (n_new, n_features)
        Readout features, not mapped.
    core_sha256 : str or None
        Digest of the core (`decortex.models.core_sha256`); None where it is not known.
    """

    features: NDArray[Any]
    core_sha256: str | None = None


@dataclass(frozen=True)
class AssignedTo:
    """Assignment of new neurons to one partition of a study.

    Parameters
    ----------
    assignment : Assignment
    groups : str
        What calibration left out: 'animals' or 'folds of neurons'.
    same_core : bool or None
        True: checked by digest. None: the digest of one of both is not known; the number of features alone was checked.
    """

    assignment: Assignment
    groups: str
    same_core: bool | None


@one_at_a_time
def assign_new(
    key: dict[str, Any], new: NewNeurons, *, alpha: float | None = None, min_separation: float | None = None
) -> AssignedTo:
    """Assign new neurons to the clusters of one partition.

    Parameters
    ----------
    key : dict
        ``key`` of a row of `queries.partitions`.
    new : NewNeurons
        Mapped here as the partition's embedding is: by the map fitted to the neurons that were clustered.
    alpha, min_separation : float, optional
        As in `decortex.evaluation.assignment.AssignmentConfig`.

    Returns
    -------
    AssignedTo

    Raises
    ------
    ConfigError
        If the partition is of a fine-tuned network.
    InputError
        If features are not finite, of another number or of another core, or the embedding is one of its neurons alone.
    """
    kind, name = (FinetuneSpec & {"finetune_id": key["finetune_id"]}).fetch1("kind", "finetune")
    if kind != "none":
        raise ConfigError(
            f"the partition is of the network after fine-tuning {name!r}, whose embedding is in another space than "
            "that of the study. Choose one of finetune none, or make the fine-tuned network a state of its own "
            "(docs/how-to/finetuning-studies.md) and cluster that."
        )
    row = TrainedModel & {part: key[part] for part in TrainedModel().primary_key}
    same_core = _same_core(row, new.core_sha256)
    config = embeddings.EmbeddingConfig.from_params((EmbeddingSpec & key).fetch1("params"))
    x = mapped(raw_embedding(row), new.features, config)
    points, labels = network_points(key), partition_labels(key)
    labels = np.where(points.included, labels, -1)
    animals = points.animals[labels >= 0]
    several = len(np.unique(animals)) > 1
    params = (ClusteringMethod & key).fetch1("params")
    settings = {
        "alpha": alpha,
        "min_separation": min_separation,
        "n_orientations": params.get("n_orientations"),
    }
    found = assigning.assign(
        x,
        points.x[labels >= 0],
        labels[labels >= 0],
        groups=animals if several else None,
        config=assigning.AssignmentConfig.from_params({k: v for k, v in settings.items() if v is not None}),
    )
    return AssignedTo(found, "animals" if several else "folds of neurons", same_core)


def mapped(raw: NDArray[Any], new: NDArray[Any], config: embeddings.EmbeddingConfig) -> NDArray[np.float64]:
    """Map new neurons as the neurons that were clustered are mapped.

    Raises
    ------
    InputError
        If the features are of another number, not finite, or all zero, or the map is one of these neurons alone
        (rotation 'aligned' turns every neuron by an orientation of its own).
    """
    if new.ndim != 2 or new.shape[1] != raw.shape[1]:
        raise InputError(
            f"new neurons have features of shape {new.shape}, the network has {raw.shape[1]} features per neuron: they "
            "are not in one space. Give the readout weights of the new neurons on the core of this network."
        )
    broken = np.flatnonzero(~np.isfinite(new).all(axis=1) | ~np.any(new, axis=1))
    if len(broken):
        raise InputError(
            f"{len(broken)} of {len(new)} new neurons have features that are not finite or all zero; the first are "
            f"{', '.join(map(str, broken[:5]))}. Leave them out."
        )
    return np.ascontiguousarray(embeddings.fit_map(raw, config).apply(new), dtype=np.float64)


def _same_core(row: Any, digest: str | None) -> bool | None:
    """Whether new readouts are weights of this network's core; None where that cannot be told."""
    if digest is None or row.fetch1("source_kind") != "decortex":
        return None
    own = models.core_sha256(load_network(row))
    if own != digest:
        raise InputError(
            f"the new neurons' network has another core (sha256 {digest[:12]}) than the network of the partition "
            f"({own[:12]}): their readouts are weights of other features. Train new readouts on this network's "
            "core, with the core held fixed."
        )
    return True
