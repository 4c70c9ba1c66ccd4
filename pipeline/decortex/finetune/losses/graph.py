"""SEC and LDMGI as losses: what a cut of the neighbours' graph costs, as a function of the points. No solver here.

The methods (Nie et al. 2011; Yang et al. 2010) minimise tr(F' M F) over indicators F with F'F = I, where M is made of
the points. Here F is the indicator of the present partition and the points move, so that the partition's cut becomes
cheaper; the method itself makes the partition anew every few epochs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from decortex.clustering import fit
from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses.assignment import log_target, mean_kl
from decortex.finetune.losses.base import ClusteringTerm, StartPoints, ToPoints
from decortex.finetune.losses.diagnostics import Diagnostics, diagnose

CHUNK = 2**24  # elements of the neighbours' coordinates that lie in memory at a time
FLOOR = 1e-8  # smallest assignment


def neighbours_of(points: Tensor, n_neighbors: int) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest other neurons of every neuron, which of these edges stand for a pair, and the local scales.

    Parameters
    ----------
    points : Tensor, shape (n_neurons, n_features)
        Embedding.
    n_neighbors : int
        Fewer than there are neurons.

    Returns
    -------
    indices : Tensor of int64, shape (n_neurons, n_neighbors)
        By rising distance.
    counted : Tensor of bool, shape (n_neurons, n_neighbors)
        False where the other neuron lists the same pair and stands for it.
    scale : Tensor, shape (n_neurons,)
        Distance to the last neighbour; the smallest positive one where it is 0 (1 where all are).
    """
    n = len(points)
    indices, scales = [], []
    for block in torch.split(torch.arange(n, device=points.device), max(1, CHUNK // n)):
        distances = torch.cdist(
            points[block].double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist"
        )
        distances[torch.arange(len(block)), block] = torch.inf
        nearest = torch.topk(distances, n_neighbors, largest=False, sorted=True)
        indices.append(nearest.indices)
        scales.append(nearest.values[:, -1])
    found, scale = torch.cat(indices), torch.cat(scales)
    positive = scale[scale > 0]
    scale = torch.where(scale > 0, scale, positive.min() if len(positive) else torch.ones_like(scale))
    own = torch.arange(n, device=points.device)[:, None].expand_as(found)
    listed_back = (found[found] == own[:, :, None]).any(dim=2)
    return found, ~(listed_back & (found < own)), scale.to(points.dtype)


def embedded_cut(
    points: Tensor,
    labels: Tensor,
    graph: tuple[Tensor, Tensor, Tensor],
    *,
    n_clusters: int,
    mu: float,
    gamma: float,
) -> Tensor:
    r"""SEC's objective of one partition, a cluster.

    .. math:: \frac1K \mathrm{tr}\,F^\top(\tilde L + \mu L_g)F, \qquad F_{ij} = [i \in j] \sqrt{d_i/\mathrm{vol}_j}

    of which the first part is the normalised cut, :math:`\sum_j \mathrm{cut}_j/\mathrm{vol}_j`, with affinities
    :math:`\exp(-|z_i - z_l|^2/(s_i s_l))` over the pairs of neighbours, and the second what a linear map of the points
    (ridge gamma) does not explain of F.

    Parameters
    ----------
    points : Tensor, shape (n_neurons, n_features)
        Differentiated.
    labels : Tensor of int64, shape (n_neurons,)
        The partition.
    graph : tuple of Tensor
        Of `neighbours_of`; pairs and scales stay, affinities follow the points.
    n_clusters : int
        K.
    mu, gamma : float
        Weight and ridge of the regression.

    Returns
    -------
    Tensor
        Between 0 and 1 + mu.
    """
    weights = affinities(points, graph)
    degree = degrees(weights, graph)
    volume = points.new_zeros(n_clusters).index_add_(0, labels, degree).clamp_min(FLOOR)
    apart = labels[:, None] != labels[graph[0]]
    cut = weights * apart
    cuts = points.new_zeros(n_clusters).index_add_(0, labels, cut.sum(dim=1))
    cuts = cuts.index_add_(0, labels[graph[0]].flatten(), cut.flatten())
    cost = (cuts / volume).sum()
    if mu > 0:
        indicator = torch.nn.functional.one_hot(labels, n_clusters).to(points.dtype)
        spread = indicator * (degree[:, None] / volume).sqrt()
        centred, spread = points - points.mean(dim=0), spread - spread.mean(dim=0)
        ridge = gamma * torch.eye(points.shape[1], dtype=points.dtype, device=points.device)
        against = centred.T @ spread
        explained = (against * torch.linalg.solve(centred.T @ centred + ridge, against)).sum()
        cost = cost + mu * ((spread**2).sum() - explained)
    return cost / n_clusters


def affinities(points: Tensor, graph: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Weight of every counted pair, (n_neurons, n_neighbors); 0 where the other neuron lists it."""
    indices, counted, scale = graph
    squared = ((points[:, None] - points[indices]) ** 2).sum(dim=2)
    return torch.exp(-squared / (scale[:, None] * scale[indices])) * counted


def degrees(weights: Tensor, graph: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Sum of the weights of every neuron's pairs, (n_neurons,)."""
    return weights.sum(dim=1).index_add(0, graph[0].flatten(), weights.flatten())


def local_discriminant(
    points: Tensor, labels: Tensor, cliques: Tensor, *, n_clusters: int, lam: float
) -> Tensor:
    r"""LDMGI's objective of one partition, a cluster and clique member, in units of its ridge.

    .. math:: \frac{\lambda}{K k} \sum_i \mathrm{tr}\,F_i^\top H (H X_i X_i^\top H + \lambda I)^{-1} H F_i,
       \qquad F_{ij} = [i \in j]/\sqrt{n_j}

    with the k neurons of a clique as rows of :math:`X_i`: what a linear model of the clique's points (ridge lambda)
    does not explain of their clusters.

    Parameters
    ----------
    points : Tensor, shape (n_neurons, n_features)
        Differentiated.
    labels : Tensor of int64, shape (n_neurons,)
        The partition.
    cliques : Tensor of int64, shape (n_neurons, k)
        Every neuron and its nearest ones.
    n_clusters : int
        K.
    lam : float
        Ridge, in units of the embedding squared.

    Returns
    -------
    Tensor
        Between 0 and 1.

    Notes
    -----
    The gradient is in closed form: with Y = (X X' + lam I)^-1 F that of tr F'Y is -2 Y Y'X, which is that of -|X'Y|^2
    at a constant Y. Differentiating the solution of the system took a second one.
    """
    k = cliques.shape[1]
    size = torch.bincount(labels, minlength=n_clusters).clamp_min(1).to(points.dtype)
    indicator = torch.nn.functional.one_hot(labels, n_clusters).to(points.dtype) / size.sqrt()
    ridge = lam * torch.eye(k, dtype=points.dtype, device=points.device)
    total = points.new_zeros(())
    for rows in torch.split(cliques, max(1, CHUNK // (k * max(points.shape[1], n_clusters)))):
        x, f = points[rows], indicator[rows]
        x, f = x - x.mean(dim=1, keepdim=True), f - f.mean(dim=1, keepdim=True)
        with torch.no_grad():
            y = torch.linalg.solve(x @ x.mT + ridge, f)
            value = (f * y).sum()
        explained = (x.mT @ y).square().sum()
        total = total + value + (explained.detach() - explained)
    return lam * total / (n_clusters * k)


class GraphTerm(ClusteringTerm):
    """The cut of a partition in the graph of nearest neighbours, by SEC or by LDMGI.

    Between two fits of the method (``restart_every`` epochs; clusters are numbered by those they share most neurons
    with) partition, pairs of neighbours and local scales are constant, and the points move to where the cut is cheaper.
    Unlike a KL to centres the loss sees neighbourhoods alone: a cluster may have any shape.

    The soft assignments say what neighbours think: q_ij is one third of the share of neuron i's pairs (weighted by
    affinity; LDMGI: of its clique) that lead to cluster j, and two thirds its own cluster, which is the label.

    Parameters
    ----------
    to_points : callable
        Maps readout weights to the points that are clustered.
    start : StartPoints
        The parent partition.
    config : FinetuneConfig
        Kind sec or ldmgi.
    """

    members: Tensor
    indices: Tensor
    counted: Tensor
    scale: Tensor

    def __init__(self, to_points: ToPoints, start: StartPoints, config: FinetuneConfig) -> None:
        super().__init__(to_points, start, config, prediction_weight=1.0)
        self.register_buffer("members", start.labels.clone())
        with torch.no_grad():
            found = neighbours_of(start.points, self._n_neighbors(start.points))
        for name, value in zip(("indices", "counted", "scale"), found, strict=True):
            self.register_buffer(name, value)
        self.begin(start)

    @torch.no_grad()
    def start_epoch(self, embedding: Tensor, epoch: int) -> bool:
        """Let beta rise; find the present points' neighbours and let the method cluster them where that is due."""
        super().start_epoch(embedding, epoch)
        every = self.config.restart_every
        if not every or epoch == 1 or (epoch - 1) % every:
            return False
        points = self.to_points(embedding)
        for name, value in zip(
            ("indices", "counted", "scale"), neighbours_of(points, self._n_neighbors(points)), strict=True
        ):
            getattr(self, name).copy_(value)
        labels = self._clustered(points, seed=epoch)
        if not bool(torch.bincount(labels, minlength=self.n_clusters).all()):
            return False
        shared = torch.zeros(self.n_clusters, self.n_clusters, dtype=torch.int64)
        shared.index_put_((labels.cpu(), self.members.cpu()), torch.ones(()).long(), accumulate=True)
        _, number = linear_sum_assignment(shared.numpy(), maximize=True)
        self.members.copy_(torch.as_tensor(number, device=points.device)[labels])
        return True

    def kl(self, points: Tensor) -> Tensor:
        """Cost of the cut a cluster; no KL stands in this loss."""
        config = self.config
        if config.kind == "sec":
            return embedded_cut(
                points,
                self.members,
                self._graph(),
                n_clusters=self.n_clusters,
                mu=config.mu,
                gamma=config.gamma,
            )
        return local_discriminant(
            points, self.members, self._cliques(), n_clusters=self.n_clusters, lam=config.lam
        )

    def log_q(self, points: Tensor) -> Tensor:
        """Log of the soft assignments, (n_neurons, n_clusters); the largest of a neuron is its cluster."""
        own = torch.nn.functional.one_hot(self.members, self.n_clusters).to(points.dtype)
        if self.config.kind == "sec":
            weights = affinities(points, self._graph())
            near = (weights[:, :, None] * own[self.indices]).sum(dim=1)
            for column in range(self.indices.shape[1]):
                near = near.index_add(0, self.indices[:, column], weights[:, column, None] * own)
            near = near / near.sum(dim=1, keepdim=True).clamp_min(FLOOR)
        else:
            near = own[self._cliques()].mean(dim=1)
        q = ((2 * own + near) / 3).clamp_min(FLOOR)
        return (q / q.sum(dim=1, keepdim=True)).log()

    def diagnose(self, points: Tensor) -> Diagnostics:
        """Measure the state of the clustering; ``kl`` is to the target that DEC would make of the assignments."""
        log_q = self.log_q(points)
        kl = float(mean_kl(log_target(log_q), log_q))
        return diagnose(points, self._means(points), log_q=log_q, kl=kl)

    def cluster_parameters(self, points: Tensor, order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Means of the clusters."""
        centres = self._means(points)[torch.as_tensor(order)]
        return {"centres": centres.cpu().numpy().astype(np.float64)}

    def _n_neighbors(self, points: Tensor) -> int:
        # A clique counts the neuron itself, as in `decortex.clustering`'s LDMGI.
        own = self.config.n_neighbors - (self.config.kind == "ldmgi")
        return min(own, len(points) - 1)

    def _graph(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.indices, self.counted, self.scale

    def _cliques(self) -> Tensor:
        own = torch.arange(len(self.indices), device=self.indices.device)
        return torch.cat([own[:, None], self.indices], dim=1)

    def _means(self, points: Tensor) -> Tensor:
        return StartPoints(points, self.members, self.n_clusters).means()

    def _clustered(self, points: Tensor, *, seed: int) -> Tensor:
        """Labels of the method itself on the present points."""
        config, x = self.config, points.cpu().double().numpy()
        params: dict[str, Any] = {"mu": config.mu, "gamma": config.gamma}
        if config.kind == "ldmgi":
            params = {"lam": config.lam}
        width = min(config.n_neighbors, len(x) - (config.kind == "sec"))
        found = fit(x, config.kind, n_clusters=self.n_clusters, seed=seed, n_neighbors=width, **params)
        return torch.as_tensor(found.labels.astype(np.int64), device=points.device)
