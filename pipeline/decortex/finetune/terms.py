"""The clustering loss of a variant, built from its start, and what its heads ended with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from decortex.clustering import canonical_order, relabel
from decortex.errors import ConfigError
from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses import (
    ClusteringTerm,
    DECEMberTerm,
    DECTerm,
    GraphTerm,
    HeadsTerm,
    MutualTerm,
    RotationDECEMberTerm,
    RotationDECTerm,
    StartPoints,
    TELLTerm,
    ToPoints,
)
from decortex.finetune.result import HeadResult


def build_term(
    to_points: ToPoints,
    start: StartPoints,
    config: FinetuneConfig,
    heads: Mapping[int, StartPoints] | None = None,
) -> ClusteringTerm:
    """Return the clustering loss of a variant, started from partitions without empty clusters.

    Parameters
    ----------
    to_points : callable
        Maps readout weights to the points that are clustered.
    start : StartPoints
        The parent partition.
    config : FinetuneConfig
        Variant and its parameters.
    heads : mapping of int to StartPoints, optional
        Partitions at the K of ``config.heads``, as `head_starts` makes them.

    Raises
    ------
    ConfigError
        If the partitions are not those of ``config.heads``.
    """
    if tuple(heads or ()) != config.heads:
        raise ConfigError(
            f"heads {list(config.heads)} were asked for, partitions came at {list(heads or ())}; take those of "
            "decortex.finetune.losses.head_starts."
        )
    kinds: dict[str, Callable[[ToPoints, StartPoints, FinetuneConfig], ClusteringTerm]] = {
        "dec": DECTerm,
        "dec_joint": DECTerm,
        "dec_undetached": DECTerm,
        "december": DECEMberTerm,
        "tell": TELLTerm,
        "sec": GraphTerm,
        "ldmgi": GraphTerm,
        "mutual": MutualTerm,
        "rotation_dec": RotationDECTerm,
        "rotation_december": RotationDECEMberTerm,
    }
    build = kinds[config.kind]
    if not heads:
        return build(to_points, start, config)
    others = {k: build(to_points, one, config) for k, one in heads.items()}
    return HeadsTerm(build(to_points, start, config), others, start)


def every_cluster_holds_a_neuron(start: StartPoints) -> bool:
    """Whether a clustering loss can begin there."""
    return bool(torch.bincount(start.labels, minlength=start.n_clusters).all())


def head_results(term: ClusteringTerm, points: Tensor) -> tuple[HeadResult, ...]:
    """What the heads beside the parent's ended with; none without such heads."""
    if not isinstance(term, HeadsTerm):
        return ()
    found = []
    for k, head in term.heads.items():
        labels = head.log_q(points).argmax(dim=1).cpu().numpy()
        found.append(
            HeadResult(
                n_clusters=k,
                labels=relabel(labels, canonical_order(labels, k)),
                start=head.start,
                end=head.diagnose(points),
                curve=tuple(head.curve),
            )
        )
    return tuple(found)
