"""Mutual learning: the target of a network's assignments is the mean over networks of several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from decortex.errors import ConfigError, InputError
from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses.assignment import mean_kl
from decortex.finetune.losses.base import StartPoints, ToPoints
from decortex.finetune.losses.dec import DECTerm
from decortex.finetune.losses.diagnostics import Diagnostics, diagnose
from decortex.finetune.losses.transport import balanced_log_target
from decortex.labels import check_labels

_SMALLEST = 1e-12  # mass of a cluster that no network gives any


@dataclass(frozen=True)
class PeerPartition:
    """What one network of another seed made of the same neurons.

    Parameters
    ----------
    points : ndarray of float, shape (n_neurons, n_features)
        Its embedding; features need not be those of the learner.
    labels : ndarray of int, shape (n_neurons,)
        Its partition.
    """

    points: NDArray[np.floating[Any]]
    labels: NDArray[np.integer[Any]]


class MutualTerm(DECTerm):
    """KL(P || Q) with P of other networks: each learns from the rest (Zhang, Xiang, Hospedales & Lu, CVPR 2018).

    P is that of a round before and stays constant, as in codistillation from stale copies (Anil et al., ICLR 2018), so
    that a network is trained by itself; sizes are held near equal by optimal transport, as in swapped assignments
    (Caron et al., NeurIPS 2020), so that not all neurons end in one cluster. Q and its centres are those of DEC.

    Parameters
    ----------
    to_points : callable
        Maps readout weights to the points that are clustered.
    start : StartPoints
        The parent partition, with ``log_target``.
    config : FinetuneConfig
        Kind mutual.

    Raises
    ------
    ConfigError
        If the start has no target of other networks.
    """

    def __init__(self, to_points: ToPoints, start: StartPoints, config: FinetuneConfig) -> None:
        if start.log_target is None:
            raise ConfigError(
                "mutual learning needs the target of other networks: give the start that of `peer_log_target`."
            )
        super().__init__(to_points, start, config)

    def kl(self, points: Tensor) -> Tensor:
        """Mean KL(P || Q) a neuron; P is constant."""
        return mean_kl(self.log_p, self.log_q(points))

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering; ``kl`` is to the other networks' target."""
        projected = self.project(points)
        log_q = self._log_q(projected)
        return diagnose(projected, self.centres.detach(), log_q=log_q, kl=float(mean_kl(self.log_p, log_q)))

    def _first_target(self, start: StartPoints, projected: Tensor) -> Tensor:
        assert start.log_target is not None
        return start.log_target.to(projected.dtype)


def peer_log_target(start: StartPoints, peers: Sequence[PeerPartition], config: FinetuneConfig) -> Tensor:
    r"""Target of one network's assignments: the mean over networks, drawn towards equal sizes.

    .. math:: \bar q_{ij} = \frac{1}{S} \sum_s q^{(s)}_{i \pi_s(j)}, \qquad
       \pi_s = \arg\max_\pi \sum_{ij} 1[y_i = j] \, q^{(s)}_{i \pi(j)}

    :math:`q^{(s)}` are the soft assignments that DEC's kernel makes in network s's own embedding around the means of
    its clusters, y the learner's labels: clusters are matched one to one by the neurons that they share. The target is
    the solution of `balanced_log_target` for :math:`\log \bar q`.

    Parameters
    ----------
    start : StartPoints
        The learner's partition, n_neurons in K clusters.
    peers : sequence of PeerPartition
        The networks that learn from each other, the learner among them: from the others alone two networks would
        exchange their partitions, not meet.
    config : FinetuneConfig
        Kernel and alpha of the assignments, ``transport_epsilon`` and ``balance`` of the target.

    Returns
    -------
    Tensor of float64, shape (n_neurons, n_clusters)
        log p; every row sums to 1 after exp.

    Raises
    ------
    InputError
        If there is no peer, or one does not place every neuron of the learner.
    """
    if not peers:
        raise InputError(
            "mutual learning needs the partitions of the networks that learn from each other; none came."
        )
    own = torch.nn.functional.one_hot(start.labels.cpu(), start.n_clusters).double()
    total = torch.zeros_like(own)
    for number, peer in enumerate(peers):
        total += _matched(own, _assignments(peer, len(own), number, config))
    mean = (total / len(peers)).clamp_min(_SMALLEST)
    target = balanced_log_target(mean.log(), epsilon=config.transport_epsilon, balance=config.balance)
    return target.to(start.points.device)


def _assignments(peer: PeerPartition, n_neurons: int, number: int, config: FinetuneConfig) -> Tensor:
    points, labels = torch.as_tensor(np.asarray(peer.points, dtype=np.float64)), check_labels(peer.labels)
    if len(points) != n_neurons or labels.shape != (n_neurons,):
        raise InputError(
            f"the learner has {n_neurons} neurons, network {number} that it learns from {len(points)} points and "
            f"{len(labels)} labels; networks learn from each other on the same neurons."
        )
    missing = int(((labels < 0) | ~np.isfinite(points.numpy()).all(axis=1)).sum())
    if missing:
        raise InputError(
            f"network {number} that is learnt from does not place {missing} of {n_neurons} neurons (label -1, or a "
            "point that is not finite), so that it has no target for them; leave it out of peer_seeds, or remove these "
            "neurons from the recordings."
        )
    wanted = torch.as_tensor(labels, dtype=torch.int64)
    held = StartPoints(points, wanted, int(wanted.max()) + 1).without_gaps()
    like = FinetuneConfig(kind="dec_joint", kernel=config.kernel, alpha=config.alpha)
    with torch.no_grad():
        return DECTerm(lambda weights: weights, held, like).log_q(points).exp()


def _matched(own: Tensor, q: Tensor) -> Tensor:
    """Columns of ``q`` in the order of the learner's clusters; zero where a cluster has no counterpart."""
    overlap = own.T @ q
    rows, columns = linear_sum_assignment(overlap.numpy(), maximize=True)
    found = torch.zeros_like(own)
    found[:, torch.as_tensor(rows)] = q[:, torch.as_tensor(columns)]
    return found
