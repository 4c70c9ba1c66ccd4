"""Fine-tune a network from a partition, or train it on without one. The loop is in `models.training`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.clustering import canonical_order, relabel
from decortex.data import Recordings
from decortex.errors import ConfigError, InputError
from decortex.finetune.balance import gradient_ratio
from decortex.finetune.config import ROTATION_KINDS, FinetuneConfig
from decortex.finetune.losses import (
    ClusteringTerm,
    PeerPartition,
    RotationStart,
    StartPoints,
    ToPoints,
    head_starts,
    peer_log_target,
    rolled_by,
)
from decortex.finetune.result import ContinuedResult, FinetuneResult, FinetuneStatus, finetune_status
from decortex.finetune.terms import build_term, every_cluster_holds_a_neuron, head_results
from decortex.labels import check_labels
from decortex.models import Network, score_recordings
from decortex.models.training import (
    EpochRecord,
    Handover,
    MapMemory,
    RunState,
    TrainingConfig,
    TrainingOutcome,
    fit_network,
)

Progress = Callable[[EpochRecord], None]


class PointMap(Protocol):
    """A fixed, differentiable map from readout weights to the points that were clustered."""

    def apply_torch(self, weights: Tensor) -> Tensor:
        """Map (n_neurons, n_channels) to (n_neurons, n_features)."""


def finetune(  # noqa: PLR0917  (six things of six kinds, in the order of the chain)
    network: Network,
    recordings: Recordings,
    embedding_map: PointMap,
    labels: NDArray[np.integer[Any]],
    config: FinetuneConfig,
    schedule: TrainingConfig,
    *,
    n_clusters: int,
    seed: int,
    rotation: RotationStart | None = None,
    peers: Sequence[PeerPartition] = (),
    progress: Progress | None = None,
    state: RunState | None = None,
    maps: MapMemory | None = None,
    after: Handover | None = None,
    device: str = "auto",
) -> FinetuneResult:
    """Reshape a trained network by a clustering loss on its readout weights.

    Parameters
    ----------
    network : Network
        Trained in place; it ends in the kept state.
    recordings : Recordings
        Those it was trained on.
    embedding_map : EmbeddingMap
        The map that made the clustered embedding, fitted on this network's own weights; it stays fixed.
    labels : ndarray of int, shape (n_neurons,)
        The parent partition, 0 <= label < n_clusters; its means are the first centres.
    config : FinetuneConfig
        Variant and its parameters.
    schedule : TrainingConfig
        Optimiser, rates, epochs, what trains and which epoch is kept.
    n_clusters : int
        K; with ``drop_empty`` the result's is the number of clusters that hold a neuron.
    seed : int
        Seed of batch order, shifts and the starts of ``heads``; the control with equal seed sees the same images in the
        same order.
    rotation : RotationStart, optional
        Orientations and shifts of a rotation_tmixture clustering; the rotation kinds need it, the others
        take none.
    peers : sequence of PeerPartition
        Partitions of the same neurons by the networks that learn from each other, this one among them; the kind
        'mutual' needs them, the others take none.
    progress : callable, optional
        Gets each epoch's record.
    state : RunState, optional
        Keeps the run at the end of every epoch; where it holds one, the run goes on there. All other arguments
        must be those of the interrupted run.
    maps : MapMemory, optional
        Maps of a core that is not trained, shared with other runs of this process.
    after : Handover, optional
        The training that left ``network``, at the end of the epoch from which it is joint: optimiser, rates and average
        go on. None: a new optimiser under ``schedule``.
    device : str
        'auto', 'cpu', 'cuda', ...

    Returns
    -------
    FinetuneResult
        A collapse, a divergence and an empty start cluster are statuses, not errors.

    Raises
    ------
    ConfigError
        If the kind is 'none', or the schedule does not train the readout; if a rotation kind comes without
        ``rotation``, another with it, or the embedding's map does not commute with rolls; if 'mutual' comes without
        ``peers``, another kind with them.
    InputError
        If labels, shifts or peers do not fit the neurons or K, or a point is not finite.
    """
    if config.kind == "none":
        raise ConfigError(
            "fine-tuning of kind 'none' has nothing to train; its labels are those of the clustering itself."
        )
    if (config.kind in ROTATION_KINDS) != (rotation is not None):
        raise ConfigError(
            f"fine-tuning of kind {config.kind!r} came {'without' if rotation is None else 'with'} orientations: "
            f"{' and '.join(ROTATION_KINDS)} start from a rotation_tmixture clustering, whose parameters hold them, "
            "and the other kinds do not use them."
        )
    if (config.kind == "mutual") != bool(peers):
        raise ConfigError(
            f"fine-tuning of kind {config.kind!r} came with {len(peers)} partitions of networks to learn from: "
            "'mutual' needs them, the other kinds take none."
        )

    def to_points(weights: Tensor) -> Tensor:
        return embedding_map.apply_torch(weights).to(weights.dtype)

    start = _start(network, to_points, labels, n_clusters)
    if config.drop_empty:
        start = start.without_gaps()
    if peers:
        start = replace(start, log_target=peer_log_target(start, peers, config))
    if rotation is not None:
        start = _with_shifts(start, rotation, to_points, network.embedding().detach())
    heads = head_starts(start, config, seed=seed)
    if not all(every_cluster_holds_a_neuron(one) for one in (start, *heads.values())):
        return _not_started(network, start, config, seed=seed, status="empty_start")
    term = build_term(to_points, start, config, heads)
    if config.beta_rule == "balanced":
        first = 1 if after is None else after.epoch + 1
        ratio = gradient_ratio(network, recordings, term, schedule, seed=seed, epoch=first)
        if not math.isfinite(ratio):
            return _not_started(network, start, config, seed=seed, status="flat_target")
        term.weight *= ratio
    outcome = fit_network(
        network,
        recordings,
        schedule,
        seed=seed,
        term=term,
        progress=progress,
        state=state,
        maps=maps,
        after=after,
        device=device,
    )
    return _result(network, term, start, outcome, config=config, seed=seed)


def continue_training(
    network: Network,
    recordings: Recordings,
    schedule: TrainingConfig,
    *,
    seed: int,
    tier: str = "test",
    progress: Progress | None = None,
    state: RunState | None = None,
    maps: MapMemory | None = None,
    after: Handover | None = None,
    device: str = "auto",
) -> ContinuedResult:
    """Train a network on as long as a fine-tuning would, without a clustering loss.

    Parameters
    ----------
    network : Network
        Trained in place; it ends in the kept state.
    recordings, schedule, seed, progress, state, maps, after, device
        As in `finetune`; with an equal seed both see the same images in the same order. The schedule's
        patience is not applied: a fine-tuning that went on for longer still finds its epoch here.
    tier : str
        Trials on which every epoch is scored. They choose nothing: the kept epoch follows validation.

    Returns
    -------
    ContinuedResult
        With every neuron's score after every epoch.
    """

    def score(now: Network) -> NDArray[np.float64]:
        return score_recordings(now, recordings, tier, device=device)[0]["correlation_to_average"].values

    whole = schedule.model_copy(update={"patience": None})
    outcome = fit_network(
        network,
        recordings,
        whole,
        seed=seed,
        progress=progress,
        watch=score,
        state=state,
        maps=maps,
        after=after,
        device=device,
    )
    return ContinuedResult(
        seed=seed,
        stop_reason=outcome.stop_reason,
        best_epoch=outcome.best_epoch,
        epochs=outcome.epochs,
        test_scores=tuple(outcome.watched),
        checkpoint=network.checkpoint(),
    )


def _start(
    network: Network, to_points: ToPoints, labels: NDArray[np.integer[Any]], n_clusters: int
) -> StartPoints:
    with torch.no_grad():
        points = to_points(network.embedding().detach()).clone()
    labels = check_labels(labels)
    if labels.shape != (len(points),):
        raise InputError(
            f"expected one label for each of the {len(points)} neurons of the embedding, got shape "
            f"{labels.shape}; cluster the embedding of this very network."
        )
    if not 1 <= n_clusters <= len(points):
        raise InputError(
            f"n_clusters should lie between 1 and the number of neurons, {len(points)}, got {n_clusters}."
        )
    if labels.min() < 0 or labels.max() >= n_clusters:
        raise InputError(
            f"labels should lie between 0 and {n_clusters - 1} for n_clusters={n_clusters}, but reach from "
            f"{labels.min()} to {labels.max()}; a neuron without a cluster cannot be fine-tuned."
        )
    if not bool(torch.isfinite(points).all()):
        raise InputError(
            "the embedding of the network holds NaN or infinite values: neurons whose readout is zero have no "
            "place on a sphere, and a broken network has none at all. Start from the raw embedding, or from a "
            "network without such neurons."
        )
    start_labels = torch.as_tensor(labels, device=points.device)
    return StartPoints(points=points, labels=start_labels, n_clusters=n_clusters)


def _with_shifts(
    start: StartPoints, rotation: RotationStart, to_points: ToPoints, weights: Tensor
) -> StartPoints:
    n_orientations, n_features = rotation.n_orientations, start.points.shape[1]
    if n_features % n_orientations or weights.shape[1] % n_orientations:
        raise InputError(
            f"{n_orientations} orientations should divide the {n_features} features of the embedding and the "
            f"{weights.shape[1]} channels of the readout, feature index o F + f."
        )
    if rotation.shifts.shape != (len(start.points),):
        raise InputError(
            f"expected one shift for each of the {len(start.points)} neurons, got shape {rotation.shifts.shape}."
        )
    one = torch.ones(len(weights), dtype=torch.int64, device=weights.device)
    with torch.no_grad():
        inside = to_points(rolled_by(weights, one, n_orientations))
        outside = rolled_by(start.points, one, n_orientations)
    if not torch.allclose(inside, outside, rtol=1e-3, atol=1e-4 * float(outside.abs().max())):
        raise ConfigError(
            "this embedding mixes orientations (its map does not commute with the roll), so that no cluster of it "
            "is defined up to one; start from a clustering of the 'raw' or the 'l2' embedding."
        )
    shifts = torch.as_tensor(rotation.shifts.astype(np.int64), device=start.points.device)
    return replace(start, shifts=shifts, n_orientations=n_orientations)


def _result(
    network: Network,
    term: ClusteringTerm,
    start: StartPoints,
    outcome: TrainingOutcome,
    *,
    config: FinetuneConfig,
    seed: int,
) -> FinetuneResult:
    # The loop has put network and term back into one state; everything below is read from it.
    with torch.no_grad():
        points = term.to_points(network.embedding().detach())
        found = term.log_q(points).argmax(dim=1)
        end = term.diagnose(points)
        moved = found.cpu().numpy()
        order = canonical_order(moved, start.n_clusters)
        parameters = term.cluster_parameters(points, order)
        heads = head_results(term, points)
    return FinetuneResult(
        kind=config.kind,
        labels=relabel(moved, order),
        n_clusters=start.n_clusters,
        seed=seed,
        status=finetune_status(outcome.stop_reason, term.start, end),
        stop_reason=outcome.stop_reason,
        best_epoch=outcome.best_epoch,
        share_changed=float((found != start.labels).double().mean()),
        points=points.cpu().numpy().astype(np.float64),
        parameters=parameters,
        heads=heads,
        beta=term.weight,
        start=term.start,
        end=end,
        curve=tuple(term.curve[: len(outcome.epochs)]),
        epochs=outcome.epochs,
        checkpoint=network.checkpoint(),
        term_state=outcome.term_state_dict or {},
    )


def _not_started(
    network: Network, start: StartPoints, config: FinetuneConfig, *, seed: int, status: FinetuneStatus
) -> FinetuneResult:
    """Result of a start that nothing can be trained from: the partition as it came."""
    old = start.labels.cpu().numpy()
    order = canonical_order(old, start.n_clusters)
    # The clusters that hold neurons still have a state worth recording.
    full = start.without_gaps()
    alone = config.model_copy(update={"heads": ()})
    if full.log_target is not None:
        full = replace(full, log_target=full.log_target[:, torch.unique(start.labels)].log_softmax(dim=1))
    state = build_term(lambda points: points, full, alone).start
    centres = np.full((start.n_clusters, start.points.shape[1]), np.nan)
    centres[: full.n_clusters] = (
        full.means().cpu().numpy()[canonical_order(full.labels.cpu().numpy(), full.n_clusters)]
    )
    return FinetuneResult(
        kind=config.kind,
        labels=relabel(old, order),
        n_clusters=start.n_clusters,
        seed=seed,
        status=status,
        stop_reason="not_started",
        best_epoch=0,
        share_changed=0.0,
        points=start.points.cpu().numpy().astype(np.float64),
        parameters={"centres": centres},
        beta=1.0 if config.kind == "dec" else config.beta,
        start=state,
        end=state,
        curve=(),
        epochs=(),
        checkpoint=network.checkpoint(),
        term_state={},
    )
